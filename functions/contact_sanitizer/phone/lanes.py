"""Up to sixteen ASCII digits a row in two 64-bit words: string operations on a whole column at once.

A column of n short digit strings is three arrays: `low` (the first eight bytes, little-endian), `high`
(the next eight) and `lengths`. Bytes after the end are NUL, so a row's sixteen bytes are its block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH = 16
_LANE = 8

Words = NDArray[np.uint64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


def _word(byte: int) -> np.uint64:
    return np.uint64(int.from_bytes(bytes([byte]) * _LANE, "little"))


_ZEROS, _NOT_DIGIT, _TOP_BITS = _word(0x30), _word(0x76), _word(0x80)
_LOW_NIBBLES, _HIGH_BITS = _word(0x0F), _word(0x30)
_TWO, _FOUR = np.uint64(2), np.uint64(4)
_FIRST, _LANE_BITS = np.uint64(0xFF), np.uint64(8 * _LANE)
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)


@dataclass(frozen=True, slots=True, repr=False)
class Lanes:
    """n strings of at most sixteen bytes; see the module. `lengths`: int64 (n,)."""

    low: Words
    high: Words
    lengths: Indices

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        return f"Lanes({len(self)} rows)"

    @classmethod
    def joined(cls, parts: Sequence[Lanes]) -> Lanes:
        """The rows of all parts, at least one, in their order."""
        return cls(
            np.concatenate([part.low for part in parts]),
            np.concatenate([part.high for part in parts]),
            np.concatenate([part.lengths for part in parts]),
        )

    def longest(self) -> int:
        """The length of the longest row, 0 where there is none."""
        return int(np.max(self.lengths)) if len(self.lengths) else 0

    def rows(self, indices: Indices) -> Lanes:
        """The rows at these indices, in their order."""
        # Every index is in range; mode "clip" only spares the check, which takes as long as the rest.
        return Lanes(
            self.low.take(indices, mode="clip"),
            self.high.take(indices, mode="clip"),
            self.lengths.take(indices, mode="clip"),
        )

    def part(self, rows: slice) -> Lanes:
        """Consecutive rows, as a view."""
        return Lanes(self.low[rows], self.high[rows], self.lengths[rows])

    def assign(self, indices: Indices, others: Lanes) -> None:
        """Replace the rows at these indices."""
        self.low[indices] = others.low
        self.high[indices] = others.high
        self.lengths[indices] = others.lengths

    def all_digits(self) -> Flags:
        """True where every byte in use is an ASCII digit (also for the empty string)."""
        low = _unlike_digits(self.low | _LOW_FILL.take(self.lengths, mode="clip"))
        high = _unlike_digits(self.high | _HIGH_FILL.take(self.lengths, mode="clip"))
        found: Flags = (low | high) == 0
        return found

    def starts_with(self, prefix: str) -> Flags:
        """True where a row begins with these ASCII characters (at most eight)."""
        value, mask = _prefix(prefix)
        found: Flags = (self.low & mask) == value
        return found

    def starts_with_any(self, characters: str) -> Flags:
        """True where a row's first byte is one of these ASCII characters."""
        wanted = np.zeros(256, dtype=np.bool_)
        wanted[list(characters.encode("ascii"))] = True
        return wanted[(self.low & _FIRST).astype(np.intp)]

    def without_first(self, count: int) -> Lanes:
        """Every row without its first `count` bytes (0 to 8; rows must have as many)."""
        if count == _LANE:
            return Lanes(self.high, np.zeros_like(self.high), self.lengths - count)
        down, up = np.uint64(8 * count), np.uint64(64 - 8 * count)
        return Lanes((self.low >> down) | (self.high << up), self.high >> down, self.lengths - count)

    def prefixed(self, prefix: str) -> Lanes:
        """Every row after these ASCII characters (1 to 7); bytes beyond the sixteenth are lost."""
        value, _ = _prefix(prefix)
        up, down = np.uint64(8 * len(prefix)), np.uint64(64 - 8 * len(prefix))
        return Lanes(
            (self.low << up) | value, (self.high << up) | (self.low >> down), self.lengths + len(prefix)
        )

    def without(self, prefix: str) -> tuple[Lanes, Flags]:
        """Every row without these ASCII characters (1 to 7) where it begins with them, and where that is."""
        found = self.starts_with(prefix)
        down = found * np.uint64(8 * len(prefix))
        # NumPy shifts by 64 bits to 0, so a row without the prefix stays what it is.
        low = (self.low >> down) | (self.high << (_LANE_BITS - down))
        return Lanes(low, self.high >> down, self.lengths - found * len(prefix)), found

    def symbols(self) -> NDArray[np.uint8]:
        """uint8 (n, 16): the digits' values, 12 after the end (a symbol that the plan skips)."""
        symbols = np.empty((len(self), 2), dtype=np.uint64)
        symbols[:, 0] = _symbols(self.low)
        symbols[:, 1] = _symbols(self.high)
        return symbols.view(np.uint8)

    def pairs(self) -> list[NDArray[np.uint8]]:
        """Eight columns, uint8 (n,): two symbols each, the first one in the low four bits."""
        words = []
        for word in (self.low, self.high):
            symbols = _symbols(word)
            words.append(((symbols | symbols >> _FOUR) & _EVEN_BYTES).view(np.uint8).reshape(-1, _LANE))
        return [word[:, at] for word in words for at in range(0, _LANE, 2)]

    def blocks(self) -> NDArray[np.uint8]:
        """uint8 (n, 16): the bytes of every row, NUL-padded."""
        blocks = np.empty((len(self), 2), dtype="<u8")
        blocks[:, 0] = self.low
        blocks[:, 1] = self.high
        return blocks.view(np.uint8)


class ByteColumn:
    """The bytes of many strings in one buffer, with room to read whole words at any place."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        padded = np.zeros(len(data) + 4 * _LANE, dtype=np.uint8)
        padded[: len(data)] = data
        # Overlapping, unaligned words: one at every byte.
        self._words = np.ndarray((len(data) + 3 * _LANE + 1,), "<u8", padded.data, strides=(1,))
        self._pairs = np.ndarray((len(data) + 2 * _LANE + 1,), "V16", padded.data, strides=(1,))

    def lanes(self, starts: Indices, lengths: Indices) -> Lanes:
        """The strings that begin at `starts`; of longer ones the first sixteen bytes."""
        capped = np.minimum(lengths, WIDTH)
        # One look at sixteen bytes costs as much as one at eight.
        words = self._pairs[starts].view("<u8").reshape(-1, 2)
        low = words[:, 0] & _LOW_MASKS.take(capped, mode="clip")
        high = words[:, 1] & _HIGH_MASKS.take(capped, mode="clip")
        return Lanes(low, high, capped)

    def windows(self, starts: Indices) -> NDArray[np.uint8]:
        """uint8 (n, 32): the bytes from `starts` on, whatever they belong to."""
        windows = np.empty((len(starts), 4), dtype="<u8")
        for word in range(4):
            windows[:, word] = self._words[np.minimum(starts + word * _LANE, len(self._words) - 1)]
        return windows.view(np.uint8)


def chosen(rows: Indices, flags: Flags) -> Indices:
    """The rows whose flag is set: several times as fast as `rows[flags]` where flags are in no order."""
    return rows.take(np.flatnonzero(flags), mode="clip")


def _masks() -> tuple[Words, Words]:
    """uint64 (17,) each: by length all ones in the bytes in use, for both words."""
    used = np.array([(1 << 8 * length) - 1 for length in range(WIDTH + 1)], dtype=object)
    return (used & (1 << 64) - 1).astype(np.uint64), (used >> 64).astype(np.uint64)


_LOW_MASKS, _HIGH_MASKS = _masks()
_LOW_FILL, _HIGH_FILL = _ZEROS & ~_LOW_MASKS, _ZEROS & ~_HIGH_MASKS


def _unlike_digits(words: Words) -> Words:
    """Non-zero where a byte is not one of 0x30-0x39 (SWAR: no carry between bytes for these constants)."""
    offset = words ^ _ZEROS
    return ((offset & ~_TOP_BITS) + _NOT_DIGIT | offset) & _TOP_BITS


def _symbols(words: Words) -> Words:
    return (words & _LOW_NIBBLES) | ((~words & _HIGH_BITS) >> _TWO)


def _prefix(prefix: str) -> tuple[np.uint64, np.uint64]:
    value = int.from_bytes(prefix.encode("ascii"), "little")
    return np.uint64(value), np.uint64((1 << 8 * len(prefix)) - 1)
