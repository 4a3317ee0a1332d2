"""Cells in full-width digits, with no-break spaces or invisible marks, to ASCII: `fold` on whole columns.

Only the blocks of Unicode in which such lists are written are known here, and each of their characters
is what `characters.fold` makes of it. A cell with any other character keeps a byte that no number has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.phone.characters import fold
from contact_sanitizer.phone.lanes import Indices

# Latin-1 signs, general punctuation, CJK punctuation, small forms, byte-order mark and full-width forms.
_BLOCKS = (
    range(0x80, 0x100),
    range(0x2000, 0x2070),
    range(0x3000, 0x3040),
    range(0xFE50, 0xFE70),
    range(0xFEFF, 0xFF60),
)
_KEPT = frozenset("0123456789 +-.()")
_UNKNOWN = 0x7F
_DROPPED = 0
_THREE_BYTES, _FOUR_BYTES = 0xE0, 0xF0
_CONTINUED, _TWO_BYTE_BITS, _SIX = np.uint16(0x3F), np.uint16(0x1F), np.uint16(6)


def to_ascii(
    data: NDArray[np.uint8], starts: Indices, lengths: Indices
) -> tuple[NDArray[np.uint8], Indices, Indices]:
    """The folded bytes of adjacent UTF-8 strings, with their starts and lengths.

    `data`: uint8; `starts` and `lengths` must cover it without gaps. 0x7F stands for what is not known.
    """
    folded = data.copy()
    leads = np.flatnonzero(data >= 0xC0)
    folded[leads] = _ASCII[_code_points(data, leads)]
    kept = ((data & 0xC0) != 0x80) & (folded != _DROPPED)
    ends = np.cumsum(kept, dtype=np.int64)
    counts = np.concatenate((np.zeros(1, dtype=np.int64), ends))
    new_starts = counts[starts]
    return folded[kept], new_starts, counts[starts + lengths] - new_starts


def _code_points(data: NDArray[np.uint8], leads: Indices) -> NDArray[np.uint16]:
    """The code points of the characters that begin at `leads`; U+FFFF for those beyond the BMP."""
    last = len(data) - 1
    first = data[leads].astype(np.uint16)
    second = data[np.minimum(leads + 1, last)].astype(np.uint16) & _CONTINUED
    third = data[np.minimum(leads + 2, last)].astype(np.uint16) & _CONTINUED
    # What the lead byte has above its bits is shifted out of sixteen bits.
    points = np.where(
        first < _THREE_BYTES,
        (first & _TWO_BYTE_BITS) << _SIX | second,
        (first << _SIX | second) << _SIX | third,
    )
    points[first >= _FOUR_BYTES] = 0xFFFF
    return points


def _ascii_of(code: int) -> int:
    # Between digits, because `fold` strips outer blanks.
    folded = fold(f"0{chr(code)}0")[1:-1]
    if not folded:
        return _DROPPED
    return ord(folded) if folded in _KEPT else _UNKNOWN


def _ascii_table() -> NDArray[np.uint8]:
    table = np.full(1 << 16, _UNKNOWN, dtype=np.uint8)
    for block in _BLOCKS:
        table[list(block)] = [_ascii_of(code) for code in block]
    return table


_ASCII = _ascii_table()
