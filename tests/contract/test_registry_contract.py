"""What every registry promises; a new implementation is one more entry of `REGISTRIES`."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cloudworld import REGISTRY, Faulty, cloud
from contact_sanitizer.aws.registry import DynamoRegistry
from contact_sanitizer.embedded.registry import SqliteRegistry
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.ports import Registry
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.recording import Candidates, Event, ImportMark, Outcome
from contact_sanitizer.screening.rule import DAY, Rule
from contact_sanitizer.screening.suppression import SuppressionAct, SuppressionEvent, SuppressionReason
from contact_sanitizer.screening.verdict import Drop
from memorycloud import MemoryCloud, memory_world

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ANN, BOB, EVE = (bytes([n]) * 16 for n in (1, 2, 3))
RULE = Rule("marketing", "sms", "brand-a")
NOW = 1_000_000
LARGE = 25_000


@dataclass(frozen=True)
class World:
    """A way to open one and the same registry, and to break it: each breaker makes reading fail."""

    open: Callable[[], Registry]
    breakers: Mapping[str, Callable[[Registry], None]]
    damage: Callable[[], None]
    close: Callable[[], None]
    has_snapshots: bool = True


def sqlite_world(folder: Path) -> World:
    path, opened = folder / "registry.sqlite", []

    def open_it() -> SqliteRegistry:
        opened.append(SqliteRegistry.open(path, folder / "snapshots", create=True, busy_timeout=0.05))
        return opened[-1]

    def close_all() -> None:
        for registry in opened:
            registry.close()

    def close(registry: Registry) -> None:
        assert isinstance(registry, SqliteRegistry)
        registry.close()

    def damage() -> None:
        close_all()
        path.write_bytes(b"\xff" * path.stat().st_size)

    def drop(_: Registry) -> None:
        db = sqlite3.connect(path)
        db.execute("DROP TABLE event")
        db.close()

    return World(open_it, {"closed": close, "table_dropped": drop}, damage, close_all)


def dynamo_world(_: Path) -> World:
    stack = ExitStack()
    made = stack.enter_context(cloud())
    faulty, broken = Faulty(made.clients, lambda *_: "before 500" if broken[0] else ""), [False]

    def close(_: Registry) -> None:
        assert faulty.sent
        broken[0] = True

    return dynamo_world_on(made.clients.dynamodb, close, stack)


def memory_dynamo_world(_: Path) -> World:
    account = MemoryCloud()

    def close(_: Registry) -> None:
        account.gate = lambda sending, _send: sending.fail("500")

    return dynamo_world_on(memory_world(account).clients.dynamodb, close, ExitStack())


def dynamo_world_on(dynamodb: "DynamoDBClient", close: Callable[[Registry], None], stack: ExitStack) -> World:
    def open_it() -> DynamoRegistry:
        registry = DynamoRegistry(dynamodb, REGISTRY, "default")
        registry.create()
        stack.callback(registry.close)
        return registry

    def drop(_: Registry) -> None:
        dynamodb.delete_table(TableName=REGISTRY)

    def damage() -> None:
        for item in dynamodb.scan(TableName=REGISTRY)["Items"]:
            if "history" in item:
                dynamodb.put_item(TableName=REGISTRY, Item={**item, "history": {"B": b"\x01order of Ann"}})

    breakers = {"closed": close, "table_dropped": drop}
    return World(open_it, breakers, damage, stack.close, has_snapshots=False)


REGISTRIES = {"sqlite": sqlite_world, "dynamodb": dynamo_world, "dynamodb in memory": memory_dynamo_world}


@pytest.fixture(params=sorted(REGISTRIES))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world = REGISTRIES[request.param](tmp_path)
    yield world
    world.close()


@pytest.fixture
def registry(world: World) -> Registry:
    return world.open()


def candidates_of(people: Sequence[bytes]) -> Candidates:
    """These subjects as candidates with blocks that are on no list."""
    subjects = np.frombuffer(b"".join(people), np.uint8).reshape(-1, 16)
    return Candidates.of(subjects, np.zeros_like(subjects))


def grant(subject: bytes = ANN, at: int | None = 100, **more: object) -> ConsentEvent:
    event = ConsentEvent(
        subject, ConsentStatus.GRANTED, 200, "marketing", "sms", effective_at=at, source="form", sealed=b"s"
    )
    return replace(event, **more)  # type: ignore[arg-type] # the tests name fields of the event


def withdrawal(subject: bytes = ANN, at: int | None = 150, **more: object) -> ConsentEvent:
    event = ConsentEvent(subject, ConsentStatus.WITHDRAWN, 200, effective_at=at)
    return replace(event, **more)  # type: ignore[arg-type] # as above


def block(
    subject: bytes = ANN, act: SuppressionAct = SuppressionAct.ADDED, **more: object
) -> SuppressionEvent:
    event = SuppressionEvent(subject, act, "tenant", SuppressionReason.OPTED_OUT, 200, "ann", why="asked")
    return replace(event, **more)  # type: ignore[arg-type] # as above


def verdicts(registry: Registry, *people: bytes, rule: Rule = RULE, now: int = NOW) -> list[int]:
    with registry.screening(rule, now) as screening:
        bits: list[int] = screening.screen(candidates_of(people)).tolist()
        return bits


def test_nobody_passes_an_empty_registry(registry: Registry) -> None:
    assert verdicts(registry, ANN, BOB) == [Drop.CONSENT_MISSING] * 2


def test_a_withdrawal_that_is_known_counts_whatever_moment_it_states(registry: Registry) -> None:
    recorded = NOW - 50
    refusals = [
        withdrawal(ANN, None, recorded_at=NOW + 30),
        withdrawal(BOB, NOW + 30, recorded_at=recorded),
    ]
    registry.record([grant(ANN), grant(BOB), *refusals])
    assert verdicts(registry, ANN, BOB) == [Drop.CONSENT_WITHDRAWN] * 2
    registry.record([grant(BOB, recorded + 1, recorded_at=recorded + 1)])
    assert verdicts(registry, BOB) == [0]
    assert verdicts(registry, BOB, now=NOW + 30) == [Drop.CONSENT_WITHDRAWN]


def test_an_empty_batch_has_no_verdicts(registry: Registry) -> None:
    assert verdicts(registry) == []


def test_each_candidate_gets_its_own_verdict_in_its_own_row(registry: Registry) -> None:
    registry.record([grant(ANN), withdrawal(BOB), grant(EVE), block(EVE)])
    expected = [Drop.SUPPRESSED, 0, Drop.CONSENT_WITHDRAWN, Drop.CONSENT_MISSING, 0]
    assert verdicts(registry, EVE, ANN, BOB, bytes(16), ANN) == expected


def test_a_block_beats_consent_and_both_reasons_are_told(registry: Registry) -> None:
    registry.record([block(ANN)])
    assert verdicts(registry, ANN) == [Drop.SUPPRESSED | Drop.CONSENT_MISSING]


@pytest.mark.parametrize("copies", [1, LARGE])
def test_a_refusal_recorded_just_before_the_job_counts(registry: Registry, copies: int) -> None:
    registry.record([grant(ANN), grant(BOB)])
    assert verdicts(registry, *[ANN] * copies) == [0] * copies
    registry.record([block(ANN, recorded_at=NOW)])
    registry.record([withdrawal(BOB, at=NOW, recorded_at=NOW)])
    assert set(verdicts(registry, *[ANN] * copies)) == {Drop.SUPPRESSED}
    assert set(verdicts(registry, *[BOB] * copies)) == {Drop.CONSENT_WITHDRAWN}


@pytest.mark.parametrize("copies", [1, LARGE])
def test_a_refusal_towards_the_recipient_counts_whatever_the_scopes(registry: Registry, copies: int) -> None:
    rule = replace(RULE, scopes=frozenset({"global"}), recipient="Gate")
    registry.record([grant(ANN), grant(BOB), block(ANN, scope="sender:other")])
    assert set(verdicts(registry, *[ANN] * copies, rule=rule)) == {0}
    registry.record([block(ANN, scope="sender:gate")])
    assert set(verdicts(registry, *[ANN] * copies, rule=rule)) == {Drop.SUPPRESSED}
    assert set(verdicts(registry, *[BOB] * copies, rule=rule)) == {0}
    assert set(verdicts(registry, *[ANN] * copies, rule=replace(rule, recipient=None))) == {0}


def test_a_job_sees_one_state_from_its_first_batch_to_its_last(world: World) -> None:
    registry = world.open()
    registry.record([grant(ANN)])
    with registry.screening(RULE, NOW) as screening:
        assert screening.screen(candidates_of([ANN])).tolist() == [0]
        registry.record([block(ANN)])
        assert screening.screen(candidates_of([ANN])).tolist() == [0]
        assert set(screening.screen(candidates_of([ANN] * LARGE)).tolist()) == {0}
        assert screening.standing.change == 1
        assert (screening.standing.snapshot is not None) == world.has_snapshots
    assert registry.standing().change == 2


def test_another_opening_of_the_registry_sees_what_was_recorded(world: World) -> None:
    world.open().record([grant(ANN)])
    assert verdicts(world.open(), ANN) == [0]


def test_recording_the_same_again_changes_nothing(registry: Registry) -> None:
    events: list[Event] = [
        grant(ANN),
        grant(ANN, at=None),
        withdrawal(BOB),
        withdrawal(BOB, at=None, occasion="file"),
        block(EVE, occasion="file"),
        block(BOB),
    ]
    first = registry.record(events)
    assert set(first.outcomes) == {Outcome.RECORDED}
    later = [replace(e, recorded_at=900) if getattr(e, "occasion", "") else e for e in events]
    again = registry.record(later)
    assert set(again.outcomes) == {Outcome.ALREADY_THERE}
    assert again.change == first.change


def test_the_same_file_again_does_not_undo_a_removal(registry: Registry) -> None:
    listed = block(ANN, occasion="file-1")
    registry.record([grant(ANN), listed, block(ANN, SuppressionAct.REMOVED)])
    assert registry.record([listed]).outcomes == (Outcome.ALREADY_THERE,)
    assert verdicts(registry, ANN) == [0]


def test_a_later_list_blocks_again_after_a_removal(registry: Registry) -> None:
    registry.record([grant(ANN), block(ANN, occasion="file-1"), block(ANN, SuppressionAct.REMOVED)])
    assert registry.record([block(ANN, occasion="file-2")]).outcomes == (Outcome.RECORDED,)
    assert verdicts(registry, ANN) == [Drop.SUPPRESSED]


def test_a_person_blocks_again_after_a_removal_even_in_the_same_second(registry: Registry) -> None:
    registry.record([grant(ANN), block(ANN), block(ANN, SuppressionAct.REMOVED)])
    assert verdicts(registry, ANN) == [0]
    assert registry.record([block(ANN)]).outcomes == (Outcome.RECORDED,)
    assert verdicts(registry, ANN) == [Drop.SUPPRESSED]
    removed = registry.record([block(ANN, SuppressionAct.REMOVED)])
    assert removed.outcomes == (Outcome.RECORDED,)
    assert verdicts(registry, ANN) == [0]


def test_a_later_list_without_news_is_not_stored_again(registry: Registry) -> None:
    registry.record([block(ANN, occasion="file-1")])
    assert registry.record([block(ANN, occasion="file-2")]).outcomes == (Outcome.ALREADY_THERE,)


def test_an_import_never_weakens_a_refusal(registry: Registry) -> None:
    registry.record([grant(ANN), grant(BOB, at=None), block(ANN), withdrawal(BOB, at=100)])
    registry.record(
        [
            block(ANN, expires_at=300, occasion="file"),
            grant(BOB, at=None, reference="again", recorded_at=999),
            grant(BOB, at=99),
        ]
    )
    assert verdicts(registry, ANN, BOB) == [Drop.SUPPRESSED, Drop.CONSENT_WITHDRAWN]


@pytest.mark.parametrize("copies", [1, LARGE])
def test_at_a_tie_the_refusal_wins_in_every_order_of_arrival(registry: Registry, copies: int) -> None:
    registry.record([withdrawal(ANN, at=100), grant(ANN, at=100)])
    registry.record([grant(BOB, at=100), withdrawal(BOB, at=100)])
    undated = [grant(EVE, at=None, recorded_at=300), withdrawal(EVE, at=None, recorded_at=200)]
    registry.record(undated)
    assert set(verdicts(registry, *[ANN, BOB, EVE] * copies)) == {Drop.CONSENT_WITHDRAWN}


@pytest.mark.parametrize("copies", [1, LARGE])
def test_of_grants_of_one_moment_the_one_that_ends_first_counts(registry: Registry, copies: int) -> None:
    registry.record([grant(ANN, expires_at=NOW), grant(ANN), grant(ANN, expires_at=NOW + 1)])
    registry.record([grant(BOB, expires_at=NOW + 1), grant(BOB)])
    assert verdicts(registry, *[ANN, BOB] * copies)[:2] == [Drop.CONSENT_EXPIRED, 0]


def test_dated_consent_after_a_withdrawal_counts(registry: Registry) -> None:
    registry.record([withdrawal(ANN, at=100), grant(ANN, at=101)])
    assert verdicts(registry, ANN) == [0]


def test_a_removal_of_nothing_is_refused(registry: Registry) -> None:
    recorded = registry.record([block(ANN, SuppressionAct.REMOVED), block(BOB)])
    assert recorded.outcomes == (Outcome.NOTHING_TO_REMOVE, Outcome.RECORDED)


def test_a_complaint_stays_until_a_second_person_agrees(registry: Registry) -> None:
    complaint = SuppressionReason.COMPLAINT
    asked = block(ANN, SuppressionAct.REMOVED, reason=complaint)
    agreed = block(ANN, SuppressionAct.APPROVED, reason=complaint)
    early = registry.record([grant(ANN), block(ANN, reason=complaint), agreed, asked, asked, agreed])
    assert early.outcomes[2:] == (
        Outcome.NO_REMOVAL_ASKED,
        Outcome.RECORDED,
        Outcome.ALREADY_THERE,
        Outcome.SECOND_PERSON_NEEDED,
    )
    assert verdicts(registry, ANN) == [Drop.SUPPRESSED]
    assert registry.record([replace(agreed, recorded_by="bob")]).outcomes == (Outcome.RECORDED,)
    assert verdicts(registry, ANN) == [0]


def test_a_batch_is_recorded_whole_or_not_at_all(registry: Registry) -> None:
    broken = grant(BOB, reference="\ud800")  # a lone surrogate, which no store takes
    mark = ImportMark("import", 2)
    with pytest.raises(RegistryError):
        registry.record([grant(ANN), broken], mark)
    assert verdicts(registry, ANN) == [Drop.CONSENT_MISSING]
    assert registry.imported_rows("import") == 0
    assert registry.record([grant(ANN)]).outcomes == (Outcome.RECORDED,)
    assert verdicts(registry, ANN) == [0]


def test_history_gives_back_what_was_recorded(registry: Registry) -> None:
    events: list[Event] = [
        grant(
            ANN,
            sender="brand-a",
            expires_at=10**6,
            reference="order 7",
            wording="v2",
            wording_sha256="ab",
            recorded_by="clerk",
        ),
        withdrawal(ANN, at=None, purpose="marketing", recorded_at=300),
        block(ANN, source="phone", reference="call 9", expires_at=10**7, recorded_at=400),
    ]
    registry.record([*events, grant(BOB)])
    history = registry.history(ANN)
    assert [*history.consents, *history.suppressions] == [*events]
    assert [entry.until for entry in history.entries] == [10**7]
    assert len(registry.history(ANN, as_of=299).consents) == 1
    assert registry.history(ANN, as_of=299).entries == ()
    assert "phone" not in repr(history)


def test_an_import_resumes_where_its_last_batch_ended(registry: Registry) -> None:
    assert registry.imported_rows("file") == 0
    registry.record([grant(ANN)], ImportMark("file", 10_000))
    assert registry.imported_rows("file") == 10_000
    registry.record([], ImportMark("file", 5))
    assert registry.imported_rows("file") == 10_000


def test_a_stale_register_stops_the_job_before_any_row(registry: Registry) -> None:
    rule = replace(RULE, register_max_age_days={"global": 31})
    loaded = NOW - 31 * DAY if NOW > 31 * DAY else 0
    with pytest.raises(RegistryError, match="never loaded"):
        registry.screening(rule, NOW)
    registry.record([], ImportMark("dnc", 1, None, frozenset({"global"})))
    with pytest.raises(RegistryError, match="never loaded"):
        registry.screening(rule, NOW)
    registry.record([], ImportMark("dnc", 1, loaded, frozenset({"global"})))
    assert verdicts(registry, ANN, rule=rule, now=loaded + 31 * DAY) == [Drop.CONSENT_MISSING]
    with pytest.raises(RegistryError) as caught:
        registry.screening(rule, loaded + 31 * DAY + 1)
    assert caught.value.code == "register_stale"


def test_a_senders_register_is_that_senders(registry: Registry) -> None:
    rule = replace(RULE, register_max_age_days={"sender": 1})
    registry.record([], ImportMark("b", 1, NOW, frozenset({"sender:brand-b"})))
    with pytest.raises(RegistryError):
        registry.screening(rule, NOW)
    registry.record([], ImportMark("a", 1, NOW, frozenset({"sender:brand-a"})))
    assert verdicts(registry, ANN, rule=rule) == [Drop.CONSENT_MISSING]


@pytest.mark.parametrize("contract", list(HashContract))
@pytest.mark.parametrize("copies", [1, LARGE])
def test_a_number_on_a_foreign_hashed_list_is_suppressed(
    registry: Registry, contract: HashContract, copies: int
) -> None:
    listed, other = b"8613812345678", b"8613812345679"
    key = contract.digest(listed)[:16]
    registry.record([grant(ANN), grant(BOB), block(key, contract=contract.code)])
    blocks = np.frombuffer((listed.ljust(16, b"\0") + other.ljust(16, b"\0")) * copies, np.uint8)
    subjects = np.frombuffer((ANN + BOB) * copies, np.uint8)
    candidates = Candidates.of(subjects.reshape(-1, 16), blocks.reshape(-1, 16))
    with registry.screening(RULE, NOW) as screening:
        assert screening.screen(candidates).tolist() == [Drop.SUPPRESSED, 0] * copies
    assert registry.history(ANN, listed.ljust(16, b"\0")).entries[0].scope == "tenant"
    assert registry.history(ANN).entries == ()


@pytest.mark.parametrize("fault", ["closed", "table_dropped"])
@pytest.mark.parametrize("moment", ["before", "between"])
@pytest.mark.parametrize("size", [3, LARGE])
def test_no_row_is_released_by_a_registry_that_fails(
    world: World, fault: str, moment: str, size: int
) -> None:
    registry = world.open()
    registry.record([grant(bytes([n % 256, n // 256]) * 8) for n in range(60)])
    people = [bytes([n % 256, n // 256]) * 8 for n in range(size)]
    if moment == "before":
        world.breakers[fault](registry)
        with pytest.raises(RegistryError):
            registry.screening(RULE, NOW).screen(candidates_of(people))
    else:
        screening = registry.screening(RULE, NOW)
        world.breakers[fault](registry)
        with pytest.raises(RegistryError):
            screening.screen(candidates_of(people))


def test_no_row_is_released_by_a_damaged_registry(world: World) -> None:
    world.open().record([grant(ANN, reference="order of Ann")])
    world.damage()
    with pytest.raises(RegistryError) as caught:
        verdicts(world.open(), ANN)
    assert caught.value.code == "registry_damaged"
    assert "Ann" not in str(caught.value)
    assert caught.value.__suppress_context__
