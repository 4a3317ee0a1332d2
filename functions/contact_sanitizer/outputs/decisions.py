"""`decisions.parquet`: every row's verdict with all its reasons, for security and `trace` only.

Columns: `row` int64; `subject` 16 bytes or null where the cell states no number; `verdict` (`kept`,
`dropped`, `rejected`); `reason`, the primary one or null; `reasons`, all that applied, in order of
precedence. No phone and no cell.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.reasons import Reason

_WORD: Final = pa.dictionary(pa.int8(), pa.string())
SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("subject", pa.binary(16)),
        pa.field("verdict", _WORD, nullable=False),
        pa.field("reason", _WORD),
        pa.field("reasons", pa.list_(pa.field("element", _WORD)), nullable=False),
    ]
)
_VERDICTS: Final = pa.array(["kept", "dropped", "rejected"], pa.string())
_REASONS: Final = pa.array([reason.word for reason in Reason], pa.string())
_VERDICT_OF: Final = np.array([0, *(1 if reason.drops else 2 for reason in Reason if reason)], np.int8)
_BITS: Final = 6
_FIRST_DROP: Final = int(Reason.SUPPRESSED)


def decisions_file(file: DigestingFile) -> pq.ParquetWriter:
    """Takes tables of `SCHEMA`, each of them a row group; to be closed before `file` is."""
    return pq.ParquetWriter(
        pa.PythonFile(file, "w"),
        SCHEMA,
        compression={"row": "NONE", "subject": "NONE", "verdict": "ZSTD", "reason": "ZSTD"},
        use_dictionary=["verdict", "reason", "reasons.list.element"],
        column_encoding={"row": "DELTA_BINARY_PACKED", "subject": "PLAIN"},
        write_statistics=False,
    )


class DecisionsWriter:
    """Writes batches of decisions in row order, one row group each."""

    def __init__(self, file: DigestingFile) -> None:
        self._writer = decisions_file(file)

    def write(
        self,
        records: NDArray[np.int64],
        subjects: NDArray[np.uint8],
        reasons: NDArray[np.uint8],
        drops: NDArray[np.uint8],
    ) -> None:
        """Append n rows.

        `subjects` (n, 16), all zero where there is none; `reasons` (n,) the primary reason's value;
        `drops` (n,) the bits of all drop reasons that applied (bit i is `Reason.SUPPRESSED + i`).
        """
        if not len(records):
            return
        halves = subjects.view(np.uint64).reshape(-1, 2)
        known = (halves[:, 0] | halves[:, 1]) != 0
        arrays = [
            pa.array(records),
            _fixed_binary(subjects, known),
            pa.DictionaryArray.from_arrays(pa.array(_VERDICT_OF[reasons]), _VERDICTS),
            _dictionary(reasons.astype(np.int8), reasons == 0),
            _all_reasons(reasons, drops),
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()


def _dictionary(codes: NDArray[np.int8], absent: NDArray[np.bool_] | None = None) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=absent), _REASONS)


def _fixed_binary(rows: NDArray[np.uint8], known: NDArray[np.bool_]) -> pa.Array:
    validity = pa.py_buffer(np.packbits(known, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.Array.from_buffers(pa.binary(16), len(rows), [validity, data])


def _all_reasons(reasons: NDArray[np.uint8], drops: NDArray[np.uint8]) -> pa.ListArray:
    """One list a row: the one reason of a rejected cell, or every drop reason whose bit is set."""
    several = (drops & (drops - np.uint8(1))) != 0
    counts = (reasons > 0).astype(np.int32)
    if several.any():
        counts[several] = np.bitwise_count(drops[several])
    offsets = np.zeros(len(reasons) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    values = np.empty(offsets[-1], np.int8)
    single = np.flatnonzero(counts == 1)
    values[offsets[single]] = reasons[single]
    if several.any():
        set_bits = np.unpackbits(drops[several][:, None], axis=1, bitorder="little")[:, :_BITS]
        values[_positions(offsets[:-1][several], counts[several])] = _FIRST_DROP + np.nonzero(set_bits)[1]
    return pa.ListArray.from_arrays(pa.array(offsets), _dictionary(values), type=SCHEMA.field("reasons").type)


def _positions(starts: NDArray[np.int32], counts: NDArray[np.int32]) -> NDArray[np.int32]:
    """For each start, the `counts` positions from there on, all in a row."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum(), dtype=np.int32)
