"""Snapshots as they are read: what one rule says of every subject in a registry, memory-mapped.

The format is in `infra/formats/snapshot.md`. A snapshot is only ever a shortcut: it is checked against its
digests before use, passed over where it is damaged, foreign or too old, and completed by the changes since.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.screening.bulkfold import Resolutions, verdict_bits
from contact_sanitizer.screening.mappedsubjects import MappedSubjects
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.snapshotmaking import (
    COLUMNS,
    FACTS,
    FORMAT,
    HEADER,
    PLACES,
    UNSETTLED,
    column,
    digest_of,
)
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects

#: A snapshot is rebuilt where more has changed since: so many changes, or this share of all.
MOST_CHANGES: Final = 100_000
MOST_SHARE: Final = 0.02
#: Subjects stay in memory up to this size: 10 million of them, or the first halves of 20 million.
RESIDENT_BYTES: Final = 160 << 20
_CHECKED: Final = "checked.json"

Header = Mapping[str, Any]
Facts = tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint32]]


class SnapshotSource(Protocol):
    """A registry up to `change`, as `rule` reads it at `now`: what a snapshot has to fit."""

    @property
    def rule(self) -> Rule:
        """What is asked of each subject."""
        ...

    @property
    def now(self) -> int:
        """The moment of the answers, Unix seconds."""
        ...

    @property
    def change(self) -> int:
        """What was recorded up to this change number counts."""
        ...

    def anchor(self, change: int) -> str:
        """What tells the history up to `change` from another, such as a restored backup's."""
        ...


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


@dataclass(frozen=True, slots=True, repr=False)
class Completed:
    """A snapshot and, by contract, what is said of those whom it cannot speak for any more at `now`.

    `later`: everybody who has changed since, and the snapshot's unsettled.
    """

    snapshot: Snapshot
    later: Mapping[int, Resolutions]
    now: int

    def verdicts(self, needles: Needles, contract: int) -> NDArray[np.uint8]:
        """The `Drop` bits of the needles, in their order: uint8 (n,)."""
        found = self.snapshot.tables[contract].verdicts(needles)
        later = self.later[contract]
        if len(later):
            rows = later.subjects.find(needles.hi, needles.lo)
            hits = np.flatnonzero(rows >= 0)
            found[hits] = later.bits(rows[hits], self.now)
        return found


def name_of(rule: Rule, change: int) -> str:
    """A snapshot's name: its rule and its change number."""
    return f"{prefix_of(rule)}-{change:020d}"


def prefix_of(rule: Rule) -> str:
    """What the names of a rule's snapshots begin with: 16 hex digits."""
    return rule.digest.hex()[:16]


def load(path: Path, source: SnapshotSource, contracts: Sequence[int]) -> Snapshot | None:
    """The snapshot at `path`, None where it cannot serve the source or is not what was written."""
    try:
        header = fitting_header(path, source, contracts)
        if header is None or not is_whole(path, header["columns"]):
            return None
        tables = {contract: _table(path, contract, source.now) for contract in contracts}
        return Snapshot(path.name, int(header["change"]), tables)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fitting_header(path: Path, source: SnapshotSource, contracts: Sequence[int]) -> Header | None:
    """The header of the snapshot at `path` where that can serve the source."""
    header = read_header((path / HEADER).read_bytes())
    return header if header and serves(header, source, contracts) else None


def read_header(data: bytes) -> Header | None:
    """A header from its file's bytes; None where it is another format's or not what was written."""
    try:
        header = json.loads(data)
        body = {name: value for name, value in header.items() if name != "sha256"}
        sound = header["sha256"] == digest_of(body) and header["format"] == FORMAT
        return header if sound and _is_told(header) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_told(header: Header) -> bool:
    """Whether each field is what it should be."""
    numbers = [header["change"], header["built_at"], *header["contracts"]]
    files = header["columns"].values()
    return all(type(number) is int for number in numbers) and all(
        type(file["sha256"]) is str for file in files
    )


def serves(header: Header, source: SnapshotSource, contracts: Sequence[int]) -> bool:
    """Whether the snapshot, completed by the changes since, is right for the source."""
    return fits(header, source, contracts) and header["anchor"] == source.anchor(int(header["change"]))


def fits(header: Header, source: SnapshotSource, contracts: Sequence[int]) -> bool:
    """The same, the anchor apart."""
    change = int(header["change"])
    behind = source.change - change
    return (
        header["rule"] == source.rule.digest.hex()
        and set(contracts) <= set(header["contracts"])
        and header["built_at"] <= source.now
        and 0 <= behind <= most_behind(change)
    )


def most_behind(change: int) -> int:
    """So many changes may have come after a snapshot of that change number; with more it is made anew."""
    return min(MOST_CHANGES, max(1000, int(MOST_SHARE * change)))


def is_whole(path: Path, columns: dict[str, Any]) -> bool:
    """Whether every column is what was written, by its digest.

    A file that was checked once and has not been touched since, as its inode says, is not read again:
    hashing all of a large snapshot would take longer than a million verdicts.
    """
    marks = marks_of(path, columns)
    if checked(path) == marks:
        return True
    for name, expected in columns.items():
        with (path / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                return False
    with suppress(OSError):
        (path / _CHECKED).write_text(json.dumps(marks), encoding="ascii")
    return True


def marks_of(path: Path, names: Iterable[str]) -> dict[str, list[int]]:
    """What tells files from others of their names, and from themselves before they were touched."""
    return {name: _mark(f"{path}/{name}") for name in names}


def _mark(file: str) -> list[int]:
    # as text: a path for each of a few files would take longer than to look a thousand people up in them
    status = os.stat(file)  # noqa: PTH116
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def checked(path: Path) -> Any:
    """The `marks_of` a snapshot's files as they were when their digests were last found right, or None."""
    try:
        return json.loads((path / _CHECKED).read_bytes())
    except (OSError, ValueError):
        return None


def _table(path: Path, contract: int, now: int) -> SnapshotTable:
    known = known_in(path, contract)
    facts = alike([column(path / f"{contract}-{name}", COLUMNS[name]) for name in FACTS], known)
    bits = verdict_bits(*facts, now)
    return SnapshotTable(known, bits, unsettled_in(path, contract))


def known_in(path: Path, contract: int) -> MappedSubjects:
    """The subjects of one contract in the snapshot at `path`; raises `OSError` and `ValueError`."""
    hi, lo, places = (path / f"{contract}-{name}" for name in ("hi", "lo", PLACES))
    return MappedSubjects.open(hi, lo, RESIDENT_BYTES, places)


def alike(columns: Sequence[NDArray[Any]], known: MappedSubjects) -> Facts:
    """Facts of the known subjects: `valid_until`, `otherwise`, `blocked_until`; or `ValueError`."""
    if {len(column) for column in columns} != {len(known)}:
        raise ValueError("columns differ in length")
    valid_until, otherwise, blocked_until = columns
    return valid_until, otherwise, blocked_until


def unsettled_in(path: Path, contract: int) -> SortedSubjects:
    """The subjects of whom the snapshot at `path` cannot speak; raises `OSError` and `ValueError`."""
    hi, lo = (column(path / f"{contract}-{name}", dtype) for name, dtype in UNSETTLED.items())
    return SortedSubjects(hi, lo)
