"""A clean list, read back in batches for a delivery."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.json as pj
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contact_sanitizer.errors import ContactSanitizerError, OutputError
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.clean import clean_writer
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.ports import ListShelf

_BLOCK_BYTES: Final = 16 << 20
_PARQUET_ROWS: Final = 131_072
LEAD: Final = "token"


@dataclass(frozen=True, slots=True, repr=False)
class CleanRows:
    """Some rows of a clean list: n tokens, and n cells a kept column."""

    tokens: pa.StringArray
    columns: list[pa.StringArray]

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"CleanRows({len(self)})"


@dataclass(frozen=True, slots=True)
class CleanList:
    """One published list: its clean file is what its manifest says, or reading it fails (`list_damaged`)."""

    shelf: ListShelf
    list_id: ListId
    format: str
    columns: Sequence[str]

    def rows(self) -> Iterator[CleanRows]:
        """All rows in order. Act on nothing before the last one was read: the file's digest comes last."""
        expected = self._expected()
        with _as_damage(), self.shelf.file(self.list_id, f"clean.{self.format}").open() as opened:
            file = _Digesting(opened)
            # Arrow takes JSON Lines without a line for no JSON at all.
            nothing = self.format == "jsonl" and not opened.seek(0, 2)
            opened.seek(0)
            for batch in () if nothing else _BATCHES[self.format](file, [LEAD, *self.columns]):
                tokens, *columns = batch.columns
                yield CleanRows(tokens, columns)
            if (file.whole() if self.format != "parquet" else _digest(opened)) != expected:
                raise ValueError

    def write_without(self, gone: NDArray[np.int64], file: DigestingFile) -> int:
        """Write the list to `file` without those rows (from 0, ascending); how many rows are left.

        Raises as `rows`: `file` is of no use before this has returned.
        """
        writer = clean_writer(self.format, file, self.columns)
        first = left = 0
        for rows in self.rows():
            stays = pa.array(~np.isin(np.arange(first, first + len(rows)), gone))
            kept = CleanRows(rows.tokens.filter(stays), [cells.filter(stays) for cells in rows.columns])
            writer.write(kept.tokens, kept.columns)
            first, left = first + len(rows), left + len(kept)
        writer.finish()
        return left

    def _expected(self) -> str:
        """The digest that the manifest states; `list_unknown` for a list that is not there."""
        manifest = self.shelf.manifest(self.list_id)
        if manifest is None:
            raise OutputError("list_unknown", "that list was not finished, or is no longer there")
        with _as_damage():
            outputs = {output["name"]: output["sha256"] for output in json.loads(manifest)["outputs"]}
            return str(outputs[f"clean.{self.format}"])


class _Digesting:
    """A file that is read once from start to end; digests what passes."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._digest.update(content)
        return content

    def readable(self) -> bool:
        return True

    def whole(self) -> str:
        """The digest of the file; what nobody has read yet is read for it."""
        while self.read(1 << 20):
            pass
        return self._digest.hexdigest()

    @property
    def seekable_file(self) -> BinaryIO:
        """The file itself, for a format that is not read in order."""
        return self._file


def _csv(file: _Digesting, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    return iter(
        pc.open_csv(
            pa.PythonFile(file, "r"),
            read_options=pc.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            parse_options=pc.ParseOptions(newlines_in_values=True),
            convert_options=pc.ConvertOptions(
                column_types={name: pa.string() for name in columns},
                include_columns=list(columns),
                strings_can_be_null=False,
            ),
        )
    )


def _json_lines(file: _Digesting, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([(name, pa.string()) for name in columns])
    return iter(
        pj.open_json(
            pa.PythonFile(file, "r"),
            read_options=pj.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
    )


def _parquet(file: _Digesting, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    parquet = pq.ParquetFile(pa.PythonFile(file.seekable_file, "r"), memory_map=False)
    for batch in parquet.iter_batches(_PARQUET_ROWS, columns=list(columns), use_threads=False):
        yield batch.select(list(columns))


_BATCHES: Final[dict[str, Any]] = {"csv": _csv, "jsonl": _json_lines, "parquet": _parquet}


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while content := file.read(1 << 20):
        digest.update(content)
    return digest.hexdigest()


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
