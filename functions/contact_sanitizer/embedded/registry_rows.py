"""Events to rows of the registry's tables and back, one at a time or as columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.screening.bulkfold import Terms
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.eventrows import BULK_ROW
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.forgetting import Logged
from contact_sanitizer.screening.identity import TermKey, contract_of, identity_of, kind_of, term_key
from contact_sanitizer.screening.recording import Event
from contact_sanitizer.screening.subjectruns import halves
from contact_sanitizer.screening.suppression import SuppressionAct, SuppressionEvent, SuppressionReason

BULK_COLUMNS: Final = (
    "subject, kind, term, ifnull(effective_at, -1), ifnull(expires_at, -1), recorded_at, change"
)
_FETCH: Final = 20_000
_SCAN: Final = 20_000
_NUMBERS: Final = ("kind", "term", "effective_at", "expires_at", "recorded_at", "change")
_JOINED: Final = (
    "SELECT group_concat(hex(subject), ''), group_concat(kind), group_concat(term),"
    " group_concat(ifnull(effective_at, -1)), group_concat(ifnull(expires_at, -1)),"
    " group_concat(recorded_at), group_concat(change) FROM event"
    " WHERE change > ? AND change <= ? AND contract = ?"
)
_TERM: Final = "purpose, channel, sender, scope, reason, why, source, wording, wording_sha256, actor"
_INSERT: Final = (
    "INSERT OR IGNORE INTO event (subject, contract, identity, kind, term, effective_at, expires_at,"
    " recorded_at, reference, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PUT_BACK: Final = (
    "INSERT INTO event (change, subject, contract, identity, kind, term, effective_at, expires_at,"
    " recorded_at, reference, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_ALIKE: Final = (
    "WITH RECURSIVE counted (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < ?3)"
    " INSERT OR IGNORE INTO event (subject, contract, identity, kind, term, effective_at, expires_at,"
    " recorded_at, reference, sealed) SELECT substr(?1, 16 * n + 1, 16), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
    " substr(?2, ?4 * n + 1, ?4) FROM counted"
)
_SELECT: Final = (
    f"SELECT subject, contract, kind, effective_at, expires_at, recorded_at, reference, sealed, {_TERM}"  # noqa: S608 - constants only
    ", change FROM event JOIN term ON term.id = event.term"
    " WHERE subject = ? AND contract = ? ORDER BY change"
)

Row = tuple[object, ...]


class TermBook:
    """The numbers of terms, made as they are needed; to be dropped where a transaction fails."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._numbers: dict[TermKey, int] = {}

    def number(self, key: TermKey) -> int:
        """The number of a term, new where it is new."""
        if (known := self._numbers.get(key)) is None:
            marks = ", ".join("?" * len(key))
            self._db.execute(f"INSERT OR IGNORE INTO term ({_TERM}) VALUES ({marks})", key)  # noqa: S608 - constants only
            where = " AND ".join(f"{column} = ?" for column in _TERM.split(", "))
            found = self._db.execute(f"SELECT id FROM term WHERE {where}", key).fetchone()  # noqa: S608 - constants only
            known = self._numbers[key] = int(found[0])
        return known

    def forget(self) -> None:
        """Drops what it knows, for it may have been rolled back."""
        self._numbers.clear()


def insert(db: sqlite3.Connection, book: TermBook, event: Event, salt: int = 0) -> bool:
    """Records one event; false where the same one is there already."""
    row = _row(event, book.number(term_key(event)), identity_of(event, salt))
    return db.execute(_INSERT, row).rowcount == 1


def insert_alike(
    db: sqlite3.Connection,
    book: TermBook,
    model: Event,
    subjects: NDArray[np.uint8],
    sealed: NDArray[np.uint8],
) -> None:
    """Records the model for each subject (n, 16) with its sealed copy (n, k), unless it is there already.

    SQLite cuts the values out of two blobs by itself: several times faster than binding them row by row.
    """
    _, *common = _row(model, book.number(term_key(model)), identity_of(model))
    blobs = (np.ascontiguousarray(subjects).tobytes(), np.ascontiguousarray(sealed).tobytes())
    db.execute(_INSERT_ALIKE, (*blobs, len(subjects), sealed.shape[1], *common[:-1]))


def is_there(db: sqlite3.Connection, event: Event) -> bool:
    """Whether the same event is recorded, whatever was recorded after it."""
    key = (event.subject, contract_of(event), identity_of(event))
    found = db.execute("SELECT 1 FROM event WHERE subject = ? AND contract = ? AND identity = ?", key)
    return found.fetchone() is not None


def read_person(
    db: sqlite3.Connection, key: bytes, contract: int
) -> tuple[list[ConsentEvent], list[SuppressionEvent]]:
    """All events of one key in the order of recording."""
    consents: list[ConsentEvent] = []
    acts: list[SuppressionEvent] = []
    for _, event in read_log(db, key, contract):
        if isinstance(event, ConsentEvent):
            consents.append(event)
        else:
            acts.append(event)
    return consents, acts


def read_log(db: sqlite3.Connection, key: bytes, contract: int) -> Iterator[Logged]:
    """All events of one key with their change numbers, in the order of recording."""
    for *row, change in db.execute(_SELECT, (key, contract)):
        yield change, _consent(row) if row[2] in {*ConsentStatus} else _act(row)


def put_back(db: sqlite3.Connection, book: TermBook, event: Event, change: int) -> None:
    """Records one event under a change number that was given out before; 0: under a new one."""
    row = _row(event, book.number(term_key(event)), identity_of(event))
    db.execute(_PUT_BACK, (change or None, *row))


def read_terms(db: sqlite3.Connection) -> dict[int, Terms]:
    """All terms by their number, as far as a fold looks at them."""
    found = db.execute("SELECT id, purpose, channel, sender, scope, reason, actor FROM term")
    return {row[0]: Terms(*row[1:]) for row in found}


def read_contracts(db: sqlite3.Connection) -> list[HashContract]:
    """The contracts of the foreign hashed lists in the registry."""
    return [HashContract.coded(row[0]) for row in db.execute("SELECT code FROM contract ORDER BY code")]


def bulk_rows(cursor: sqlite3.Cursor) -> Iterator[NDArray[np.void]]:
    """What a cursor over `BULK_COLUMNS` yields, as arrays of `BULK_ROW`."""
    while rows := cursor.fetchmany(_FETCH):
        subjects, *numbers = zip(*rows, strict=True)
        packed = np.empty(len(rows), BULK_ROW)
        packed["hi"], packed["lo"] = halves(np.frombuffer(b"".join(subjects), np.uint8).reshape(-1, 16))
        for name, column in zip(_NUMBERS, numbers, strict=True):
            packed[name] = column
        yield packed


def scan_rows(db: sqlite3.Connection, contract: int, last: int) -> Iterator[NDArray[np.void]]:
    """All events up to change number `last`, in the order of recording, as arrays of `BULK_ROW`.

    SQLite joins the values of many rows to a few texts, which costs less than half of fetching them.
    """
    for start in range(0, last, _SCAN):
        subjects, *texts = db.execute(_JOINED, (start, min(start + _SCAN, last), contract)).fetchone()
        if subjects is not None:
            keys = np.frombuffer(bytes.fromhex(subjects), np.uint8).reshape(-1, 16)
            packed = np.empty(len(keys), BULK_ROW)
            packed["hi"], packed["lo"] = halves(keys)
            for name, text in zip(_NUMBERS, texts, strict=True):
                packed[name] = np.fromstring(text, np.int64, sep=",")
            yield packed


def _row(event: Event, term: int, identity: int) -> Row:
    effective_at = event.effective_at if isinstance(event, ConsentEvent) else None
    times = (effective_at, event.expires_at, event.recorded_at)
    head = (event.subject, contract_of(event), identity, kind_of(event), term)
    return (*head, *times, event.reference or None, event.sealed or None)


def _consent(row: Sequence[Any]) -> ConsentEvent:
    subject, _, kind, effective_at, expires_at, recorded_at, reference, sealed, *term = row
    purpose, channel, sender, _, _, _, source, wording, wording_sha256, actor = term
    return ConsentEvent(
        subject=subject,
        status=ConsentStatus(kind),
        recorded_at=recorded_at,
        purpose=purpose,
        channel=channel,
        sender=sender,
        effective_at=effective_at,
        expires_at=expires_at,
        source=source,
        reference=reference or "",
        wording=wording,
        wording_sha256=wording_sha256,
        recorded_by=actor,
        sealed=sealed or b"",
    )


def _act(row: Sequence[Any]) -> SuppressionEvent:
    subject, contract, kind, _, expires_at, recorded_at, reference, sealed, *term = row
    _, _, _, scope, reason, why, source, _, _, actor = term
    return SuppressionEvent(
        subject=subject,
        act=SuppressionAct(kind),
        scope=scope,
        reason=SuppressionReason(reason),
        recorded_at=recorded_at,
        recorded_by=actor,
        source=source,
        reference=reference or "",
        why=why,
        expires_at=expires_at,
        sealed=sealed or b"",
        contract=contract,
    )
