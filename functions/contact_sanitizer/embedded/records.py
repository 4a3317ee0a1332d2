"""A tenant's small documents in one SQLite file: which lists were made, who may fetch, what was delivered.

Every write says on which version it rests, so that two processes never overwrite each other unseen. What
`put` and `spend` returned for is on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from contact_sanitizer.embedded.sqlitefile import make_tables, opened, pragma, transaction
from contact_sanitizer.errors import CatalogueError
from contact_sanitizer.ports import Record

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x43744341  # "CtCA"
BUSY_TIMEOUT: Final = 5.0
_PRIMARY_CODE: Final = 0xFF
_PAGE: Final = 500

_TABLES: Final = (
    """CREATE TABLE record (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        version INTEGER NOT NULL CHECK (version > 0),
        document TEXT NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE counter (name TEXT PRIMARY KEY, spent INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)

_WORDS: Final = {
    sqlite3.SQLITE_BUSY: ("catalogue_busy", "another process holds the catalogue"),
    sqlite3.SQLITE_LOCKED: ("catalogue_busy", "another process holds the catalogue"),
    sqlite3.SQLITE_CORRUPT: ("catalogue_damaged", "the catalogue's file is damaged"),
    sqlite3.SQLITE_NOTADB: ("catalogue_damaged", "the catalogue's file is no catalogue"),
    sqlite3.SQLITE_ERROR: ("catalogue_damaged", "the catalogue's file lacks what it should hold"),
    sqlite3.SQLITE_READONLY: ("catalogue_unwritable", "the catalogue's file cannot be written"),
    sqlite3.SQLITE_FULL: ("catalogue_unwritable", "no space is left for the catalogue"),
    sqlite3.SQLITE_IOERR: ("catalogue_unwritable", "the catalogue's file cannot be read or written"),
}


class SqliteRecords:
    """Implements `ports.Records` on one SQLite file, opened when it is first used.

    Does not promise: use from several threads at once (open the file once a thread).
    """

    def __init__(self, path: Path, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self._path = path
        self._busy_timeout = busy_timeout

    @classmethod
    def create(cls, path: Path) -> None:
        """Make the file; one that is there already is left as it is."""
        try:
            path.touch(mode=0o600)
        except OSError:
            raise CatalogueError("catalogue_unavailable", "the catalogue cannot be made here") from None
        with _faults():
            opened(path, BUSY_TIMEOUT, partial(_prepare, create=True)).close()

    def get(self, kind: str, name: str) -> Record | None:
        """The document as it is now, or None."""
        query = "SELECT name, version, document FROM record WHERE kind = ? AND name = ?"
        with _faults():
            row = self._db.execute(query, (kind, name)).fetchone()
        return None if row is None else _record(kind, *row)

    def put(self, kind: str, name: str, document: Mapping[str, Any], *, after: int) -> bool:
        """Keep it as version `after + 1` where `after` is the present one; see `ports.Records.put`."""
        # ASCII: a place on disk need not be text, and its stray bytes have no UTF-8.
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        with _faults(), transaction(self._db):
            if after:
                change = "UPDATE record SET version = version + 1, document = ?"
                where = " WHERE kind = ? AND name = ? AND version = ?"
                return self._db.execute(change + where, (text, kind, name, after)).rowcount == 1
            insert = "INSERT INTO record VALUES (?, ?, 1, ?) ON CONFLICT DO NOTHING"
            return self._db.execute(insert, (kind, name, text)).rowcount == 1

    def delete(self, kind: str, name: str, *, after: int) -> bool:
        """Let go of the document where `after` is its present version; see `ports.Records.delete`."""
        with _faults(), transaction(self._db):
            gone = "DELETE FROM record WHERE kind = ? AND name = ? AND version = ?"
            return self._db.execute(gone, (kind, name, after)).rowcount == 1

    def named(self, kind: str, prefix: str = "", after: str = "") -> Iterator[Record]:
        """A kind's documents whose names begin with `prefix` and come after `after`, ascending by name."""
        query = (
            "SELECT name, version, document FROM record"
            " WHERE kind = ? AND name >= ? AND name > ? AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?"
        )
        last = after
        while True:
            with _faults():
                asked = (kind, prefix, last, len(prefix), prefix, _PAGE)
                rows = self._db.execute(query, asked).fetchall()
            for row in rows:
                yield _record(kind, *row)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def spend(self, name: str, amount: int, limit: int) -> bool:
        """Add to a counter unless that would take it over `limit`; see `ports.Records.spend`."""
        with _faults(), transaction(self._db):
            self._db.execute("INSERT INTO counter VALUES (?, 0) ON CONFLICT DO NOTHING", (name,))
            change = "UPDATE counter SET spent = spent + ? WHERE name = ? AND spent <= ?"
            return self._db.execute(change, (amount, name, limit - amount)).rowcount == 1

    def close(self) -> None:
        """Let go of the file, where it was opened."""
        if "_db" in self.__dict__:
            self._db.close()
            del self.__dict__["_db"]

    @cached_property
    def _db(self) -> sqlite3.Connection:
        if not self._path.is_file():
            raise CatalogueError("catalogue_unavailable", "there is no catalogue here")
        return opened(self._path, self._busy_timeout, partial(_prepare, create=False))


def _record(kind: str, name: str, version: int, text: str) -> Record:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CatalogueError("catalogue_damaged", f"the catalogue's entry of a {kind} is damaged")
    return Record(kind, name, version, document)


@contextmanager
def _faults() -> Iterator[None]:
    """Turns every fault of SQLite into a `CatalogueError`; SQLite's own text stays here: it may quote."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        unknown = ("catalogue_unavailable", "the catalogue cannot be used")
        raise CatalogueError(*_WORDS.get((code or 0) & _PRIMARY_CODE, unknown)) from None
    except (UnicodeEncodeError, OverflowError):
        raise CatalogueError("catalogue_unavailable", "the catalogue cannot keep such a name") from None


def _prepare(db: sqlite3.Connection, *, create: bool) -> None:
    version = pragma(db, "user_version")
    if not version and not create:
        # An emptied file must not pass for a new catalogue: that would forget who was revoked.
        raise CatalogueError("catalogue_damaged", "the catalogue's file is empty")
    if version > SCHEMA_VERSION:
        raise CatalogueError("catalogue_newer", "the catalogue was written by a newer version")
    if version and pragma(db, "application_id") != APPLICATION_ID:
        raise CatalogueError("catalogue_damaged", "the catalogue's file is another program's")
    for setting in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        db.execute(f"PRAGMA {setting}")
    if not version:
        foreign = CatalogueError("catalogue_damaged", "the catalogue's file is another program's")
        make_tables(db, _TABLES, APPLICATION_ID, SCHEMA_VERSION, foreign)
