"""A clean list, read back in batches for a delivery."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.json as pj
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contact_sanitizer.delivery.cleanlines import CleanLines, whole_lines
from contact_sanitizer.errors import ContactSanitizerError, OutputError
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.clean import clean_writer, csv_header, json_opening
from contact_sanitizer.outputs.digesting import Digest, DigestingFile
from contact_sanitizer.ports import ListShelf
from contact_sanitizer.protection.digests import note_digest

_PIECE_BYTES: Final = 16 << 20
_PARQUET_ROWS: Final = 131_072
LEAD: Final = "token"

Text: TypeAlias = memoryview | NDArray[np.uint8]


@dataclass(frozen=True, slots=True, repr=False)
class CleanRows:
    """Some rows of a clean list: n tokens, and n cells a kept column."""

    tokens: pa.StringArray
    columns: list[pa.StringArray]

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"CleanRows({len(self)})"

    def only(self, kept: NDArray[np.bool_]) -> CleanRows:
        """Some of the rows; `kept` bool (n,)."""
        stays = pa.array(kept)
        return CleanRows(self.tokens.filter(stays), [cells.filter(stays) for cells in self.columns])


@dataclass(frozen=True, slots=True)
class CleanList:
    """One published list: its clean file is what this manifest says, or reading it fails (`list_damaged`).

    `manifest`: as it was read, and checked by whoever has something to check it by. `piece_bytes`: how much
    of a text format is read at once.
    """

    shelf: ListShelf
    list_id: ListId
    manifest: bytes
    format: str
    columns: Sequence[str]
    piece_bytes: int = _PIECE_BYTES

    def rows(self) -> Iterator[CleanRows]:
        """All rows in order. Act on nothing before the last one was read: the file's digest comes last."""
        return map(self.cells, self.parts())

    def cells(self, part: CleanRows | CleanLines) -> CleanRows:
        """The same rows as cells."""
        if isinstance(part, CleanRows):
            return part
        if not len(part):
            # Arrow does not read a text of nothing.
            nothing = pa.array([], pa.string())
            return CleanRows(nothing, [nothing] * len(self.columns))
        names = [LEAD, *self.columns]
        with _as_damage():
            return _csv_cells(part.text, names) if self.format == "csv" else _json_cells(part.text, names)

    def parts(self) -> Iterator[CleanRows | CleanLines]:
        """As `rows`, and as the lines of the file where each record is one."""
        digest, expected = self._expected()
        with _as_damage(), self.shelf.file(self.list_id, f"clean.{self.format}").open() as file:
            if self.format == "parquet":
                yield from _parquet(file, [LEAD, *self.columns])
                file.seek(0)
                for _ in _pieces(file, self.piece_bytes, digest):
                    pass
            else:
                yield from self._text(_pieces(file, self.piece_bytes, digest))
            if digest.hexdigest() != expected:
                raise ValueError

    def _text(self, pieces: Iterator[bytes]) -> Iterator[CleanRows | CleanLines]:
        is_csv = self.format == "csv"
        header = csv_header(self.columns) + b"\n" if is_csv else b""
        for block in whole_lines(pieces, quoted=is_csv):
            if not block.startswith(header):
                raise ValueError
            text, header = memoryview(block)[len(header) :], b""
            if not text:
                continue
            # a line end within quotes ends no record
            if is_csv and b'"' in block:
                yield _csv_cells(text, [LEAD, *self.columns])
            else:
                yield self._lines(text)

    def _lines(self, text: memoryview) -> CleanLines:
        if self.format == "csv":
            return CleanLines.of(text, 0, "," if self.columns else "\n")
        return CleanLines.of(text, len(json_opening()), '"')

    def write_without(self, gone: NDArray[np.int64], file: DigestingFile) -> int:
        """Write the list to `file` without those rows (from 0, ascending); how many rows are left.

        Raises as `rows`: `file` is of no use before this has returned.
        """
        writer = clean_writer(self.format, file, self.columns)
        first = left = 0
        for rows in self.rows():
            kept = rows.only(~np.isin(np.arange(first, first + len(rows)), gone))
            writer.write(kept.tokens, kept.columns)
            first, left = first + len(rows), left + len(kept)
        writer.finish()
        return left

    def _expected(self) -> tuple[Digest, str]:
        """A digest to be taken, and what the manifest says of it.

        Lists that were made before there was a fast digest have the slow one alone.
        """
        with _as_damage():
            outputs = {output["name"]: output for output in json.loads(self.manifest)["outputs"]}
            stated = outputs[f"clean.{self.format}"]
            if fast := stated.get("blake3"):
                return note_digest(), str(fast)
            return hashlib.sha256(), str(stated["sha256"])


def _pieces(file: BinaryIO, size: int, digest: Digest) -> Iterator[bytes]:
    """A file from where it stands to its end; `digest` takes what passes."""
    while piece := file.read(size):
        digest.update(piece)
        yield piece


def _csv_cells(text: Text, columns: Sequence[str]) -> CleanRows:
    table = pc.read_csv(
        pa.py_buffer(text),
        read_options=pc.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=columns),
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types={name: pa.string() for name in columns}, strings_can_be_null=False
        ),
    )
    return _rows_of(table)


def _json_cells(text: Text, columns: Sequence[str]) -> CleanRows:
    table = pj.read_json(
        pa.py_buffer(text),
        read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=pa.schema([(name, pa.string()) for name in columns]),
            unexpected_field_behavior="error",
        ),
    )
    return _rows_of(table.select(columns))


def _rows_of(table: pa.Table) -> CleanRows:
    tokens, *columns = (column.combine_chunks() for column in table.columns)
    return CleanRows(tokens, columns)


def _parquet(file: BinaryIO, columns: Sequence[str]) -> Iterator[CleanRows]:
    parquet = pq.ParquetFile(pa.PythonFile(file, "r"), memory_map=False)
    for batch in parquet.iter_batches(_PARQUET_ROWS, columns=list(columns), use_threads=False):
        tokens, *others = batch.select(list(columns)).columns
        yield CleanRows(tokens, others)


@contextmanager
def _as_damage() -> Iterator[None]:
    """What is wrong with a file, without Arrow's words: they quote cells."""
    try:
        yield
    except OutputError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
        pa.ArrowException,
        ContactSanitizerError,
    ):
        raise OutputError("list_damaged", "the list is not what was published, or is not there") from None
