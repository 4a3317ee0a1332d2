"""From cells to digits, whole columns at once: the spellings of a number that need no judgement.

Read here are cells that consist, folded, of digits, spaces, hyphens, dots and brackets, with at most one
`+` before the first digit, perhaps after one apostrophe, or a whole number with `.0`. The rules are those
of `cells` and `runs`; what could be a date, an amount, a mask or more than one number is not read.
A cell's characters are looked at as bits, one word a class of characters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.phone.lanes import WIDTH, ByteColumn, Flags, Indices, Lanes, chosen
from contact_sanitizer.phone.transcoding import to_ascii

Bits = NDArray[np.uint32]

LONGEST_DIGITS = 15
_LONGEST_CELL = 32
_LONGEST_DATE = 8
_ONE = np.uint32(1)
_FIRST_BYTE = np.uint64(0xFF)
_TOP_BITS = np.uint64(0x8080808080808080)
# Rows at once where a row has many characters to look up: what they need stays in a core's cache.
_FOREIGN_ROWS = 2048


@dataclass(frozen=True, slots=True, repr=False)
class Spelled:
    """The digits of n cells.

    Where `readable`: `digits` (1 to 15 places), `explicit` (a `+` precedes them) and `loose` (something
    stands between them). `empty`: nothing but blanks. Where `loose`: `first_group`, how many digits stand
    together at first, and `lone_last`, whether the last one stands by itself.
    """

    digits: Lanes
    readable: Flags
    explicit: Flags
    loose: Flags
    empty: Flags
    first_group: NDArray[np.uint8]
    lone_last: Flags

    def __repr__(self) -> str:
        return f"Spelled({len(self.digits)} cells)"

    def adopt(self, rows: Indices, other: Spelled) -> None:
        """Replace these rows by those of `other`."""
        self.digits.assign(rows, other.digits)
        self.readable[rows] = other.readable
        self.explicit[rows] = other.explicit
        self.loose[rows] = other.loose
        self.empty[rows] = other.empty
        self.first_group[rows] = other.first_group
        self.lone_last[rows] = other.lone_last


class CellColumn:
    """The cells of a string or large_string array without nulls, where they lie."""

    def __init__(self, cells: pa.Array) -> None:
        self._cells = cells
        data, self._starts, self._lengths = _bytes_of(cells)
        self._bytes = ByteColumn(data)

    def __len__(self) -> int:
        return len(self._lengths)

    def __repr__(self) -> str:
        return f"CellColumn({len(self)} cells)"

    def first_bytes(self, rows: slice) -> tuple[Lanes, Flags]:
        """The first sixteen bytes of consecutive cells, and which cells have no more."""
        lengths = self._lengths[rows]
        return self._bytes.lanes(self._starts[rows], lengths), lengths <= WIDTH

    def spell(self, rows: Indices, digits: Lanes) -> Spelled:
        """The digits of these cells, of which the first bytes are known."""
        starts, lengths = (column.take(rows, mode="clip") for column in (self._starts, self._lengths))
        spelled, foreign = _spell(self._bytes, starts, lengths, digits)
        for first in range(0, len(foreign), _FOREIGN_ROWS):
            part = foreign[first : first + _FOREIGN_ROWS]
            data, starts, lengths = to_ascii(*_bytes_of(self._cells.take(pa.array(rows[part]))))
            column = ByteColumn(data)
            spelled.adopt(part, _spell(column, starts, lengths, column.lanes(starts, lengths))[0])
        return spelled


def _bytes_of(cells: pa.Array) -> tuple[NDArray[np.uint8], Indices, Indices]:
    _, offset_buffer, data = cells.buffers()
    kind = np.int64 if pa.types.is_large_string(cells.type) else np.int32
    offsets = np.frombuffer(offset_buffer, dtype=kind)[cells.offset : cells.offset + len(cells) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    used = np.frombuffer(b"" if data is None else data, dtype=np.uint8)[first:last]
    starts = offsets.astype(np.int64) - first
    return used, starts[:-1], np.diff(starts)


def _spell(column: ByteColumn, starts: Indices, lengths: Indices, digits: Lanes) -> tuple[Spelled, Indices]:
    """The cells, whose first bytes become their digits, and which hold other characters than ASCII."""
    plain = digits.all_digits() & (lengths > 0) & (lengths <= LONGEST_DIGITS)
    nothing = np.zeros(len(plain), dtype=np.bool_)
    spelled = Spelled(
        digits,
        plain,
        nothing,
        nothing.copy(),
        nothing.copy(),
        np.zeros(len(plain), dtype=np.uint8),
        nothing.copy(),
    )
    rest = np.flatnonzero(~plain)
    if not len(rest):
        return spelled, rest
    rest = chosen(rest, ~_adopt_international(spelled, rest, lengths[rest]))
    foreign = ((digits.low[rest] | digits.high[rest]) & _TOP_BITS) != 0
    ascii_rows = chosen(rest, ~foreign)
    long = lengths[ascii_rows] > WIDTH
    rows = chosen(ascii_rows, ~long)
    _adopt_punctuated(spelled, rows, digits.rows(rows).blocks(), lengths[rows])
    rows = chosen(ascii_rows, long)
    later = _adopt_punctuated(spelled, rows, column.windows(starts[rows]), lengths[rows])
    return spelled, np.concatenate((chosen(rest, foreign), later))


def _adopt_international(spelled: Spelled, rows: Indices, lengths: Indices) -> Flags:
    """Fill in those of these rows that are a plus and digits; which ones they are."""
    found: Flags = (spelled.digits.low[rows] & _FIRST_BYTE == ord("+")) & (lengths <= WIDTH) & (lengths > 1)
    plus = np.flatnonzero(found)
    if len(plus):
        digits = spelled.digits.rows(rows[plus]).without_first(1)
        found[plus] = whole = digits.all_digits()
        at = rows[found]
        spelled.digits.assign(at, digits.rows(np.flatnonzero(whole)))
        spelled.readable[at] = True
        spelled.explicit[at] = True
    return found


def _adopt_punctuated(
    spelled: Spelled, rows: Indices, windows: NDArray[np.uint8], lengths: Indices
) -> Indices:
    """Fill in these rows; those that hold other characters than ASCII."""
    if not len(rows):
        return rows
    found = _punctuated(windows, lengths)
    spelled.adopt(rows, found)
    high = (windows.view(np.uint64) & _TOP_BITS).any(axis=1)
    return chosen(rows, high & ~found.readable)


def _punctuated(windows: NDArray[np.uint8], lengths: Indices) -> Spelled:
    """Cells from their first 16 or 32 bytes (uint8 (n, 16 or 32)); longer ones are not readable."""
    used: Bits = (_ONE << np.minimum(lengths, _LONGEST_CELL).astype(np.uint32)) - _ONE
    is_digit: Flags = (windows - np.uint8(ord("0"))) < 10
    every_digit = _bits(is_digit)
    digits: Bits = every_digit & used
    spaces: Bits = (_where(windows, " ") | _where(windows, "\t")) & used
    hyphens, dots, plus = (_where(windows, character) & used for character in "-.+")
    brackets: Bits = (_where(windows, "(") | _where(windows, ")")) & used
    core = used & ~(windows[:, 0] == ord("'")).astype(np.uint32)
    known = (digits | spaces | hyphens | dots | brackets | plus) == core
    known &= (lengths <= _LONGEST_CELL) & _plus_leads(plus, digits)
    joiners: Bits = hyphens | brackets
    others: Bits = spaces | joiners
    whole = _whole_floats(windows, lengths, dots, others)
    doubtful = _doubtful(digits, hyphens, dots, joiners)
    doubtful[whole] = False
    digits[whole] &= ~(_ONE << (lengths[whole] - 1).astype(np.uint32))
    count = np.bitwise_count(digits).astype(np.int64)
    return Spelled(
        _compacted(windows, is_digit, every_digit, count),
        known & ~doubtful & (count > 0) & (count <= LONGEST_DIGITS),
        plus != 0,
        (digits + _lowest(digits) & digits) != 0,
        (used == spaces) & (lengths <= _LONGEST_CELL),
        _first_group(digits),
        _lone_last(digits),
    )


def _where(windows: NDArray[np.uint8], character: str) -> Bits:
    return _bits(windows == ord(character))


def _bits(flags: Flags) -> Bits:
    """uint32 (n,): bit i of a row is its flag i, of 16 or 32."""
    packed = np.packbits(flags.reshape(-1), bitorder="little")
    return packed.view("<u4") if flags.shape[1] == _LONGEST_CELL else packed.view("<u2").astype(np.uint32)


def _lowest(bits: Bits) -> Bits:
    return bits & (~bits + _ONE)


def _first_group(digits: Bits) -> NDArray[np.uint8]:
    """uint8 (n,): how many of the bits stand together at the lowest one."""
    run = digits // np.maximum(_lowest(digits), _ONE)
    return np.bitwise_count(run ^ (run + _ONE)) - np.uint8(1)


def _lone_last(digits: Bits) -> Flags:
    """True where the bit below the highest one is not set."""
    below = digits.copy()
    for shift in (1, 2, 4, 8, 16):
        below |= below >> np.uint32(shift)
    highest = below ^ (below >> _ONE)
    lone: Flags = (digits & (highest >> _ONE)) == 0
    return lone


def _plus_leads(plus: Bits, digits: Bits) -> Flags:
    """True where there is no plus, or one, at most four characters before the first digit."""
    first = _lowest(digits)
    single = (plus & (plus - _ONE)) == 0
    leads: Flags = (plus == 0) | (single & (plus < first) & (first <= plus << np.uint32(5)))
    return leads


def _whole_floats(windows: NDArray[np.uint8], lengths: Indices, dots: Bits, others: Bits) -> Indices:
    """The rows of digits (perhaps after a plus) with `.0` at the end."""
    ends = (dots << np.uint32(2)) == _ONE << lengths.astype(np.uint32)
    rows = np.flatnonzero((dots != 0) & ends & (others == 0) & (lengths <= _LONGEST_CELL))
    zeros: Flags = windows[rows, lengths[rows] - 1] == ord("0")
    return rows[zeros]


def _doubtful(digits: Bits, hyphens: Bits, dots: Bits, joiners: Bits) -> Flags:
    """True for what may be a date, a number with decimals, or a mask."""
    few = np.bitwise_count(digits) <= _LONGEST_DATE
    doubtful: Flags = few & (np.bitwise_count(hyphens | dots) == 2)
    pairs = hyphens & hyphens >> _ONE
    doubtful |= (pairs & pairs >> np.uint32(2)) != 0
    if dots.any():
        doubtful |= (np.bitwise_count(dots) == 1) & (joiners == 0)
        doubtful |= (dots & dots >> _ONE & dots >> np.uint32(2)) != 0
    return doubtful


def _compacted(windows: NDArray[np.uint8], is_digit: Flags, every_digit: Bits, count: Indices) -> Lanes:
    """The first `count` digits of every row."""
    column = ByteColumn(windows[is_digit])
    present = np.bitwise_count(every_digit).astype(np.int64)
    return column.lanes(np.cumsum(present) - present, count)
