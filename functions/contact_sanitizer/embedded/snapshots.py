"""Snapshots: what one rule says of every subject in the registry, in sorted memory-mapped arrays.

The format is in `infra/formats/snapshot.md`. A snapshot is only ever a shortcut: it is checked against its
digests before use, rebuilt where it is damaged, foreign or too old, and completed by the changes since.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.embedded.registry_rows import BULK_COLUMNS, bulk_rows, scan_rows
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.bulkfold import Resolutions, Terms, fold_columns, verdict_bits
from contact_sanitizer.screening.eventrows import BULK_ROW, columns_of
from contact_sanitizer.screening.mappedsubjects import MappedSubjects
from contact_sanitizer.screening.places import Places
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects

FORMAT: Final = "contact-sanitizer/snapshot/v2"
#: A snapshot is rebuilt where more has changed since: so many changes, or this share of all.
MOST_CHANGES: Final = 100_000
#: Subjects stay in memory up to this size: 10 million of them, or the first halves of 20 million.
RESIDENT_BYTES: Final = 160 << 20
MOST_SHARE: Final = 0.02
_EVENTS_A_SHARD: Final = 500_000
_MOST_SHARDS: Final = 256
_HEADER: Final = "header.json"
_CHECKED: Final = "checked.json"
_COLUMNS: Final = {
    "hi": "<u8",
    "lo": "<u8",
    "valid_until": "<u4",
    "otherwise": "|u1",
    "blocked_until": "<u4",
}
_PLACES: Final = "places"
_FACTS: Final = ("valid_until", "otherwise", "blocked_until")
_UNSETTLED: Final = {"unsettled_hi": "<u8", "unsettled_lo": "<u8"}


@dataclass(frozen=True, slots=True, repr=False)
class SnapshotSource:
    """What a snapshot is made from: the registry's events up to `change`, folded for `rule` at `now`."""

    db: sqlite3.Connection
    rule: Rule
    now: int
    change: int
    terms: Mapping[int, Terms]

    def fold(self, rows: Sequence[NDArray[np.void]]) -> Resolutions:
        """What the rule says of each subject of these events."""
        return fold_columns(columns_of(rows), self.terms, self.rule, self.now)

    def all_events(self, contract: int) -> Iterator[NDArray[np.void]]:
        """All events, in the order of recording."""
        return scan_rows(self.db, contract, self.change)

    def changed_since(self, change: int, contract: int) -> Iterator[NDArray[np.void]]:
        """All events, old ones too, of the subjects that have one after `change`."""
        statement = (
            f"SELECT {BULK_COLUMNS} FROM event WHERE contract = ?1 AND change <= ?2 AND subject IN"  # noqa: S608 - constants only
            " (SELECT subject FROM event WHERE change > ?3 AND change <= ?2 AND contract = ?1)"
        )
        return bulk_rows(self.db.execute(statement, (contract, self.change, change)))

    def anchor(self, change: int) -> str:
        """What tells this history up to `change` from another: after a restored backup it differs."""
        forgotten = self.db.execute("SELECT forgotten FROM epoch").fetchone()[0]
        last = self.db.execute("SELECT hex(subject), identity FROM event WHERE change = ?", (change,))
        return hashlib.sha256(json.dumps([forgotten, change, last.fetchone()]).encode()).hexdigest()


@dataclass(frozen=True, slots=True, repr=False)
class SnapshotTable:
    """What the rule says at one moment of the subjects under one contract (0: keyed subjects).

    `bits` uint8 (n + 1,): the verdict of each of the `known` subjects, and last that of all others.
    `unsettled`: subjects that are not here, for something about them takes effect later.
    """

    known: MappedSubjects
    bits: NDArray[np.uint8]
    unsettled: SortedSubjects

    def verdicts(self, needles: Needles) -> NDArray[np.uint8]:
        """The `Drop` bits of the needles, in their order: uint8 (n,)."""
        return self.bits[self.known.find(needles.hi, needles.lo)]


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """One checked snapshot, memory-mapped, and the moment for which it is read."""

    name: str
    change: int
    tables: Mapping[int, SnapshotTable]


class SnapshotShelf:
    """The private folder where snapshots stand, at most one a rule."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clear(self) -> None:
        """Removes all snapshots; jobs that have one open keep what they see."""
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            shutil.rmtree(path, ignore_errors=True)

    def snapshot(self, source: SnapshotSource, contracts: Sequence[int]) -> Snapshot:
        """A snapshot that the changes since make right for the source; built where there is none.

        Raises `RegistryError("snapshot_damaged")` where even a new one cannot be read back, and
        `("registry_unwritable")` where none can be written.
        """
        prefix = source.rule.digest.hex()[:16]
        if ready := self._newest(prefix, source, contracts):
            return ready
        try:
            path = _build(self._folder, prefix, source, contracts)
        except OSError:
            raise RegistryError(
                "registry_unwritable", "A snapshot of the registry cannot be written."
            ) from None
        self._drop_others(prefix, path)
        built = _load(path, source, contracts)
        if built is None:
            raise RegistryError("snapshot_damaged", "A snapshot of the registry cannot be read back.")
        return built

    def _newest(self, prefix: str, source: SnapshotSource, contracts: Sequence[int]) -> Snapshot | None:
        paths = sorted(self._folder.glob(f"{prefix}-*")) if self._folder.is_dir() else []
        loaded = (_load(path, source, contracts) for path in reversed(paths))
        return next((snapshot for snapshot in loaded if snapshot), None)

    def _drop_others(self, prefix: str, kept: Path) -> None:
        for path in self._folder.glob(f"{prefix}-*"):
            if path != kept:
                shutil.rmtree(path, ignore_errors=True)


def _load(path: Path, source: SnapshotSource, contracts: Sequence[int]) -> Snapshot | None:
    """The snapshot at `path`, None where it cannot serve the source or is not what was written."""
    try:
        header = json.loads((path / _HEADER).read_bytes())
        if not _serves(header, source, contracts) or not _is_whole(path, header["columns"]):
            return None
        tables = {contract: _table(path, contract, source.now) for contract in contracts}
        return Snapshot(path.name, int(header["change"]), tables)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _serves(header: dict[str, Any], source: SnapshotSource, contracts: Sequence[int]) -> bool:
    body = {name: value for name, value in header.items() if name != "sha256"}
    if header["sha256"] != _digest_of(body) or header["format"] != FORMAT:
        return False
    change = int(header["change"])
    behind = source.change - change
    return (
        header["rule"] == source.rule.digest.hex()
        and set(contracts) <= set(header["contracts"])
        and header["built_at"] <= source.now
        and 0 <= behind <= min(MOST_CHANGES, max(1000, int(MOST_SHARE * change)))
        and header["anchor"] == source.anchor(change)
    )


def _is_whole(path: Path, columns: dict[str, Any]) -> bool:
    """Whether every column is what was written, by its digest.

    A file that was checked once and has not been touched since, as its inode says, is not read again:
    hashing all of a large snapshot would take longer than a million verdicts.
    """
    marks = {name: _mark(path / name) for name in columns}
    if _checked(path) == marks:
        return True
    for name, expected in columns.items():
        with (path / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                return False
    with suppress(OSError):
        (path / _CHECKED).write_text(json.dumps(marks), encoding="ascii")
    return True


def _mark(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _checked(path: Path) -> Any:
    try:
        return json.loads((path / _CHECKED).read_bytes())
    except (OSError, ValueError):
        return None


def _table(path: Path, contract: int, now: int) -> SnapshotTable:
    hi, lo, places = (path / f"{contract}-{name}" for name in ("hi", "lo", _PLACES))
    known = MappedSubjects.open(hi, lo, RESIDENT_BYTES, places)
    columns = [_column(path / f"{contract}-{name}", _COLUMNS[name]) for name in _FACTS]
    if {len(column) for column in columns} != {len(known)}:
        raise ValueError("columns differ in length")
    later_hi, later_lo = (_column(path / f"{contract}-{name}", dtype) for name, dtype in _UNSETTLED.items())
    bits = verdict_bits(columns[0], columns[1], columns[2], now)
    return SnapshotTable(known, bits, SortedSubjects(later_hi, later_lo))


def _column(file: Path, dtype: str) -> NDArray[Any]:
    """One column, mapped."""
    return np.memmap(file, dtype, mode="r").view(np.ndarray) if file.stat().st_size else np.empty(0, dtype)


def _digest_of(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _build(folder: Path, prefix: str, source: SnapshotSource, contracts: Sequence[int]) -> Path:
    """Writes a snapshot beside the others and gives it its name last, so that what has a name is whole."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    final = folder / f"{prefix}-{source.change:020d}"
    draft = folder / f".draft-{final.name}-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        columns: dict[str, Any] = {}
        for contract in contracts:
            columns |= _write_table(draft, contract, source)
        _write_header(draft, columns, source, contracts)
        shutil.rmtree(final, ignore_errors=True)
        draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final


def _write_header(
    draft: Path, columns: dict[str, Any], source: SnapshotSource, contracts: Sequence[int]
) -> None:
    body = {
        "format": FORMAT,
        "rule": source.rule.digest.hex(),
        "change": source.change,
        "anchor": source.anchor(source.change),
        "built_at": source.now,
        "contracts": list(contracts),
        "columns": columns,
    }
    text = json.dumps(body | {"sha256": _digest_of(body)}, sort_keys=True, indent=1)
    (draft / _HEADER).write_text(text, encoding="ascii")


def _write_table(draft: Path, contract: int, source: SnapshotSource) -> dict[str, Any]:
    writers = {
        name: _ColumnWriter(draft / f"{contract}-{name}", dtype)
        for name, dtype in (_COLUMNS | _UNSETTLED).items()
    }
    try:
        for rows in _shards(draft, source, contract):
            _write_shard(writers, source.fold([rows]))
    finally:
        described = {f"{contract}-{name}": writer.close() for name, writer in writers.items()}
    return described | {f"{contract}-{_PLACES}": _write_places(draft, contract)}


def _write_places(draft: Path, contract: int) -> dict[str, Any]:
    writer = _ColumnWriter(draft / f"{contract}-{_PLACES}", "<u4")
    try:
        writer.write(Places.of(_column(draft / f"{contract}-hi", _COLUMNS["hi"])).starts)
    finally:
        described = writer.close()
    return described


def _write_shard(writers: Mapping[str, _ColumnWriter], folded: Resolutions) -> None:
    later = folded.take(folded.unsettled)
    settled = folded.take(~folded.unsettled).telling()
    writers["unsettled_hi"].write(later.subjects.hi)
    writers["unsettled_lo"].write(later.subjects.lo)
    writers["hi"].write(settled.subjects.hi)
    writers["lo"].write(settled.subjects.lo)
    for name in _FACTS:
        writers[name].write(getattr(settled, name))


def _shards(draft: Path, source: SnapshotSource, contract: int) -> Iterator[NDArray[np.void]]:
    """All events, a range of leading bits at a time, ascending: memory is bounded by the shard."""
    bits = _shard_bits(source)
    paths = [draft / f"shard-{number}" for number in range(1 << bits)]
    files = [path.open("wb") for path in paths]
    try:
        for rows in source.all_events(contract):
            _distribute(rows, files, bits)
    finally:
        for file in files:
            file.close()
    for path in paths:
        yield np.fromfile(path, BULK_ROW)
        path.unlink()


def _shard_bits(source: SnapshotSource) -> int:
    count = source.db.execute("SELECT count(*) FROM event").fetchone()[0]
    return min(int(count) // _EVENTS_A_SHARD, _MOST_SHARDS - 1).bit_length()


def _distribute(rows: NDArray[np.void], files: Sequence[IO[bytes]], bits: int) -> None:
    if not bits:
        rows.tofile(files[0])
        return
    shard = (rows["hi"] >> np.uint64(64 - bits)).astype(np.uint16)
    order = np.argsort(shard, kind="stable")
    ends = np.cumsum(np.bincount(shard, minlength=len(files)))
    for file, part in zip(files, np.split(rows[order], ends[:-1]), strict=True):
        file.write(part.tobytes())


class _ColumnWriter:
    """A column's file, its length and its digest."""

    def __init__(self, path: Path, dtype: str) -> None:
        self._file = path.open("wb")
        self._dtype = dtype
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, values: NDArray[Any]) -> None:
        data = np.ascontiguousarray(values, self._dtype).tobytes()
        self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)

    def close(self) -> dict[str, Any]:
        """Brings the column to disk; its length and digest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return {"bytes": self._bytes, "sha256": self._digest.hexdigest()}
