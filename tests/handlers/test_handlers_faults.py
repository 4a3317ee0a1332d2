"""Struck at any call, wherever a worker is: one list, the same bytes, one event."""

from __future__ import annotations

import json
import os
import random
from functools import partial
from typing import Any

import pytest

from cloudworld import REGISTRY
from contact_sanitizer.aws import snapshots
from contact_sanitizer.aws.histories import unpack
from contact_sanitizer.aws.snapshotmaking import Maker
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.import_registry import handler as import_registry
from contact_sanitizer.handlers.queue import function_of
from contact_sanitizer.handlers.sanitize import DOOR
from contact_sanitizer.intake import formats
from contact_sanitizer.screening.suppression import SuppressionReason
from contact_sanitizer.uploading import UploadState
from faultdesk import KEY, REDELIVERIES, ROWS, FaultDesk, arrival_of
from functiondesk import FunctionDesk
from memorycloud import MemoryCloud
from struckcalls import KINDS, MOMENTS, Strike

FULL = bool(os.environ.get("CONTACT_SANITIZER_CLOUD_FAULTS"))
SLICES = 8 if FULL else 1
SAMPLE = 12


def converge(
    faults: FaultDesk, message: dict[str, Any], strike: Strike | None, kept: int = 2
) -> dict[str, bytes]:
    """Deliver until it is consumed, looking at each step as a reader does; the list's files."""
    list_id = arrival_of(message).list_id
    for turn in range(REDELIVERIES + 1):
        consumed = faults.attempt(message, None if turn else strike)
        files = faults.readable(list_id)
        if consumed:
            break
    assert consumed, strike
    check_end(faults, message, kept, strike)
    assert files is not None
    return files


def check_end(faults: FaultDesk, message: dict[str, Any], kept: int, about: object) -> None:
    arrival = arrival_of(message)
    upload, entry = faults.upload(arrival.upload_id), faults.entry(arrival.list_id)
    assert upload is not None, about
    assert (upload.state.value, upload.code) == ("made", ""), about
    assert entry is not None, about
    assert (entry.state, entry.rows, entry.kept) == ("made", 5, kept), about
    assert faults.desk.versions(arrival.key) == 0, about
    assert faults.parts() == 0, about


def strikes(calls: int) -> list[Strike]:
    return [Strike(at, moment, kind) for at in range(calls) for moment in MOMENTS for kind in KINDS]


@pytest.mark.parametrize("part", range(SLICES))
def test_struck_at_any_call_a_list_is_made_once_whole_and_with_the_same_bytes(
    faults: FaultDesk, part: int
) -> None:
    sent = faults.trace(faults.desk.put(KEY, ROWS))
    reference = converge(faults, faults.desk.put(KEY, ROWS), None)
    todo = strikes(len(sent))
    if not FULL:
        todo = random.Random(11).sample(todo, SAMPLE)  # noqa: S311 - a sample
    failed: list[tuple[Strike, str, str]] = []
    for strike in todo[part::SLICES]:
        faults.forget_audit()
        try:
            assert converge(faults, faults.desk.put(KEY, ROWS), strike) == reference
        except AssertionError as error:
            failed.append((strike, sent[strike.at], str(error)[:200]))
    assert failed == []


def test_struck_at_any_call_a_list_that_rests_on_a_snapshot_is_made_with_the_bytes_of_one_without(
    quick: FaultDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contact_sanitizer.aws.registry.LARGE_FILE", 0)
    reference = converge(quick, quick.desk.put(KEY, ROWS), None)
    assert Maker(quick.desk.world).refresh(stage.CIRCUMSTANCES.clock() // 1000, lambda: 900_000).built == 1
    people = quick.desk.workspace.desk("CN")
    people.block(people.person("13712345678"), "tenant", SuppressionReason.OPTED_OUT)
    message = quick.desk.put(KEY, ROWS)
    sent = quick.trace(message)
    entry = quick.entry(arrival_of(message).list_id)
    assert entry is not None
    assert entry.snapshot
    todo = strikes(len(sent))
    for strike in todo if FULL else random.Random(13).sample(todo, 40):  # noqa: S311 - a sample
        snapshots._here.cache_clear()  # a fresh process has no copy of it
        quick.forget_audit()
        assert converge(quick, quick.desk.put(KEY, ROWS), strike) == reference, (strike, sent[strike.at])


def test_a_worker_that_another_overtakes_at_any_call_ends_as_well_and_tells_of_no_fault(
    quick: FaultDesk,
) -> None:
    faults = quick
    reference_message = faults.desk.put(KEY, ROWS)
    sent = faults.trace(reference_message)
    reference = faults.readable(arrival_of(reference_message).list_id)
    failed: list[tuple[int, str, str]] = []
    for at in range(len(sent)):
        faults.forget_audit()
        message = faults.desk.put(KEY, ROWS)
        overtaken: list[str] = []
        faults.calls.begin()
        faults.calls.overtake(at, partial(_take_too, faults, message, overtaken))
        try:
            assert faults.desk.deliver(function_of(DOOR), message) == overtaken == []
            assert faults.readable(arrival_of(message).list_id) == reference
            check_end(faults, message, 2, at)
            assert faults.desk.said("list.failed") + faults.desk.said("upload.denied") == []
        except AssertionError as error:
            failed.append((at, sent[at], str(error)[:200]))
    assert failed == []


def _take_too(faults: FaultDesk, message: dict[str, Any], comes_back: list[str]) -> None:
    comes_back += faults.desk.deliver(function_of(DOOR), message)


def test_struck_while_a_new_stacks_tenant_is_made_its_first_upload_becomes_a_list(
    faults: FaultDesk, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    first_calls = 16
    todo = strikes(first_calls)
    # Each of them makes keys, which takes moto long: there some, in memory all of them.
    if not FULL or "stubbed" in request.node.callspec.id:
        todo = random.Random(12).sample(todo, 40 if FULL else 3)  # noqa: S311 - a sample
    for number, strike in enumerate(todo):
        monkeypatch.setenv("CS_DEFAULT_TENANT", f"t{number}")
        stage.settings.cache_clear()
        faults.forget_audit()
        new = FunctionDesk(faults.desk.cloud, stage.settings(), tenant=f"t{number}")
        struck_desk = FaultDesk(new, faults.calls, faults.fate)
        key = f"uploads/t{number}/list.csv"
        made = converge(struck_desk, new.put(key, ROWS), strike, kept=0)
        assert converge(struck_desk, new.put(key, ROWS), None, kept=0) == made, strike
        assert len(new.said("home.created")) > 0


REGISTERS = {
    "consents": b"phone,purpose,channel,status\n13512345678,marketing,sms,granted\n"
    b"13812345678,marketing,sms,withdrawn\n13912345678,marketing,sms,granted\n",
    "blocks": b"phone\n13512345678\n13812345678\n",
}


@pytest.mark.parametrize("folder", REGISTERS)
def test_struck_at_any_call_a_file_for_the_registry_is_taken_in_once(
    quick: FaultDesk, account: MemoryCloud, folder: str
) -> None:
    def put() -> dict[str, Any]:
        return quick.desk.put(f"registry/default/{folder}/a.csv", REGISTERS[folder])

    def people() -> list[tuple[str, list[tuple[int, object]]]]:
        items = quick.desk.cloud.clients.dynamodb.scan(TableName=REGISTRY)["Items"]
        people = [item for item in items if item["pk"]["S"].startswith("default#p#")]
        logs = [(item["sk"]["S"], unpack(bytes(16), 0, item["history"]["B"])) for item in people]
        return [(who, [(entry.identity, entry.event) for entry in log]) for who, log in logs]

    start = account.state()
    quick.fate.begin(13)
    sent = quick.trace(put(), import_registry)
    reference = people()
    failed: list[tuple[Strike, str, str]] = []
    todo = strikes(len(sent))
    if not FULL:
        todo = random.Random(13).sample(todo, SAMPLE)  # noqa: S311 - a sample
    for strike in todo:
        account.bring_back(start)
        quick.fate.begin(13)
        message = put()
        try:
            consumed = [
                quick.attempt(message, None if turn else strike, handler=import_registry) for turn in range(4)
            ]
            assert consumed[-1]
            assert people() == reference
            assert quick.desk.versions("registry/default/") == 0
            assert len(quick.desk.said("upload.deleted")) == 1
            assert len(quick.desk.said("consent.imported") + quick.desk.said("block.imported")) == 1
            told = quick.desk.said("registry.imported")
            assert [event["status"] for event in told].count("Success") == 1
            assert {event["metadata"]["correlation_uid"] for event in told} == {arrival_of(message).list_id}
        except AssertionError as error:
            failed.append((strike, sent[strike.at], str(error)[:200]))
    assert failed == []


def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = formats.ReadOptions.__init__

    def small(self: formats.ReadOptions, *args: object, **kwargs: object) -> None:
        whole(self, *args, **{"batch_bytes": 2_000, **kwargs})  # type: ignore[arg-type] # the one option more

    monkeypatch.setattr(formats.ReadOptions, "__init__", small)


@pytest.mark.parametrize("seed", range(200 if FULL else 3))
def test_a_list_made_in_turns_that_are_struck_comes_to_the_same_bytes(
    quick: FaultDesk, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    faults, chance = quick, random.Random(seed)  # noqa: S311 - faults
    people = [b"138%08d" % (number * 7919) for number in range(400)]
    faults.desk.agree(*(phone.decode() for phone in people[::40]))
    # Who refuses in the last row was kept in the first: the list is gone through twice.
    rows = b"phone\n" + b"\n".join([*people, people[0] + b" \xe9\x80\x80\xe8\xae\xa2"])
    small_batches(monkeypatch)
    whole = faults.desk.put(KEY, rows)
    assert faults.attempt(whole)
    reference = faults.readable(arrival_of(whole).list_id)
    queue_url = faults.desk.cloud.clients.sqs.create_queue(QueueName="own")["QueueUrl"]
    monkeypatch.setenv("CS_SANITIZE_QUEUE", queue_url)
    stage.settings.cache_clear()
    message = faults.desk.put(KEY, rows)
    list_id = arrival_of(message).list_id
    waiting, struck_turns, turns = [json.dumps(message)], 0, 0
    while waiting:
        told = waiting.pop(chance.randrange(len(waiting)))
        strike = None
        if struck_turns < 8 and chance.random() < 0.7:
            strike = Strike(chance.randrange(30), chance.choice(MOMENTS), chance.choice(KINDS))
            struck_turns += 1
        consumed = faults.attempt(told, strike, left=30_000)
        files = faults.readable(list_id)
        waiting += ([] if consumed else [told]) + faults.told_again(queue_url)
        turns += 1
        assert turns < 60
    assert turns > 3
    assert files == reference
    upload = faults.upload(list_id)
    assert upload is not None
    assert upload.state is UploadState.MADE
    assert faults.parts() == 0
