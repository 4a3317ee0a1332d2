"""Asking about a few people reads a snapshot where one stands ready, and never says anything else for it."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contact_sanitizer.embedded import registry_asking, snapshots
from contact_sanitizer.embedded.registry import SqliteRegistry
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.forgetting import Leave
from contact_sanitizer.screening.recording import Candidates, Event
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.suppression import SuppressionAct, SuppressionEvent, SuppressionReason
from contact_sanitizer.screening.verdict import Drop

RULE = Rule("marketing", "sms")
TOWARDS_GATE = replace(RULE, scopes=frozenset({"tenant"}), recipient="gate")
NOW = 1000
PEOPLE = np.random.default_rng(11).integers(0, 256, (25_000, 16), np.uint8)
KNOWN = 50
SOME = PEOPLE[: KNOWN + 5]
BLOCK = b"8613812345678".ljust(16, b"\0")


def opened(folder: Path, *, create: bool = False) -> SqliteRegistry:
    return SqliteRegistry.open(folder / "r.sqlite", folder / "snapshots", create=create)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqliteRegistry]:
    with opened(tmp_path, create=True) as registry:
        registry.record([grant(person) for person in PEOPLE[:KNOWN]])
        yield registry


def grant(subject: NDArray[np.uint8], at: int = 100, until: int = 5000) -> ConsentEvent:
    status = ConsentStatus.GRANTED
    return ConsentEvent(subject.tobytes(), status, 100, "marketing", "sms", effective_at=at, expires_at=until)


def block(
    subject: NDArray[np.uint8] | bytes, contract: int = 0, at: int = 200, scope: str = "tenant"
) -> SuppressionEvent:
    reason = SuppressionReason.OPTED_OUT
    return SuppressionEvent(bytes(subject), SuppressionAct.ADDED, scope, reason, at, contract=contract)


def candidates(people: NDArray[np.uint8]) -> Candidates:
    return Candidates.of(people, np.zeros_like(people))


def ask(registry: SqliteRegistry, rule: Rule = RULE, now: int = NOW) -> list[int]:
    bits: list[int] = registry.ask(rule, now, candidates(SOME)).tolist()
    return bits


def read(registry: SqliteRegistry, rule: Rule = RULE, now: int = NOW) -> list[int]:
    """The same from the events themselves."""
    with registry.screening(rule, now) as view:
        bits: list[int] = view.screen(candidates(SOME)).tolist()
        assert view.standing.snapshot is None
    return bits


def make_snapshot(registry: SqliteRegistry, rule: Rule = RULE, now: int = NOW) -> str:
    with registry.screening(rule, now) as view:
        view.screen(candidates(PEOPLE))
        assert view.standing.snapshot
        return view.standing.snapshot


@contextmanager
def behind_its_back(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "r.sqlite", isolation_level=None)) as db:
        yield db


def lose_the_first(folder: Path) -> None:
    """Remove the first person's events, which no registry does: only a snapshot still knows of them."""
    with behind_its_back(folder) as db:
        db.execute("DELETE FROM event WHERE subject = ?", (PEOPLE[0].tobytes(),))


def reads_a_snapshot(registry: SqliteRegistry, folder: Path) -> bool:
    """Whether the registry's next answer is a snapshot's."""
    lose_the_first(folder)
    return ask(registry)[0] != read(registry)[0]


def test_a_snapshot_that_stands_answers_and_none_is_made(registry: SqliteRegistry, tmp_path: Path) -> None:
    assert ask(registry) == read(registry) == [0] * KNOWN + [Drop.CONSENT_MISSING] * 5
    assert list((tmp_path / "snapshots").glob("*")) == []
    name = make_snapshot(registry)
    assert ask(registry) == read(registry)
    assert reads_a_snapshot(registry, tmp_path)
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [name]


def test_nobody_asked_is_no_answer_and_the_same_twice_is_two(registry: SqliteRegistry) -> None:
    for _ in range(2):
        assert registry.ask(RULE, NOW, candidates(PEOPLE[:0])).tolist() == []
        assert registry.ask(RULE, NOW, candidates(PEOPLE[[60, 3, 60, 3]])).tolist() == [2, 0, 2, 0]
        make_snapshot(registry)


def test_a_snapshot_of_nobody_knows_nobody(tmp_path: Path) -> None:
    with opened(tmp_path, create=True) as registry:
        make_snapshot(registry)
        assert set(ask(registry)) == {Drop.CONSENT_MISSING}
        registry.record([grant(PEOPLE[0])])
        assert ask(registry)[:2] == [0, Drop.CONSENT_MISSING]


def test_what_another_process_recorded_before_counts(registry: SqliteRegistry, tmp_path: Path) -> None:
    make_snapshot(registry)
    with opened(tmp_path) as other:
        for row in range(5):
            assert ask(registry)[row] == 0
            other.record([block(PEOPLE[row]), grant(PEOPLE[KNOWN + row])])
            assert ask(registry)[row] == Drop.SUPPRESSED
            assert ask(registry) == read(registry)
    assert reads_a_snapshot(registry, tmp_path) is False, "the first one has changed since"


def test_more_changes_than_are_read_at_once_are_caught_up_with(
    registry: SqliteRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_asking, "_MOST_CHANGES", 4)
    make_snapshot(registry)
    registry.record([block(person) for person in PEOPLE[10:20]])
    lose_the_first(tmp_path)
    answers = [ask(registry) for _ in range(4)]
    assert [answer[1:] for answer in answers] == [read(registry)[1:]] * 4
    assert [answer[0] for answer in answers] == [2, 2, 0, 0]


def test_what_changes_with_time_alone_changes(registry: SqliteRegistry, tmp_path: Path) -> None:
    registry.record([grant(PEOPLE[KNOWN], at=2000), grant(PEOPLE[KNOWN + 1], until=1500)])
    make_snapshot(registry)
    for now in (NOW, 1499, 1500, 1999, 2000, 4999, 5000):
        assert ask(registry, now=now) == read(registry, now=now)
    assert [ask(registry, now=now)[KNOWN] for now in (1999, 2000)] == [Drop.CONSENT_MISSING, 0]
    assert reads_a_snapshot(registry, tmp_path)


def test_what_was_folded_for_a_later_moment_does_not_answer_for_an_earlier_one(
    registry: SqliteRegistry,
) -> None:
    registry.record([grant(PEOPLE[KNOWN], at=2000)])
    make_snapshot(registry, now=2000)
    for _ in range(2):
        assert [ask(registry, now=now)[KNOWN] for now in (2000, 1999)] == [0, Drop.CONSENT_MISSING]


def test_foreign_lists_count_also_where_they_come_later(registry: SqliteRegistry, tmp_path: Path) -> None:
    make_snapshot(registry)
    assert ask(registry)[0] == 0
    for contract in (HashContract.SHA256_DIGITS, HashContract.MD5_PLUS):
        registry.record([block(contract.digest(b"")[:16], contract.code, scope="global")])
        assert set(ask(registry)) == {Drop.SUPPRESSED, Drop.SUPPRESSED | Drop.CONSENT_MISSING}
        make_snapshot(registry)
        assert ask(registry) == read(registry)
    assert reads_a_snapshot(registry, tmp_path)


def test_a_refusal_towards_one_recipient_is_its_own_rule(registry: SqliteRegistry) -> None:
    make_snapshot(registry, TOWARDS_GATE)
    assert ask(registry, TOWARDS_GATE)[0] == 0
    registry.record([block(PEOPLE[0], scope="sender:gate")])
    for _ in range(2):
        assert ask(registry, TOWARDS_GATE)[:2] == [Drop.SUPPRESSED, 0]
        assert ask(registry, replace(TOWARDS_GATE, recipient="other"))[0] == 0
        make_snapshot(registry, TOWARDS_GATE)


Damage = Callable[[Path], object]


def flip(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:9] + bytes([whole[9] ^ 1]) + whole[10:])


def replace_file(file: Path) -> None:
    zeros = bytes(file.stat().st_size)
    file.unlink()
    file.write_bytes(zeros)


DAMAGES: dict[str, Damage] = {"flip": flip, "replace": replace_file, "remove": Path.unlink}


@pytest.mark.parametrize("column", ["0-hi", "0-lo", "0-places", "0-valid_until", "0-otherwise"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("when", ["before", "while it is open"])
def test_a_snapshot_that_was_touched_is_not_read(
    registry: SqliteRegistry, tmp_path: Path, column: str, damage: str, when: str
) -> None:
    folder = tmp_path / "snapshots" / make_snapshot(registry)
    if when == "while it is open":
        assert ask(registry)[0] == 0
    DAMAGES[damage](folder / column)
    assert reads_a_snapshot(registry, tmp_path) is False
    assert ask(registry) == read(registry)


@pytest.mark.parametrize("file", ["header.json", "checked.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"\xff"])
def test_a_snapshot_that_was_not_checked_is_not_read(
    registry: SqliteRegistry, tmp_path: Path, file: str, content: bytes | None
) -> None:
    path = tmp_path / "snapshots" / make_snapshot(registry) / file
    path.unlink() if content is None else path.write_bytes(content)
    assert reads_a_snapshot(registry, tmp_path) is False


def test_a_snapshot_that_went_is_not_read_and_its_successor_is(
    registry: SqliteRegistry, tmp_path: Path
) -> None:
    make_snapshot(registry)
    assert ask(registry)[0] == 0
    shutil.rmtree(tmp_path / "snapshots")
    registry.record([block(PEOPLE[1])])
    assert ask(registry) == read(registry)
    make_snapshot(registry)
    assert ask(registry) == read(registry)
    assert reads_a_snapshot(registry, tmp_path)


def test_a_snapshot_too_far_behind_is_not_read(registry: SqliteRegistry, tmp_path: Path) -> None:
    make_snapshot(registry)
    registry.record([block(person) for person in PEOPLE[KNOWN + 5 : KNOWN + 5 + 1000]])
    assert ask(registry)[0] == 0
    registry.record([block(PEOPLE[-1])])
    assert reads_a_snapshot(registry, tmp_path) is False


def mapped_snapshots() -> set[str]:
    """The folders of the snapshot files that this process has mapped."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text(encoding="utf-8").splitlines() if maps.exists() else []
    return {line.rpartition("/snapshots/")[2].partition("/")[0] for line in lines if "/snapshots/" in line}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what is mapped is read from /proc")
def test_few_snapshots_stay_open_and_none_after_somebody_was_forgotten_or_it_was_closed(
    registry: SqliteRegistry, tmp_path: Path
) -> None:
    rules = [replace(RULE, max_age_days=days) for days in range(1, 8)]
    with opened(tmp_path) as other:
        for rule in rules:
            make_snapshot(other, rule)
    for rule in rules:
        ask(registry, rule)
    assert 0 < len(mapped_snapshots()) <= 4
    registry.forget(PEOPLE[0].tobytes(), BLOCK, Leave(NOW))
    assert mapped_snapshots() == set()
    make_snapshot(registry)
    ask(registry)
    assert len(mapped_snapshots()) == 1
    registry.close()
    assert mapped_snapshots() == set()


def test_large_snapshots_give_their_pages_back_and_answer_alike(
    registry: SqliteRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "RESIDENT_BYTES", 0)
    make_snapshot(registry)
    assert ask(registry) == ask(registry) == read(registry)
    assert reads_a_snapshot(registry, tmp_path)


def test_who_was_forgotten_elsewhere_is_forgotten_here(registry: SqliteRegistry, tmp_path: Path) -> None:
    make_snapshot(registry)
    registry.record([block(PEOPLE[1])])
    assert ask(registry)[:3] == [0, Drop.SUPPRESSED, 0]
    with opened(tmp_path) as other:
        for row in (0, 1):
            other.forget(PEOPLE[row].tobytes(), BLOCK, Leave(NOW))
    missing = Drop.CONSENT_MISSING
    assert ask(registry)[:3] == read(registry)[:3] == [missing, missing | Drop.SUPPRESSED, 0]


def test_changes_of_a_history_that_a_backup_took_back_are_not_believed(
    registry: SqliteRegistry, tmp_path: Path
) -> None:
    make_snapshot(registry)
    with behind_its_back(tmp_path) as file, closing(sqlite3.connect(":memory:")) as backup:
        file.backup(backup)
        registry.record([block(person) for person in PEOPLE[:3]])
        assert ask(registry)[:7] == [1, 1, 1, 0, 0, 0, 0]
        backup.backup(file)
    assert ask(registry)[:7] == [0] * 7
    with opened(tmp_path) as other:
        other.record([block(person) for person in PEOPLE[3:5]])
        other.record([replace(block(PEOPLE[2]), recorded_at=201)])
    assert ask(registry)[:7] == read(registry)[:7] == [0, 0, 1, 1, 1, 0, 0]


def test_a_snapshot_of_a_history_that_a_backup_took_back_is_not_read(
    registry: SqliteRegistry, tmp_path: Path
) -> None:
    with behind_its_back(tmp_path) as file, closing(sqlite3.connect(":memory:")) as backup:
        file.backup(backup)
        registry.record([block(PEOPLE[0])])
        make_snapshot(registry)
        backup.backup(file)
    with opened(tmp_path) as restored:
        restored.record([block(PEOPLE[1])])
        assert ask(restored)[:3] == read(restored)[:3] == [0, Drop.SUPPRESSED, 0]


@pytest.mark.parametrize("state", ["direct", "ready"])
def test_no_fault_looks_like_an_answer(registry: SqliteRegistry, tmp_path: Path, state: str) -> None:
    if state == "ready":
        make_snapshot(registry)
        ask(registry)
    refused: dict[str, Callable[[], object]] = {
        "rule_refused": lambda: ask(registry, now=-1),
        "register_stale": lambda: ask(registry, replace(RULE, register_max_age_days={"global": 1})),
    }
    for code, asked in refused.items():
        with pytest.raises(RegistryError) as raised:
            asked()
        assert raised.value.code == code
    assert ask(registry) == read(registry), "a refused question leaves the registry usable"
    with behind_its_back(tmp_path) as db:
        db.execute("DROP TABLE epoch" if state == "ready" else "DROP TABLE term")
    with pytest.raises(RegistryError) as raised:
        ask(registry)
    assert raised.value.code == "registry_damaged"
    registry.close()
    with pytest.raises(RegistryError) as raised:
        ask(registry)
    assert raised.value.code == "registry_unavailable"


FEW = PEOPLE[:6]
STEP = st.one_of(
    st.tuples(st.just("grant"), st.integers(0, 5), st.integers(0, 12), st.integers(0, 12)),
    st.tuples(st.just("withdraw"), st.integers(0, 5), st.integers(0, 12), st.just(0)),
    st.tuples(st.just("block"), st.integers(0, 5), st.integers(0, 12), st.integers(0, 1)),
    st.tuples(st.just("remove"), st.integers(0, 5), st.just(0), st.integers(0, 1)),
    st.tuples(st.sampled_from(["snapshot", "snapshot", "save", "restore", "begin"]), *[st.just(0)] * 3),
    st.tuples(st.just("forget"), st.integers(0, 5), st.just(0), st.just(0)),
    st.tuples(st.just("pass"), st.integers(-2, 4), st.just(0), st.just(0)),
    st.tuples(st.just("damage"), st.integers(0, 7), st.just(0), st.just(0)),
)


class Story:
    """A registry to which things happen, and another process that asks it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.recorded = folder, 0, 0
        self.writer = opened(folder, create=True)
        self.asker = opened(folder)
        self.saved = sqlite3.connect(":memory:")
        self.restore_or_save(restore=False)

    def close(self) -> None:
        for each in (self.writer, self.asker, self.saved):
            each.close()

    def restore_or_save(self, *, restore: bool) -> None:
        with behind_its_back(self.folder) as file:
            if not restore:
                file.backup(self.saved)
                return
            self.saved.backup(file)
        self.writer.close()
        self.writer = opened(self.folder)

    def event(self, kind: str, row: int, first: int, second: int) -> Event:
        self.recorded += 1
        if kind in {"grant", "withdraw"}:
            given = replace(grant(FEW[row]), recorded_at=self.recorded, effective_at=first or None)
            if kind == "grant":
                return replace(given, expires_at=second or None)
            return replace(given, status=ConsentStatus.WITHDRAWN, expires_at=None)
        added = block(FEW[row], at=self.recorded, scope="sender:gate" if second else "tenant")
        if kind == "block":
            return replace(added, expires_at=first or None)
        return replace(added, act=SuppressionAct.REMOVED, recorded_by="li", why="asked")

    def happen(self, kind: str, row: int, first: int, second: int) -> None:
        if kind == "snapshot":
            make_snapshot(self.writer, RULE, self.now)
        elif kind in {"save", "restore"}:
            self.restore_or_save(restore=kind == "restore")
        elif kind == "forget":
            self.writer.forget(FEW[row].tobytes(), BLOCK, Leave(self.now))
        elif kind == "pass":
            self.now = max(0, self.now + row)
        elif kind == "begin":
            self.asker.close()
            self.asker = opened(self.folder)
        elif kind == "damage":
            for path in sorted((self.folder / "snapshots").glob("*/0-*"))[row : row + 1]:
                path.write_bytes(path.read_bytes()[:-1])
        else:
            self.writer.record([self.event(kind, row, first, second)])


def test_whatever_happened_before_the_answer_is_that_of_the_events(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_asking, "_MOST_CHANGES", 3)

    @settings(derandomize=True, max_examples=60, deadline=None)
    @given(st.lists(STEP, min_size=4, max_size=20))
    def check(steps: list[tuple[str, int, int, int]]) -> None:
        with closing(Story(tmp_path_factory.mktemp("story"))) as story:
            for step in steps:
                story.happen(*step)
                for rule in (RULE, TOWARDS_GATE):
                    assert ask(story.asker, rule, story.now) == read(story.writer, rule, story.now)

    check()
