"""One person's rows in a `decisions.parquet`: the file is gone through row group by row group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contact_sanitizer.errors import OutputError
from contact_sanitizer.intake.raw import Source
from contact_sanitizer.outputs.decisions import SCHEMA

#: So many rows of one person are told of one list; all are counted.
MOST_ROWS: Final = 1000
_TOLD: Final = [name for name in SCHEMA.names if name != "subject"]
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class DecidedRow:
    """One row as it was decided: its number in the file, verdict, primary reason, and all that applied."""

    row: int
    verdict: str
    reason: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """A person's rows in one list, in order: the first `MOST_ROWS`, and how many there are."""

    rows: tuple[DecidedRow, ...]
    count: int


def decided_of(subject: bytes, decisions: Source, sha256: str) -> Decided:
    """What was decided about a person (16 bytes); `sha256`: what the list's manifest says of the file.

    Of a row group more than its subjects is read only where the person is in it, and one is held at a time.
    Raises `OutputError` (`list_damaged`) where the file is not the one that was written, and `IntakeError` of
    `decisions` where it cannot be read.
    """
    rows: list[DecidedRow] = []
    count = 0
    with decisions.open() as file:
        if digest_of(file) != sha256:
            raise _damaged()
        for found in _groups_with(subject, file):
            rows += [_row(found, index) for index in range(min(found.num_rows, MOST_ROWS - len(rows)))]
            count += found.num_rows
    return Decided(tuple(rows), count)


def _groups_with(subject: bytes, file: BinaryIO) -> Iterator[pa.Table]:
    """The person's rows of each row group that has any."""
    wanted = pa.scalar(subject, SCHEMA.field("subject").type)
    try:
        parquet = pq.ParquetFile(pa.PythonFile(file, "r"))
        for group in range(parquet.num_row_groups):
            subjects = parquet.read_row_group(group, ["subject"], use_threads=False).column(0)
            places = pc.indices_nonzero(pc.equal(subjects, wanted))
            if len(places):
                yield parquet.read_row_group(group, _TOLD, use_threads=False).take(places)
    except (pa.ArrowException, OSError, ValueError, KeyError):
        raise _damaged() from None


def _row(found: pa.Table, index: int) -> DecidedRow:
    (stated,) = found.slice(index, 1).to_pylist()
    return DecidedRow(stated["row"], stated["verdict"], stated["reason"], tuple(stated["reasons"]))


def digest_of(file: BinaryIO) -> str:
    """The SHA-256 of a whole decisions file, which is then at its beginning again."""
    digest = hashlib.sha256()
    file.seek(0)
    try:
        while piece := file.read(_PIECE):
            digest.update(piece)
    except OSError:
        raise _damaged() from None
    file.seek(0)
    return digest.hexdigest()


def _damaged() -> OutputError:
    return OutputError("list_damaged", "a list's decisions are not the file that was written, or unreadable")
