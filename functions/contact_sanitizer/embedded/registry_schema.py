"""The registry's SQLite file: its tables, how it is opened, and what its faults are called.

One table holds every event, so that one change number counts them all and one query tells all about a
person. Rows are never updated. What many events have in common stands once, in `term`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from contact_sanitizer.embedded.sqlitefile import make_tables, opened, pragma
from contact_sanitizer.errors import RegistryError

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x43745352  # "CtSR"
BUSY_TIMEOUT: Final = 5.0

EVENT_INDEX: Final = (
    "CREATE UNIQUE INDEX IF NOT EXISTS event_of_subject ON event (subject, contract, identity)"
)

_TABLES: Final = (
    """CREATE TABLE event (
        change INTEGER PRIMARY KEY AUTOINCREMENT,
        subject BLOB NOT NULL CHECK (length(subject) = 16),
        contract INTEGER NOT NULL,
        identity INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        term INTEGER NOT NULL REFERENCES term (id),
        effective_at INTEGER,
        expires_at INTEGER,
        recorded_at INTEGER NOT NULL,
        reference TEXT,
        sealed BLOB
    ) STRICT""",
    """CREATE TABLE term (
        id INTEGER PRIMARY KEY,
        purpose TEXT NOT NULL, channel TEXT NOT NULL, sender TEXT NOT NULL,
        scope TEXT NOT NULL, reason TEXT NOT NULL, why TEXT NOT NULL,
        source TEXT NOT NULL, wording TEXT NOT NULL, wording_sha256 TEXT NOT NULL, actor TEXT NOT NULL,
        UNIQUE (purpose, channel, sender, scope, reason, why, source, wording, wording_sha256, actor)
    ) STRICT""",
    "CREATE TABLE import (id TEXT PRIMARY KEY, done_rows INTEGER NOT NULL, finished_at INTEGER) STRICT",
    "CREATE TABLE register (scope TEXT PRIMARY KEY, loaded_at INTEGER NOT NULL) STRICT",
    """CREATE TABLE reply (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        subject BLOB NOT NULL,
        sealed BLOB NOT NULL,
        recorded_at INTEGER NOT NULL,
        settled_at INTEGER,
        settled_by TEXT
    ) STRICT""",
    "CREATE TABLE contract (code INTEGER PRIMARY KEY) STRICT",
    # counts what no change number shows: that something was forgotten
    "CREATE TABLE epoch (forgotten INTEGER NOT NULL) STRICT",
    "INSERT INTO epoch VALUES (0)",
    EVENT_INDEX,
)

_WORDS: Final = {
    sqlite3.SQLITE_BUSY: ("registry_locked", "Another process holds the registry."),
    sqlite3.SQLITE_LOCKED: ("registry_locked", "Another process holds the registry."),
    sqlite3.SQLITE_CORRUPT: ("registry_damaged", "The registry's file is damaged."),
    sqlite3.SQLITE_NOTADB: ("registry_damaged", "The registry's file is no registry."),
    sqlite3.SQLITE_ERROR: ("registry_damaged", "The registry's file lacks what it should hold."),
    sqlite3.SQLITE_READONLY: ("registry_unwritable", "The registry's file cannot be written."),
    sqlite3.SQLITE_FULL: ("registry_unwritable", "No space is left for the registry."),
    sqlite3.SQLITE_IOERR: ("registry_unwritable", "The registry's file cannot be read or written."),
}
_PRIMARY_CODE: Final = 0xFF
_MAPPED_BYTES: Final = 1 << 31


@contextmanager
def faults() -> Iterator[None]:
    """Turns every fault of SQLite into a `RegistryError`; SQLite's own text stays here: it may quote."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        unknown = ("registry_unavailable", "The registry cannot be used.")
        raise RegistryError(*_WORDS.get((code or 0) & _PRIMARY_CODE, unknown)) from None
    except UnicodeEncodeError:
        raise RegistryError("event_refused", "An event holds text that cannot be stored.") from None
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        # rows that no version wrote; what they said might be a refusal
        raise RegistryError("registry_damaged", "The registry holds what cannot be understood.") from None


def connect(path: Path, *, create: bool, busy_timeout: float = BUSY_TIMEOUT) -> sqlite3.Connection:
    """A connection to the registry at `path`; with `create` an absent one is made.

    Raises `RegistryError`: `registry_unavailable` where there is none, `registry_newer`, `registry_damaged`,
    `registry_locked`, `registry_unwritable`.
    """
    if not create and not path.is_file():
        raise RegistryError("registry_unavailable", "There is no registry here.")
    if create:
        _make_private(path)
    with faults():
        return opened(path, busy_timeout, partial(_prepare, create=create))


def expect_few(db: sqlite3.Connection) -> None:
    """Makes looking up some thousand people fast: half of its cost is copying pages and checking their cells.

    A page that was looked at counts as this process's memory, so that whole scans call `expect_many` first.
    """
    db.execute("PRAGMA cell_size_check = OFF")
    db.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")


def expect_many(db: sqlite3.Connection) -> None:
    """Takes `expect_few` back: pages are copied into a small cache, each checked as it comes."""
    db.execute("PRAGMA mmap_size = 0")
    db.execute("PRAGMA cell_size_check = ON")


def _make_private(path: Path) -> None:
    try:
        path.touch(mode=0o600)
    except OSError:
        raise RegistryError("registry_unavailable", "The registry cannot be made here.") from None


def _prepare(db: sqlite3.Connection, *, create: bool) -> None:
    version = pragma(db, "user_version")
    if not version and not create:
        # An emptied file must not pass for a new registry: that would forbid nothing.
        raise RegistryError("registry_damaged", "The registry's file is empty.")
    if version > SCHEMA_VERSION:
        raise RegistryError("registry_newer", "The registry was written by a newer version.")
    if version not in {0, SCHEMA_VERSION} or (version and pragma(db, "application_id") != APPLICATION_ID):
        raise RegistryError("registry_damaged", "The registry's file is no registry.")
    for setting in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "cell_size_check = ON"):
        db.execute(f"PRAGMA {setting}")
    db.execute("PRAGMA cache_size = -16000")
    if not version:
        foreign = RegistryError("registry_damaged", "The registry's file is another program's.")
        make_tables(db, _TABLES, APPLICATION_ID, SCHEMA_VERSION, foreign)
    # an interrupted bulk load leaves the index out
    db.execute(EVENT_INDEX)
