"""Which columns are wanted, and which were seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from contact_sanitizer.policy_words import Role


@dataclass(frozen=True, slots=True)
class ColumnWish:
    """A column that the caller wants, under the caller's name for it.

    `headers`: the only headers that count; empty: the name itself, and for a role also its known
    headers. `optional`: a file without the column is read all the same.
    """

    name: str
    role: Role | None = None
    headers: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ColumnSeen:
    """A column of the file: its position from 0, the role guessed or wished, and the wish that took it.

    `header` is the file's own text: it may hold anything, so `repr` leaves it out.
    """

    index: int
    role: Role | None = None
    chosen_name: str | None = None
    header: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FileDescription:
    """What intake sees in a file; holds no cell.

    `format`: csv, text, xlsx, jsonl or parquet. `compression`: none, gzip or zip. `encoding`: of text
    formats, `ascii` as long as nothing else was read. `delimiter`: of csv. `bytes`: the size on disk.
    `header_line`: the header's place among the file's physical records, from 1; None where the columns
    have no header record. `sheet`: the position from 0 of the sheet that is read.
    """

    format: str
    compression: str
    encoding: str | None
    delimiter: str | None
    bytes: int
    header_line: int | None
    columns: tuple[ColumnSeen, ...]
    sheet: int | None = None
