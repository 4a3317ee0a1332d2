"""JSON Lines and Parquet."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.listfile import ColumnWish, Limits, ReadOptions, Role
from contact_sanitizer.reasons import Reason

Read = Callable[..., Any]

PHONE = ColumnWish("phone", Role.PHONE)


def saved(columns: Mapping[str, Any], **options: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table(dict(columns)), out, **options)
    return out.getvalue()


def test_values_of_json_lines_are_text_without_exponents(read: Read) -> None:
    written = [
        "13812345678",
        '"138 x"',
        "1.3812345678e10",
        "1.50",
        "true",
        "null",
        "123456789012345678901",
        '["a", "张"]',
        "1e999",
    ]
    lines = "".join(f'{{"id": 1, "phone": {value}}}\n' for value in written)
    outcome = read(lines.encode(), name="list.jsonl")
    assert outcome.phones == [
        *("13812345678", "138 x", "13812345678", "1.50", "true", "", "123456789012345678901"),
        *('["a", "张"]', "1e999"),
    ]
    assert (outcome.records[0], outcome.description.format, outcome.description.header_line) == (
        1,
        "jsonl",
        None,
    )


def test_lines_that_are_no_object_are_malformed_and_numbered(read: Read) -> None:
    bad = ["oops", "[1]", '{"phone": NaN}', '{"phone": "\\ud800"}', '{"phone": "1"', "[" * 100_000]
    lines = [
        '{"phone": "1", "a": ""}',
        *bad,
        "",
        "  ",
        "{}",
        '{"phone": " "}',
        '{"a": "x"}',
        '{"phone": "2"}',
    ]
    outcome = read("\r\n".join(lines).encode(), name="list.jsonl")
    assert outcome.flaws == [0, *[int(Reason.MALFORMED_ROW)] * len(bad), 0, 0]
    assert outcome.phones == ["1", *[""] * len(bad), "", "2"]
    assert outcome.records == list(range(1, len(outcome.records) + 1))


ROWS = st.lists(
    st.fixed_dictionaries(
        {"phone": st.sampled_from(["", " ", "1", "张\n"]), "a": st.sampled_from(["", "x"])}
    ),
    max_size=20,
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(rows=ROWS, size=st.sampled_from([1, 10, 1 << 20]))
def test_every_object_that_is_not_blank_comes_out_once_in_order(
    read_path: Read, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], size: int
) -> None:
    table = [{"phone": "first", "a": ""}, *rows]
    kept = [row["phone"] for row in table if any(cell.strip() for cell in row.values())]
    folder = tmp_path_factory.mktemp("rows")
    (folder / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    parquet.write_table(pa.Table.from_pylist(table), folder / "list.parquet", row_group_size=3)
    for name in ("list.jsonl", "list.parquet"):
        outcome = read_path(folder / name, options=ReadOptions(batch_bytes=size))
        assert outcome.phones == kept
        assert outcome.records == list(range(1, len(kept) + 1))


def test_a_key_that_the_first_objects_lack_is_a_missing_column(read: Read) -> None:
    with pytest.raises(IntakeError, match="column_missing"):
        read(b'{"phone": "1"}\n', (PHONE, ColumnWish("city")))
    with pytest.raises(IntakeError, match="phone_column_missing"):
        read(b'{"number": "13812345678"}\n')


def test_json_lines_have_limits_too(read: Read) -> None:
    lines = b'{"phone": "1"}\n' * 4
    with pytest.raises(IntakeError, match="limit_rows"):
        read(lines, options=ReadOptions(Limits(max_rows=3)))
    wide = json.dumps({"phone": "1", **{f"c{number}": 1 for number in range(600)}}).encode()
    with pytest.raises(IntakeError, match="limit_columns"):
        read(wide)
    with pytest.raises(IntakeError, match="limit_columns"):
        read(lines * 200 + wide)
    with pytest.raises(IntakeError, match="limit_cell_chars"):
        read(lines + json.dumps({"phone": "x" * 10_000_000}).encode())


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["a", None, "张"]), ["a", "", "张"]),
        (pa.array(["a", None], pa.large_string()), ["a", ""]),
        (pa.array([b"a", None]), ["a", ""]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([13812345678, None, 8613812345678001]), ["13812345678", "", "8613812345678001"]),
        (pa.array([13812345678.0, None, -2.0]), ["13812345678", "", "-2"]),
        (pa.array([1.5, 1e16, float("nan"), 3.0]), ["1.5", "1.00000E+16", "", "3"]),
        (pa.array([True, False, None]), ["true", "false", ""]),
        (pa.array([date(2024, 2, 3), None]), ["2024-02-03", ""]),
        (
            pa.array([datetime(2024, 2, 3, 4, 5, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
            ["2024-02-03 04:05:00+00:00"],
        ),
        (pa.array([datetime(2024, 2, 3)]), ["2024-02-03"]),  # noqa: DTZ001 - a column without zone
        (pa.array([Decimal("13812345678.50")]), ["13812345678.50"]),
        (pa.array([time(1, 2, 3)]), ["01:02:03.000000"]),
        (pa.nulls(2), ["", ""]),
    ],
)
def test_parquet_columns_of_every_kind_are_text(read: Read, column: Any, texts: list[str]) -> None:
    content = saved({"phone": ["1"] * len(column), "v": column})
    assert read(content, (PHONE, ColumnWish("v"))).cells["v"] == texts


def test_parquet_inside_gzip_is_read_through(read: Read) -> None:
    outcome = read(gzip.compress(saved({"phone": ["1", "2"]})), name="list.parquet.gz")
    assert (outcome.phones, outcome.description.compression, outcome.warnings) == (["1", "2"], "gzip", {})


def test_parquet_has_limits_too(read: Read) -> None:
    content = saved({"phone": ["1"] * 5, "b": ["x"] * 5})
    for limits, code in (
        (Limits(max_rows=4), "limit_rows"),
        (Limits(max_columns=1), "limit_columns"),
        (Limits(max_inflated_bytes=10), "limit_inflated_bytes"),
    ):
        with pytest.raises(IntakeError, match=code):
            read(content, options=ReadOptions(limits))


def test_parquet_that_is_no_table_of_text_is_refused(read: Read) -> None:
    with pytest.raises(IntakeError, match="format_unsupported"):
        read(saved({"phone": [["1"], ["2"]]}))
    with pytest.raises(IntakeError, match="encoding_invalid"):
        read(saved({"phone": pa.array([b"\xff"])}))


def test_damaged_parquet_is_refused_with_a_code(tmp_path: Path, read_path: Read) -> None:
    whole = saved({"phone": [str(number) for number in range(1_000)]})
    path = tmp_path / "list.parquet"
    for place in range(4, len(whole), 97):
        broken = bytearray(whole)
        broken[place] ^= 0x55
        path.write_bytes(broken)
        try:
            outcome = read_path(path)
        except IntakeError:
            continue
        assert len(outcome.records) <= 1_000
    for length in (8, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(IntakeError, match=r"file_truncated|file_damaged"):
            read_path(path)
