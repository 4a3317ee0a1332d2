"""Parquet files as batches of cells, row group by row group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.batching import BatchNumbering, blank_records
from contact_sanitizer.intake.celltext import EXACT_BELOW, cell_text
from contact_sanitizer.intake.layout import SAMPLE_RECORDS, Layout
from contact_sanitizer.intake.limits import Limits

_BATCH_ROWS = 100_000


class ParquetReader:
    """The rows of a file; the sample's first record is the columns' names, the first row is record 1.

    Raises: `file_damaged`, `file_truncated`, `file_encrypted`, `limit_rows`, `limit_columns`,
    `limit_inflated_bytes`, `encoding_invalid`, `format_unsupported` for a column of lists or structs.
    """

    named = True

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._limits = limits
        try:
            self._file = parquet.ParquetFile(pa.PythonFile(file, mode="r"))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(error) from None
        self._check()
        names = [str(name) for name in self._file.schema_arrow.names]
        self.sample = [names]
        for batch in self._read(range(len(names)), SAMPLE_RECORDS):
            texts = [_texts(column).to_pylist() for column in batch.columns]
            self.sample += [list(row) for row in zip(*texts, strict=True)]
            break

    def batches(self, layout: Layout) -> Iterator[CellBatch]:
        """Every row, in order."""
        numbering = BatchNumbering(1, layout.bound, self._limits)
        for batch in self._read(range(layout.width), _BATCH_ROWS):
            texts = {index: _texts(batch.column(index)) for index in set(layout.bound.values())}
            count = batch.num_rows
            blank = blank_records(list(texts.values()), count)
            if blank.any():
                blank = blank_records([_texts(column) for column in batch.columns], count)
            yield numbering.batch(texts, blank, np.zeros(count, dtype=bool))

    def _check(self) -> None:
        facts = self._file.metadata
        self._limits.check_rows(facts.num_rows)
        self._limits.check_columns(facts.num_columns)
        inflated = sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups))
        if inflated > self._limits.max_inflated_bytes:
            self._limits.check_inflated(inflated, inflated)
        if any(pa.types.is_nested(kind) for kind in self._file.schema_arrow.types):
            raise IntakeError("format_unsupported", "the Parquet file has columns of lists or structs")

    def _read(self, columns: range, rows: int) -> Iterator[Any]:
        names = [self._file.schema_arrow.names[index] for index in columns]
        if len(set(names)) != len(names):
            raise IntakeError("column_ambiguous", "two columns of the Parquet file have the same name")
        try:
            yield from self._file.iter_batches(batch_size=rows, columns=names, use_threads=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(error) from None


def _texts(column: Any) -> pa.StringArray:
    """A column's cells as text: numbers, dates and truths as `cell_text` writes them."""
    try:
        return pc.fill_null(_rendered(column, column.type), "")
    except pa.ArrowInvalid:
        raise IntakeError("encoding_invalid", "the Parquet file holds text that is not UTF-8") from None
    except (pa.ArrowException, ValueError, OverflowError, AttributeError):
        raise IntakeError("format_unsupported", "the Parquet file holds values that are no text") from None


def _rendered(column: Any, kind: Any) -> pa.StringArray:
    if pa.types.is_dictionary(kind):
        return _rendered(column.dictionary_decode(), kind.value_type)
    if _is_textual(kind):
        texts = column.cast(pa.string())
        texts.validate(full=True)
        return texts
    if pa.types.is_floating(kind):
        return _floats(column)
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz and "UTC"), safe=False)
    elif not (pa.types.is_date(kind) or pa.types.is_time32(kind)):
        return column.cast(pa.string())
    return pa.array([cell_text(value) for value in column.to_pylist()], pa.string())


def _is_textual(kind: Any) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _floats(column: Any) -> pa.StringArray:
    values = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)
    empty = np.isnan(values)
    whole = (values == np.floor(values)) & (np.abs(values) < EXACT_BELOW)
    if not (whole | empty).all():
        return pa.array([cell_text(value) for value in values.tolist()], pa.string())
    return pa.array(np.where(empty, 0, values).astype(np.int64), mask=empty).cast(pa.string())


def _damaged(error: Exception) -> IntakeError:
    if "magic bytes" in str(error):
        return IntakeError("file_truncated", "the Parquet file ends too early")
    if "crypt" in str(error):
        return IntakeError("file_encrypted", "the Parquet file is encrypted")
    return IntakeError("file_damaged", "the Parquet file is damaged")
