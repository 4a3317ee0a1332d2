"""Delimited text and one-number-a-line text, as batches of cells.

Blocks are cut where a record ends and each block is parsed by Arrow on its own, so memory is bounded by
the block whatever the file's size, and a fault in one block cannot move the records of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.batching import BatchNumbering, blank_records
from contact_sanitizer.intake.columns import ColumnWish
from contact_sanitizer.intake.delimiters import DELIMITERS, ChosenRecords, Separator, choose_records
from contact_sanitizer.intake.encoding import Piece, TextStream
from contact_sanitizer.intake.layout import Layout
from contact_sanitizer.intake.limits import HARD_CELL_CHARS, HARD_RECORD_BYTES, Limits, cell_too_long
from contact_sanitizer.intake.records import (
    cut_records,
    find_overlong,
    find_swallowed,
    is_blank,
    open_record,
    sample_records,
)

_SAMPLE_BYTES = 256 << 10
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, repr=False)
class _Block:
    body: memoryview
    byte: bytes
    quoted: bool


class DelimitedReader:
    """The records of a text: a sample to decide the layout by, then batches.

    Raises from the constructor and while reading: `encoding_invalid`, `quote_unterminated`,
    `limit_cell_chars`, `limit_rows`, `file_binary`, and whatever the stream raises.
    """

    named = False

    def __init__(
        self, text: TextStream, wishes: Sequence[ColumnWish], limits: Limits, block_bytes: int
    ) -> None:
        self._text = text
        self._limits = limits
        self._block_bytes = block_bytes
        self._queue: list[Piece] = []
        self._head, self._records = self._read_head(wishes)
        self.separator = Separator(self._records.delimiter)
        self.sample = [record.cells for record in self._records.found]

    def batches(self, layout: Layout) -> Iterator[CellBatch]:
        """Every record after the header, in order."""
        start = 0 if layout.header is None else self._records.found[layout.header].end
        self._queue, self._head = [memoryview(self._head)[start:]], b""
        numbering = BatchNumbering(1 if layout.header is None else 2, layout.bound, self._limits)
        blocks = self._blocks(numbering)
        while (block := next(blocks, None)) is not None:
            batch = self._parse(block, layout, numbering)
            del block
            yield batch

    def _read_head(self, wishes: Sequence[ColumnWish]) -> tuple[Piece, ChosenRecords]:
        head, ended = self._read_to(_SAMPLE_BYTES)
        size = _SAMPLE_BYTES
        while True:
            whole = ended and size >= len(head)
            beginning = bytes(head[:size])
            chosen = choose_records(beginning, wishes, ended=whole)
            if chosen.speaks or whole or size > HARD_RECORD_BYTES:
                break
            self._refuse_endless_head(beginning)
            size *= 2
            if not ended:
                more, ended = self._read_to(size - len(head))
                head = b"".join((head, more))
        if not chosen.found and bytes(head).strip():
            raise quote_unterminated(1)
        return head, chosen

    def _read_to(self, size: int) -> tuple[Piece, bool]:
        parts: list[Piece] = []
        while size > 0 and (block := self._text.read()):
            parts.append(block)
            size -= len(block)
        return parts[0] if len(parts) == 1 else b"".join(parts), size > 0

    def _refuse_endless_head(self, head: bytes) -> None:
        if b"\n" not in head and b"\r" not in head:
            self._limits.check_columns(max(head.count(delimiter.encode()) for delimiter in DELIMITERS))
        refuse_endless(head, b"\0\0", 1)

    def _blocks(self, numbering: BatchNumbering) -> Iterator[_Block]:
        """Complete records, until the text ends."""
        window, goal, ended = b"", self._block_bytes, False
        while not ended:
            window, ended = self._fill(window, goal)
            if ended and window and not window.endswith((b"\n", b"\r")):
                window += b"\n"
            prepared, byte = self.separator.prepare(window)
            cut = cut_records(prepared, byte)
            swallowed = find_swallowed(prepared, byte, cut)
            sound = find_overlong(prepared, byte, swallowed)
            tail = prepared[cut.end :]
            ready = [_Block(memoryview(prepared)[:sound], byte, cut.quoted)] if sound else []
            # handed out for good: while a batch is worked on, its text takes no memory
            del window, prepared
            if ready:
                yield ready.pop()
            if sound == swallowed < cut.end:
                raise quote_unterminated(numbering.next_record)
            if sound < cut.end:
                raise cell_too_long(numbering.next_record)
            if ended and tail:
                raise quote_unterminated(numbering.next_record)
            refuse_endless(tail, byte, numbering.next_record)
            window = self.separator.restore(tail, byte)
            goal = max(self._block_bytes, 2 * len(window))

    def _fill(self, window: bytes, goal: int) -> tuple[bytes, bool]:
        """A window of at least the goal, or of all that is left; whether that is so."""
        parts: list[Piece] = [window]
        missing = goal - len(window)
        while missing > 0:
            block = self._queue.pop() if self._queue else self._text.read()
            if not block:
                return b"".join(parts), True
            if len(block) >= 2 * missing:
                self._queue.append(block[missing:])
                block = block[:missing]
            parts.append(block)
            missing -= len(block)
        return b"".join(parts), False

    def _parse(self, block: _Block, layout: Layout, numbering: BatchNumbering) -> CellBatch:
        wanted = sorted({0, *layout.bound.values()})
        parsed = _parse_block(block, layout.width, wanted)
        blank = blank_records(list(parsed.columns.values()), parsed.count)
        if blank.any() and len(wanted) < layout.width:
            whole = _parse_block(block, layout.width, range(layout.width))
            blank = blank_records(list(whole.columns.values()), whole.count)
        columns = {index: self._restored(cells, block) for index, cells in parsed.columns.items()}
        return numbering.batch(*_with_malformed(columns, blank, parsed))

    def _restored(self, cells: pa.StringArray, block: _Block) -> pa.StringArray:
        if not block.quoted or len(self.separator.delimiter.encode()) < 2:
            return cells
        return pc.replace_substring(cells, block.byte.decode(), self.separator.delimiter)


@dataclass(frozen=True, slots=True, repr=False)
class _Parsed:
    """The sound records' cells, and where the others stand.

    `malformed`: places from 1, among all records that are no empty lines, of those with a wrong number of
    cells; `blank`: of these the blank ones.
    """

    columns: dict[int, pa.StringArray]
    count: int
    malformed: list[int]
    blank: list[int]


def _parse_block(block: _Block, width: int, wanted: Sequence[int]) -> _Parsed:
    malformed: list[int] = []
    blank: list[int] = []
    drop = str.maketrans("", "", '"' + block.byte.decode())

    def note(row: csv.InvalidRow) -> str:
        malformed.append(row.number)
        if not row.text.translate(drop).strip() and _says_nothing(row.text, block.byte):
            blank.append(row.number)
        return "skip"

    names = [str(index) for index in range(width)]
    # the parser drops a byte-order mark at the start of a block, where it is content
    body = _BOM + block.body if block.body[:3] == _BOM else block.body
    table = csv.read_csv(
        pa.BufferReader(pa.py_buffer(body)),
        csv.ReadOptions(use_threads=False, block_size=len(body) + 1, column_names=names),
        csv.ParseOptions(
            delimiter=block.byte.decode(),
            # where no quote can open, a parser that does not know of quotes is faster
            quote_char='"' if block.quoted else False,
            newlines_in_values=block.quoted,
            invalid_row_handler=note,
        ),
        csv.ConvertOptions(
            column_types={str(index): pa.string() for index in wanted},
            include_columns=[str(index) for index in wanted],
            check_utf8=False,
            strings_can_be_null=False,
        ),
    )
    columns = {index: _one_array(table.column(place)) for place, index in enumerate(wanted)}
    return _Parsed(columns, table.num_rows, malformed, blank)


def _says_nothing(record: str, byte: bytes) -> bool:
    return all(is_blank(found.cells) for found in sample_records(record, byte.decode(), 1, ended=True))


def _one_array(column: pa.ChunkedArray) -> pa.StringArray:
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays([pa.array([], pa.string()), *column.chunks])
    )


def _with_malformed(
    columns: dict[int, pa.StringArray], blank: NDArray[np.bool_], parsed: _Parsed
) -> tuple[dict[int, pa.StringArray], NDArray[np.bool_], NDArray[np.bool_]]:
    """Columns, blank and malformed flags of all records, the malformed ones in their places."""
    malformed = np.zeros(parsed.count + len(parsed.malformed), dtype=bool)
    if not parsed.malformed:
        return columns, blank, malformed
    malformed[np.array(parsed.malformed) - 1] = True
    every_blank = np.zeros(len(malformed), dtype=bool)
    every_blank[~malformed] = blank
    every_blank[np.array(parsed.blank, dtype=np.int64) - 1] = True
    source = np.cumsum(~malformed) - 1
    at = pa.array(source, mask=malformed)
    return (
        {index: pc.fill_null(cells.take(at), "") for index, cells in columns.items()},
        every_blank,
        malformed,
    )


def quote_unterminated(record: int) -> IntakeError:
    """The refusal for a quote that opens in the record of this number and never closes."""
    return IntakeError("quote_unterminated", f"a quote that opens in record {record} is never closed")


def refuse_endless(tail: bytes, separator: bytes, record: int) -> None:
    """Raises `limit_cell_chars` or `quote_unterminated` where an unfinished record is too long already."""
    if len(tail) <= HARD_CELL_CHARS:
        return
    seen = open_record(tail, separator)
    if seen.longest > HARD_CELL_CHARS:
        raise quote_unterminated(record) if seen.in_quotes else cell_too_long(record)
    if len(tail) > HARD_RECORD_BYTES:
        raise IntakeError("limit_cell_chars", f"record {record} is longer than {HARD_RECORD_BYTES} bytes")
