"""A list's files without one person: their rows of the clean list, their subject in the decisions.

What was decided of a row stays, without whose it was, so that the counts of the list remain those of its job.
The k-th row of the clean list is the k-th kept row of the decisions that still has a subject: a row of the
clean list goes exactly when its decision loses its subject.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contact_sanitizer.errors import OutputError
from contact_sanitizer.intake.raw import Source
from contact_sanitizer.outputs.decided import digest_of
from contact_sanitizer.outputs.decisions import SCHEMA, decisions_file
from contact_sanitizer.outputs.digesting import DigestingFile


@dataclass(frozen=True, slots=True, repr=False)
class Blanked:
    """How many rows lost their subject, which rows of the clean list (from 0) go, and how many there were."""

    rows: int
    clean: NDArray[np.int64]
    kept: int

    def __repr__(self) -> str:
        return f"Blanked({self.rows})"


def blank_decisions(subject: bytes, decisions: Source, sha256: str, file: DigestingFile) -> Blanked:
    """Write a list's decisions to `file`, without a person's subject (16 bytes); row groups stay as they are.

    `sha256`: what the manifest says of the decisions. Raises `OutputError` (`list_damaged`) where they are
    not what was written, and `IntakeError` of `decisions`.
    """
    rows = kept = 0
    gone: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    with decisions.open() as source:
        if digest_of(source) != sha256:
            raise _damaged()
        writer = decisions_file(file)
        for group in _groups(source):
            mine = pc.fill_null(pc.equal(group["subject"], pa.scalar(subject, pa.binary(16))), False)
            stays = _clean_rows(group)
            places = np.cumsum(stays) - 1 + kept
            gone.append(places[stays & _mask(mine)])
            rows += pc.sum(mine).as_py() or 0
            kept += int(stays.sum())
            blank = pc.if_else(mine, pa.scalar(None, pa.binary(16)), group["subject"])
            writer.write_table(group.set_column(1, SCHEMA.field("subject"), blank))
        writer.close()
    return Blanked(rows, np.concatenate(gone), kept)


def _groups(file: BinaryIO) -> Iterator[pa.Table]:
    """One row group at a time, as the schema says."""
    try:
        parquet = pq.ParquetFile(pa.PythonFile(file, "r"))
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group, use_threads=False).cast(SCHEMA)
    except (pa.ArrowException, OSError, ValueError, KeyError):
        raise _damaged() from None


def _clean_rows(group: pa.Table) -> NDArray[np.bool_]:
    kept = pc.equal(group["verdict"].cast(pa.string()), "kept")
    return _mask(pc.and_(kept, pc.is_valid(group["subject"])))


def _mask(flags: pa.ChunkedArray) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = flags.combine_chunks().to_numpy(zero_copy_only=False)
    return mask


def _damaged() -> OutputError:
    return OutputError("list_damaged", "a list's decisions are not the file that was written, or unreadable")
