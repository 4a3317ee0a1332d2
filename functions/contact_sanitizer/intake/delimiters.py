"""What parts the cells of a text, told from its first records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.columns import ColumnWish
from contact_sanitizer.intake.layout import SAMPLE_RECORDS, find_header
from contact_sanitizer.intake.records import SampleRecord, is_blank, sample_records

DELIMITERS = (",", "\t", ";", "|", "，")
"""What may part the cells of a record, in order of preference."""

_CONSTANT = 0.7
_UNLIKELY = bytes([0x1F, 0x1E, 0x1D, 0x1C, *range(0x01, 0x09), *range(0x0E, 0x1B), 0x7F])


class Separator:
    """What parts cells, as the single byte that the parser needs.

    One-column text has no delimiter and `，` has three bytes: for these a byte that the window does not
    hold takes the place. `delimiter`: one of `DELIMITERS` or ''.
    """

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        self._written = delimiter.encode()

    def prepare(self, window: bytes) -> tuple[bytes, bytes]:
        """The window as the parser reads it, and the separating byte in it."""
        if len(self._written) == 1:
            return window, self._written
        byte = next((bytes([code]) for code in _UNLIKELY if code not in window), None)
        if byte is None:
            raise IntakeError("file_binary", "the file is no text: it holds every control character")
        return (window.replace(self._written, byte) if self._written else window), byte

    def restore(self, text: bytes, byte: bytes) -> bytes:
        """A part of a prepared window as it was."""
        return text.replace(byte, self._written) if len(self._written) > 1 else text


@dataclass(frozen=True, slots=True, repr=False)
class ChosenRecords:
    """The delimiter ('' for one column) and the first records under it."""

    delimiter: str
    found: list[SampleRecord]

    @property
    def speaks(self) -> bool:
        """Whether any record is not blank."""
        return not all(is_blank(record.cells) for record in self.found)


def choose_records(head: bytes, wishes: Sequence[ColumnWish], *, ended: bool) -> ChosenRecords:
    """The delimiter that gives a constant number of cells above one, else one column.

    A delimiter under which a wanted header stands alone in its cell goes before the others; among equals the
    order of `DELIMITERS` decides. `ended`: the head is the whole file.
    """
    text = head.decode(errors="ignore")  # sound UTF-8 but for a last character that may be cut off
    best = ChosenRecords("", _sample(text, "", ended=ended))
    best_score = (_has_header(best.found, wishes, several=False), 0.0)
    for delimiter in DELIMITERS:
        if delimiter not in text:
            continue
        found = _sample(text, delimiter, ended=ended)
        if found and not ChosenRecords(delimiter, found).speaks:
            return ChosenRecords(delimiter, found)
        header = _has_header(found, wishes, several=True)
        score = (header, _constancy(found, header=header))
        if score[1] and score > best_score:
            best, best_score = ChosenRecords(delimiter, found), score
    return best


def _sample(text: str, delimiter: str, *, ended: bool) -> list[SampleRecord]:
    return sample_records(text, delimiter, SAMPLE_RECORDS, ended=ended)


def _has_header(found: Sequence[SampleRecord], wishes: Sequence[ColumnWish], *, several: bool) -> bool:
    header = find_header([record.cells for record in found], wishes)
    return header is not None and (len(found[header].cells) > 1) == several


def _constancy(found: Sequence[SampleRecord], *, header: bool) -> float:
    """The share of records that have the usual number of cells, from the first such record on.

    0 where that number is one, or is not usual enough.
    """
    widths = [len(record.cells) for record in found if not is_blank(record.cells)]
    several = [width for width in widths if width > 1]
    if not several:
        return 0.0
    usual = max(several, key=lambda width: (several.count(width), width))
    after = widths[widths.index(usual) :]
    share = after.count(usual) / len(after)
    enough = header or (share >= _CONSTANT and 2 * after.count(usual) >= len(widths))
    return share if enough else 0.0
