"""Where a record of delimited text ends: quoted cells may hold delimiters and line ends.

The grammar is RFC 4180 as spreadsheets write it. A cell that begins with a quote runs to the closing
quote (two quotes inside stand for one); what follows the closing quote up to the next delimiter belongs
to the cell; a quote anywhere else is an ordinary character. A record ends at LF, CR LF or CR.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import AnyStr, Generic

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.intake.limits import HARD_CELL_CHARS

_QUOTE = 0x22
_NEAR_SEGMENTS = 64
_LINE_ENDS = b"\n\r"


def is_blank(cells: Sequence[str]) -> bool:
    """Whether a record says nothing: each cell is empty or white space."""
    return not any(map(str.strip, cells))


@dataclass(frozen=True, slots=True)
class Cut:
    """`end`: where the last complete record ends (0: none does); `quoted`: whether quotes are about.

    `regular`: quotes only open, close or are doubled.
    """

    end: int
    quoted: bool
    regular: bool = True


@dataclass(frozen=True, slots=True)
class OpenRecord:
    """A record that has no end yet: its longest cell in characters; whether its last cell is in quotes."""

    longest: int
    in_quotes: bool


@dataclass(frozen=True, slots=True, repr=False)
class SampleRecord:
    """The cells of a record, and the offset in UTF-8 bytes where it ends."""

    cells: list[str]
    end: int


def cut_records(window: bytes, separator: bytes) -> Cut:
    """The longest part of the window, which begins with a record, that is complete records."""
    if b'"' not in window:
        return Cut(_last_line_end(window, 0, len(window)) + 1, quoted=False)
    data = np.frombuffer(window, dtype=np.uint8)
    quotes = np.flatnonzero(data == _QUOTE)
    if not _may_open(data, quotes, separator):
        return Cut(_last_line_end(window, 0, len(window)) + 1, quoted=False)
    if _is_regular(data, quotes, separator):
        return Cut(_regular_cut(window, data, quotes), quoted=True)
    return Cut(_scanned_cut(window, separator), quoted=True, regular=False)


def find_overlong(text: bytes, separator: bytes, end: int) -> int:
    """Where the first record with a cell above the hard cap begins, `end` where none is seen.

    Sees each such cell that holds no line end: half of it would be a stretch of text without one.
    """
    half = HARD_CELL_CHARS // 2
    stretches = ((start, start + half) for start in range(0, end - half, half))
    if all(text.find(b"\n", *at) >= 0 or text.find(b"\r", *at) >= 0 for at in stretches):
        return end
    place = 0
    match_record = _byte_patterns(separator).record.match
    while place < end and (match := match_record(text, place)):
        if match.end() - place > HARD_CELL_CHARS and _longest(match.group(), separator) > HARD_CELL_CHARS:
            return place
        place = match.end()
    return end


def find_swallowed(text: bytes, separator: bytes, cut: Cut) -> int:
    """Where the first record begins whose quotes swallow line ends and are not closed; else the cut's end.

    `"a⏎b,c⏎d,"e"` reads as one cell in quotes with more text behind it: a quote that was forgotten would
    take whole records with it. Such text behind quotes is content only where it stays on one line.
    """
    if cut.regular:
        return cut.end
    patterns, place = _byte_patterns(separator), 0
    while place < cut.end and (match := patterns.record.match(text, place)):
        record = match.group().rstrip(_LINE_ENDS)
        if (b"\n" in record or b"\r" in record) and _swallows(match.group(), patterns):
            return place
        place = match.end()
    return cut.end


def _swallows(record: bytes, patterns: _Patterns[bytes]) -> bool:
    place = 0
    while match := patterns.ended_cell.match(record, place):
        place = match.end() + 1
        if _is_swallow(match.group(), patterns):
            return True
    return _is_swallow(record[place:].rstrip(_LINE_ENDS), patterns)


def _is_swallow(cell: bytes, patterns: _Patterns[bytes]) -> bool:
    match = patterns.quoted.match(cell)
    if not match or match.end() == len(cell):
        return False
    return b"\n" in match.group() or b"\r" in match.group()


def _longest(record: bytes, separator: bytes) -> int:
    return open_record(record.rstrip(_LINE_ENDS), separator).longest


def open_record(tail: bytes, separator: bytes) -> OpenRecord:
    """What is known of the unfinished record at the end of a window."""
    patterns = _byte_patterns(separator)
    place, longest = 0, b""
    while match := patterns.ended_cell.match(tail, place):
        longest = max(longest, match.group(), key=len)
        place = match.end() + len(separator)
    in_quotes = tail.startswith(b'"', place) and not patterns.quoted.match(tail, place)
    return OpenRecord(len(max(longest, tail[place:], key=len).decode(errors="ignore")), in_quotes)


def sample_records(text: str, delimiter: str, count: int, *, ended: bool) -> list[SampleRecord]:
    """The records of a text up to so many that are not blank; an empty line is a record of one empty cell.

    `delimiter` may be '' (one cell a record). `ended`: nothing follows the text.
    """
    patterns = _text_patterns(delimiter)
    whole = text + "\n" if ended and text and not text.endswith(("\n", "\r")) else text
    found: list[SampleRecord] = []
    place, end, size = 0, 0, len(text.encode())
    while count > 0 and (match := patterns.record.match(whole, place)):
        place = match.end()
        end += len(match.group().encode())
        found.append(SampleRecord(_cells(match.group(), patterns), min(end, size)))
        count -= not is_blank(found[-1].cells)
    return found


@dataclass(frozen=True, slots=True)
class _Patterns(Generic[AnyStr]):
    quoted: re.Pattern[AnyStr]
    ended_cell: re.Pattern[AnyStr]
    record: re.Pattern[AnyStr]


def _grammar(separator: str) -> tuple[str, str, str]:
    mark = re.escape(separator)
    # groups repeat in atomic groups: before Python 3.11.5 possessive ones match too little
    quoted = r'"[^"]*+(?>(?:""[^"]*+)*)"'
    cell = rf'(?:{quoted}[^{mark}\r\n]*+|[^"{mark}\r\n][^{mark}\r\n]*+|(?!"))'
    end = r"(?:\r\n?|\n)"
    if not separator:
        return quoted, rf"{cell}(?={end})", rf"{cell}{end}"
    return quoted, rf"{cell}(?={mark})", rf"(?>(?:{cell}{mark})*){cell}{end}"


@lru_cache(maxsize=64)
def _text_patterns(delimiter: str) -> _Patterns[str]:
    quoted, ended_cell, record = _grammar(delimiter)
    # a sample's cells end at its delimiter or, the last one, with its record
    cells = ended_cell if not delimiter else ended_cell[:-1] + r"|\r|\n)"
    return _Patterns(re.compile(quoted), re.compile(cells), re.compile(record))


@lru_cache(maxsize=64)
def _byte_patterns(separator: bytes) -> _Patterns[bytes]:
    quoted, ended_cell, record = (part.encode("latin-1") for part in _grammar(separator.decode("latin-1")))
    return _Patterns(re.compile(quoted), re.compile(ended_cell), re.compile(record))


def _cells(record: str, patterns: _Patterns[str]) -> list[str]:
    cells: list[str] = []
    place = 0
    while match := patterns.ended_cell.match(record, place):
        cells.append(_unquoted(match.group(), patterns))
        if record[match.end()] in "\r\n":
            break
        place = match.end() + 1
    return cells


def _unquoted(cell: str, patterns: _Patterns[str]) -> str:
    if not (match := patterns.quoted.match(cell)):
        return cell
    return match.group()[1:-1].replace('""', '"') + cell[match.end() :]


def _may_open(data: NDArray[np.uint8], quotes: NDArray[np.intp], separator: bytes) -> bool:
    """Whether any quote stands where a cell begins; the others are inch marks and the like."""
    border = _borders(separator)
    return bool(quotes[0] == 0 or border[data[quotes - 1]].any())


def _borders(separator: bytes) -> NDArray[np.bool_]:
    border = np.zeros(256, dtype=bool)
    border[list(separator + _LINE_ENDS)] = True
    return border


def _is_regular(data: NDArray[np.uint8], quotes: NDArray[np.intp], separator: bytes) -> bool:
    """Whether quotes only open, close or are doubled: then counting them tells inside from outside."""
    border = _borders(separator)
    border[_QUOTE] = True
    opening, closing = quotes[0::2], quotes[1::2]
    if opening[0] == 0:
        opening = opening[1:]
    if closing.size and closing[-1] == len(data) - 1:
        closing = closing[:-1]
    return bool(border[data[opening - 1]].all() and border[data[closing + 1]].all())


def _regular_cut(window: bytes, data: NDArray[np.uint8], quotes: NDArray[np.intp]) -> int:
    """After the last line end that an even number of quotes precedes."""
    even = len(quotes) - len(quotes) % 2
    end = len(window) if even == len(quotes) else int(quotes[-1])
    for index in range(even, max(even - 2 * _NEAR_SEGMENTS, -1), -2):
        start = int(quotes[index - 1]) + 1 if index else 0
        found = _last_line_end(window, start, end)
        if found >= 0:
            return found + 1
        end = int(quotes[index - 2]) if index else 0
    before = data[:end]
    ends = np.flatnonzero((before == _LINE_ENDS[0]) | (before == _LINE_ENDS[1]))
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if outside.size else 0


def _last_line_end(window: bytes, start: int, end: int) -> int:
    newline = window.rfind(b"\n", start, end)
    return max(newline, window.rfind(b"\r", max(newline, start), end))


def _scanned_cut(window: bytes, separator: bytes) -> int:
    match_record = _byte_patterns(separator).record.match
    place = 0
    while match := match_record(window, place):
        place = match.end()
    return place
