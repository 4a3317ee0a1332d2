"""Snapshots: what one rule says of every subject in the registry, in sorted memory-mapped arrays.

The format is in `infra/formats/snapshot.md`. A snapshot is only ever a shortcut: it is checked against its
digests before use, rebuilt where it is damaged, foreign or too old, and completed by the changes since.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.embedded.eventsource import EventSource
from contact_sanitizer.embedded.snapshotmaking import (
    COLUMNS,
    FACTS,
    FORMAT,
    HEADER,
    PLACES,
    UNSETTLED,
    build_snapshot,
    column,
    digest_of,
)
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.bulkfold import verdict_bits
from contact_sanitizer.screening.mappedsubjects import MappedSubjects
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects

#: A snapshot is rebuilt where more has changed since: so many changes, or this share of all.
MOST_CHANGES: Final = 100_000
MOST_SHARE: Final = 0.02
#: Subjects stay in memory up to this size: 10 million of them, or the first halves of 20 million.
RESIDENT_BYTES: Final = 160 << 20
_CHECKED: Final = "checked.json"


@dataclass(frozen=True, slots=True, repr=False)
class SnapshotTable:
    """What the rule says at one moment of the subjects under one contract (0: keyed subjects).

    `bits` uint8 (n + 1,): the verdict of each of the `known` subjects, and last that of all others.
    `unsettled`: subjects that are not here, for something about them takes effect later.
    """

    known: MappedSubjects
    bits: NDArray[np.uint8]
    unsettled: SortedSubjects

    def verdicts(self, needles: Needles) -> NDArray[np.uint8]:
        """The `Drop` bits of the needles, in their order: uint8 (n,)."""
        return self.bits[self.known.find(needles.hi, needles.lo)]


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """One checked snapshot, memory-mapped, and the moment for which it is read."""

    name: str
    change: int
    tables: Mapping[int, SnapshotTable]


class SnapshotShelf:
    """The private folder where snapshots stand, at most one a rule."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clear(self) -> None:
        """Removes all snapshots; jobs that have one open keep what they see."""
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            shutil.rmtree(path, ignore_errors=True)

    def snapshot(self, source: EventSource, contracts: Sequence[int]) -> Snapshot:
        """A snapshot that the changes since make right for the source; built where there is none.

        Raises `RegistryError("snapshot_damaged")` where even a new one cannot be read back, and
        `("registry_unwritable")` where none can be written.
        """
        prefix = source.rule.digest.hex()[:16]
        if ready := self._newest(prefix, source, contracts):
            return ready
        try:
            path = build_snapshot(self._folder, prefix, source, contracts)
        except OSError:
            raise RegistryError(
                "registry_unwritable", "A snapshot of the registry cannot be written."
            ) from None
        self._drop_others(prefix, path)
        built = _load(path, source, contracts)
        if built is None:
            raise RegistryError("snapshot_damaged", "A snapshot of the registry cannot be read back.")
        return built

    def _newest(self, prefix: str, source: EventSource, contracts: Sequence[int]) -> Snapshot | None:
        paths = sorted(self._folder.glob(f"{prefix}-*")) if self._folder.is_dir() else []
        loaded = (_load(path, source, contracts) for path in reversed(paths))
        return next((snapshot for snapshot in loaded if snapshot), None)

    def _drop_others(self, prefix: str, kept: Path) -> None:
        for path in self._folder.glob(f"{prefix}-*"):
            if path != kept:
                shutil.rmtree(path, ignore_errors=True)


def _load(path: Path, source: EventSource, contracts: Sequence[int]) -> Snapshot | None:
    """The snapshot at `path`, None where it cannot serve the source or is not what was written."""
    try:
        header = json.loads((path / HEADER).read_bytes())
        if not _serves(header, source, contracts) or not _is_whole(path, header["columns"]):
            return None
        tables = {contract: _table(path, contract, source.now) for contract in contracts}
        return Snapshot(path.name, int(header["change"]), tables)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _serves(header: dict[str, Any], source: EventSource, contracts: Sequence[int]) -> bool:
    body = {name: value for name, value in header.items() if name != "sha256"}
    if header["sha256"] != digest_of(body) or header["format"] != FORMAT:
        return False
    change = int(header["change"])
    behind = source.change - change
    return (
        header["rule"] == source.rule.digest.hex()
        and set(contracts) <= set(header["contracts"])
        and header["built_at"] <= source.now
        and 0 <= behind <= min(MOST_CHANGES, max(1000, int(MOST_SHARE * change)))
        and header["anchor"] == source.anchor(change)
    )


def _is_whole(path: Path, columns: dict[str, Any]) -> bool:
    """Whether every column is what was written, by its digest.

    A file that was checked once and has not been touched since, as its inode says, is not read again:
    hashing all of a large snapshot would take longer than a million verdicts.
    """
    marks = {name: _mark(path / name) for name in columns}
    if _checked(path) == marks:
        return True
    for name, expected in columns.items():
        with (path / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                return False
    with suppress(OSError):
        (path / _CHECKED).write_text(json.dumps(marks), encoding="ascii")
    return True


def _mark(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _checked(path: Path) -> Any:
    try:
        return json.loads((path / _CHECKED).read_bytes())
    except (OSError, ValueError):
        return None


def _table(path: Path, contract: int, now: int) -> SnapshotTable:
    hi, lo, places = (path / f"{contract}-{name}" for name in ("hi", "lo", PLACES))
    known = MappedSubjects.open(hi, lo, RESIDENT_BYTES, places)
    columns = [column(path / f"{contract}-{name}", COLUMNS[name]) for name in FACTS]
    if {len(column) for column in columns} != {len(known)}:
        raise ValueError("columns differ in length")
    later_hi, later_lo = (column(path / f"{contract}-{name}", dtype) for name, dtype in UNSETTLED.items())
    bits = verdict_bits(columns[0], columns[1], columns[2], now)
    return SnapshotTable(known, bits, SortedSubjects(later_hi, later_lo))
