from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from contact_sanitizer.embedded.records import SqliteRecords
from contact_sanitizer.errors import CatalogueError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    SqliteRecords.create(tmp_path / "catalogue.sqlite")
    return tmp_path / "catalogue.sqlite"


@pytest.fixture
def records(path: Path) -> Iterator[SqliteRecords]:
    with closing(SqliteRecords(path, busy_timeout=0.05)) as opened:
        yield opened


def test_only_the_owner_may_read_the_catalogue(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_making_a_catalogue_twice_keeps_what_is_in_it(path: Path, records: SqliteRecords) -> None:
    records.put("sender", "gate", {"revoked": True}, after=0)
    SqliteRecords.create(path)
    assert records.get("sender", "gate") is not None


def test_a_catalogue_that_another_process_holds_is_busy_and_free_again_afterwards(
    path: Path, records: SqliteRecords
) -> None:
    assert records.get("list", "a") is None
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogueError, match="catalogue_busy"):
            records.put("list", "a", {}, after=0)
        with pytest.raises(CatalogueError, match="catalogue_busy"):
            records.spend("gate", 1, 10)
        other.execute("ROLLBACK")
    assert records.put("list", "a", {}, after=0)
    assert records.spend("gate", 10, 10)


def test_a_name_that_is_no_text_is_refused_without_a_word_of_it(records: SqliteRecords) -> None:
    with pytest.raises(CatalogueError, match="catalogue_unavailable") as raised:
        records.get("list", "\udc80secret")
    assert "secret" not in str(raised.value)
