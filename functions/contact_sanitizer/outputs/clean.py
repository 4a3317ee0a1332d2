"""The clean list: `token` first, then the kept columns in policy order.

One writer a format. All are deterministic: the same batches give the same bytes. CSV is UTF-8,
RFC 4180 with LF, each cell safe to open in a spreadsheet (`outputs.safety`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contact_sanitizer.outputs.digesting import Outlet
from contact_sanitizer.outputs.safety import defuse, quote

#: Cells of one width as ASCII, uint8 (n, width), or any strings that need no quotes.
Lead: TypeAlias = NDArray[np.uint8] | pa.StringArray


class CleanWriter(Protocol):
    """Writes batches of kept rows in order; `finish` ends the file without closing it."""

    def write(self, tokens: Lead, columns: Sequence[pa.StringArray]) -> None:
        """Append n rows: tokens (n, 53) or other first cells, and one array of n cells a kept column."""

    def finish(self) -> None:
        """Complete the file."""


def clean_writer(format_name: str, file: Outlet, columns: Sequence[str], lead: str = "token") -> CleanWriter:
    """The writer for `csv`, `jsonl` or `parquet`, with its header already written.

    `lead` names the first column; what it holds need not be tokens.
    """
    writers: dict[str, type[CsvWriter | JsonLinesWriter | ParquetWriter]] = {
        "csv": CsvWriter,
        "jsonl": JsonLinesWriter,
        "parquet": ParquetWriter,
    }
    return writers[format_name](file, columns, lead)


def csv_header(columns: Sequence[str], lead: str = "token") -> bytes:
    """The first line of a CSV file, without its end."""
    return ",".join(quote(defuse(pa.array([lead, *columns], pa.string()))).to_pylist()).encode()


def json_opening(lead: str = "token") -> bytes:
    """What stands before the lead in each line of JSON."""
    return b'{%s:"' % json.dumps(lead).encode()


def _framed(tokens: Lead, before: bytes, after: bytes = b"") -> pa.StringArray:
    """The tokens as strings, each with fixed text around it; one copy for the batch."""
    if isinstance(tokens, pa.Array):
        return pc.binary_join_element_wise(before.decode(), tokens, after.decode(), "")
    count, chars = tokens.shape
    # NumPy moves items faster than rows of bytes, and fills a column faster than the edge of a matrix.
    frame = np.dtype([("before", "u1", len(before)), ("cell", f"V{chars}"), ("after", "u1", len(after))])
    framed = np.empty(count, frame)
    framed["cell"] = np.ascontiguousarray(tokens).view(f"V{chars}").ravel()
    for edge, text in (("before", before), ("after", after)):
        for place, byte in enumerate(text):
            framed[edge][:, place] = byte
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(frame.itemsize)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(framed))


def _text_of(lines: pa.StringArray) -> memoryview:
    """All lines' bytes in a row, without a copy."""
    _, offsets, data = lines.buffers()
    where = np.frombuffer(offsets, np.int32)
    return memoryview(data)[where[lines.offset] : where[lines.offset + len(lines)]]


class CsvWriter:
    """RFC 4180 with LF.

    Each record begins with the line end of the one before it: tokens have a fixed width, so that is
    where a line end costs nothing.
    """

    def __init__(self, file: Outlet, columns: Sequence[str], lead: str = "token") -> None:
        self._file = file
        file.write(csv_header(columns, lead))

    def write(self, tokens: Lead, columns: Sequence[pa.StringArray]) -> None:
        """See `CleanWriter.write`."""
        if not len(tokens):
            return
        lines = _framed(tokens, b"\n")
        if columns:
            lines = pc.binary_join_element_wise(lines, *(quote(defuse(cells)) for cells in columns), ",")
        self._file.write(_text_of(lines))

    def write_lines(self, text: NDArray[np.uint8]) -> None:
        """Append records as such a writer wrote them, each with its line end: uint8."""
        if len(text):
            self._file.write(b"\n")
            self._file.write(text[:-1].data)

    def finish(self) -> None:
        """End the last record."""
        self._file.write(b"\n")


class JsonLinesWriter:
    """One JSON object a line, UTF-8, keys in column order."""

    def __init__(self, file: Outlet, columns: Sequence[str], lead: str = "token") -> None:
        self._file = file
        self._lead = json_opening(lead)
        self._keys = [json.dumps(name, ensure_ascii=False) for name in columns]

    def write(self, tokens: Lead, columns: Sequence[pa.StringArray]) -> None:
        """See `CleanWriter.write`."""
        if not len(tokens):
            return
        parts: list[Any] = [_framed(tokens, self._lead, b'"')]
        for key, cells in zip(self._keys, columns, strict=True):
            parts += [f',{key}:"', _json_text(cells), '"']
        lines = pc.binary_join_element_wise(*parts, "}\n", "")
        self._file.write(_text_of(lines))

    def write_lines(self, text: NDArray[np.uint8]) -> None:
        """Append records as such a writer wrote them, each with its line end: uint8."""
        self._file.write(text.data)

    def finish(self) -> None:
        """Nothing is open between records."""


def _json_text(cells: pa.StringArray) -> pa.StringArray:
    """The inside of JSON strings; only cells with a character to escape are looked at one by one."""
    odd = pc.match_substring_regex(cells, r'[\x00-\x1f"\\]')
    if not pc.any(odd).as_py():
        return cells
    escaped = [json.dumps(cell.as_py(), ensure_ascii=False)[1:-1] for cell in cells.filter(odd)]
    return pc.replace_with_mask(cells, odd, pa.array(escaped, pa.string()))


class ParquetWriter:
    """One string column each, zstd; row groups follow the batches."""

    def __init__(self, file: Outlet, columns: Sequence[str], lead: str = "token") -> None:
        self._schema = pa.schema([(name, pa.string()) for name in (lead, *columns)])
        self._writer = pq.ParquetWriter(
            pa.PythonFile(file, "w"),
            self._schema,
            compression="zstd",
            use_dictionary=list(columns),
            write_statistics=False,
        )

    def write(self, tokens: Lead, columns: Sequence[pa.StringArray]) -> None:
        """See `CleanWriter.write`."""
        if len(tokens):
            arrays = [_framed(tokens, b""), *columns]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()


#: Writers that also take lines as such a one wrote them.
LineWriter: TypeAlias = CsvWriter | JsonLinesWriter
