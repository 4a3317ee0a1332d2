"""From the rows that a format yields to a numbered batch: the rules that every format shares.

Blank records vanish without a number, records that cannot be read keep theirs with a flaw and empty
cells, and a record with too long a cell is flawed as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.limits import HARD_CELL_CHARS, Limits, cell_too_long
from contact_sanitizer.reasons import Reason

_SPACE = 0x20
_NO_ASCII = 0x80


class BatchNumbering:
    """Numbers the records of one file in order, starting at `first`."""

    def __init__(self, first: int, bound: Mapping[str, int], limits: Limits) -> None:
        self.next_record = first
        self._first = first
        self._bound = bound
        self._limits = limits

    def batch(
        self,
        columns: Mapping[int, pa.StringArray],
        blank: NDArray[np.bool_],
        malformed: NDArray[np.bool_],
    ) -> CellBatch:
        """The batch of the next records; `columns`: the cells of each wanted column index, n strings.

        Raises: `limit_rows`, `limit_cell_chars`.
        """
        if blank.any():
            kept = pa.array(~blank)
            columns = {index: cells.filter(kept) for index, cells in columns.items()}
            malformed = malformed[~blank]
        flaws = np.where(malformed, np.uint8(Reason.MALFORMED_ROW), np.uint8(Reason.NONE))
        flaws[self._too_long(columns, len(flaws)) & ~malformed] = Reason.CELL_TOO_LONG
        if flaws.any():
            sound = pa.array(flaws == 0)
            columns = {index: pc.if_else(sound, cells, "") for index, cells in columns.items()}
        records = np.arange(self.next_record, self.next_record + len(flaws), dtype=np.int64)
        self.next_record += len(flaws)
        self._limits.check_rows(self.next_record - self._first)
        return CellBatch(records, {name: columns[index] for name, index in self._bound.items()}, flaws)

    def _too_long(self, columns: Mapping[int, pa.StringArray], count: int) -> NDArray[np.bool_]:
        found = np.zeros(count, dtype=bool)
        for cells in columns.values():
            if longest_bytes(cells) <= self._limits.max_cell_chars:
                continue
            lengths = pc.utf8_length(cells).to_numpy(zero_copy_only=False)
            if lengths.max() > HARD_CELL_CHARS:
                raise cell_too_long(self.next_record + int(lengths.argmax()))
            found |= lengths > self._limits.max_cell_chars
        return found


def longest_bytes(cells: pa.StringArray) -> int:
    """The longest cell in UTF-8 bytes, 0 for no cells."""
    return pc.max(pc.binary_length(cells)).as_py() or 0


def blank_cells(cells: pa.StringArray) -> NDArray[np.bool_]:
    """Which cells hold nothing but white space."""
    offsets = _offsets(cells)
    blank: NDArray[np.bool_] = offsets[1:] == offsets[:-1]
    at = np.flatnonzero(_may_be_blank(cells, offsets) & ~blank)
    if at.size:
        trimmed = pc.utf8_trim_whitespace(cells.take(pa.array(at)))
        blank[at] = pc.equal(pc.binary_length(trimmed), 0).to_numpy(zero_copy_only=False)
    return blank


def _offsets(cells: pa.StringArray) -> NDArray[np.int32]:
    whole = np.frombuffer(cells.buffers()[1], dtype=np.int32)
    return whole[cells.offset : cells.offset + len(cells) + 1]


def _may_be_blank(cells: pa.StringArray, offsets: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether the first byte could be white space: no visible ASCII character."""
    content = cells.buffers()[2]
    if content is None or not content.size:
        return np.zeros(len(cells), dtype=bool)
    data = np.frombuffer(content, dtype=np.uint8)
    first = data[np.minimum(offsets[:-1], len(data) - 1)]
    return (first <= _SPACE) | (first >= _NO_ASCII)


def blank_records(columns: Sequence[pa.StringArray], count: int) -> NDArray[np.bool_]:
    """Which records are blank in all these columns."""
    blank = np.ones(count, dtype=bool)
    for cells in columns:
        at = np.flatnonzero(blank)
        if not at.size:
            break
        blank[at] = blank_cells(cells if at.size == count else cells.take(pa.array(at)))
    return blank
