"""Delimited text against the standard library's reader, at every block size."""

from __future__ import annotations

import csv
import io
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.delimiters import DELIMITERS
from contact_sanitizer.intake.limits import HARD_CELL_CHARS
from contact_sanitizer.intake.listfile import ColumnWish, Limits, ReadOptions, Role, open_list
from contact_sanitizer.reasons import Reason

Read = Callable[..., Any]

PHONE = ColumnWish("phone", Role.PHONE)
HEADER = "phone,city,note\n"
WISHES = (PHONE, ColumnWish("city"), ColumnWish("note"))


def expected(text: str, delimiter: str = ",", width: int = 3) -> list[tuple[int, list[str]]]:
    """What the standard library's reader makes of the records after the header, blank ones left out."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    malformed = (int(Reason.MALFORMED_ROW), [""] * width)
    full = (row for row in rows if any(cell.strip() for cell in row))
    return [(0, row) if len(row) == width else malformed for row in full]


def assert_same_as_oracle(read_path: Read, text: str, batch_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        path.write_text(HEADER + text, encoding="utf-8", newline="")
        outcome = read_path(path, WISHES, ReadOptions(batch_bytes=batch_bytes))
    columns = [outcome.cells[wish.name] for wish in WISHES]
    rows = [list(row) for row in zip(*columns, strict=True)]
    assert list(zip(outcome.flaws, rows, strict=True)) == expected(text)
    assert outcome.records == list(range(2, 2 + len(outcome.records)))


CELLS = st.sampled_from(
    ["", " ", "1", "13812345678", "a b", "张三", "x\ny", 'q"q', "a,b", "\r\n", '"', "\x00", "é"]
)
TABLES = st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=12)
RAGGED = st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=12)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
SIZES = st.sampled_from([1, 2, 3, 7, 16, 64, 1 << 20])


def written(table: list[list[str]], end: str, *, last: bool) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end).writerows(table)
    return out.getvalue() if last else out.getvalue().removesuffix(end)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(table=TABLES | RAGGED, end=ENDS, last=st.booleans(), size=SIZES)
def test_every_record_of_a_written_table_comes_out_once_in_order(
    read_path: Read, table: list[list[str]], end: str, *, last: bool, size: int
) -> None:
    assert_same_as_oracle(read_path, written(table, end, last=last), size)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(text=st.text(alphabet='a1,"\n\r 张', max_size=40), size=SIZES)
@example(text='5" pipe,b,c\n"x"y,"b\n",c\n', size=4)
@example(text='a"b,"c\nd",e\n,,\n""\n"",,""\n1,2\n', size=2)
def test_stray_quotes_are_read_as_the_standard_library_reads_them(
    read_path: Read, text: str, size: int
) -> None:
    try:
        assert_same_as_oracle(read_path, text, size)
    except IntakeError as error:
        assert error.code == "quote_unterminated"  # noqa: PT017 - most texts are no error
        assert ends_in_quotes(text) or swallows(text)
    else:
        assert not ends_in_quotes(text)
        assert not swallows(text)


def ends_in_quotes(text: str) -> bool:
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=False))
        probe = list(csv.reader(io.StringIO(text + "\n@,@", newline="")))
    except csv.Error:
        return True
    return not probe or probe[-1] != ["@", "@"]


def swallows(text: str) -> bool:
    """Whether quotes that hold a line end are followed by more text of the same cell."""
    place, start = 0, True
    while place < len(text):
        if start and text[place] == '"':
            opened = place
            place += 1
            while place < len(text) and (text[place] != '"' or text[place : place + 2] == '""'):
                place += 2 if text[place] == '"' else 1
            place += 1
            held = text[opened:place]
            if place < len(text) and text[place] not in ",\r\n" and ("\n" in held or "\r" in held):
                return True
            start = False
            continue
        start = text[place] in ",\r\n"
        place += 1
    return False


def test_a_forgotten_quote_does_not_swallow_records(read_path: Read, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        'phone,note\n13812345671,ok\n13812345672,"a\n13812345673,b\n13812345674,"c"\n13812345675,d\n'
    )
    with pytest.raises(IntakeError, match=r"quote_unterminated.*record 3"):
        read_path(path, [ColumnWish("phone", Role.PHONE)], None)


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_each_delimiter_is_recognised_and_quoted_ones_are_content(read: Read, delimiter: str) -> None:
    text = f'phone{delimiter}city\n13812345678{delimiter}"a{delimiter}b"\n13812345679{delimiter}c\n'
    for size in (3, 1 << 20):
        outcome = read(text.encode(), (PHONE, ColumnWish("city")), ReadOptions(batch_bytes=size))
        assert outcome.description.delimiter == delimiter
        assert outcome.cells == {"phone": ["13812345678", "13812345679"], "city": [f"a{delimiter}b", "c"]}


def test_a_header_under_which_the_wanted_column_stands_alone_decides_between_delimiters(read: Read) -> None:
    outcome = read(b"phone;last, first\n13812345678;Doe, Jane\n13812345679;Roe, John\n")
    assert outcome.description.delimiter == ";"


def test_commas_in_some_cells_of_one_column_do_not_make_columns(read: Read) -> None:
    lines = ["13812345678"] * 20 + ["13812345678, 13812345679"]
    outcome = read("\n".join(lines).encode())
    assert outcome.description.format == "text"
    assert outcome.phones == lines


def test_text_without_header_numbers_from_one(read: Read) -> None:
    outcome = read(b"\n13812345678\n\n \n13812345679")
    assert (outcome.records, outcome.phones) == ([1, 2], ["13812345678", "13812345679"])
    assert outcome.description.header_line is None


def test_text_with_a_known_header_numbers_from_two(read: Read) -> None:
    outcome = read("电话\n13812345678\n".encode(), name="list.txt")
    assert (outcome.records, outcome.description.header_line) == ([2], 1)


def test_title_and_blank_rows_before_the_header_have_no_number(read: Read) -> None:
    outcome = read("客户名单,,\n\n,,\n姓名,手机号(必填),备注\n张三,13812345678,x\n".encode())
    assert (outcome.records, outcome.phones) == ([2], ["13812345678"])
    assert outcome.description.header_line == 4


def test_blank_records_vanish_wherever_they_stand(read: Read) -> None:
    body = b'\n,,\n1,a,b\n  ,\t,\n\r\n"","",""\n2,,\n,,\xe3\x80\x80\n,x,\n,,,,\n   \n3,c,d\n,,'
    outcome = read(HEADER.encode() + body)
    assert outcome.phones == ["1", "2", "", "3"]
    assert outcome.records == [2, 3, 4, 5]


def test_ragged_records_keep_their_numbers_and_lose_their_cells(read: Read) -> None:
    outcome = read(HEADER.encode() + b"1,a,b\n2,a\n3,a,b,c\n\n4,a,b\n", WISHES)
    assert outcome.records == [2, 3, 4, 5]
    assert outcome.flaws == [0, Reason.MALFORMED_ROW, Reason.MALFORMED_ROW, 0]
    assert outcome.phones == ["1", "", "", "4"]


def test_an_unterminated_quote_names_the_record_where_it_began(read: Read) -> None:
    body = HEADER.encode() + b'1,a,b\n2,a\n\n3,"open,b\n' + b"4,a,b\n" * 500
    for size in (16, 512, 1 << 20):
        with pytest.raises(IntakeError, match=r"quote_unterminated: .*record 4 "):
            read(body, options=ReadOptions(batch_bytes=size))


def test_a_quote_open_for_more_than_any_cell_refuses_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(HEADER.encode() + b'1,a,b\n"2,a,b\n' + b"x" * (3 * HARD_CELL_CHARS))
    seen: list[int] = []
    options = ReadOptions(batch_bytes=1 << 16)
    with (
        open_list(path, (PHONE,), options, lambda data: seen.append(len(data))) as opened,
        pytest.raises(IntakeError, match=r"quote_unterminated: .*record 3 "),
    ):
        list(opened.batches())
    assert sum(seen) < 3 * HARD_CELL_CHARS


@pytest.mark.parametrize("where", ["13812345678,{},x\n", "{},a,b\n", 'a,"{}",x\n'])
def test_a_ten_megabyte_cell_refuses_the_file(read: Read, where: str) -> None:
    body = (HEADER + "1,a,b\n" + where.format("x" * 10_000_000)).encode()
    with pytest.raises(IntakeError, match=r"(limit_cell_chars|quote_unterminated): .*record 3 "):
        read(body)


def test_a_cell_above_the_cap_refuses_the_file_even_where_nobody_wants_it(read: Read) -> None:
    body = (HEADER + "1,a,b\n,,\n2," + "x" * (HARD_CELL_CHARS + 1) + ",c\n3,d,e\n").encode()
    with pytest.raises(IntakeError, match=r"limit_cell_chars: record 3 "):
        read(body)


def test_a_record_of_many_quoted_cells_with_line_ends_is_cut_at_its_end_alone(read: Read) -> None:
    columns = 300
    header = ",".join(["phone", *(f"c{number}" for number in range(1, columns))])
    records = [",".join([str(number), *['"a\nb"'] * (columns - 1)]) for number in range(20)]
    body = "\n".join([header, *records]).encode()
    for size in (100, 1_000, 3_000, 1 << 20):
        outcome = read(body, (PHONE, ColumnWish("c299")), ReadOptions(batch_bytes=size))
        assert outcome.phones == [str(number) for number in range(20)]
        assert set(outcome.cells["c299"]) == {"a\nb"}


def test_a_long_cell_flaws_its_record_alone(read: Read) -> None:
    limits = Limits(max_cell_chars=5)
    outcome = read(
        "phone,city,note\n12345,张三张三张,\n123456,a,b\n1,x\n2,abcdef,c\n".encode(),
        WISHES,
        ReadOptions(limits),
    )
    assert outcome.flaws == [0, Reason.CELL_TOO_LONG, Reason.MALFORMED_ROW, Reason.CELL_TOO_LONG]
    assert outcome.cells["city"] == ["张三张三张", "", "", ""]


def test_memory_is_not_spent_on_more_than_a_block(read: Read) -> None:
    lines = [f"138{number:08d},x,y\n" for number in range(2_000)]
    outcome = read((HEADER + "".join(lines)).encode(), options=ReadOptions(batch_bytes=1_000))
    assert outcome.batches > 20
    assert outcome.phones == [line[:11] for line in lines]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 5, 1 << 20])
def test_line_ends_of_every_kind_and_none_at_the_end(read: Read, end: str, size: int) -> None:
    text = end.join(["phone,a", "1,x", "", "2,y", "3,z"])
    assert read(text.encode(), options=ReadOptions(batch_bytes=size)).phones == ["1", "2", "3"]


def test_nul_bytes_and_a_byte_order_mark_in_the_middle_are_content(read: Read) -> None:
    body = "phone,a\n1\x002,x\n\ufeff3,y\n\ufeff4,z\n".encode()
    for size in (1, 9, 12, 1 << 20):
        assert read(body, options=ReadOptions(batch_bytes=size)).phones == ["1\x002", "\ufeff3", "\ufeff4"]


def test_control_characters_in_one_column_text_are_content(read: Read) -> None:
    lines = [b"13812345678" + bytes([code]) for code in itertools.chain(range(1, 9), range(28, 32))]
    assert read(b"phone\n" + b"\n".join(lines)).phones == [line.decode() for line in lines]


def test_more_rows_than_the_limit_refuse_the_file_and_as_many_do_not(read: Read) -> None:
    options = ReadOptions(Limits(max_rows=3), batch_bytes=8)
    assert len(read(b"phone\n1\n2\n3\n", options=options).records) == 3
    with pytest.raises(IntakeError, match="limit_rows"):
        read(b"phone\n1\n2\n3\n4\n", options=options)


def test_a_hundred_thousand_columns_are_refused(read: Read) -> None:
    for body in (b"\n1,2\n", b""):
        with pytest.raises(IntakeError, match="limit_columns"):
            read(b"phone," + b",".join(b"c%d" % number for number in range(100_000)) + body)


def test_a_record_of_a_hundred_thousand_cells_is_one_malformed_record(read: Read) -> None:
    outcome = read(b"phone,a\n1,x\n" + b"2," * 100_000 + b"\n3,y\n")
    assert outcome.flaws == [0, Reason.MALFORMED_ROW, 0]


def test_a_list_with_a_header_alone_has_no_records(read: Read) -> None:
    assert read(b"phone,a\n").records == []
    assert read(b"phone,a").records == []
