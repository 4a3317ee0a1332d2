"""The registry on a laptop: one SQLite file, append-only, and snapshots of it for large lists."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.embedded import registry_schema as schema
from contact_sanitizer.embedded.eventsource import EventSource
from contact_sanitizer.embedded.registry_asking import Answers
from contact_sanitizer.embedded.registry_forgetting import forget, remembered
from contact_sanitizer.embedded.registry_rows import (
    TermBook,
    insert,
    insert_alike,
    is_there,
    read_contracts,
    read_person,
)
from contact_sanitizer.embedded.registry_view import SqliteScreening
from contact_sanitizer.embedded.snapshots import SnapshotShelf
from contact_sanitizer.embedded.sqlitefile import reading, transaction
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.acts import judge, salt_of
from contact_sanitizer.screening.consent import ConsentEvent, check_moments, check_subject
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.forgetting import Leave, person_keys
from contact_sanitizer.screening.history import history_of
from contact_sanitizer.screening.recording import (
    Ahead,
    Candidates,
    Event,
    ImportMark,
    Outcome,
    PersonHistory,
    Recorded,
    RegistryStanding,
    Remembered,
    WaitingReply,
)
from contact_sanitizer.screening.rule import FOREVER, Rule
from contact_sanitizer.screening.subjectruns import Needles

_BULK_TRANSACTION = 500_000


class SqliteRegistry:
    """Implements `ports.Registry` on one SQLite file.

    Promises: what `record` returned for is on disk; a refusal recorded before a screening was opened counts
    in it; every fault is a `RegistryError`. Does not promise: use from several threads at once (open the
    file once a thread); detection of a changed byte that leaves the file a valid database.
    """

    def __init__(self, db: sqlite3.Connection, shelf: SnapshotShelf) -> None:
        self._db = db
        self._shelf = shelf
        self._answers = Answers(shelf)
        self._book = TermBook(db)

    @classmethod
    def open(
        cls,
        path: Path,
        snapshots: Path,
        *,
        create: bool = False,
        busy_timeout: float = schema.BUSY_TIMEOUT,
    ) -> SqliteRegistry:
        """The registry at `path`, with its snapshots in the private folder `snapshots`.

        `create` makes an absent one; without it an absent registry is `registry_unavailable`, for an empty
        registry forbids nothing. `busy_timeout` in seconds is how long it waits for another process.
        """
        return cls(schema.connect(path, create=create, busy_timeout=busy_timeout), SnapshotShelf(snapshots))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; every later call raises `RegistryError("registry_unavailable")`."""
        self._answers.clear()
        self._db.close()

    def screening(
        self,
        rule: Rule,
        now: int,
        change: int | None = None,
        snapshot: str = "",  # noqa: ARG002 - a home's view makes the one that it needs
    ) -> SqliteScreening:
        """A view for one job, pinned at a change number; see `ports.Registry.screening`."""
        with schema.faults():
            source, standing = self._source(rule, now, change)
            return SqliteScreening(source, self._shelf, standing)

    def ask(self, rule: Rule, now: int, candidates: Candidates) -> NDArray[np.uint8]:
        """What speaks against a few people right now; see `ports.AskedRegistry.ask`."""
        with schema.faults():
            schema.expect_few(self._db)
            with reading(self._db):
                source, _ = self._source(rule, now)
                return self._answers.ask(source, candidates, self._contracts())

    def record(self, events: Sequence[Event], mark: ImportMark | None = None) -> Recorded:
        """Records events and mark, all or nothing; see `ports.Registry.record`."""
        with self._writing():
            outcomes = tuple(self._record_one(event) for event in events)
            if mark:
                self._set_mark(mark)
        return Recorded(outcomes, self.standing().change)

    def history(self, subject: bytes, block: bytes | None = None, as_of: int | None = None) -> PersonHistory:
        """One person's history as known at `as_of`; see `ports.Registry.history`."""
        check_subject(subject)
        with schema.faults():
            return history_of(
                lambda contract, key: read_person(self._db, key, contract),
                self._contracts(),
                subject,
                block,
                as_of,
            )

    def imported_rows(self, import_id: str) -> int:
        """How many records of an import are dealt with; see `ports.Registry.imported_rows`."""
        with schema.faults():
            row = self._db.execute("SELECT done_rows FROM import WHERE id = ?", (import_id,)).fetchone()
        return int(row[0]) if row else 0

    def standing(self, ahead: Ahead | None = None) -> RegistryStanding:  # noqa: ARG002 - as above
        """The present change number and when each register was loaded."""
        with schema.faults():
            return self._standing()

    def remembered(self, subject: bytes, block: bytes) -> Remembered:
        """How much is held about one person; see `ports.Forgetter.remembered`."""
        check_subject(subject)
        with schema.faults():
            return remembered(self._db, person_keys(self._contracts(), subject, block))

    def forget(self, subject: bytes, block: bytes, leave: Leave) -> None:
        """Forgets one person but for bare refusals; see `ports.Forgetter.forget`. Snapshots go too."""
        check_subject(subject)
        with self._writing():
            forget(self._db, self._book, person_keys(self._contracts(), subject, block), leave)
        # Terms that nobody else uses went with the events.
        self._book.forget()
        self._answers.clear()
        self._shelf.clear()
        with schema.faults():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def keep_reply(self, subject: bytes, sealed: bytes, recorded_at: int) -> int:
        """The number under which a reply not understood, sealed by the caller, waits for a person."""
        check_subject(subject)
        check_moments(recorded_at)
        with self._writing():
            statement = "INSERT INTO reply (subject, sealed, recorded_at) VALUES (?, ?, ?)"
            return int(self._db.execute(statement, (subject, sealed, recorded_at)).lastrowid or 0)

    def waiting_replies(self, limit: int = 1000) -> list[WaitingReply]:
        """The oldest replies that nobody has settled."""
        statement = (
            "SELECT id, subject, sealed, recorded_at FROM reply WHERE settled_at IS NULL ORDER BY id LIMIT ?"
        )
        with schema.faults():
            return [WaitingReply(*row) for row in self._db.execute(statement, (limit,))]

    def settle_reply(self, number: int, settled_by: str, settled_at: int) -> bool:
        """Notes who dealt with a reply; false where it is settled already or unknown."""
        statement = "UPDATE reply SET settled_at = ?, settled_by = ? WHERE id = ? AND settled_at IS NULL"
        with self._writing():
            return self._db.execute(statement, (settled_at, settled_by, number)).rowcount == 1

    def record_bulk_consents(
        self,
        subjects: NDArray[np.uint8],
        sealed: Callable[[int, int], NDArray[np.uint8]],
        model: ConsentEvent,
    ) -> int:
        """Records one consent a subject (uint8 (n, 16)), alike but for subject and copy; the change number.

        For first loads of millions: in transactions of half a million, the index built last where the
        registry is empty. `sealed(start, stop)` gives the copies of a range of rows, uint8 (m, k). Running it
        again after an interruption completes it.
        """
        with schema.faults():
            empty = self._db.execute("SELECT 1 FROM event LIMIT 1").fetchone() is None
            if empty and _are_distinct(subjects):
                self._db.execute("DROP INDEX IF EXISTS event_of_subject")
        for start in range(0, len(subjects), _BULK_TRANSACTION):
            part = subjects[start : start + _BULK_TRANSACTION]
            with self._writing():
                insert_alike(self._db, self._book, model, part, sealed(start, start + len(part)))
        with self._writing():
            self._db.execute(schema.EVENT_INDEX)
        return self.standing().change

    def _record_one(self, event: Event) -> Outcome:
        if isinstance(event, ConsentEvent):
            return Outcome.RECORDED if insert(self._db, self._book, event) else Outcome.ALREADY_THERE
        acts = read_person(self._db, event.subject, event.contract)[1]
        known = is_there(self._db, event)
        outcome = judge(event, acts, known=known)
        if outcome is Outcome.RECORDED:
            if event.contract:
                self._db.execute("INSERT OR IGNORE INTO contract VALUES (?)", (event.contract,))
            insert(self._db, self._book, event, salt=salt_of(acts, known=known))
        return outcome

    def _set_mark(self, mark: ImportMark) -> None:
        self._db.execute(
            "INSERT INTO import VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " done_rows = max(done_rows, excluded.done_rows), finished_at = excluded.finished_at",
            (mark.import_id, mark.done_rows, mark.finished_at),
        )
        for scope in mark.scopes if mark.finished_at is not None else ():
            self._db.execute(
                "INSERT INTO register VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET"
                " loaded_at = max(loaded_at, excluded.loaded_at)",
                (scope, mark.finished_at),
            )

    def _source(
        self, rule: Rule, now: int, change: int | None = None
    ) -> tuple[EventSource, RegistryStanding]:
        """What a view reads that is pinned at a change number, and what it rests on."""
        if not 0 <= now < FOREVER:
            raise RegistryError("rule_refused", "A list is screened at a moment between 1970 and 2106.")
        standing = self._standing()
        rule.require_fresh(standing.loaded_at, now)
        if rule.recipient and not self._knows_scope(f"sender:{rule.recipient}"):
            # so that deliveries to anybody share the snapshot of the list's own rule
            rule = replace(rule, recipient=None)
        if change is not None:
            standing = replace(standing, change=min(change, standing.change))
        return EventSource(self._db, rule, now, standing.change), standing

    def _contracts(self) -> list[HashContract]:
        return read_contracts(self._db)

    def _knows_scope(self, scope: str) -> bool:
        return self._db.execute("SELECT 1 FROM term WHERE scope = ? LIMIT 1", (scope,)).fetchone() is not None

    def _standing(self) -> RegistryStanding:
        change = self._db.execute("SELECT ifnull(max(change), 0) FROM event").fetchone()[0]
        loaded_at = dict(self._db.execute("SELECT scope, loaded_at FROM register").fetchall())
        return RegistryStanding(int(change), None, loaded_at)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with schema.faults(), transaction(self._db):
                yield
        except BaseException:
            self._book.forget()
            raise


def _are_distinct(subjects: NDArray[np.uint8]) -> bool:
    needles = Needles.of(subjects)
    return not np.any((needles.hi[1:] == needles.hi[:-1]) & (needles.lo[1:] == needles.lo[:-1]))
