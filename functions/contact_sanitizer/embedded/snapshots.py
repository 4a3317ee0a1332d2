"""Where a home's snapshots stand, at most one a rule, and those of them that stay open.

The format is in `infra/formats/snapshot.md`; what is read and written is `screening.snapshot`'s.
"""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.embedded.eventshards import folded_shards
from contact_sanitizer.embedded.eventsource import EventSource
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.bulkfold import verdict_bits
from contact_sanitizer.screening.mappedsubjects import MappedSubjects, mapped
from contact_sanitizer.screening.snapshot import (
    RESIDENT_BYTES,
    Facts,
    Header,
    Snapshot,
    alike,
    checked,
    fits,
    fitting_header,
    known_in,
    load,
    marks_of,
    name_of,
    prefix_of,
    unsettled_in,
)
from contact_sanitizer.screening.snapshotmaking import COLUMNS, FACTS, Contents, write_snapshot
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects

T = TypeVar("T")
_Load = Callable[[Path, EventSource, Sequence[int]], T | None]


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
class ReadySnapshot:
    """One snapshot that stays open: it is asked before each use whether it still serves."""

    path: Path
    header: Header
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
            return fits(self.header, source, contracts) and marks_of(self.path, self.marks) == self.marks
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
        if ready := self._newest(load, source, contracts):
            return ready
        try:
            path = write_snapshot(
                self._folder, name_of(source.rule, source.change), _contents(source, contracts)
            )
        except OSError:
            raise RegistryError(
                "registry_unwritable", "A snapshot of the registry cannot be written."
            ) from None
        self._drop_others(prefix_of(source.rule), path)
        built = load(path, source, contracts)
        if built is None:
            raise RegistryError("snapshot_damaged", "A snapshot of the registry cannot be read back.")
        return built

    def ready(self, source: EventSource, contracts: Sequence[int]) -> ReadySnapshot | None:
        """A snapshot that the changes since make right for the source, where one stands.

        Only one whose files were checked before: hashing them would take longer than any few questions.
        """
        return self._newest(_open, source, contracts)

    def _newest(self, load: _Load[T], source: EventSource, contracts: Sequence[int]) -> T | None:
        paths = sorted(self._folder.glob(f"{prefix_of(source.rule)}-*")) if self._folder.is_dir() else []
        loaded = (load(path, source, contracts) for path in reversed(paths))
        return next((snapshot for snapshot in loaded if snapshot), None)

    def _drop_others(self, prefix: str, kept: Path) -> None:
        for path in self._folder.glob(f"{prefix}-*"):
            if path != kept:
                shutil.rmtree(path, ignore_errors=True)


def _contents(source: EventSource, contracts: Sequence[int]) -> Contents:
    return Contents(
        rule=source.rule,
        change=source.change,
        anchor=source.anchor(source.change),
        built_at=source.now,
        tables={contract: partial(folded_shards, source, contract) for contract in contracts},
    )


def _open(path: Path, source: EventSource, contracts: Sequence[int]) -> ReadySnapshot | None:
    """As `_load`, but None where the files were not checked before."""
    try:
        header = fitting_header(path, source, contracts)
        if header is None:
            return None
        marks = marks_of(path, header["columns"])
        if checked(path) != marks:
            return None
        tables = {contract: _ready_table(path, contract) for contract in contracts}
        return ReadySnapshot(path, header, marks, tables)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _ready_table(path: Path, contract: int) -> ReadyTable:
    known = known_in(path, contract)
    files = {path / f"{contract}-{name}": COLUMNS[name] for name in FACTS}
    maps = tuple(mapped(file) for file in files) if len(known) else ()
    columns = [
        np.frombuffer(file, dtype) for file, dtype in zip(maps or [b""] * 3, files.values(), strict=True)
    ]
    passing = maps if sum(map(len, maps)) > RESIDENT_BYTES else ()
    return ReadyTable(known, alike(columns, known), passing, unsettled_in(path, contract))
