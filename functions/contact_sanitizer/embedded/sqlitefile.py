"""What a home's SQLite files have in common: how they are opened, written to and made."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from contact_sanitizer.errors import ContactSanitizerError


def opened(
    path: Path, busy_timeout: float, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    """A connection to the file at `path`, prepared; closed again where that fails. Raises `sqlite3.Error`."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(uri, timeout=busy_timeout, isolation_level=None, uri=True)
    try:
        prepare(db)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """A write transaction: committed and on disk where the block ends well, otherwise without any effect."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def reading(db: sqlite3.Connection) -> Iterator[None]:
    """A read transaction: all that is read in the block is of one moment, after what was committed before."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("COMMIT")


def make_tables(
    db: sqlite3.Connection,
    statements: Sequence[str],
    application_id: int,
    version: int,
    foreign: ContactSanitizerError,
) -> None:
    """Fills an empty file, one of several processes; raises `foreign` where there are others' tables."""
    with transaction(db):
        if pragma(db, "user_version") == version:  # another process was faster
            return
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise foreign
        for statement in statements:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {application_id}")
        db.execute(f"PRAGMA user_version = {version}")


def pragma(db: sqlite3.Connection, name: str) -> int:
    """A setting of the file that is a number."""
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
