"""A home folder: what lies where, and how it comes into being.

::

    HOME/home.json                       format
    HOME/audit/events.jsonl              the audit log, one for all tenants
    HOME/catalogue/LIST_ID.json          which lists were made
    HOME/lists/LIST_ID/                  the lists, unless they are asked for elsewhere
    HOME/tenants/NAME/keys.json          the keyring, mode 0600
    HOME/tenants/NAME/registry.sqlite    consents and suppressions
    HOME/tenants/NAME/snapshots/         sorted copies of the registry for large lists

A tenant is made beside its place and renamed into it, so that a tenant whose folder exists has its keys
and its registry: one that later lacks them is damaged, and never silently made anew.
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
        return self.root / "audit" / "events.jsonl"

    @property
    def catalogue(self) -> Path:
        """The folder of catalogue entries."""
        return self.root / "catalogue"

    @property
    def lists(self) -> Path:
        """Where lists go that are not asked for elsewhere."""
        return self.root / "lists"

    def tenant(self, name: str) -> TenantFolder:
        """The places of a tenant; `HomeError` for a name that is none."""
        if not _TENANT.match(name):
            raise HomeError("tenant_invalid", "a tenant's name is up to 32 of a-z, 0-9, '-' and '_'")
        return TenantFolder(self.root / "tenants" / name)


def open_home(root: Path) -> Home:
    """The home at `root`, made where it is missing; an existing folder that is no home is refused."""
    home = Home(root)
    try:
        if (root / "home.json").exists():
            _check(root / "home.json")
        elif root.exists() and any(root.iterdir()):
            raise HomeError("home_damaged", "the folder is not empty and has no home.json: it is no home")
        for folder in (root, home.audit.parent, home.catalogue, root / "tenants"):
            folder.mkdir(mode=0o700, parents=folder is root, exist_ok=True)
        if not (root / "home.json").exists():
            write_whole(root / "home.json", json.dumps({"format": FORMAT}).encode() + b"\n")
    except OSError:
        raise HomeError("home_unwritable", "the home folder cannot be made or used") from None
    return home


def _check(path: Path) -> None:
    try:
        stated = str(json.loads(path.read_text(encoding="utf-8"))["format"])
    except (ValueError, KeyError, TypeError):
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
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
