"""Sets of subjects that grow with a file: who was seen before, exactly, in bounded memory.

Subjects are kept as sorted runs, each batch a new one; runs of like size are merged, so that a few remain
(a log-structured set). Runs beyond the memory's share are memory-mapped files in a private folder. They
hold keyed subjects, no numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.errors import OutputError
from contact_sanitizer.screening.mappedsubjects import MappedSubjects
from contact_sanitizer.screening.sieve import Sieve
from contact_sanitizer.screening.subjectruns import U64, Needles, SortedSubjects, subject_bytes

MEMORY_ENTRIES: Final = 2_000_000
#: So many runs of like size become one.
_FAN_IN: Final = 6
_PART_ENTRIES: Final = 500_000

_Run = TypeVar("_Run", bound=Sized)


class SubjectSet:
    """A growing set of subjects; exact.

    `spill` is a private folder that does not exist yet or is empty; it is made when it is first needed.
    More than `memory_entries` subjects (16 bytes each) do not stay in memory. Raises
    `OutputError("out_full")` where the folder takes no more.
    """

    def __init__(self, spill: Path, memory_entries: int = MEMORY_ENTRIES) -> None:
        self._spill = spill
        self._memory_entries = memory_entries
        self._runs = _Levels[SortedSubjects]()
        self._spilled = _Levels[_SpilledRun]()
        self._sieve = Sieve()
        self._files = 0

    def __len__(self) -> int:
        return len(self._runs) + len(self._spilled)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forgets everything and removes its files."""
        for run in self._spilled.take():
            run.remove()
        self._runs.take()
        self._sieve = Sieve()

    def add(self, subjects: NDArray[np.uint8]) -> None:
        """Takes in subjects uint8 (k, 16), known ones and repetitions included."""
        needles = Needles.of(subjects)
        new = _firsts(needles.hi, needles.lo)
        hi, lo = needles.hi[new], needles.lo[new]
        absent = ~self._known(hi, lo)
        self._append(SortedSubjects(hi[absent], lo[absent]))

    def contains(self, needles: Needles) -> NDArray[np.bool_]:
        """Whether the set holds each row's subject: bool (n,), in the order of the rows."""
        found = np.empty(len(needles), np.bool_)
        found[needles.order] = self._known(needles.hi, needles.lo)
        return found

    def subjects(self) -> NDArray[np.uint8]:
        """All of them, uint8 (n, 16), in no order."""
        runs = [*self._runs, *(spilled.mapped.subjects for spilled in self._spilled)]
        return np.concatenate([np.empty((0, 16), np.uint8), *(subject_bytes(run.hi, run.lo) for run in runs)])

    def _known(self, hi: U64, lo: U64) -> NDArray[np.bool_]:
        """Whether each of these ascending subjects is here."""
        known = np.zeros(len(hi), np.bool_)
        maybe = self._sieve.maybe(hi)
        if len(maybe):
            hi, lo = hi[maybe], lo[maybe]
            sure = np.zeros(len(maybe), np.bool_)
            for run in self._runs:
                sure |= run.contains(hi, lo)
            for spilled in self._spilled:
                sure |= spilled.mapped.find(hi, lo) >= 0
            known[maybe] = sure
        return known

    def _append(self, run: SortedSubjects) -> None:
        """Takes in a run of subjects that are not here yet."""
        if not len(run):
            return
        if self._sieve.is_full(len(self) + len(run)):
            self._sieve = Sieve.for_entries(len(self) + len(run))
            for old in (*self._runs, *(spilled.mapped.subjects for spilled in self._spilled)):
                self._sieve.add(old.hi)
        self._sieve.add(run.hi)
        self._runs.add(run)
        while (like := self._runs.full()) is not None:
            self._runs.replace(like, _merged(self._runs.at(like)))
        if len(self._runs) > self._memory_entries:
            self._spill_runs()

    def _spill_runs(self) -> None:
        try:
            self._spill.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._spilled.add(self._write(list(self._runs)))
            self._runs.take()
            while (like := self._spilled.full()) is not None:
                merged = self._spilled.at(like)
                self._spilled.replace(like, self._write([run.mapped.subjects for run in merged], merged))
                for run in merged:
                    run.remove()
        except OSError:
            raise OutputError("out_full", "The temporary folder takes no more data.") from None

    def _write(self, runs: list[SortedSubjects], mapped: Sequence[_SpilledRun] = ()) -> _SpilledRun:
        """One run on disk from several, a range of leading bits at a time."""
        self._files += 1
        base = self._spill / f"run-{self._files}"
        with base.with_suffix(".hi").open("xb") as hi, base.with_suffix(".lo").open("xb") as lo:
            for part in _merged_parts(runs):
                hi.write(part.hi.astype("<u8", copy=False).tobytes())
                lo.write(part.lo.astype("<u8", copy=False).tobytes())
                for run in mapped:
                    run.mapped.give_back()
        return _SpilledRun.open(base)


class DuplicateSet(SubjectSet):
    """The subjects that were kept so far: tells first rows from duplicates."""

    def first_seen(self, needles: Needles, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which candidate rows are the first with their subject, in this batch and all before: bool (n,).

        `candidates` (n,) says which rows count; the others leave no trace. Rows that are first are
        remembered.
        """
        taking = candidates[needles.order]
        hi, lo, rows = needles.hi[taking], needles.lo[taking], needles.order[taking]
        new = _firsts(hi, lo)
        hi, lo, rows = hi[new], lo[new], rows[new]
        absent = ~self._known(hi, lo)
        self._append(SortedSubjects(hi[absent], lo[absent]))
        first = np.zeros(len(needles), np.bool_)
        first[rows[absent]] = True
        return first


class _Levels(Generic[_Run]):
    """Runs by size: a level's runs are about `_FAN_IN` times as long as those of the level below."""

    def __init__(self) -> None:
        self._levels: list[list[_Run]] = []

    def __iter__(self) -> Iterator[_Run]:
        return (run for level in self._levels for run in level)

    def __len__(self) -> int:
        return sum(map(len, self))

    def add(self, run: _Run, level: int = 0) -> None:
        self._levels += [[] for _ in range(level + 1 - len(self._levels))]
        self._levels[level].append(run)

    def full(self) -> int | None:
        """A level that has enough runs to be merged, None where there is none."""
        return next((n for n, level in enumerate(self._levels) if len(level) >= _FAN_IN), None)

    def at(self, level: int) -> list[_Run]:
        return self._levels[level]

    def replace(self, level: int, merged: _Run) -> None:
        """Puts the one run that a level's runs became in their place, a level up."""
        self._levels[level] = []
        self.add(merged, level + 1)

    def take(self) -> list[_Run]:
        """All runs, which are no longer here then."""
        runs, self._levels = list(self), []
        return runs


@dataclass(frozen=True, slots=True, repr=False)
class _SpilledRun:
    """A run in two files of its own."""

    base: Path
    mapped: MappedSubjects

    @classmethod
    def open(cls, base: Path) -> _SpilledRun:
        return cls(base, MappedSubjects.open(base.with_suffix(".hi"), base.with_suffix(".lo")))

    def __len__(self) -> int:
        return len(self.mapped)

    def remove(self) -> None:
        for suffix in (".hi", ".lo"):
            self.base.with_suffix(suffix).unlink(missing_ok=True)


def _firsts(hi: U64, lo: U64) -> NDArray[np.bool_]:
    """Which of ascending subjects differ from the one before."""
    new = np.ones(len(hi), np.bool_)
    new[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    return new


def _merged(runs: list[SortedSubjects]) -> SortedSubjects:
    """The union of runs that share no subject, in memory."""
    total = sum(map(len, runs))
    union = SortedSubjects(np.empty(total, np.uint64), np.empty(total, np.uint64))
    at = 0
    for part in _merged_parts(runs):
        union.hi[at : at + len(part)], union.lo[at : at + len(part)] = part.hi, part.lo
        at += len(part)
    return union


def _merged_parts(runs: list[SortedSubjects]) -> Iterator[SortedSubjects]:
    """The same union in ascending parts of about `_PART_ENTRIES`."""
    largest = max(runs, key=len)
    parts = max(1, sum(map(len, runs)) // _PART_ENTRIES)
    bounds = largest.hi[np.linspace(0, len(largest), parts, endpoint=False).astype(np.int64)[1:]]
    cuts = [[0, *np.searchsorted(run.hi, bounds).tolist(), len(run)] for run in runs]
    for part in range(len(bounds) + 1):
        hi = np.concatenate([run.hi[cut[part] : cut[part + 1]] for run, cut in zip(runs, cuts, strict=True)])
        lo = np.concatenate([run.lo[cut[part] : cut[part + 1]] for run, cut in zip(runs, cuts, strict=True)])
        needles = Needles.of_halves(hi, lo)
        yield SortedSubjects(needles.hi, needles.lo)
