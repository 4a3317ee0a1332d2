"""XLSX workbooks: the first visible sheet that has what is wanted, as batches of cells."""

from __future__ import annotations

import html
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pyarrow as pa
import python_calamine
from numpy.typing import NDArray

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.batching import BatchNumbering
from contact_sanitizer.intake.celltext import Value, cell_text
from contact_sanitizer.intake.columns import ColumnWish
from contact_sanitizer.intake.layout import SAMPLE_RECORDS, Layout, decide_layout
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.records import is_blank
from contact_sanitizer.intake.sheetscan import SheetFacts, check_part, scan_sheet

_T = TypeVar("_T")

_BATCH_ROWS = 100_000
_SHEET_TAG = re.compile(rb"<(?:[\w.-]+:)?sheet\s[^>]*>")
_LINK_TAG = re.compile(rb"<(?:[\w.-]+:)?Relationship\s[^>]*>")
_SHEETS = "xl/worksheets/"


class WorkbookReader:
    """The records of one sheet.

    `sheet`: its position from 0; `skipped`: empty rows above the first record; `warnings`: what a person
    should know of it.

    Raises from the constructor: `sheet_missing`, what `scan_sheet` raises, `file_damaged`,
    `file_encrypted`, and where no sheet fits the wishes what `decide_layout` says of the first.
    """

    named = False

    def __init__(
        self,
        file: BinaryIO,
        archive: zipfile.ZipFile,
        wishes: Sequence[ColumnWish],
        limits: Limits,
        sheet: str | None,
    ) -> None:
        self.warnings: Counter[str] = Counter()
        self._limits = limits
        self._archive = archive
        self._parts = _sheet_parts(archive, limits)
        file.seek(0)
        self._book = calling(lambda: python_calamine.load_workbook(file))
        self.sheet, self._facts, self._range = self._choose(wishes, sheet)
        self.skipped = self._range.start[0] if self._range.start else 0
        self._rows = _rows(self._range)
        self._ahead = list(islice(self._rows, SAMPLE_RECORDS))
        self.sample = [[cell_text(value) for value in row] for row in self._with_errors(self._ahead, 0)]
        self._warn()

    def batches(self, layout: Layout) -> Iterator[CellBatch]:
        """Every record after the header, in order."""
        begin = 0 if layout.header is None else layout.header + 1
        numbering = BatchNumbering(1 if layout.header is None else 2, layout.bound, self._limits)
        rows = self._ahead[begin:]
        self._ahead = []
        while rows or (rows := list(islice(self._rows, _BATCH_ROWS))):
            rows += islice(self._rows, max(_BATCH_ROWS - len(rows), 0))
            yield _batch(self._with_errors(rows, begin), layout, numbering)
            begin += len(rows)
            rows = []

    def _choose(self, wishes: Sequence[ColumnWish], name: str | None) -> tuple[int, SheetFacts, Any]:
        refusal: IntakeError | None = None
        for index in self._candidates(name):
            facts = self._scan(index)
            sheet = self._open(index)
            self._limits.check_columns(sheet.width)
            try:
                sample = [[cell_text(value) for value in row] for row in islice(_rows(sheet), SAMPLE_RECORDS)]
                decide_layout(sample, wishes, self._limits, named=False)
            except IntakeError as error:
                refusal = refusal if refusal and refusal.code != "file_empty" else error
                continue
            return index, facts, sheet
        raise refusal or IntakeError("sheet_missing", "the workbook has no visible sheet")

    def _open(self, index: int) -> Any:
        return calling(lambda: self._book.get_sheet_by_index(index))

    def _candidates(self, name: str | None) -> list[int]:
        sheets = self._book.sheets_metadata
        if name is None:
            return [
                index
                for index, sheet in enumerate(sheets)
                if sheet.visible == python_calamine.SheetVisibleEnum.Visible
                and sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
            ]
        if not (found := [index for index, sheet in enumerate(sheets) if sheet.name == name]):
            raise IntakeError("sheet_missing", "the workbook has no sheet of the name that the policy gives")
        return found[:1]

    def _scan(self, index: int) -> SheetFacts:
        names = self._book.sheet_names
        part = self._parts.get(names[index])
        if part is None:
            raise IntakeError("file_damaged", "the workbook does not say where its sheets are")
        return scan_sheet(self._archive, part, self._limits)

    def _with_errors(self, rows: list[list[Value]], begin: int) -> list[list[Value]]:
        """Rows with the error values that the library leaves empty; `begin`: the first one's place."""
        left = self._range.start[1] if self._range.start else 0
        if self._facts.errors:
            for place, row in enumerate(rows, begin + self.skipped):
                for column, text in self._facts.errors.get(place, ()):
                    if 0 <= column - left < len(row):
                        row[column - left] = text
        return rows

    def _warn(self) -> None:
        counts = {
            "hidden_rows_read": self._facts.hidden_rows,
            "hidden_columns_read": self._facts.hidden_columns,
            "formula_without_value": self._facts.empty_formulas,
        }
        self.warnings.update({code: count for code, count in counts.items() if count})


def calling(action: Callable[[], _T]) -> _T:
    """What the workbook library answers; all its faults, panics included, as ours.

    Raises: `file_encrypted`, `file_damaged`.
    """
    try:
        return action()
    except python_calamine.PasswordError:
        raise IntakeError("file_encrypted", "the workbook is protected by a password") from None
    except Exception:  # noqa: BLE001 - whatever a third party's parser says of a hostile file, it quotes content
        raise _damaged() from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the library's Rust panics are no Exception
            raise
        raise _damaged() from None


def _damaged() -> IntakeError:
    return IntakeError("file_damaged", "the workbook is damaged")


def _rows(sheet: Any) -> Iterator[list[Value]]:
    """The rows from the first that holds anything."""
    rows = calling(sheet.iter_rows)
    above = sheet.start[0] if sheet.start else 0
    while (row := calling(lambda: next(rows, None))) is not None:
        if above:
            above -= 1
        else:
            yield row


def _batch(rows: list[list[Value]], layout: Layout, numbering: BatchNumbering) -> CellBatch:
    wanted = sorted({0, *layout.bound.values()})
    texts = {index: [cell_text(row[index]) for row in rows] for index in wanted}
    blank: NDArray[np.bool_] = np.fromiter(
        (
            is_blank(cells) and is_blank([cell_text(value) for value in row])
            for cells, row in _paired(texts, rows)
        ),
        dtype=bool,
        count=len(rows),
    )
    columns = {index: pa.array(cells, pa.string()) for index, cells in texts.items()}
    return numbering.batch(columns, blank, np.zeros(len(rows), dtype=bool))


def _paired(
    texts: dict[int, list[str]], rows: list[list[Value]]
) -> Iterator[tuple[tuple[str, ...], list[Value]]]:
    return zip(zip(*texts.values(), strict=True), rows, strict=True)


def _sheet_parts(archive: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """Sheet name to part, after every part that the library opens by itself was checked."""
    members = {member.filename: member for member in archive.infolist()}
    for name, member in members.items():
        if name.endswith((".xml", ".rels")) and not name.startswith(_SHEETS):
            check_part(archive, member, limits)
    links = _links(_small(archive, members, "xl/_rels/workbook.xml.rels"))
    parts: dict[str, zipfile.ZipInfo] = {}
    for tag in _SHEET_TAG.findall(_small(archive, members, "xl/workbook.xml")):
        target = links.get(_attribute(tag, rb"(?:[\w.-]+:)?id"), "")
        if target in members:
            parts[_attribute(tag, rb"name")] = members[target]
    return parts


def _small(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    if name not in members:
        raise _damaged()
    return calling(lambda: archive.read(members[name]))


def _links(text: bytes) -> dict[str, str]:
    found = ((_attribute(tag, rb"Id"), _attribute(tag, rb"Target")) for tag in _LINK_TAG.findall(text))
    return {link: _part_name(target) for link, target in found}


def _part_name(target: str) -> str:
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target.removeprefix('./')}"


def _attribute(tag: bytes, name: bytes) -> str:
    match = re.search(rb"\s" + name + rb"\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", tag)
    value = b"" if match is None else match[1] if match[1] is not None else match[2]
    return html.unescape(value.decode(errors="replace"))
