"""What every store of versioned records does, whatever it stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from cloudworld import CATALOGUE, cloud
from contact_sanitizer.aws.records import DynamoRecords
from contact_sanitizer.embedded.records import SqliteRecords
from contact_sanitizer.ports import Records
from memorycloud import MemoryCloud, memory_world

Opener = Callable[[], Records]
"""Opens the same store anew: another process's view of it."""


def _sqlite(folder: Path) -> Iterator[Opener]:
    path = folder / "catalogue.sqlite"
    SqliteRecords.create(path)
    opened: list[SqliteRecords] = []

    def opener() -> SqliteRecords:
        opened.append(SqliteRecords(path))
        return opened[-1]

    yield opener
    for records in opened:
        records.close()


def _dynamodb(_folder: Path) -> Iterator[Opener]:
    with cloud() as world:
        yield lambda: DynamoRecords(world.clients.dynamodb, CATALOGUE, "default")


def _memory(_folder: Path) -> Iterator[Opener]:
    world = memory_world(MemoryCloud())
    yield lambda: DynamoRecords(world.clients.dynamodb, CATALOGUE, "default")


STORES = {"sqlite": _sqlite, "dynamodb": _dynamodb, "dynamodb in memory": _memory}


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    yield from STORES[request.param](tmp_path)


@pytest.fixture
def records(opener: Opener) -> Records:
    return opener()


def test_what_was_put_is_there_for_everybody(records: Records, opener: Opener) -> None:
    document = {"text": "退订 'x' \udc80", "number": 2**53, "list": [1, None, True], "deep": {"a": {}}}
    assert records.put("list", "a", document, after=0)
    for store in (records, opener()):
        record = store.get("list", "a")
        assert record is not None
        assert (record.kind, record.name, record.version, record.document) == ("list", "a", 1, document)


def test_what_was_never_put_is_not_there(records: Records) -> None:
    records.put("list", "a", {}, after=0)
    assert records.get("sender", "a") is None
    assert records.get("list", "A") is None
    assert list(records.named("sender")) == []


def test_a_document_is_made_once(records: Records, opener: Opener) -> None:
    assert records.put("list", "a", {"by": 1}, after=0)
    assert not opener().put("list", "a", {"by": 2}, after=0)
    record = records.get("list", "a")
    assert record is not None
    assert record.document == {"by": 1}


def test_a_write_rests_on_the_version_that_was_read(records: Records, opener: Opener) -> None:
    records.put("list", "a", {"step": 1}, after=0)
    other = opener()
    assert other.put("list", "a", {"step": 2}, after=1)
    assert not records.put("list", "a", {"step": "late"}, after=1)
    assert not records.put("list", "a", {"step": "early"}, after=3)
    record = records.get("list", "a")
    assert record is not None
    assert (record.version, record.document) == (2, {"step": 2})


def test_nothing_is_replaced_that_is_not_there(records: Records) -> None:
    assert not records.put("list", "a", {}, after=1)
    assert records.get("list", "a") is None


def test_a_document_is_let_go_of_in_the_version_that_was_read(records: Records, opener: Opener) -> None:
    records.put("list", "a", {"step": 1}, after=0)
    records.put("list", "a", {"step": 2}, after=1)
    other = opener()
    assert not other.delete("list", "a", after=1)
    assert records.get("list", "a") is not None
    assert other.delete("list", "a", after=2)
    assert records.get("list", "a") is None
    assert not records.delete("list", "a", after=2)
    assert records.put("list", "a", {"step": 3}, after=0)


def test_names_come_in_order_and_by_prefix(records: Records) -> None:
    names = ["b", "a/1", "a/10", "a/2", "ab", "a", "京/1", "a%", "a_", "A/1"]
    for name in names:
        assert records.put("use", name, {"name": name}, after=0)
    records.put("other", "a/3", {}, after=0)
    assert [record.name for record in records.named("use")] == sorted(names)
    assert [record.name for record in records.named("use", "a/")] == ["a/1", "a/10", "a/2"]
    assert [record.name for record in records.named("use", "京")] == ["京/1"]
    assert [record.document["name"] for record in records.named("use", "a%")] == ["a%"]
    for prefix in ("", "a/", "京", "z"):
        for after in ("", "a", "a/1", "a/1x", "a/2", "b", "京/1", "~"):
            wanted = [name for name in sorted(names) if name.startswith(prefix) and name > after]
            assert [record.name for record in records.named("use", prefix, after)] == wanted


def test_more_names_than_a_page_holds_all_come(records: Records) -> None:
    names = [f"{number:04}" for number in range(1100)]
    for name in names:
        records.put("use", name, {}, after=0)
    assert [record.name for record in records.named("use")] == names


def test_names_may_be_written_while_they_are_read(records: Records) -> None:
    for name in ("a", "b", "c"):
        records.put("use", name, {}, after=0)
    seen = []
    for record in records.named("use"):
        records.put("use", record.name, {"seen": True}, after=record.version)
        seen.append(record.name)
    assert seen == ["a", "b", "c"]


def test_a_counter_never_passes_its_limit(records: Records) -> None:
    assert records.spend("gate/day/1", 7, 10)
    assert not records.spend("gate/day/1", 4, 10)
    assert records.spend("gate/day/1", 3, 10)
    assert not records.spend("gate/day/1", 1, 10)
    assert records.spend("gate/day/2", 10, 10)
    assert not records.spend("gate/day/3", 11, 10)
    assert records.spend("gate/day/3", 0, 0)


def test_writers_at_once_never_pass_a_limit_together(opener: Opener) -> None:
    def work(_worker: int) -> int:
        store = opener()
        with closing(store) if isinstance(store, SqliteRecords) else _nothing():
            return sum(store.spend("gate", 1 + turn % 3, 50) * (1 + turn % 3) for turn in range(12))

    with ThreadPoolExecutor(4) as pool:
        spent = sum(pool.map(work, range(4)))
    assert 48 <= spent <= 50
    assert not opener().spend("gate", 51 - spent, 50)


def test_of_writers_at_once_one_wins_each_version(opener: Opener) -> None:
    def work(worker: int) -> int:
        store, won = opener(), 0
        with closing(store) if isinstance(store, SqliteRecords) else _nothing():
            for version in range(10):
                won += store.put("list", "a", {"by": worker}, after=version)
        return won

    with ThreadPoolExecutor(4) as pool:
        wins = sum(pool.map(work, range(4)))
    record = opener().get("list", "a")
    assert record is not None
    assert record.version == wins


class _nothing:  # noqa: N801 - stands beside `closing`
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None
