"""At least once, any order, killed anywhere: one list, the same bytes, one event."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from cloudworld import CATALOGUE, CLEAN
from contact_sanitizer.access import Role
from contact_sanitizer.arrivals import arrivals_in
from contact_sanitizer.delivery.senders import Quotas, Right, Sender
from contact_sanitizer.handlers import queue, stage
from contact_sanitizer.handlers.deliver import handler as deliver
from contact_sanitizer.handlers.queue import function_of
from contact_sanitizer.handlers.record_choice import handler as record_choice
from contact_sanitizer.handlers.redeem import handler as redeem
from contact_sanitizer.handlers.request_upload import handler as request_upload
from contact_sanitizer.handlers.sanitize import DOOR
from contact_sanitizer.intake import formats
from contact_sanitizer.listid import sortable_id
from contact_sanitizer.receiving import Arrival
from contact_sanitizer.screening.suppression import SuppressionReason
from contact_sanitizer.uploading import Upload, UploadState, key_of
from faultdesk import KINDS, MOMENTS, REDELIVERIES, FaultDesk, Interleaving, Strike, circumstances, struck
from functiondesk import FunctionDesk

FULL = bool(os.environ.get("CONTACT_SANITIZER_CLOUD_FAULTS"))
SLICES = 16 if FULL else 2
SAMPLE = 6
KEY = "uploads/default/list.csv"
ROWS = (
    b"phone,note\n13812345678,a\n13912345678,b\n13612345678,c\n12,d\n13712345678 \xe9\x80\x80\xe8\xae\xa2,e\n"
)


@pytest.fixture
def faults(desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultDesk]:
    now = circumstances(7)
    monkeypatch.setattr(stage, "CIRCUMSTANCES", now)
    monkeypatch.setattr(queue, "CIRCUMSTANCES", now)
    for module in ("registry_items", "registry_commit"):
        monkeypatch.setattr(f"contact_sanitizer.aws.{module}.pause", lambda _turn: None)
    desk.agree("13812345678", "13912345678", "13612345678", "13712345678")
    people = desk.workspace.desk("CN")
    people.block(people.person("13612345678"), "tenant", SuppressionReason.OPTED_OUT)
    with struck() as calls:
        yield FaultDesk(desk, calls)


def arrival_of(message: dict[str, Any]) -> Arrival:
    (arrival,) = arrivals_in(json.dumps(message))
    return arrival


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
        todo = random.Random(11).sample(todo, SAMPLE * SLICES)  # noqa: S311 - a sample
    failed: list[tuple[Strike, str, str]] = []
    for strike in todo[part::SLICES]:
        faults.forget_audit()
        try:
            assert converge(faults, faults.desk.put(KEY, ROWS), strike) == reference
        except AssertionError as error:
            failed.append((strike, sent[strike.at], str(error)[:200]))
    assert failed == []


def test_a_worker_that_another_overtakes_at_any_call_ends_as_well_and_tells_of_no_fault(
    faults: FaultDesk,
) -> None:
    reference_message = faults.desk.put(KEY, ROWS)
    sent = faults.trace(reference_message)
    reference = faults.readable(arrival_of(reference_message).list_id)
    failed: list[tuple[int, str, str]] = []
    for at in range(len(sent)) if FULL else range(1, len(sent), 6):
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
    faults: FaultDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_calls = 16
    todo = strikes(first_calls)
    if not FULL:
        todo = random.Random(12).sample(todo, SAMPLE // 2)  # noqa: S311 - a sample
    for number, strike in enumerate(todo):
        monkeypatch.setenv("CS_DEFAULT_TENANT", f"t{number}")
        stage.settings.cache_clear()
        faults.forget_audit()
        new = FunctionDesk(faults.desk.cloud, stage.settings(), tenant=f"t{number}")
        struck_desk = FaultDesk(new, faults.calls)
        key = f"uploads/t{number}/list.csv"
        made = converge(struck_desk, new.put(key, ROWS), strike, kept=0)
        assert converge(struck_desk, new.put(key, ROWS), None, kept=0) == made, strike
        assert len(new.said("home.created")) > 0


def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = formats.ReadOptions.__init__

    def small(self: formats.ReadOptions, *args: object, **kwargs: object) -> None:
        whole(self, *args, **{"batch_bytes": 2_000, **kwargs})  # type: ignore[arg-type] # the one option more

    monkeypatch.setattr(formats.ReadOptions, "__init__", small)


@pytest.mark.parametrize("seed", range(40 if FULL else 2))
def test_a_list_made_in_turns_that_are_struck_comes_to_the_same_bytes(
    faults: FaultDesk, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - faults
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
    assert turns > 4
    assert files == reference
    upload = faults.upload(list_id)
    assert upload is not None
    assert upload.state is UploadState.MADE
    assert faults.parts() == 0


CONTENTS = (ROWS, ROWS.replace(b",a\n", b",x\n"), ROWS.replace(b"13912345678,b\n", b"") + b"13,z\n")
SEEDS = int(os.environ.get("CONTACT_SANITIZER_CLOUD_SEEDS", "4"))


@dataclass
class Story:
    """Uploads of one seed: for each its rival versions, of which one counts, and what their lists hold."""

    rivals: list[list[tuple[dict[str, Any], bytes]]]

    @property
    def told(self) -> list[tuple[dict[str, Any], bytes]]:
        return [version for versions in self.rivals for version in versions]


def story_of(faults: FaultDesk, chance: random.Random) -> Story:
    """Uploads by hand and by form; some objects are replaced, some told by a store that names no version."""
    story = Story([])
    for number in range(chance.randint(1, 2)):
        manner = chance.choice(("hand", "replaced by hand", "form", "form used twice", "no version"))
        key = f"uploads/default/{chance.randbytes(5).hex()}-{number}.csv"
        if manner.startswith("form"):
            form = sortable_id(1_790_000_000_000, chance.randbytes(10))
            key = key_of("default", form)
            faults.desk.world.uploads.begin(Upload(form, UploadState.REQUESTED, "default", 1))
        twice = manner in {"replaced by hand", "form used twice"}
        versions = []
        for _ in range(1 + twice):
            content = chance.choice(CONTENTS)
            message = faults.desk.put(key, content)
            message["detail"]["object"]["sequencer"] = chance.randbytes(8).hex().upper()
            versions.append((message, content))
        if manner == "no version":
            del versions[0][0]["detail"]["object"]["version-id"]
        story.rivals += [versions] if manner.startswith("form") else [[version] for version in versions]
    return story


def simulate(faults: FaultDesk, seed: int, references: dict[bytes, dict[str, bytes]]) -> None:
    """Duplicates, disorder, delays, and 2 to 8 workers at once."""
    chance = random.Random(seed)  # noqa: S311 - an order
    faults.forget_audit()
    story = story_of(faults, chance)
    waiting = [message for message, _ in story.told for _ in range(chance.randint(1, 10))]
    chance.shuffle(waiting)
    tries = [0]

    def work() -> None:
        handler = function_of(DOOR)
        while waiting:
            message = waiting.pop()
            tries[0] += 1
            assert tries[0] < 200, "messages come back for ever"
            if faults.desk.deliver(handler, message):
                waiting.insert(chance.randint(0, len(waiting)), message)

    faults.calls.begin()
    faults.calls.interleaving = Interleaving(seed)
    try:
        faults.calls.interleaving.run([work] * chance.randint(2, 8))
    finally:
        faults.calls.interleaving = None
    for versions in story.rivals:
        check_rivals(faults, versions, references)
    denied = [event["unmapped"]["code"] for event in faults.desk.said("upload.denied")]
    assert denied == ["upload_reused"] * (len(story.told) - len(story.rivals))
    assert faults.desk.said("list.failed") == []
    assert faults.parts() == 0


def check_rivals(
    faults: FaultDesk, versions: list[tuple[dict[str, Any], bytes]], references: dict[bytes, dict[str, bytes]]
) -> None:
    """One of the versions of one upload became its list; the others none."""
    upload = faults.upload(arrival_of(versions[0][0]).upload_id)
    assert upload is not None
    assert (upload.state, upload.code) == (UploadState.MADE, "")
    made = {arrival_of(message).list_id: content for message, content in versions}
    assert upload.list_id in made
    for list_id, content in made.items():
        entry, files = faults.entry(list_id), faults.readable(list_id)
        if list_id == upload.list_id:
            assert entry is not None
            assert entry.state == "made"
            assert files == references[content]
        else:
            assert (entry, files, faults.published(list_id)) == (None, None, [])
    assert faults.desk.versions(arrival_of(versions[0][0]).key) == len(versions) - 1


@pytest.mark.parametrize("part", range(SLICES))
def test_told_often_and_in_any_order_to_workers_at_once_each_upload_becomes_one_list(
    faults: FaultDesk, part: int
) -> None:
    references: dict[bytes, dict[str, bytes]] = {}
    for content in CONTENTS:
        message = faults.desk.put(KEY, content)
        assert faults.attempt(message)
        references[content] = faults.readable(arrival_of(message).list_id) or {}
    failed: list[tuple[int, str]] = []
    for seed in range(SEEDS)[part::SLICES]:
        try:
            simulate(faults, seed, references)
        except AssertionError as error:
            failed.append((seed, str(error)[:300]))
    assert failed == []


SENDER = Sender(
    "gate",
    "LIC-1",
    4_000_000_000,
    purposes=("marketing",),
    rights=(Right.TOKENS,),
    quotas=Quotas(redemptions_a_day=5),
    registered_at=1,
)
WISH = {"sender": "gate", "purpose": "marketing"}
CHOICE = {"phone": "13512345678", "status": "granted", "purpose": "marketing", "channel": "sms"}


@pytest.mark.parametrize("kind", ["denied", "500", "timeout"])
def test_where_the_audit_log_takes_nothing_nothing_happens(faults: FaultDesk, kind: str) -> None:
    desk = faults.desk
    desk.workspace.senders.register(SENDER)
    desk.map("arn:aws:iam::123456789012:role/marketing-upload", *Role, sender="gate")
    made = desk.put(KEY, ROWS)
    assert faults.attempt(made)
    list_id = arrival_of(made).list_id
    delivered = desk.call(deliver, f"POST /lists/{list_id}/deliveries", WISH)
    assert delivered.status == 200, delivered.text
    file = f"deliveries/default/{delivered.document['delivery']}/content"
    tokens = desk.cloud.clients.s3.get_object(Bucket=CLEAN, Key=file)["Body"].read().decode().splitlines()[1:]
    redeemed = desk.call(redeem, "POST /tokens/redeem", WISH | {"tokens": tokens})
    assert [result["phone"] for result in redeemed.document["results"]] == [
        "+8613812345678",
        "+8613912345678",
    ]
    message = desk.put(KEY, ROWS)
    held = faults.held()
    faults.calls.audit_log = kind
    assert not faults.attempt(message)
    assert faults.readable(arrival_of(message).list_id) is None
    answers = [
        desk.call(request_upload, "POST /uploads", {}),
        desk.call(record_choice, "POST /consents", {"items": [CHOICE]}),
        desk.call(deliver, f"POST /lists/{list_id}/deliveries", WISH | {"format": "jsonl"}),
        desk.call(redeem, "POST /tokens/redeem", WISH | {"tokens": tokens}),
    ]
    assert [answer.status for answer in answers] == [503] * 4
    assert not [answer for answer in answers if "13812345678" in answer.text or "fields" in answer.text]
    # A redemption that was not answered may be counted: a quota errs on the side of whom it protects.
    changed = {(entry[0], entry[1]) for entry in faults.held() ^ held}
    assert changed <= {(CATALOGUE, "default#counter")}
