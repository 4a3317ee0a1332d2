"""Subjects as pairs of 64-bit integers, sorted, searched a batch at a time.

A subject's first eight bytes are `hi`, its last eight `lo`, both big-endian. Sorting a batch's needles
once pays for itself: every search then walks its array from left to right, which the cache likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.screening.places import Places

#: How many needles share a search, and the haystack's length from which that pays.
_TOGETHER: Final = 512
_LARGE: Final = 100_000

U64 = NDArray[np.uint64]
Indices = NDArray[np.int64]


def halves(subjects: NDArray[np.uint8]) -> tuple[U64, U64]:
    """`hi` and `lo` of subjects uint8 (n, 16): two uint64 (n,)."""
    pairs = np.ascontiguousarray(subjects).view(">u8").reshape(-1, 2)
    return pairs[:, 0].astype(np.uint64), pairs[:, 1].astype(np.uint64)


def subject_bytes(hi: U64, lo: U64) -> NDArray[np.uint8]:
    """The subjects uint8 (n, 16) of two halves: the inverse of `halves`."""
    pairs = np.empty((len(hi), 2), ">u8")
    pairs[:, 0], pairs[:, 1] = hi, lo
    return pairs.view(np.uint8).reshape(-1, 16)


@dataclass(frozen=True, slots=True, repr=False)
class Needles:
    """A batch's subjects in ascending order of `hi`; `order` (n,) says which row each one is."""

    hi: U64
    lo: U64
    order: Indices

    @classmethod
    def of(cls, subjects: NDArray[np.uint8]) -> Needles:
        """Sorted needles for subjects uint8 (n, 16); equal subjects keep their order and stand together."""
        hi, lo = halves(subjects)
        return cls.of_halves(hi, lo)

    @classmethod
    def of_halves(cls, hi: U64, lo: U64) -> Needles:
        """Sorted needles for two halves."""
        order = _nearly_sorted(hi)
        # Every index is in range; mode "clip" only spares the check, which takes as long as the rest.
        sorted_hi, sorted_lo = hi.take(order, mode="clip"), lo.take(order, mode="clip")
        if _is_tangled(sorted_hi, sorted_lo):
            order = np.lexsort((lo, hi))
            sorted_hi, sorted_lo = hi[order], lo[order]
        return cls(sorted_hi, sorted_lo, order)

    def __len__(self) -> int:
        return len(self.hi)

    def __repr__(self) -> str:
        return f"Needles({len(self)})"


@dataclass(frozen=True, slots=True, repr=False)
class SortedSubjects:
    """Distinct subjects, ascending by `hi`, then `lo`; the arrays may be memory-mapped.

    With `places` a look-up costs half; they pay for themselves where they were made before.
    """

    hi: U64
    lo: U64
    places: Places | None = None

    @classmethod
    def empty(cls) -> SortedSubjects:
        """No subjects."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.uint64))

    def __len__(self) -> int:
        return len(self.hi)

    def __repr__(self) -> str:
        return f"SortedSubjects({len(self)})"

    def find(self, hi: U64, lo: U64) -> Indices:
        """The index of each of these needles, ascending by `hi`, -1 where absent: int64 (n,). Exact."""
        if not len(self.hi):
            return np.full(len(hi), -1, np.int64)
        at = _search(self.hi, hi) if self.places is None else self.places.search(self.hi, hi)
        # Beyond the end mode "clip" looks at the last one, which is less.
        same_hi = self.hi.take(at, mode="clip") == hi
        same = same_hi & (self.lo.take(at, mode="clip") == lo)
        # -1 by arithmetic: which needles are here follows no pattern that a processor could guess
        at += 1
        at *= same
        at -= 1
        if np.count_nonzero(same_hi) != np.count_nonzero(same):
            self._walk_collisions(at, np.flatnonzero(same_hi & ~same), hi, lo)
        return at

    def contains(self, hi: U64, lo: U64) -> NDArray[np.bool_]:
        """Whether each of these needles, ascending by `hi`, is here: bool (n,)."""
        return self.find(hi, lo) >= 0

    def _walk_collisions(self, at: Indices, rows: Indices, hi: U64, lo: U64) -> None:
        for row in rows:
            start, stop = (int(np.searchsorted(self.hi, hi[row], side)) for side in ("left", "right"))
            same = np.flatnonzero(self.lo[start:stop] == lo[row])
            at[row] = start + same[0] if len(same) else -1


def _search(haystack: U64, needles: U64) -> Indices:
    """As `np.searchsorted` for ascending needles: a few at a time look only at the stretch between them.

    Such a stretch fits in the processor's cache, which makes the search more than twice as fast.
    """
    if len(needles) < 2 * _TOGETHER or len(haystack) < _LARGE:
        return np.searchsorted(haystack, needles)
    at = np.empty(len(needles), np.int64)
    bounds = [*np.searchsorted(haystack, needles[::_TOGETHER]).tolist(), len(haystack)]
    for number, (start, stop) in enumerate(pairwise(bounds)):
        part = slice(number * _TOGETHER, (number + 1) * _TOGETHER)
        np.add(haystack[start : stop + 1].searchsorted(needles[part]), start, out=at[part])
    return at


def _nearly_sorted(hi: U64) -> Indices:
    """The order by the leading bits of `hi`, then by row: plain integers sort faster than by argsort."""
    shift = np.uint64(max(len(hi) - 1, 1).bit_length())
    mask = np.uint64((1 << int(shift)) - 1)
    keys = (hi & ~mask) | np.arange(len(hi), dtype=np.uint64)
    keys.sort()
    return (keys & mask).view(np.int64)


def _is_tangled(hi: U64, lo: U64) -> bool:
    """Whether neighbours stand in the wrong order anywhere: among keyed subjects practically never."""
    ties = np.flatnonzero(hi[1:] <= hi[:-1])
    return bool(np.any((hi[ties + 1] < hi[ties]) | (lo[ties] > lo[ties + 1])))
