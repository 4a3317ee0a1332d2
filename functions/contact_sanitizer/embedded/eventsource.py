"""The registry's events as a rule reads them at one moment: of some people, or of all."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.embedded.registry_rows import BULK_COLUMNS, bulk_rows, read_terms, scan_rows
from contact_sanitizer.screening.bulkfold import Resolutions, Terms, fold_columns
from contact_sanitizer.screening.eventrows import columns_of
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects, subject_bytes

_KEYS_A_QUERY: Final = 1_000


@dataclass(frozen=True, repr=False)
class EventSource:
    """The registry's events up to `change`, folded for `rule` at `now`."""

    db: sqlite3.Connection
    rule: Rule
    now: int
    change: int

    @cached_property
    def terms(self) -> Mapping[int, Terms]:
        """What the events have in common, by number."""
        return read_terms(self.db)

    def fold(self, rows: Sequence[NDArray[np.void]]) -> Resolutions:
        """What the rule says of each subject of these events."""
        return fold_columns(columns_of(rows), self.terms, self.rule, self.now)

    def verdicts(self, needles: Needles, contract: int) -> NDArray[np.uint8]:
        """The `Drop` bits of the needles, in their order, from their own events: uint8 (n,)."""
        folded = self.fold(list(self.events_of(_distinct(needles), contract)))
        return folded.bits(folded.subjects.find(needles.hi, needles.lo), self.now)

    def events_of(self, keys: SortedSubjects, contract: int) -> Iterator[NDArray[np.void]]:
        """All events of some subjects."""
        raw = subject_bytes(keys.hi, keys.lo).tobytes()
        for start in range(0, len(keys), _KEYS_A_QUERY):
            stop = min(start + _KEYS_A_QUERY, len(keys))
            some = [raw[16 * row : 16 * row + 16] for row in range(start, stop)]
            marks = ", ".join("?" * len(some))
            cursor = self.db.execute(
                f"SELECT {BULK_COLUMNS} FROM event"  # noqa: S608 - constants and question marks only
                f" WHERE subject IN ({marks}) AND contract = ? AND change <= ?",
                (*some, contract, self.change),
            )
            yield from bulk_rows(cursor)

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

    def changes(self, after: int, most: int) -> list[tuple[int, int, bytes]]:
        """Change number, contract and subject of the first events after a change number, ascending."""
        statement = (
            "SELECT change, contract, subject FROM event WHERE change > ? AND change <= ?"
            " ORDER BY change LIMIT ?"
        )
        return self.db.execute(statement, (after, self.change, most)).fetchall()

    def anchor(self, change: int) -> str:
        """What tells this history up to `change` from another: after a restored backup it differs.

        Also where the same file was imported again, to the same change number, but other events were lost:
        events that are the same were recorded at another moment.
        """
        forgotten = self.db.execute("SELECT forgotten FROM epoch").fetchone()[0]
        asked = "SELECT hex(subject), identity, recorded_at FROM event WHERE change = ?"
        last = self.db.execute(asked, (change,))
        return hashlib.sha256(json.dumps([forgotten, change, last.fetchone()]).encode()).hexdigest()


def _distinct(needles: Needles) -> SortedSubjects:
    if not len(needles):
        return SortedSubjects.empty()
    new = np.ones(len(needles), np.bool_)
    new[1:] = (needles.hi[1:] != needles.hi[:-1]) | (needles.lo[1:] != needles.lo[:-1])
    return SortedSubjects(needles.hi[new], needles.lo[new])
