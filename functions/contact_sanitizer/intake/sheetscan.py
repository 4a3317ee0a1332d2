"""What an XLSX part costs and hides, told from its XML in one bounded pass before anything parses it.

The pass inflates each part itself, so that sizes are real rather than declared, and never holds more
than a window of it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.inflate import ZipMember
from contact_sanitizer.intake.limits import Limits

_WINDOW = 1 << 20
_MAX_TAG = 16 << 20
_PREFIX = rb"(?:[A-Za-z_][\w.-]*:)?"
_REFERENCE = re.compile(rb"<" + _PREFIX + rb"c\s[^>]*?\br\s*=\s*[\"']([A-Za-z]{1,9}[0-9]{1,9})")
_PLAIN_REFERENCE = re.compile(rb'<c r="([A-Z]{1,9}[0-9]{1,9})"')
_UNUSUAL_CELL = re.compile(rb":c\s|<c[\t\r\n]")
_ROW = re.compile(rb"<" + _PREFIX + rb"row\b[^>]*")
_COLUMN = re.compile(rb"<" + _PREFIX + rb"col\s[^>]*")
_HIDDEN = re.compile(rb"\bhidden\s*=\s*[\"'](?:1|true)")
_EMPTY_FORMULA = re.compile(
    rb"<" + _PREFIX + rb"f\b[^>]*(?:/>|>[^<]*</" + _PREFIX + rb"f>)\s*"
    rb"(?:<" + _PREFIX + rb"v\s*/>|<" + _PREFIX + rb"v>\s*</|</" + _PREFIX + rb"c>)"
)
_ERROR_CELL = re.compile(
    rb"<"
    + _PREFIX
    + rb"c\s(?=[^>]*\bt\s*=\s*[\"']e[\"'])[^>]*?\br\s*=\s*[\"']([A-Z]{1,3})([0-9]{1,7})[\"'][^>]*>"
    rb"(?:(?!</" + _PREFIX + rb"c>).)*?<" + _PREFIX + rb"v>([^<]{1,40})</",
    re.DOTALL,
)
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"


@dataclass(slots=True)
class SheetFacts:
    """What one sheet spans and hides.

    `rows`, `columns`: the corner of the cells from A1; `errors`: row to (column, text) of error values, both
    from 0; the rest are counts.
    """

    rows: int = 0
    columns: int = 0
    hidden_rows: int = 0
    hidden_columns: int = 0
    empty_formulas: int = 0
    errors: dict[int, list[tuple[int, str]]] = field(default_factory=dict, repr=False)


def scan_sheet(archive: zipfile.ZipFile, part: zipfile.ZipInfo, limits: Limits) -> SheetFacts:
    """The facts of one sheet.

    Raises: `limit_sheet_cells`, `limit_entities`, `limit_inflated_bytes`, `limit_ratio`, `file_damaged`,
    `file_truncated`, `format_unsupported`.
    """
    facts = SheetFacts()
    for window in _windows(archive, part, limits):
        _grow(facts, window)
        if facts.rows * facts.columns > limits.max_sheet_cells:
            raise IntakeError(
                "limit_sheet_cells",
                f"the sheet spans more than {limits.max_sheet_cells} cells (max_sheet_cells)",
            )
        _note_hidden(facts, window)
        _note_values(facts, window)
    return facts


def check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, limits: Limits) -> None:
    """Raises as `scan_sheet` does where a part inflates beyond the limits or declares an entity."""
    for _ in _windows(archive, part, limits):
        pass


def column_index(letters: bytes) -> int:
    """The position from 0 of a column named by letters, as A or AA."""
    index = 0
    for letter in letters.upper():
        index = index * 26 + letter - 64
    return index - 1


def _windows(archive: zipfile.ZipFile, part: zipfile.ZipInfo, limits: Limits) -> Iterator[bytes]:
    """The part in windows that are cut before a cell, or at least before a tag."""
    stream = ZipMember(archive, part, limits)
    rest, first = b"", True
    while data := stream.read(_WINDOW):
        window = rest + data
        if first and b"\0" in window[:256]:
            raise IntakeError("format_unsupported", "the workbook's XML is not UTF-8")
        first = False
        if b"<!DOCTYPE" in window or b"<!ENTITY" in window:
            raise IntakeError("limit_entities", "the workbook declares XML entities: no spreadsheet does")
        cut = max(window.rfind(b"<c "), 0) or max(window.rfind(b"<"), 0)
        if len(window) - cut > _MAX_TAG:
            raise IntakeError("file_damaged", "the workbook's XML has no end to a tag")
        rest = window[cut:]
        if cut:
            yield window[:cut]
    if rest:
        yield rest


def _grow(facts: SheetFacts, window: bytes) -> None:
    references = b" ".join(_references(window))
    if references:
        columns = set(references.translate(None, _DIGITS).split())
        rows = np.array(references.translate(None, _LETTERS + _LETTERS.lower()).split(), dtype=np.int64)
        facts.columns = max(facts.columns, 1 + max(column_index(letters) for letters in columns))
        facts.rows = max(facts.rows, int(np.max(rows)))


def _references(window: bytes) -> list[bytes]:
    """Where the window's cells are; as nearly every writer spells them, or by the full grammar."""
    found = _PLAIN_REFERENCE.findall(window)
    if len(found) == window.count(b"<c ") and not _UNUSUAL_CELL.search(window):
        return found
    return _REFERENCE.findall(window)


def _note_hidden(facts: SheetFacts, window: bytes) -> None:
    if b"hidden" in window:
        facts.hidden_rows += sum(bool(_HIDDEN.search(tag)) for tag in _ROW.findall(window))
        facts.hidden_columns += sum(bool(_HIDDEN.search(tag)) for tag in _COLUMN.findall(window))


def _note_values(facts: SheetFacts, window: bytes) -> None:
    if b"<f" in window or b":f" in window:
        facts.empty_formulas += sum(1 for _ in _EMPTY_FORMULA.finditer(window))
    if b't="e"' in window or b"t='e'" in window:
        for letters, row, text in _ERROR_CELL.findall(window):
            place = (column_index(letters), text.decode(errors="replace"))
            facts.errors.setdefault(int(row) - 1, []).append(place)
