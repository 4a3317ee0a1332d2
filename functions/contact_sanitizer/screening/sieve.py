"""A bitmap over leading bits that tells at once of most subjects that a set does not hold them."""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.screening.subjectruns import U64, Indices

_LEAST_BITS: Final = 20
_MOST_BITS: Final = 30
#: A set outgrows its sieve where it has more entries than one for so many bits.
_BITS_AN_ENTRY: Final = 16


class Sieve:
    """Never misses a subject that was added; passes on a few that were not (at most about one in sixteen).

    Takes 2 to 8 bytes an entry, and no more than 128 MB: beyond 64 million entries it passes on more.
    """

    def __init__(self, bits: int = _LEAST_BITS) -> None:
        self._bits = bits
        self._shift = np.uint64(64 - bits)
        self._map = np.zeros(1 << (bits - 3), np.uint8)

    @classmethod
    def for_entries(cls, entries: int) -> Self:
        """An empty sieve with room for some growth."""
        wanted = (2 * _BITS_AN_ENTRY * entries).bit_length()
        return cls(min(max(wanted, _LEAST_BITS), _MOST_BITS))

    def is_full(self, entries: int) -> bool:
        """Whether a larger sieve would serve so many entries better."""
        return self._bits < _MOST_BITS and _BITS_AN_ENTRY * entries > 1 << self._bits

    def add(self, hi: U64) -> None:
        """Takes in ascending subjects by their first halves."""
        for start in range(0, len(hi), 1 << 20):
            places = hi[start : start + (1 << 20)] >> self._shift
            at = (places >> np.uint64(3)).view(np.int64)
            bits = np.left_shift(1, places.astype(np.uint8) & 7, dtype=np.uint8)
            self._map[at] |= bits
            # of several in one byte only the last was written
            again = np.flatnonzero(at[1:] == at[:-1])
            np.bitwise_or.at(self._map, at[again], bits[again])

    def maybe(self, hi: U64) -> Indices:
        """Which of ascending subjects may be among those added: their indices."""
        places = hi >> self._shift
        found: NDArray[np.uint8] = self._map[(places >> np.uint64(3)).view(np.int64)]
        return np.flatnonzero((found >> (places.astype(np.uint8) & 7)) & 1)
