"""A tenant's snapshots of the registry in S3, and the copies of them on this machine.

::

    wanted/RULE.json            a rule under which large lists are screened, and when one last was
    RULE/newest.json            the header of the snapshot that counts; written last
    RULE/CHANGE/FILE            its files, as `infra/formats/snapshot.md` has them
    RULE/progress               how far a snapshot is that could not be finished at once

RULE: the first 16 hex digits of a rule's digest; CHANGE: 20 digits. Nothing here is a source: what is
missing, damaged or refused only makes screening slower. Files hold keyed subjects, no numbers.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from botocore.exceptions import ClientError, HTTPClientError

from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.aws.listparts import PartsFile, Place
from contact_sanitizer.aws.listrevision import versions_of
from contact_sanitizer.aws.objects import S3Objects
from contact_sanitizer.errors import OutputError, RegistryError
from contact_sanitizer.screening.rule import DAY, Rule
from contact_sanitizer.screening.snapshot import Header, prefix_of, read_header
from contact_sanitizer.screening.snapshotmaking import HEADER

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WANTED_DAYS: Final = 7
"""So long after a large list of its rule a snapshot is kept up to date."""

_WANTED: Final = "wanted/"
_WANTED_FORMAT: Final = "contact-sanitizer/snapshot-wanted/v1"
_NEWEST: Final = "newest.json"
_PROGRESS: Final = "progress"
_CHUNK: Final = 1 << 20
#: Snapshots of so many rules stay on this machine.
_MOST_HERE: Final = 4
#: Those of so many rules are kept up to date.
_MOST_WANTED: Final = 32
_NAME: Final = re.compile(r"([0-9a-f]{16})-([0-9]{20})")
_WANTED_KEY: Final = re.compile(r"wanted/([0-9a-f]{16})\.json")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule under which a large list was screened, when (Unix seconds), and a snapshot that was no good."""

    rule: Rule
    asked_at: int
    unusable: str


@dataclass(frozen=True, slots=True)
class SnapshotPlace:
    """Where a tenant's snapshots are kept: below `prefix` of a bucket, encrypted under `key`."""

    s3: S3Client
    bucket: str
    prefix: str
    key: str

    def shelf(self, pool: Executor) -> S3Snapshots:
        """The snapshots there; `pool` sends and fetches."""
        return S3Snapshots(self.s3, self.bucket, self.prefix, self.key, pool)


@dataclass(frozen=True, slots=True)
class S3Snapshots:
    """The snapshots under `prefix` of a bucket, encrypted under `key`. Every fault is a `RegistryError`."""

    s3: S3Client
    bucket: str
    prefix: str
    key: str
    pool: Executor

    def want(self, rule: Rule, now: int, unusable: str = "") -> None:
        """Says that a large list was screened under the rule; where that cannot be said nothing is lost.

        `unusable`: the name of a snapshot that should have served and is not what was made.
        """
        stated = {"format": _WANTED_FORMAT, "asked_at": now, "rule": rule.document(), "unusable": unusable}
        try:
            self._objects.put(f"{_WANTED}{prefix_of(rule)}.json", json.dumps(stated).encode(), absent=False)
        except RegistryError:
            return

    def wanted(self, now: int) -> list[Wanted]:
        """What was wanted within the last `WANTED_DAYS`, the last of it first; what others left is removed.

        Of very many rules the snapshots of the last ones alone are kept up to date.
        """
        found: list[Wanted] = []
        for key in list(self._objects.keys(_WANTED)):
            wanted = _read_wanted(self._objects.get(key) or b"", now - WANTED_DAYS * DAY)
            if wanted and key == f"{_WANTED}{prefix_of(wanted.rule)}.json":
                found.append(wanted)
                continue
            if named := _WANTED_KEY.fullmatch(key):
                self._remove(f"{named.group(1)}/")
            self._remove_one(key)
        found.sort(key=lambda wanted: wanted.asked_at, reverse=True)
        return found[:_MOST_WANTED]

    def newest(self, rule: Rule) -> Header | None:
        """The header of the rule's snapshot; None where there is none, or what is there is not ours."""
        data = self._objects.get(f"{prefix_of(rule)}/{_NEWEST}")
        return read_header(data) if data else None

    def fetch(self, rule: Rule, name: str) -> Path | None:
        """The rule's snapshot of that name in a private folder of this machine; None where it has gone.

        Only the header is asked for where the rest is here from last time. Not checked: that is for whoever
        reads it.
        """
        named = _NAME.fullmatch(name)
        if not named or named.group(1) != prefix_of(rule):
            return None  # whoever may put other objects here must not have them read as a snapshot
        folder = f"{prefix_of(rule)}/{named.group(2)}/"
        header = self._objects.get(folder + HEADER)
        kept = _here() / hashlib.sha256(f"{self.bucket}/{self.prefix}{prefix_of(rule)}".encode()).hexdigest()
        digest = hashlib.sha256(header).hexdigest() if header else ""
        for path in kept.glob("*"):
            if path.name != digest:
                # of another history it may tell of somebody who was forgotten
                shutil.rmtree(path, ignore_errors=True)
        if header is None:
            return None
        here = kept / digest / name
        if here.is_dir():
            return here
        draft = _here() / f".draft-{uuid4().hex}"
        try:
            draft.mkdir()
            if not self._download(folder, header, draft):
                return None
            _make_room()
            here.parent.mkdir(parents=True, exist_ok=True)
            draft.rename(here)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return here

    def publish(self, rule: Rule, path: Path) -> None:
        """Puts a snapshot of this machine into the bucket and lets it count; older ones but the last go."""
        former = self.newest(rule)
        header = (path / HEADER).read_bytes()
        folder = f"{prefix_of(rule)}/{path.name.rpartition('-')[2]}/"
        self._remove(folder)
        for name in (HEADER, *json.loads(header)["columns"]):
            self._send((path / name).read_bytes(), folder + name)
        self._objects.put(f"{prefix_of(rule)}/{_NEWEST}", header, absent=False)
        kept = {folder} | ({f"{prefix_of(rule)}/{former['change']:020d}/"} if former else set())
        self._remove(f"{prefix_of(rule)}/", kept | {f"{prefix_of(rule)}/{_NEWEST}"})

    def progress(self, rule: Rule) -> bytes | None:
        """What was kept of an unfinished snapshot."""
        return self._objects.get(f"{prefix_of(rule)}/{_PROGRESS}")

    def keep_progress(self, rule: Rule, data: bytes) -> None:
        """Keeps what there is of an unfinished snapshot."""
        self._send(data, f"{prefix_of(rule)}/{_PROGRESS}")

    def drop(self, rule: Rule) -> None:
        """Removes all that there is for a rule, older versions too; that it is wanted stays known."""
        self._remove(f"{prefix_of(rule)}/")

    def clear(self) -> None:
        """Removes all that holds subjects, older versions too, here and in the bucket."""
        for path in _here().glob("*"):
            shutil.rmtree(path, ignore_errors=True)
        self._remove("", {_WANTED})

    @property
    def _objects(self) -> S3Objects:
        return S3Objects(self.s3, self.bucket, self.prefix, self.key, snapshot_fault)

    def _download(self, folder: str, header: bytes, into: Path) -> bool:
        (into / HEADER).write_bytes(header)
        names = list(json.loads(header)["columns"])
        fetched = self.pool.map(partial(self._download_one, folder, into), names)
        return all(list(fetched))

    def _download_one(self, folder: str, into: Path, name: str) -> bool:
        if "/" in name or name.startswith("."):
            return False
        with told(snapshot_fault):
            try:
                body = self.s3.get_object(Bucket=self.bucket, Key=self.prefix + folder + name)["Body"]
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in {"404", "NoSuchKey"}:
                    return False
                raise
            with body, (into / name).open("xb") as file:
                try:
                    while chunk := body.read(_CHUNK):
                        file.write(chunk)
                except (HTTPClientError, OSError):
                    return False
        return True

    def _send(self, data: bytes, key: str) -> None:
        file = PartsFile(Place(self.s3, self.bucket, self.prefix + key, self.key), self.pool)
        try:
            file.write(data)
            file.sync()
            file.complete()
        except OutputError:
            raise snapshot_fault(Fault.UNAVAILABLE) from None
        finally:
            file.abort()

    def _remove(self, below: str, kept: AbstractSet[str] = frozenset()) -> None:
        """Deletes all versions of what begins with `below`, but for what begins with one of `kept`."""
        with told(snapshot_fault):
            for key, version in list(versions_of(self.s3, self.bucket, self.prefix + below)):
                if not key.removeprefix(self.prefix).startswith(tuple(kept)):
                    self.s3.delete_object(Bucket=self.bucket, Key=key, VersionId=version)

    def _remove_one(self, key: str) -> None:
        """Deletes all versions of one object."""
        with told(snapshot_fault):
            for found, version in list(versions_of(self.s3, self.bucket, self.prefix + key)):
                if found == self.prefix + key:
                    self.s3.delete_object(Bucket=self.bucket, Key=found, VersionId=version)


def snapshot_fault(fault: Fault) -> RegistryError:
    """What stands in the way of a snapshot."""
    if fault is Fault.DENIED:
        return RegistryError("registry_unavailable", "Access to the registry's snapshots is refused.")
    return RegistryError("registry_unavailable", "The registry's snapshots cannot be reached; try again.")


@cache
def _here() -> Path:
    """A folder of this process alone: nobody else can put a snapshot there."""
    folder = Path(tempfile.mkdtemp(prefix="contact-sanitizer-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _make_room() -> None:
    standing = sorted(_here().glob("[!.]*"), key=lambda path: path.stat().st_mtime_ns)
    for path in standing[: max(0, len(standing) - _MOST_HERE + 1)]:
        shutil.rmtree(path, ignore_errors=True)


def _read_wanted(data: bytes, since: int) -> Wanted | None:
    """What an object asks for; None where that was before `since`, or it asks for nothing."""
    try:
        stated: dict[str, Any] = json.loads(data)
        wanted = Wanted(Rule.of(stated["rule"]), stated["asked_at"], stated["unusable"])
        numbers = {type(wanted.asked_at), type(wanted.rule.max_age_days or 0)}
        is_asked = stated["format"] == _WANTED_FORMAT and numbers == {int} and wanted.asked_at >= since
    except (ValueError, KeyError, TypeError, AttributeError, RegistryError):
        return None
    return wanted if is_asked else None
