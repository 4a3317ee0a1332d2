"""The registry's events in its table as a rule reads them at one moment: of some people, or of all."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.aws.histories import FoldRow, TermNumbers, damaged, fold_rows, unpack
from contact_sanitizer.aws.registry_items import (
    CHANGED_BYTES,
    Head,
    PersonKey,
    RegistryTable,
    changed_in,
    history_in,
    numbered_key,
    people_partition,
    person_of,
)
from contact_sanitizer.screening.bulkfold import Resolutions, fold_columns
from contact_sanitizer.screening.eventrows import BULK_ROW, columns_of
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects, halves, subject_bytes

#: A contract's people stand in so many partitions, ascending.
PARTITIONS: Final = 256
#: So many partitions are read ahead of the one that is folded.
_AHEAD: Final = 8
_FIELDS: Final = ("kind", "term", "effective_at", "expires_at", "recorded_at", "change")

Histories = Iterable[tuple[bytes, bytes]]
"""Subjects and their packed histories."""


@dataclass(frozen=True, repr=False)
class TableEvents:
    """The events up to `change` in a table whose head was read before, folded for `rule` at `now`.

    Implements `screening.snapshot.SnapshotSource`. Every fault is a `RegistryError`.
    """

    table: RegistryTable
    pool: Executor
    head: Head
    rule: Rule
    now: int
    change: int
    _numbers: TermNumbers = field(default_factory=TermNumbers)
    _anchors: dict[int, str] = field(default_factory=dict)

    def verdicts(self, needles: Needles, contract: int) -> NDArray[np.uint8]:
        """The `Drop` bits of the needles, in their order, from their own events: uint8 (n,)."""
        folded = self.of_people(_distinct_keys(needles, contract))
        return folded.bits(folded.subjects.find(needles.hi, needles.lo), self.now)

    def of_people(self, keys: Sequence[PersonKey]) -> Resolutions:
        """What the rule says of distinct people, read consistently; who is unknown is left out."""
        read = self.table.histories(keys, self.pool)
        return self._fold((subject, packed) for (_, subject), packed in read.items())

    def partition(self, contract: int, first: int) -> Resolutions:
        """What it says of all whose subjects begin with this byte, ascending."""
        return self._fold(self._read(contract, first))

    def partitions(self, contract: int, begin: int = 0) -> Iterator[Resolutions]:
        """The same of one partition after the other from `begin` on, some read ahead."""
        ahead: deque[Future[Histories]] = deque()
        try:
            for first in range(begin, PARTITIONS):
                ahead.append(self.pool.submit(self._read, contract, first))
                if len(ahead) > _AHEAD:
                    yield self._fold(ahead.popleft().result())
            while ahead:
                yield self._fold(ahead.popleft().result())
        finally:
            for future in ahead:
                future.cancel()

    def changed_since(self, change: int, most: int) -> set[PersonKey] | None:
        """Whose histories changed after a change number; None where they are more than `most` entries."""
        found: set[PersonKey] = set()
        for item in self.table.pages(f"{self.table.tenant}#change", f"{change:020}"):
            found.update(_people(changed_in(item)))
            if len(found) > most:
                return None
        return found

    @property
    def is_same_history(self) -> bool:
        """Whether nobody was forgotten since the head was read, nor is being forgotten now."""
        return self.table.head().forgotten == self.head.forgotten

    def anchor(self, change: int) -> str:
        """What tells this history up to the change number of a commit from another.

        Told by who was forgotten, and by the event itself: of a restored table with other events under the
        same numbers it differs.
        """
        if change not in self._anchors:
            self._anchors[change] = self._read_anchor(change)
        return self._anchors[change]

    def _read_anchor(self, change: int) -> str:
        item = self.table.item(numbered_key(self.table.tenant, "change", change, 20)) if change else None
        keys = list(_people(changed_in(item))) if item else []
        log = [
            entry
            for (contract, subject), packed in self.table.histories(keys, self.pool).items()
            for entry in unpack(subject, contract, packed)
            if entry.change == change
        ]
        last = [[entry.event.subject.hex(), entry.identity, entry.event.recorded_at] for entry in log]
        return hashlib.sha256(json.dumps([self.head.forgotten, change, last]).encode()).hexdigest()

    def _read(self, contract: int, first: int) -> Histories:
        pages = self.table.pages(people_partition(self.table.tenant, contract, first))
        return [(person_of(item)[1], history_in(item)) for item in pages]

    def _fold(self, histories: Histories) -> Resolutions:
        rows = [
            (subject, row)
            for subject, packed in histories
            for row in fold_rows(packed, self.change, self._numbers)
        ]
        try:
            return fold_columns(columns_of([_packed(rows)]), self._numbers.terms(), self.rule, self.now)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError):
            raise damaged() from None


def keys_of(subjects: SortedSubjects, contract: int) -> list[PersonKey]:
    """The keys of distinct subjects under a contract."""
    raw = subject_bytes(subjects.hi, subjects.lo).tobytes()
    return [(contract, raw[start : start + 16]) for start in range(0, len(raw), 16)]


def _distinct_keys(needles: Needles, contract: int) -> list[PersonKey]:
    raw = subject_bytes(needles.hi, needles.lo).tobytes()
    return list(dict.fromkeys((contract, raw[start : start + 16]) for start in range(0, len(raw), 16)))


def _people(who: bytes) -> Iterator[PersonKey]:
    for start in range(0, len(who), CHANGED_BYTES):
        yield who[start], who[start + 1 : start + CHANGED_BYTES]


def _packed(rows: Sequence[tuple[bytes, FoldRow]]) -> NDArray[np.void]:
    packed = np.empty(len(rows), BULK_ROW)
    if not rows:
        return packed
    subjects = np.frombuffer(b"".join(subject for subject, _ in rows), np.uint8).reshape(-1, 16)
    packed["hi"], packed["lo"] = halves(subjects)
    for name, column in zip(_FIELDS, zip(*(row for _, row in rows), strict=True), strict=True):
        packed[name] = column
    return packed
