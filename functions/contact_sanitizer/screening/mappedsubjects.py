"""Sorted subjects in two mapped files, searched without keeping them in memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

import numpy as np

from contact_sanitizer.screening.places import Places
from contact_sanitizer.screening.subjectruns import U64, Indices, SortedSubjects

#: So many entries (16 bytes each) are looked at before their pages are given back.
STRETCH_ENTRIES: Final = 2_000_000


@dataclass(frozen=True, slots=True, repr=False)
class MappedSubjects:
    """Distinct ascending subjects: one file of first halves, one of second halves, little-endian uint64.

    `passing`: the maps whose pages are given back after each look.
    """

    subjects: SortedSubjects
    maps: tuple[mmap.mmap, ...]
    passing: tuple[mmap.mmap, ...]

    @classmethod
    def open(cls, hi: Path, lo: Path, resident_bytes: int = 0, places: Path | None = None) -> Self:
        """The subjects in two files of equal length; raises `OSError` and `ValueError` for others.

        Both halves, or else the first ones, may stay in memory where they take at most `resident_bytes`:
        bringing pages back costs as much as the search itself. `places`: a file of their `Places`.
        """
        if hi.stat().st_size != lo.stat().st_size:
            raise ValueError("halves differ in length")
        if not hi.stat().st_size:
            return cls(SortedSubjects.empty(), (), ())
        maps = tuple(mapped(path) for path in (hi, lo))
        first, second = (np.frombuffer(mapped, "<u8") for mapped in maps)
        found = None if places is None else Places(np.frombuffer(mapped(places), "<u4"))
        if found is not None and not found.fit(first):
            raise ValueError("the places are those of other subjects")
        resident = resident_bytes // maps[0].size()
        return cls(SortedSubjects(first, second, found), maps, maps[min(resident, 2) :])

    def __len__(self) -> int:
        return len(self.subjects)

    def __repr__(self) -> str:
        return f"MappedSubjects({len(self)})"

    def find(self, hi: U64, lo: U64) -> Indices:
        """The index of each of these ascending subjects, -1 where absent: int64 (n,)."""
        found = np.empty(len(hi), np.int64)
        for part in self._stretches(len(hi)):
            found[part] = self.subjects.find(hi[part], lo[part])
            self.give_back()
        return found

    def give_back(self) -> None:
        """Takes the pages out of this process; the next look brings them back from the system's cache."""
        for mapped in self.passing:
            mapped.madvise(mmap.MADV_DONTNEED)

    def _stretches(self, needles: int) -> Iterator[slice]:
        """Parts of evenly spread needles that look at about `STRETCH_ENTRIES` each."""
        parts = max(1, -(-len(self) // STRETCH_ENTRIES)) if self.passing else 1
        bounds = [needles * part // parts for part in range(parts + 1)]
        return (slice(start, stop) for start, stop in pairwise(bounds) if start < stop)


def mapped(path: Path) -> mmap.mmap:
    """A file, mapped for reading; raises `OSError`, and `ValueError` for an empty one."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
