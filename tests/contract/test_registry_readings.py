"""Every way of reading a registry gives the verdict that the definitions give."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudworld import REGISTRY, CloudWorld, cloud, make_table
from contact_sanitizer.aws.registry import DynamoRegistry
from contact_sanitizer.aws.snapshotmaking import Maker
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.embedded.registry import SqliteRegistry
from contact_sanitizer.ports import AskedRegistry
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus, Standing, fold
from contact_sanitizer.screening.recording import Candidates, Event
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.suppression import (
    SuppressionAct,
    SuppressionEvent,
    SuppressionReason,
    suppressed_until,
)
from contact_sanitizer.screening.verdict import STANDING_BITS, Drop
from memorycloud import MemoryCloud, memory_stack

LARGE = 25_000


def open_sqlite(folder: Path) -> AbstractContextManager[AskedRegistry]:
    return SqliteRegistry.open(folder / "registry.sqlite", folder / "snapshots", create=True)


WORLDS: list[CloudWorld] = []


@pytest.fixture(scope="module", autouse=True)
def _cloud() -> Iterator[None]:
    with cloud() as world:
        WORLDS.append(world)
        yield
    WORLDS.clear()


def open_dynamodb(_: Path) -> AbstractContextManager[AskedRegistry]:
    clients = WORLDS[0].clients
    # moto copies the table at each step of a transaction: it is quick where the table is small
    clients.dynamodb.delete_table(TableName=REGISTRY)
    make_table(clients, REGISTRY)
    registry = DynamoRegistry(clients.dynamodb, REGISTRY, "default")
    registry.create()
    return closing(registry)


@contextmanager
def open_stack(_: Path) -> Iterator[AskedRegistry]:
    """The registry of a stack whose snapshots are made when `make_snapshots` is called."""
    stack = memory_stack(MemoryCloud())
    stack.registry.create()
    STACKS.append(stack)
    yield stack.registry
    STACKS.remove(stack)
    stack.close()


STACKS: list[StackWorld] = []


def make_snapshots(now: int) -> None:
    for stack in STACKS:
        Maker(stack).refresh(now, lambda: 900_000)


@dataclass(frozen=True)
class Kind:
    """How a registry is opened, whether it reads large lists through a snapshot, and how often to try."""

    open: Callable[[Path], AbstractContextManager[AskedRegistry]]
    has_snapshots: bool
    examples: int


REGISTRIES: Mapping[str, Kind] = {
    "sqlite": Kind(open_sqlite, True, 60),
    "dynamodb": Kind(open_dynamodb, False, 15),
    "dynamodb with snapshots": Kind(open_stack, True, 40),
}

PEOPLE = [bytes([7] * 8 + [n] * 8) for n in range(4)] + [bytes([n] * 16) for n in range(3)]

MOMENTS = st.one_of(st.none(), st.integers(0, 5))
RECORDED = st.integers(0, 5)
NAMES = st.sampled_from(["", "a", "b"])
GRANTS = st.builds(
    ConsentEvent,
    st.sampled_from(PEOPLE),
    st.just(ConsentStatus.GRANTED),
    RECORDED,
    st.sampled_from(["m", "n"]),
    st.just("sms"),
    NAMES,
    effective_at=MOMENTS,
    expires_at=MOMENTS,
)
WITHDRAWALS = st.builds(
    ConsentEvent,
    st.sampled_from(PEOPLE),
    st.just(ConsentStatus.WITHDRAWN),
    RECORDED,
    st.sampled_from(["", "m", "n"]),
    st.sampled_from(["", "sms", "voice"]),
    NAMES,
    effective_at=MOMENTS,
)
ACTS = st.builds(
    SuppressionEvent,
    st.sampled_from(PEOPLE),
    st.sampled_from([SuppressionAct.ADDED, SuppressionAct.ADDED, *SuppressionAct]),
    st.sampled_from(["global", "tenant", "sender:a", "sender:b"]),
    st.sampled_from([SuppressionReason.OPTED_OUT, SuppressionReason.REGULATOR]),
    RECORDED,
    st.sampled_from(["ann", "bob"]),
    why=st.just("asked"),
    expires_at=MOMENTS,
)
HISTORIES = st.lists(st.one_of(GRANTS, WITHDRAWALS, ACTS), max_size=14)
RULES = st.builds(
    Rule,
    st.just("m"),
    st.just("sms"),
    st.sampled_from([None, "a"]),
    scopes=st.sampled_from([frozenset({"global"}), frozenset({"global", "tenant", "sender"})]),
)


def candidates_of(people: Sequence[bytes]) -> Candidates:
    """These subjects as candidates with blocks that are on no list."""
    subjects = np.frombuffer(b"".join(people), np.uint8).reshape(-1, 16)
    return Candidates.of(subjects, np.zeros_like(subjects))


def defined_bits(subject: bytes, events: Sequence[Event], rule: Rule, now: int) -> int:
    """The verdict on one person straight from the definitions."""
    own = [e for e in events if e.subject == subject]
    state = fold([e for e in own if isinstance(e, ConsentEvent)], rule, now)
    until = suppressed_until([e for e in own if isinstance(e, SuppressionEvent)], rule)
    bits = 0 if state.standing is Standing.GRANTED else int(STANDING_BITS[state.standing])
    return bits | (Drop.SUPPRESSED if now < until else 0)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_way_of_reading_agrees_with_the_definitions(
    tmp_path_factory: pytest.TempPathFactory, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = REGISTRIES[kind]
    # however few have changed, a snapshot that is asked to be refreshed is
    monkeypatch.setattr("contact_sanitizer.aws.snapshotmaking.most_behind", lambda _change: -1)

    @settings(derandomize=True, max_examples=known.examples, deadline=None)
    @given(HISTORIES, HISTORIES, RULES, st.integers(0, 7), st.integers(0, 4))
    def check(before: list[Event], since: list[Event], rule: Rule, now: int, earlier: int) -> None:
        with known.open(tmp_path_factory.mktemp("registry")) as registry:
            snapshot = _check_readings(registry, (before, since), rule, now, earlier)
            assert (snapshot is not None) == known.has_snapshots

    check()


def _check_readings(
    registry: AskedRegistry, events: tuple[list[Event], list[Event]], rule: Rule, now: int, earlier: int
) -> str | None:
    people = [*PEOPLE, b"nobody" + bytes(10)]
    few, many = candidates_of(people), candidates_of(people * (1 + LARGE // len(people)))
    registry.record(events[0])
    with registry.screening(rule, max(0, now - earlier)) as old:
        old.screen(many)  # leaves a snapshot behind, of an earlier moment, or says that one is wanted
    make_snapshots(max(0, now - earlier))
    registry.ask(rule, now, few)  # may keep it open
    registry.record(events[1])
    histories = [registry.history(person) for person in people]
    recorded: list[Event] = []
    for history in histories:
        recorded += [*history.consents, *history.suppressions]
    expected = [defined_bits(person, recorded, rule, now) for person in people]
    assert registry.ask(rule, now, few).tolist() == expected
    with registry.screening(rule, now) as screening:
        assert screening.screen(few).tolist() == expected
        assert screening.standing.snapshot is None
        assert screening.screen(many).tolist()[: len(people)] == expected
        first = screening.standing.snapshot
    make_snapshots(now)
    with registry.screening(rule, now) as screening:
        assert screening.screen(many).tolist()[: len(people)] == expected
        assert (screening.standing.snapshot is None) == (first is None)
    return first
