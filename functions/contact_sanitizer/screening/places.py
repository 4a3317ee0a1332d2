"""Where in ascending subjects those with the same leading bits begin: a search's first step, almost its last.

Keyed subjects and hashes are spread evenly, so as many ranges as a quarter of the subjects hold a few
subjects each. A look-up then touches one place of the table and one or two neighbours among the subjects,
where a binary search would touch a new line of memory with every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
Indices = NDArray[np.int64]

#: So many subjects are looked at one after the other before a binary search takes over: few ranges hold
#: more, unless somebody chose the hashes on a list.
_NEIGHBOURS: Final = 16
_MOST_BITS: Final = 26
_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True, slots=True, repr=False)
class Places:
    """`starts` uint32 (2^bits + 1,): how many subjects have smaller leading `bits` than the index."""

    starts: NDArray[np.uint32]

    @classmethod
    def of(cls, hi: U64) -> Places:
        """The places of ascending subjects by their first halves; works through them a part at a time."""
        bits = _bits_for(len(hi))
        starts = np.zeros((1 << bits) + 1, np.uint32)
        for start in range(0, len(hi), _AT_ONCE):
            leading = (hi[start : start + _AT_ONCE] >> np.uint64(64 - bits)).view(np.int64)
            counts = np.bincount(leading - leading[0])
            starts[leading[0] + 1 : leading[0] + 1 + len(counts)] += counts.astype(np.uint32)
        np.cumsum(starts, out=starts)
        return cls(starts)

    def __repr__(self) -> str:
        return f"Places({len(self.starts)})"

    def fit(self, hi: U64) -> bool:
        """Whether the table has the length and the ends that these subjects ask for."""
        ends_right = len(self.starts) > 1 and self.starts[0] == 0 and self.starts[-1] == len(hi)
        return bool(ends_right) and len(self.starts) == (1 << _bits_for(len(hi))) + 1

    def search(self, hi: U64, needles: U64) -> Indices:
        """As `np.searchsorted(hi, needles)`: the first place whose subject is not less, int64 (n,)."""
        if not len(hi):
            return np.zeros(len(needles), np.int64)
        shift = np.uint64(65 - len(self.starts).bit_length())
        # Every index is in range or handled; mode "clip" only spares the check.
        at = self.starts.take((needles >> shift).view(np.int64), mode="clip").astype(np.int64)
        behind = np.flatnonzero((hi.take(at, mode="clip") < needles) & (at < len(hi)))
        for _ in range(_NEIGHBOURS):
            if not len(behind):
                return at
            places = at.take(behind, mode="clip") + 1
            at[behind] = places
            less = hi.take(places, mode="clip") < needles.take(behind, mode="clip")
            behind = behind.take(np.flatnonzero(less & (places < len(hi))), mode="clip")
        at[behind] = np.searchsorted(hi, needles[behind])
        return at


def _bits_for(count: int) -> int:
    return min(max(count.bit_length() - 2, 1), _MOST_BITS)
