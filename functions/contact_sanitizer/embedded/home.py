"""A home folder: what lies where, and how it comes into being.

::

    HOME/home.json                       format
    HOME/audit/                          the audit log, one for all tenants
    HOME/audit-key.json                  the key that signs it, mode 0600
    HOME/audit-key-next.json             the key that is about to follow it, while it is changed
    HOME/lists/LIST_ID/                  the lists, unless they are asked for elsewhere
    HOME/tenants/NAME/keys.json          the keyring, mode 0600
    HOME/tenants/NAME/registry.sqlite    consents and suppressions
    HOME/tenants/NAME/catalogue.sqlite   which lists were made, who may fetch, what was delivered
    HOME/tenants/NAME/deliveries/        who was on which delivery
    HOME/tenants/NAME/snapshots/         sorted copies of the registry for large lists

A tenant is made beside its place and renamed into it, so that a tenant whose folder exists has its keys,
its registry and its catalogue: one that later lacks them is damaged, and never silently made anew.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contact_sanitizer.errors import HomeError

FORMAT: Final = "contact-sanitizer/home/v1"
_ANY_FORMAT = re.compile(r"contact-sanitizer/home/v(\d+)\Z")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_\-]{0,31}\Z")
# A tenant's name goes into audit events, where nothing that could be a phone may stand.
_LONG_NUMBER = re.compile(r"\d{7}")
_UNFINISHED = re.compile(r"\.home\.json\.\d+\.tmp\Z")


@dataclass(frozen=True, slots=True)
class TenantFolder:
    """The places of one tenant."""

    root: Path

    @property
    def keys(self) -> Path:
        """The key file."""
        return self.root / "keys.json"

    @property
    def registry(self) -> Path:
        """The registry."""
        return self.root / "registry.sqlite"

    @property
    def catalogue(self) -> Path:
        """The catalogue."""
        return self.root / "catalogue.sqlite"

    @property
    def deliveries(self) -> Path:
        """Who was on which delivery."""
        return self.root / "deliveries"

    @property
    def snapshots(self) -> Path:
        """The registry's snapshots."""
        return self.root / "snapshots"


@dataclass(frozen=True, slots=True)
class Home:
    """The places of one home folder."""

    root: Path

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.root / "audit"

    @property
    def audit_key(self) -> Path:
        """The key that signs the audit log."""
        return self.root / "audit-key.json"

    @property
    def next_audit_key(self) -> Path:
        """The key that follows it, until the log is handed over to it."""
        return self.root / "audit-key-next.json"

    @property
    def tenants(self) -> Path:
        """The folder of tenants."""
        return self.root / "tenants"

    @property
    def lists(self) -> Path:
        """Where lists go that are not asked for elsewhere."""
        return self.root / "lists"

    def tenant(self, name: str) -> TenantFolder:
        """The places of a tenant; `HomeError` for a name that is none."""
        if not _TENANT.match(name) or _LONG_NUMBER.search(name):
            raise HomeError(
                "tenant_invalid",
                "a tenant's name is up to 32 of a-z, 0-9, '-' and '_', without a long number",
            )
        return TenantFolder(self.tenants / name)


def open_home(root: Path) -> Home:
    """The home at `root`, made where it is missing; an existing folder that is no home is refused."""
    home = Home(root)
    try:
        if not _is_marked(root):
            # home.json comes first, so that whatever else a crash leaves stands in a folder that is a home.
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(root / "home.json", json.dumps({"format": FORMAT}).encode() + b"\n")
        home.tenants.mkdir(mode=0o700, exist_ok=True)
    except (OSError, ValueError):
        raise HomeError("home_unwritable", "the home folder cannot be made or used") from None
    return home


def _is_marked(root: Path) -> bool:
    """Whether `root` is a home; False where one may be made there, `HomeError` where neither holds."""
    if (root / "home.json").exists():
        _check(root / "home.json")
        return True
    foreign = root.exists() and any(not _UNFINISHED.match(path.name) for path in root.iterdir())
    if foreign and (root / "home.json").exists():  # another process was faster
        return True
    if foreign:
        raise HomeError("home_damaged", "the folder is not empty and has no home.json: it is no home")
    return False


def _check(path: Path) -> None:
    try:
        stated = str(json.loads(path.read_text(encoding="utf-8"))["format"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise HomeError("home_damaged", "home.json is damaged") from None
    if stated == FORMAT:
        return
    if _ANY_FORMAT.match(stated):
        raise HomeError("home_newer", "the home was made by a newer version; update contact-sanitizer")
    raise HomeError("home_damaged", "home.json is not that of a home")


def make_tenant(place: TenantFolder, fill: Callable[[TenantFolder], None]) -> bool:
    """Make a tenant whole, by `fill`, where it is missing; returns whether this call made it."""
    if place.root.is_dir():
        return False
    partial = place.root.with_name(f".{place.root.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        fill(TenantFolder(partial))
        partial.rename(place.root)
    except OSError:
        if place.root.is_dir():  # another process was faster
            return False
        raise HomeError("home_unwritable", "the home folder cannot be written") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`, on disk and at once: readers see all of it or what was there before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk: without it a crash can undo a rename or the making of a file."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
