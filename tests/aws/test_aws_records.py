"""Versioned documents in DynamoDB; what every `Records` promises is in the contract suite."""

from __future__ import annotations

import pytest

from cloudworld import CATALOGUE, CloudWorld, Faulty
from contact_sanitizer.aws.records import DynamoRecords
from contact_sanitizer.errors import CatalogueError


@pytest.fixture
def records(world: CloudWorld) -> DynamoRecords:
    return DynamoRecords(world.clients.dynamodb, CATALOGUE, "default")


def test_of_two_writers_on_one_version_one_wins(records: DynamoRecords) -> None:
    assert records.put("list", "a", {"state": "making"}, after=0)
    assert not records.put("list", "a", {"state": "other"}, after=0)
    assert records.put("list", "a", {"state": "made"}, after=1)
    assert not records.put("list", "a", {"state": "failed"}, after=1)
    assert not records.put("list", "b", {"state": "made"}, after=1)
    found = records.get("list", "a")
    assert found is not None
    assert (found.version, found.document) == (2, {"state": "made"})


def test_a_document_comes_back_as_it_was_put(records: DynamoRecords) -> None:
    document = {"n": 1, "x": 0.1, "none": None, "empty": "", "deep": [{"a": [True, 2**53]}], "汉": "字\udcff"}
    records.put("list", "a", document, after=0)
    found = records.get("list", "a")
    assert found is not None
    assert found.document == document


def test_documents_come_by_name_over_many_pages(records: DynamoRecords) -> None:
    names = [f"n{number:02}" for number in range(30)]
    for name in reversed(names):
        records.put("list", name, {"text": "x" * 100_000}, after=0)
    records.put("lists", "n00", {}, after=0)
    assert [record.name for record in records.named("list")] == names
    assert [record.name for record in records.named("list", "n1")] == names[10:20]


def test_tenants_do_not_see_each_others_documents(records: DynamoRecords, world: CloudWorld) -> None:
    records.put("list", "a", {}, after=0)
    other = DynamoRecords(world.clients.dynamodb, CATALOGUE, "other")
    assert other.get("list", "a") is None
    assert list(other.named("list")) == []
    assert records.spend("quota", 5, 5)
    assert other.spend("quota", 5, 5)


def test_a_counter_never_passes_its_limit(records: DynamoRecords) -> None:
    assert not records.spend("quota", 8, 7)
    assert [records.spend("quota", 3, 7) for _ in range(3)] == [True, True, False]
    assert records.spend("quota", 1, 7)
    assert not records.spend("quota", 1, 7)


def test_a_writer_whose_answer_was_lost_is_told_that_it_wrote(
    records: DynamoRecords, world: CloudWorld
) -> None:
    Faulty(world.clients, lambda _, sent: "after timeout" if sent == 0 else "")
    assert records.put("list", "a", {"n": 1}, after=0)
    found = records.get("list", "a")
    assert found is not None
    assert found.version == 1


def test_an_amount_whose_answer_was_lost_counts_at_least_once(
    records: DynamoRecords, world: CloudWorld
) -> None:
    Faulty(world.clients, lambda _, sent: "after timeout" if sent == 0 else "")
    records.spend("quota", 4, 4)
    assert not records.spend("quota", 1, 4)


@pytest.mark.parametrize("kind", ["timeout", "500", "throttle", "denied"])
def test_a_lasting_fault_is_ours_and_quotes_nothing(
    records: DynamoRecords, world: CloudWorld, kind: str
) -> None:
    Faulty(world.clients, lambda _, __: f"before {kind}")
    for call in (
        lambda: records.put("list", "a", {}, after=0),
        lambda: records.get("list", "a"),
        lambda: list(records.named("list")),
        lambda: records.spend("quota", 1, 5),
    ):
        with pytest.raises(CatalogueError) as caught:
            call()
        assert caught.value.code == "catalogue_unavailable"
        assert "13812345678" not in str(caught.value)
        assert caught.value.__suppress_context__


@pytest.mark.parametrize("text", ["", "[1]", "{", "null", '"13812345678"'])
def test_what_nobody_wrote_is_damage(records: DynamoRecords, world: CloudWorld, text: str) -> None:
    item = {"pk": {"S": "default#list"}, "sk": {"S": "a"}, "version": {"N": "1"}, "document": {"S": text}}
    world.clients.dynamodb.put_item(TableName=CATALOGUE, Item=item)
    with pytest.raises(CatalogueError) as caught:
        records.get("list", "a")
    assert caught.value.code == "catalogue_damaged"
    assert "13812345678" not in str(caught.value)
