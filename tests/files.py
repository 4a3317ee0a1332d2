"""The same two-column table as a file of every format that is read."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Sequence

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

Rows = Sequence[tuple[str, str]]


def as_csv(rows: Rows) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([("手机号", "同意"), *rows])
    return buffer.getvalue().encode()


def as_gb18030(rows: Rows) -> bytes:
    return as_csv(rows).decode().encode("gb18030")


def as_utf16(rows: Rows) -> bytes:
    return as_csv(rows).decode().encode("utf-16")


def as_gzip(rows: Rows) -> bytes:
    return gzip.compress(as_csv(rows), mtime=0)


def as_zip(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("list.csv", as_csv(rows))
    return buffer.getvalue()


def as_json_lines(rows: Rows) -> bytes:
    # the keys of the first object are the header
    records = [{"手机号": phone, "同意": agreed} for phone, agreed in rows]
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def as_parquet(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    columns = {"手机号": [row[0] for row in rows], "同意": [row[1] for row in rows]}
    pq.write_table(
        pa.table(columns, schema=pa.schema([("手机号", pa.string()), ("同意", pa.string())])), buffer
    )
    return buffer.getvalue()


def as_workbook(rows: Rows) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for number, row in enumerate([("手机号", "同意"), *rows], 1):
        for place, text in enumerate(row, 1):
            sheet.cell(number, place).value = text
            sheet.cell(number, place).data_type = "s"
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


FORMATS: dict[str, tuple[Callable[[Rows], bytes], int]] = {
    "list.csv": (as_csv, 2),
    "list-gb.csv": (as_gb18030, 2),
    "list-utf16.csv": (as_utf16, 2),
    "list.csv.gz": (as_gzip, 2),
    "list.zip": (as_zip, 2),
    "list.jsonl": (as_json_lines, 1),
    "list.parquet": (as_parquet, 1),
    "list.xlsx": (as_workbook, 2),
}
