"""Forgetting one person in the registry's tables, within a transaction of the caller's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from contact_sanitizer.embedded.registry_rows import TermBook, put_back, read_log
from contact_sanitizer.screening.consent import ConsentEvent
from contact_sanitizer.screening.forgetting import Leave, Logged, PersonKey, bare_refusals
from contact_sanitizer.screening.recording import Remembered


def remembered(db: sqlite3.Connection, keys: Sequence[PersonKey]) -> Remembered:
    """How much is held under a person's keys."""
    log = _log(db, keys)
    consents = sum(isinstance(event, ConsentEvent) for _, event in log)
    waiting = db.execute("SELECT count(*) FROM reply WHERE subject = ?", (keys[0][1],)).fetchone()[0]
    return Remembered(consents, len(log) - consents, int(waiting))


def forget(db: sqlite3.Connection, book: TermBook, keys: Sequence[PersonKey], leave: Leave) -> None:
    """Removes all that is held under a person's keys, and puts the bare refusals back."""
    (_, subject), *_ = keys
    kept = bare_refusals(subject, _log(db, keys), leave)
    used = {
        term
        for contract, key in keys
        for (term,) in db.execute(
            "SELECT DISTINCT term FROM event WHERE subject = ? AND contract = ?", (key, contract)
        )
    }
    for contract, key in keys:
        db.execute("DELETE FROM event WHERE subject = ? AND contract = ?", (key, contract))
    for change, event in kept:
        put_back(db, book, event, change)
    _drop_unused(db, used)
    db.execute("DELETE FROM reply WHERE subject = ?", (subject,))
    db.execute("UPDATE epoch SET forgotten = forgotten + 1")


def _log(db: sqlite3.Connection, keys: Sequence[PersonKey]) -> list[Logged]:
    log = [logged for contract, key in keys for logged in read_log(db, key, contract)]
    return sorted(log, key=lambda logged: logged[0])


def _drop_unused(db: sqlite3.Connection, terms: set[int]) -> None:
    """Drops what only this person's events said, such as where a consent came from.

    What is still used is found by one walk over the events: no index leads from a term to them.
    """
    marks = ", ".join("?" * len(terms))
    still = {
        term
        for (term,) in db.execute(f"SELECT DISTINCT term FROM event WHERE term IN ({marks})", tuple(terms))  # noqa: S608 - question marks only
    }
    db.executemany("DELETE FROM term WHERE id = ?", [(term,) for term in terms - still])
