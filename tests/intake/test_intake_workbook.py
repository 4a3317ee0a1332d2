"""XLSX files as people make them, and as attackers do."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.listfile import ColumnWish, Limits, ReadOptions, Role

Read = Callable[..., Any]

PHONE = ColumnWish("phone", Role.PHONE)
SHEET = "xl/worksheets/sheet1.xml"


def saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def workbook(rows: Iterable[Iterable[object]]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(list(row))
    return saved(book)


def with_part(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The same archive with one part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            data = old.read(member)
            new.writestr(member.filename, change(data) if member.filename == name else data)
    return out.getvalue()


def sheet_xml(rows: str) -> bytes:
    head = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    body = with_part(workbook([["phone"]]), SHEET, lambda _: f"{head}{rows}</sheetData></worksheet>".encode())
    assert body
    return body


def text_row(number: int, text: str) -> str:
    return f'<row r="{number}"><c r="A{number}" t="inlineStr"><is><t>{text}</t></is></c></row>'


def test_cells_read_as_a_person_would_read_them(read: Read) -> None:
    values: list[object] = [13812345678, "13812345678", 1.5, True, False, date(2024, 2, 3), None]
    values += [datetime(2024, 2, 3, 4, 5), time(10, 30), timedelta(hours=30), 123456789012345, -7, 1e-7]  # noqa: DTZ001 - a workbook has no zones
    rows: list[list[object]] = [["phone", "v"], *(["1", value] for value in values)]
    outcome = read(workbook(rows), (PHONE, ColumnWish("v")))
    assert outcome.cells["v"] == [
        *("13812345678", "13812345678", "1.5", "true", "false", "2024-02-03", ""),
        *("2024-02-03 04:05:00", "10:30:00", "30:00:00", "123456789012345", "-7", "0.0000001"),
    ]


def test_a_number_whose_digits_are_lost_shows_its_exponent(read: Read) -> None:
    outcome = read(workbook([["phone"], [1234567890123456], [8613812345678001]]))
    assert outcome.phones == ["1.23457E+15", "8.61381E+15"]


def test_error_values_are_their_text_and_formulas_without_value_are_empty(read: Read) -> None:
    rows = text_row(1, "phone") + text_row(2, "1")
    rows += '<row r="3"><c r="A3" t="e"><f>VLOOKUP(1,B:C,2)</f><v>#N/A</v></c></row>'
    rows += '<row r="4"><c r="A4"><f>B1</f><v></v></c><c r="B4"><v>5</v></c></row>'
    rows += '<row r="5"><c r="A5"><f>B1</f></c><c r="B5"><v>5</v></c></row>'
    rows += '<row r="6"><c t="e" r="A6"><v>#REF!</v></c></row>'
    outcome = read(sheet_xml(rows))
    assert outcome.phones == ["1", "#N/A", "", "", "#REF!"]
    assert outcome.warnings["formula_without_value"] == 2


def test_error_values_keep_their_place_where_the_sheet_begins_further_down(read: Read) -> None:
    rows = '<row r="4"><c r="C4" t="inlineStr"><is><t>phone</t></is></c></row>'
    rows += '<row r="5"><c r="C5" t="e"><v>#N/A</v></c></row>'
    rows += '<row r="6"><c r="C6"><v>7</v></c></row>'
    outcome = read(sheet_xml(rows))
    assert (outcome.phones, outcome.description.header_line) == (["#N/A", "7"], 4)


def test_blank_rows_and_title_rows_have_no_number(read: Read) -> None:
    rows: list[list[object]] = [
        ["客户名单"],
        [],
        ["name", "手机号"],
        ["a", "1"],
        [],
        ["  ", None],
        ["b", None],
        ["c", "2"],
    ]
    outcome = read(workbook(rows), name="list.xlsx")
    assert (outcome.records, outcome.phones) == ([2, 3, 4], ["1", "", "2"])
    assert outcome.description.header_line == 3
    assert outcome.warnings == {}


def test_the_first_visible_sheet_with_a_phone_column_is_read(read: Read) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["read me"])
    for title, number in (("hidden", "1"), ("people", "2"), ("more", "3")):
        sheet = book.create_sheet(title)
        sheet.append(["phone"])
        sheet.append([number])
    book["hidden"].sheet_state = "hidden"
    content = saved(book)
    outcome = read(content)
    assert (outcome.phones, outcome.description.sheet) == (["2"], 2)
    assert read(content, options=ReadOptions(sheet="more")).phones == ["3"]
    assert read(content, options=ReadOptions(sheet="hidden")).phones == ["1"]
    with pytest.raises(IntakeError, match="sheet_missing"):
        read(content, options=ReadOptions(sheet="nobody"))


def test_hidden_rows_and_columns_are_read_and_said(read: Read) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["phone", "a"], ["1", "x"], ["2", "y"], ["3", "z"]):
        sheet.append(row)
    sheet.row_dimensions[2].hidden = True
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["B"].hidden = True
    outcome = read(saved(book))
    assert outcome.phones == ["1", "2", "3"]
    assert outcome.warnings["hidden_rows_read"] == 2
    assert outcome.warnings["hidden_columns_read"] == 1


def test_a_sheet_of_many_batches_keeps_its_order(read: Read) -> None:
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(2, 100_102))
    outcome = read(sheet_xml(text_row(1, "phone") + rows))
    assert outcome.batches == 2
    assert outcome.phones == [str(number) for number in range(2, 100_102)]
    assert outcome.records == list(range(2, 100_102))


VALUES = (
    st.none() | st.sampled_from(["", " ", "x", "13812345678", 'a"b,c\nd']) | st.integers(-(10**6), 10**12)
)


@settings(derandomize=True, max_examples=15, deadline=None)
@given(table=st.lists(st.tuples(VALUES, VALUES), max_size=15))
def test_every_row_that_is_not_blank_comes_out_once_in_order(
    read_path: Read, tmp_path_factory: pytest.TempPathFactory, table: list[tuple[object, object]]
) -> None:
    path = tmp_path_factory.mktemp("sheet") / "list.xlsx"
    path.write_bytes(workbook([["phone", "a"], *table]))
    texts = [tuple("" if value is None else str(value) for value in row) for row in table]
    kept = [row for row in texts if any(cell.strip() for cell in row)]
    outcome = read_path(path, (PHONE, ColumnWish("a")))
    # the library reads a cell of spaces alone as empty
    stripped = [tuple(cell if cell.strip() else "" for cell in row) for row in kept]
    assert list(zip(outcome.phones, outcome.cells["a"], strict=True)) == stripped
    assert outcome.records == list(range(2, 2 + len(kept)))


def test_a_million_blank_formatted_rows_are_passed_over(read: Read) -> None:
    blank = "".join(f'<row r="{n}" s="1" customFormat="1"/>' for n in range(3, 1_000_003))
    limits = Limits(max_ratio=1_000)
    outcome = read(sheet_xml(text_row(1, "phone") + text_row(2, "1") + blank), options=ReadOptions(limits))
    assert outcome.phones == ["1"]


def test_two_far_corners_are_refused_before_they_cost_memory(read: Read) -> None:
    corner = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    with pytest.raises(IntakeError, match="limit_sheet_cells"):
        read(sheet_xml(text_row(1, "phone") + corner))


def test_a_sheet_that_inflates_too_far_is_refused(read: Read) -> None:
    padded = sheet_xml(text_row(1, "phone") + " " * 30_000_000)
    with pytest.raises(IntakeError, match="limit_ratio"):
        read(padded)


def test_shared_strings_that_inflate_too_far_are_refused(read: Read) -> None:
    book = io.BytesIO(workbook([["phone"], ["1"]]))
    with zipfile.ZipFile(book, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/other.xml", b"<a>" + b" " * 30_000_000)
    with pytest.raises(IntakeError, match="limit_ratio"):
        read(book.getvalue())


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/styles.xml"])
def test_entity_declarations_are_refused(read: Read, part: str) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    content = with_part(workbook([["phone"], ["1"]]), part, lambda data: bomb + data)
    with pytest.raises(IntakeError, match="limit_entities"):
        read(content)


def test_a_sheet_with_more_columns_than_the_limit_is_refused(read: Read) -> None:
    content = workbook([["phone", "b", "c", "d"], ["1"]])
    assert read(content, options=ReadOptions(Limits(max_columns=4))).phones == ["1"]
    with pytest.raises(IntakeError, match="limit_columns"):
        read(content, options=ReadOptions(Limits(max_columns=3)))


def test_damaged_workbooks_are_refused_with_a_code(read: Read) -> None:
    whole = workbook([["phone"], ["13812345678"]])
    broken = [
        with_part(whole, SHEET, lambda data: data[: len(data) // 2]),
        with_part(whole, SHEET, lambda _: b"\x00\x01\x02 no xml"),
        with_part(whole, "xl/workbook.xml", lambda _: b"<nothing/>"),
        with_part(whole, "xl/_rels/workbook.xml.rels", lambda _: b"<nothing/>"),
        whole[: len(whole) // 2],
        whole[:-30],
    ]
    for content in broken:
        with pytest.raises(
            IntakeError, match=r"^(file_damaged|file_truncated|format_unsupported|sheet_missing)"
        ):
            read(content)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_no_mutated_workbook_raises_anything_but_our_errors(
    read_path: Read, tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]
) -> None:
    content = bytearray(workbook([["phone", "a"], ["1", 2], ["3", None]]))
    for place, byte in places:
        content[place % len(content)] = byte
    path = tmp_path_factory.mktemp("mutant") / "list.xlsx"
    path.write_bytes(content)
    try:
        read_path(path)
    except IntakeError as error:
        assert error.code in IntakeError.CODES  # noqa: PT017 - some mutants are sound
