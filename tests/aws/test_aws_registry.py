"""The registry in DynamoDB, apart from what every registry promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from cloudworld import REGISTRY, CloudWorld, Faulty
from contact_sanitizer.aws import registry_commit
from contact_sanitizer.aws.registry import DynamoRegistry
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.forgetting import Leave
from contact_sanitizer.screening.recording import Candidates, Event, ImportMark, Outcome
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.suppression import SuppressionAct, SuppressionEvent, SuppressionReason
from contact_sanitizer.screening.verdict import Drop

RULE = Rule("marketing", "sms")
NOW = 1_000_000
ANN, BOB, EVE = (bytes([n]) * 16 for n in (1, 2, 3))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("registry_items", "registry_commit"):
        monkeypatch.setattr(f"contact_sanitizer.aws.{module}.pause", lambda _turn: None)


@pytest.fixture
def registry(world: CloudWorld) -> Iterator[DynamoRegistry]:
    made = DynamoRegistry(world.clients.dynamodb, REGISTRY, "default")
    made.create()
    yield made
    made.close()


def person(number: int) -> bytes:
    return number.to_bytes(2, "big") * 8


def grant(subject: bytes = ANN) -> ConsentEvent:
    return ConsentEvent(subject, ConsentStatus.GRANTED, 200, "marketing", "sms", effective_at=100)


def block(subject: bytes = ANN) -> SuppressionEvent:
    return SuppressionEvent(
        subject, SuppressionAct.ADDED, "tenant", SuppressionReason.OPTED_OUT, 200, "ann", sealed=b"s"
    )


def screened(registry: DynamoRegistry, people: Sequence[bytes], change: int | None = None) -> list[int]:
    subjects = np.frombuffer(b"".join(people), np.uint8).reshape(-1, 16)
    with registry.screening(RULE, NOW, change) as screening:
        bits: list[int] = screening.screen(Candidates.of(subjects, np.zeros_like(subjects))).tolist()
        return bits


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(RegistryError) as caught:
        call()
    assert "13812345678" not in str(caught.value)
    return caught.value.code


def test_a_registry_that_was_never_made_or_was_emptied_is_refused(world: CloudWorld) -> None:
    registry = DynamoRegistry(world.clients.dynamodb, REGISTRY, "default")
    for call in (
        lambda: registry.screening(RULE, NOW),
        lambda: registry.record([grant()]),
        registry.standing,
        lambda: registry.history(ANN),
    ):
        assert code_of(call) == "registry_unavailable"


def test_making_a_registry_again_leaves_it_as_it_is(registry: DynamoRegistry) -> None:
    registry.record([block()])
    registry.create()
    assert screened(registry, [ANN]) == [Drop.SUPPRESSED | Drop.CONSENT_MISSING]


def test_tenants_do_not_see_each_others_people(registry: DynamoRegistry, world: CloudWorld) -> None:
    other = DynamoRegistry(world.clients.dynamodb, REGISTRY, "other")
    other.create()
    registry.record([grant()])
    assert screened(other, [ANN]) == [Drop.CONSENT_MISSING]
    other.close()


def test_a_view_pinned_at_an_earlier_change_answers_as_it_was_then(registry: DynamoRegistry) -> None:
    first = registry.record([grant()]).change
    registry.record([block()])
    assert screened(registry, [ANN], first) == [0]
    assert screened(registry, [ANN], 0) == [Drop.CONSENT_MISSING]
    assert screened(registry, [ANN], first + 9) == [Drop.SUPPRESSED]


def test_writers_at_once_lose_nothing_and_number_every_change_once(registry: DynamoRegistry) -> None:
    def work(worker: int) -> list[int]:
        return [registry.record([block(person(10 * worker + turn)), grant(ANN)]).change for turn in range(4)]

    with ThreadPoolExecutor(3) as pool:
        changes = [change for part in pool.map(work, range(3)) for change in part]
    assert max(changes) == registry.standing().change == 13
    people = [person(10 * worker + turn) for worker in range(3) for turn in range(4)]
    assert set(screened(registry, people)) == {Drop.SUPPRESSED | Drop.CONSENT_MISSING}
    assert len(registry.history(ANN).consents) == 1


def test_who_never_gets_a_turn_is_told(registry: DynamoRegistry, world: CloudWorld) -> None:
    def overtake(operation: str, _: int) -> str:
        if operation == "TransactWriteItems":
            key = {"pk": {"S": "default#head"}, "sk": {"S": "head"}}
            world.clients.dynamodb.update_item(
                TableName=REGISTRY,
                Key=key,
                UpdateExpression="ADD version :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )
        return ""

    Faulty(world.clients, overtake)
    assert code_of(lambda: registry.record([block()])) == "registry_locked"
    assert screened(registry, [ANN]) == [Drop.CONSENT_MISSING]


def test_a_large_batch_is_completed_by_recording_it_again(
    registry: DynamoRegistry, world: CloudWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contact_sanitizer.aws.registry.PEOPLE_A_COMMIT", 4)
    people = [person(number) for number in range(10)]
    events, mark = [block(subject) for subject in people], ImportMark("file", 10, NOW, frozenset({"tenant"}))
    commits = []

    def fail_third(operation: str, _: int) -> str:
        if operation != "TransactWriteItems":
            return ""
        commits.append(operation)
        return "before denied" if len(commits) == 3 else ""

    Faulty(world.clients, fail_third)
    assert code_of(lambda: registry.record(events, mark)) == "registry_unwritable"
    assert registry.imported_rows("file") == 0
    assert registry.standing().loaded_at == {}
    assert registry.standing().change == 8
    again = registry.record(events, mark)
    assert again.outcomes == (*[Outcome.ALREADY_THERE] * 8, *[Outcome.RECORDED] * 2)
    assert registry.imported_rows("file") == 10
    assert registry.standing().loaded_at == {"tenant": NOW}


def test_as_many_people_as_a_commit_takes_are_recorded_whole(registry: DynamoRegistry) -> None:
    people = [person(number) for number in range(registry_commit.PEOPLE_A_COMMIT)]
    recorded = registry.record([block(subject) for subject in people], ImportMark("file", 97))
    assert recorded.change == 97
    assert set(screened(registry, people)) == {Drop.SUPPRESSED | Drop.CONSENT_MISSING}


def test_a_history_that_outgrows_its_item_is_refused_and_stays(registry: DynamoRegistry) -> None:
    registry.record([block()])
    noise = np.random.default_rng(3).bytes(450_000)
    assert code_of(lambda: registry.record([replace(grant(), sealed=noise)])) == "event_refused"
    assert screened(registry, [ANN]) == [Drop.SUPPRESSED | Drop.CONSENT_MISSING]


def test_no_commit_names_a_forgotten_person(registry: DynamoRegistry, world: CloudWorld) -> None:
    registry.record([grant(), grant(BOB)])
    registry.record([replace(grant(), sender="other")])
    registry.record([block()])
    registry.forget(ANN, bytes(16), Leave(NOW))
    items = world.clients.dynamodb.scan(TableName=REGISTRY)["Items"]
    named = [item["who"]["B"] for item in items if item["pk"]["S"].endswith("#change")]
    assert named == [b"\0" + BOB]
    registry.forget(EVE, bytes(16), Leave(NOW, always=True))
    items = world.clients.dynamodb.scan(TableName=REGISTRY)["Items"]
    assert b"\0" + EVE in [item["who"]["B"] for item in items if item["pk"]["S"].endswith("#change")]


def test_more_replies_than_a_commit_takes_are_forgotten(registry: DynamoRegistry) -> None:
    for number in range(95):
        registry.keep_reply(ANN, bytes([number]), NOW)
    registry.keep_reply(BOB, b"bob", NOW)
    assert registry.remembered(ANN, bytes(16)).replies == 95
    registry.forget(ANN, bytes(16), Leave(NOW))
    assert [reply.sealed for reply in registry.waiting_replies()] == [b"bob"]


def test_replies_wait_in_order_until_somebody_settles_them(registry: DynamoRegistry) -> None:
    numbers = [registry.keep_reply(ANN, bytes([n]), NOW + n) for n in range(3)]
    assert numbers == [1, 2, 3]
    assert registry.settle_reply(1, "ann", NOW)
    assert not registry.settle_reply(1, "bob", NOW)
    assert not registry.settle_reply(9, "bob", NOW)
    assert [(reply.number, reply.sealed) for reply in registry.waiting_replies()] == [(2, b"\1"), (3, b"\2")]
    assert [reply.number for reply in registry.waiting_replies(1)] == [2]


class Answers:
    """Changes what BatchGetItem answers, before anybody sees it."""

    def __init__(self, world: CloudWorld, change: Callable[[dict[str, Any]], None]) -> None:
        self.calls = 0
        self._change = change
        world.clients.dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", self._hook)

    def _hook(self, parsed: dict[str, Any], **_: Any) -> None:
        self.calls += 1
        self._change(parsed)


def leave(parsed: dict[str, Any], keep: int) -> None:
    """All but `keep` people are left unprocessed."""
    items = parsed["Responses"][REGISTRY]
    left = [{"pk": item["pk"], "sk": item["sk"]} for item in items[keep:]]
    parsed["Responses"][REGISTRY] = items[:keep]
    parsed["UnprocessedKeys"] = {REGISTRY: {"Keys": left, "ConsistentRead": True}} if left else {}


def test_people_left_unprocessed_are_asked_for_again(registry: DynamoRegistry, world: CloudWorld) -> None:
    people = [person(number) for number in range(5)]
    registry.record([block(subject) for subject in people])
    answers = Answers(world, lambda parsed: leave(parsed, 1))
    assert set(screened(registry, people)) == {Drop.SUPPRESSED | Drop.CONSENT_MISSING}
    assert answers.calls == 5


def test_people_who_stay_unprocessed_are_not_taken_for_unknown(
    registry: DynamoRegistry, world: CloudWorld
) -> None:
    registry.record([grant(), block(BOB)])
    Answers(world, lambda parsed: leave(parsed, 0))
    assert code_of(lambda: screened(registry, [ANN, BOB])) == "registry_unavailable"


@pytest.mark.parametrize("kind", ["timeout", "500", "throttle", "denied"])
def test_one_call_of_many_that_fails_fails_the_batch(
    registry: DynamoRegistry, world: CloudWorld, kind: str
) -> None:
    people = [person(number) for number in range(450)]
    registry.record([grant(subject) for subject in people[:50]])
    unlucky: list[int] = []

    def fail(operation: str, sent: int) -> str:
        if operation != "BatchGetItem" or sent < 3:
            return ""
        unlucky.append(sent)
        return f"before {kind}"

    Faulty(world.clients, fail)
    assert code_of(lambda: screened(registry, people)) == "registry_unavailable"
    assert unlucky


@pytest.mark.parametrize("fault", ["before timeout", "after timeout", "before 500", "after 500"])
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("call", range(3))
def test_a_commit_that_fails_at_a_call_converges_when_it_is_made_again(
    registry: DynamoRegistry, world: CloudWorld, call: int, fault: str, *, lasting: bool
) -> None:
    broken = [True]

    def fail(_: str, sent: int) -> str:
        return fault if broken[0] and (sent == call or (lasting and sent >= call)) else ""

    Faulty(world.clients, fail)
    events: list[Event] = [grant(), block(BOB)]
    first = partial(registry.record, events, ImportMark("file", 2))
    if lasting:
        assert code_of(first) in {"registry_unavailable", "registry_unwritable"}
    else:
        first()
    broken[0] = False
    again = registry.record(events, ImportMark("file", 2))
    assert again.change == 2
    assert screened(registry, [ANN, BOB]) == [0, Drop.SUPPRESSED | Drop.CONSENT_MISSING]
    assert (len(registry.history(ANN).consents), len(registry.history(BOB).suppressions)) == (1, 1)
    assert registry.imported_rows("file") == 2


@pytest.mark.parametrize(
    ("history", "code"),
    [(b"", "registry_damaged"), (b"\x02", "registry_newer"), (b"\x01x", "registry_damaged")],
)
def test_a_history_that_nobody_wrote_releases_nobody(
    registry: DynamoRegistry, world: CloudWorld, history: bytes, code: str
) -> None:
    item: Any = {"pk": {"S": "default#p#0#01"}, "sk": {"S": ANN.hex()}, "history": {"B": history}}
    world.clients.dynamodb.put_item(TableName=REGISTRY, Item=item)
    assert code_of(lambda: screened(registry, [ANN])) == code
    assert code_of(lambda: registry.history(ANN)) == code


def test_a_head_that_nobody_wrote_is_damage(registry: DynamoRegistry, world: CloudWorld) -> None:
    item = {"pk": {"S": "default#head"}, "sk": {"S": "head"}, "facts": {"S": "13812345678"}}
    world.clients.dynamodb.put_item(TableName=REGISTRY, Item=item)
    assert code_of(lambda: screened(registry, [ANN])) == "registry_damaged"


def changed(registry: DynamoRegistry, after: int, most: int = 100) -> dict[int, set[bytes]] | None:
    found = registry.changed(after, most)
    if found is None:
        return None
    return {code: {row.tobytes() for row in rows} for code, rows in found.items()}


def test_whose_histories_changed_is_told_from_any_change_number_on(registry: DynamoRegistry) -> None:
    assert changed(registry, 0) == {}
    first = registry.record([grant(), grant(BOB)]).change
    second = registry.record([replace(block(), contract=1), block(BOB)]).change
    assert registry.record([block(BOB)]).change == second
    many = [block(person(number)) for number in range(300)]
    last = registry.record(many).change
    assert changed(registry, 0, 400) == {0: {ANN, BOB, *map(person, range(300))}, 1: {ANN}}
    assert changed(registry, first, 400) == {0: {BOB, *map(person, range(300))}, 1: {ANN}}
    assert changed(registry, second, 300) == {0: {*map(person, range(300))}}
    assert changed(registry, last) == {}
    # a commit in the middle of which a look was begun is told whole
    assert (changed(registry, last - 1) or {})[0] >= {person(299)}
    assert changed(registry, 0, 100) is None


def test_a_damaged_note_of_a_change_is_no_empty_one(registry: DynamoRegistry, world: CloudWorld) -> None:
    change = registry.record([grant()]).change
    key = {"pk": {"S": "default#change"}, "sk": {"S": f"{change:020}"}}
    for who in ({"B": b"x" * 16}, {"S": "x"}):
        world.clients.dynamodb.put_item(TableName=REGISTRY, Item={**key, "who": who})
        assert code_of(lambda: registry.changed(0, 100)) == "registry_damaged"
