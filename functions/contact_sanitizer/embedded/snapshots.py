"""Snapshots: what one rule says of every subject in the registry, in sorted memory-mapped arrays.

The format is in `infra/formats/snapshot.md`. A snapshot is only ever a shortcut: it is checked against its
digests before use, rebuilt where it is damaged, foreign or too old, and completed by the changes since.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

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
from contact_sanitizer.screening.mappedsubjects import MappedSubjects, mapped
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects

#: A snapshot is rebuilt where more has changed since: so many changes, or this share of all.
MOST_CHANGES: Final = 100_000
MOST_SHARE: Final = 0.02
#: Subjects stay in memory up to this size: 10 million of them, or the first halves of 20 million.
RESIDENT_BYTES: Final = 160 << 20
_CHECKED: Final = "checked.json"

T = TypeVar("T")
Facts = tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint32]]
_Load = Callable[[Path, EventSource, Sequence[int]], T | None]


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
class ReadyTable:
    """The same for a few people at any moment: only what is asked for is looked at.

    `facts`: `valid_until`, `otherwise` and `blocked_until` of each of the `known` subjects. `passing`: maps
    of facts whose pages are given back after each look.
    """

    known: MappedSubjects
    facts: Facts
    passing: tuple[mmap.mmap, ...]
    unsettled: SortedSubjects

    def verdicts(self, needles: Needles, now: int) -> NDArray[np.uint8]:
        """The `Drop` bits of the needles at `now`, in their order: uint8 (n,)."""
        rows = self.known.find(needles.hi, needles.lo)
        here = rows >= 0
        valid_until, otherwise, blocked_until = self.facts
        some = rows[here]
        bits = verdict_bits(valid_until[some], otherwise[some], blocked_until[some], now)
        for pages in self.passing:
            pages.madvise(mmap.MADV_DONTNEED)
        return bits[np.where(here, np.cumsum(here) - 1, -1)]


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """One checked snapshot, memory-mapped, and the moment for which it is read."""

    name: str
    change: int
    tables: Mapping[int, SnapshotTable]


@dataclass(frozen=True, slots=True, repr=False)
class ReadySnapshot:
    """One snapshot that stays open: it is asked before each use whether it still serves."""

    path: Path
    header: Mapping[str, Any]
    marks: Mapping[str, list[int]]
    tables: Mapping[int, ReadyTable]

    @property
    def change(self) -> int:
        """All events up to this change number are in it."""
        return int(self.header["change"])

    @property
    def anchor(self) -> str:
        """What the registry's history has to give for `change`."""
        return str(self.header["anchor"])

    def serves(self, source: EventSource, contracts: Sequence[int]) -> bool:
        """Whether it may answer, its anchor apart, and stands in its folder as it was opened."""
        try:
            return _fits(self.header, source, contracts) and _marks(self.path, self.marks) == self.marks
        except OSError:
            return False


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
        prefix = _prefix(source)
        if ready := self._newest(_load, source, contracts):
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

    def ready(self, source: EventSource, contracts: Sequence[int]) -> ReadySnapshot | None:
        """A snapshot that the changes since make right for the source, where one stands.

        Only one whose files were checked before: hashing them would take longer than any few questions.
        """
        return self._newest(_open, source, contracts)

    def _newest(self, load: _Load[T], source: EventSource, contracts: Sequence[int]) -> T | None:
        paths = sorted(self._folder.glob(f"{_prefix(source)}-*")) if self._folder.is_dir() else []
        loaded = (load(path, source, contracts) for path in reversed(paths))
        return next((snapshot for snapshot in loaded if snapshot), None)

    def _drop_others(self, prefix: str, kept: Path) -> None:
        for path in self._folder.glob(f"{prefix}-*"):
            if path != kept:
                shutil.rmtree(path, ignore_errors=True)


def _prefix(source: EventSource) -> str:
    return source.rule.digest.hex()[:16]


def _load(path: Path, source: EventSource, contracts: Sequence[int]) -> Snapshot | None:
    """The snapshot at `path`, None where it cannot serve the source or is not what was written."""
    try:
        header = _header(path, source, contracts)
        if header is None or not _is_whole(path, header["columns"]):
            return None
        tables = {contract: _table(path, contract, source.now) for contract in contracts}
        return Snapshot(path.name, int(header["change"]), tables)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _open(path: Path, source: EventSource, contracts: Sequence[int]) -> ReadySnapshot | None:
    """As `_load`, but None where the files were not checked before."""
    try:
        header = _header(path, source, contracts)
        if header is None:
            return None
        marks = _marks(path, header["columns"])
        if _checked(path) != marks:
            return None
        tables = {contract: _ready_table(path, contract) for contract in contracts}
        return ReadySnapshot(path, header, marks, tables)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _header(path: Path, source: EventSource, contracts: Sequence[int]) -> dict[str, Any] | None:
    """The header of the snapshot at `path` where that can serve the source."""
    header = json.loads((path / HEADER).read_bytes())
    if not isinstance(header, dict):
        return None
    body = {name: value for name, value in header.items() if name != "sha256"}
    if header["sha256"] != digest_of(body) or header["format"] != FORMAT:
        return None
    own = _fits(header, source, contracts) and header["anchor"] == source.anchor(int(header["change"]))
    return header if own else None


def _fits(header: Mapping[str, Any], source: EventSource, contracts: Sequence[int]) -> bool:
    change = int(header["change"])
    behind = source.change - change
    return (
        header["rule"] == source.rule.digest.hex()
        and set(contracts) <= set(header["contracts"])
        and header["built_at"] <= source.now
        and 0 <= behind <= min(MOST_CHANGES, max(1000, int(MOST_SHARE * change)))
    )


def _is_whole(path: Path, columns: dict[str, Any]) -> bool:
    """Whether every column is what was written, by its digest.

    A file that was checked once and has not been touched since, as its inode says, is not read again:
    hashing all of a large snapshot would take longer than a million verdicts.
    """
    marks = _marks(path, columns)
    if _checked(path) == marks:
        return True
    for name, expected in columns.items():
        with (path / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                return False
    with suppress(OSError):
        (path / _CHECKED).write_text(json.dumps(marks), encoding="ascii")
    return True


def _marks(path: Path, names: Iterable[str]) -> dict[str, list[int]]:
    """What tells files from others of their names, and from themselves before they were touched."""
    return {name: _mark(f"{path}/{name}") for name in names}


def _mark(file: str) -> list[int]:
    # as text: a path for each of a few files would take longer than to look a thousand people up in them
    status = os.stat(file)  # noqa: PTH116
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _checked(path: Path) -> Any:
    try:
        return json.loads((path / _CHECKED).read_bytes())
    except (OSError, ValueError):
        return None


def _table(path: Path, contract: int, now: int) -> SnapshotTable:
    known = _known(path, contract)
    facts = _alike([column(path / f"{contract}-{name}", COLUMNS[name]) for name in FACTS], known)
    bits = verdict_bits(*facts, now)
    return SnapshotTable(known, bits, _unsettled(path, contract))


def _ready_table(path: Path, contract: int) -> ReadyTable:
    known = _known(path, contract)
    files = {path / f"{contract}-{name}": COLUMNS[name] for name in FACTS}
    maps = tuple(mapped(file) for file in files) if len(known) else ()
    columns = [
        np.frombuffer(file, dtype) for file, dtype in zip(maps or [b""] * 3, files.values(), strict=True)
    ]
    passing = maps if sum(map(len, maps)) > RESIDENT_BYTES else ()
    return ReadyTable(known, _alike(columns, known), passing, _unsettled(path, contract))


def _known(path: Path, contract: int) -> MappedSubjects:
    hi, lo, places = (path / f"{contract}-{name}" for name in ("hi", "lo", PLACES))
    return MappedSubjects.open(hi, lo, RESIDENT_BYTES, places)


def _alike(columns: Sequence[NDArray[Any]], known: MappedSubjects) -> Facts:
    if {len(column) for column in columns} != {len(known)}:
        raise ValueError("columns differ in length")
    valid_until, otherwise, blocked_until = columns
    return valid_until, otherwise, blocked_until


def _unsettled(path: Path, contract: int) -> SortedSubjects:
    hi, lo = (column(path / f"{contract}-{name}", dtype) for name, dtype in UNSETTLED.items())
    return SortedSubjects(hi, lo)
