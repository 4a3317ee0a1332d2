from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contact_sanitizer.outputs.clean import clean_writer
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.outputs.safety import defuse

CELLS = st.lists(
    st.tuples(st.text(max_size=12), st.text(alphabet="=+-@\t\r\n,\"'ab＝＠", max_size=6)), max_size=20
)


def tokens(count: int) -> NDArray[np.uint8]:
    text = "".join(f"ct_{number:050d}" for number in range(count)).encode()
    return np.frombuffer(text, np.uint8).reshape(count, 53)


def fill(file: DigestingFile, format_name: str, batches: Sequence[Sequence[tuple[str, str]]]) -> None:
    writer = clean_writer(format_name, file, ["城市", "note"])
    for batch in batches:
        columns = [pa.array([row[side] for row in batch], pa.string()) for side in (0, 1)]
        writer.write(tokens(len(batch)), columns)
    writer.finish()


def written(path: Path, format_name: str, batches: Sequence[Sequence[tuple[str, str]]]) -> DigestingFile:
    file = DigestingFile(path.open("wb"))
    fill(file, format_name, batches)
    file.close()
    return file


def surrogate_free(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(a.encode("utf-8", "ignore").decode(), b) for a, b in rows]


@settings(max_examples=60, derandomize=True)
@given(CELLS, CELLS)
def test_csv_reads_back_and_no_cell_begins_like_a_formula(
    first: list[tuple[str, str]], second: list[tuple[str, str]]
) -> None:
    batches = [surrogate_free(first), surrogate_free(second)]
    buffer = io.BytesIO()
    fill(DigestingFile(buffer), "csv", batches)
    rows = list(csv.reader(io.StringIO(buffer.getvalue().decode(), newline="")))
    assert rows[0] == ["token", "城市", "note"]
    given_rows = [row for batch in batches for row in batch]
    assert len(rows) == 1 + len(given_rows)
    for row, cells in zip(rows[1:], given_rows, strict=True):
        for seen, cell in zip(row[1:], cells, strict=True):
            assert seen in (cell, "'" + cell)
            assert not seen.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))


def test_a_plain_cell_is_written_as_it_is(tmp_path: Path) -> None:
    written(tmp_path / "c.csv", "csv", [[("上海", "ok"), ("", "")]])
    lines = (tmp_path / "c.csv").read_text().split("\n")
    assert lines[1] == f"ct_{0:050d},上海,ok"
    assert lines[2] == f"ct_{1:050d},,"
    assert lines[3:] == [""]


@settings(max_examples=40, derandomize=True)
@given(CELLS)
def test_json_text_reads_back_exactly(rows: list[tuple[str, str]]) -> None:
    rows = surrogate_free(rows)
    buffer = io.BytesIO()
    fill(DigestingFile(buffer), "jsonl", [rows])
    lines = buffer.getvalue().decode().split("\n")[:-1]
    assert [(d["城市"], d["note"]) for d in map(json.loads, lines)] == rows


def test_parquet_reads_back_exactly(tmp_path: Path) -> None:
    rows = [("上海", "=1"), ("", "x")]
    written(tmp_path / "c.parquet", "parquet", [rows, [], rows])
    table = pq.read_table(tmp_path / "c.parquet")
    assert table.column_names == ["token", "城市", "note"]
    assert [(r["城市"], r["note"]) for r in table.to_pylist()] == rows * 2


@pytest.mark.parametrize("format_name", ["csv", "jsonl", "parquet"])
def test_the_same_rows_give_the_same_bytes_and_the_digest_is_theirs(tmp_path: Path, format_name: str) -> None:
    first = written(tmp_path / "a", format_name, [[("上海", "a")] * 3])
    second = written(tmp_path / "b", format_name, [[("上海", "a")] * 3])
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(data).hexdigest()
    assert first.size == len(data)


@pytest.mark.parametrize("format_name", ["csv", "jsonl", "parquet"])
def test_a_list_without_rows_is_still_a_whole_file(tmp_path: Path, format_name: str) -> None:
    written(tmp_path / "empty", format_name, [])
    data = (tmp_path / "empty").read_bytes()
    if format_name == "csv":
        assert data.decode() == "token,城市,note\n"
    elif format_name == "jsonl":
        assert data == b""
    else:
        assert pq.read_table(tmp_path / "empty").num_rows == 0


def test_sliced_arrays_are_read_from_their_own_start() -> None:
    cells = pa.array(["=a", "b", "=c", "d"], pa.string())
    assert defuse(cells.slice(1, 1)).to_pylist() == ["b"]
    assert defuse(cells.slice(2)).to_pylist() == ["'=c", "d"]
