"""Files of bare numbers or hashes: no log has their digest, by which they could be found."""

from __future__ import annotations

import csv
import io
import json
from typing import BinaryIO, Final

from contact_sanitizer.audit.beside import Open

_WORDS: Final = frozenset({"phone", "hash"})
"""The first column of such a file."""
_PARQUET: Final = b"PAR1"


def rows_of_bare(opened: Open) -> int | None:
    """How many rows such a file has; None for any other file, and for one that cannot be read."""
    try:
        with opened() as file:
            start = file.read(len(_PARQUET))
            count = _parquet if start == _PARQUET else _json_lines if start[:1] == b"{" else _delimited
            file.seek(0)
            # A delivery of nobody may be an empty file.
            return count(file) if start else 0
    except (OSError, ValueError, LookupError, StopIteration, RecursionError, csv.Error):
        return None


def _require(words: object) -> None:
    if words not in _WORDS:
        raise ValueError


def _delimited(file: BinaryIO) -> int:
    with io.TextIOWrapper(file, "utf-8", newline="") as text:
        rows = csv.reader(text)
        _require(next(rows)[0])
        return sum(1 for _ in rows)


def _json_lines(file: BinaryIO) -> int:
    _require(next(iter(json.loads(file.readline()))))
    return 1 + sum(1 for _ in file)


def _parquet(file: BinaryIO) -> int:
    import pyarrow.parquet as pq  # noqa: PLC0415 - for such files alone: functions that verify have no Arrow

    with pq.ParquetFile(file) as known:
        _require(known.schema_arrow.names[0])
        return int(known.metadata.num_rows)
