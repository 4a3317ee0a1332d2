import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contact_sanitizer.embedded.registry import SqliteRegistry
from contact_sanitizer.embedded.registry_schema import APPLICATION_ID, SCHEMA_VERSION
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.forgetting import Leave
from contact_sanitizer.screening.recording import Candidates, Event, Outcome
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.suppression import SuppressionAct, SuppressionEvent, SuppressionReason
from contact_sanitizer.screening.verdict import Drop

RULE = Rule("marketing", "sms")
NOW = 1_000
ANN, BOB, EVE = b"\x01" * 16, b"\x02" * 16, b"\x03" * 16
BLOCK = b"8613812345678".ljust(16, b"\0")


def open_registry(folder: Path, *, create: bool = True) -> SqliteRegistry:
    return SqliteRegistry.open(
        folder / "registry.sqlite", folder / "snapshots", create=create, busy_timeout=0.05
    )


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqliteRegistry]:
    with open_registry(tmp_path) as registry:
        yield registry


def grant(subject: bytes = ANN, reference: str = "", source: str = "") -> ConsentEvent:
    return ConsentEvent(
        subject,
        ConsentStatus.GRANTED,
        200,
        "marketing",
        "sms",
        effective_at=100,
        source=source,
        reference=reference,
        sealed=b"sealed copy",
    )


def block(subject: bytes = ANN, at: int = 300) -> SuppressionEvent:
    return SuppressionEvent(
        subject,
        SuppressionAct.ADDED,
        "tenant",
        SuppressionReason.OPTED_OUT,
        at,
        reference="call 7",
        sealed=b"sealed copy",
    )


def numbered(count: int, start: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Subjects that look keyed: spread evenly, all different."""
    numbers = np.arange(start + 1, start + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.stack([numbers, numbers ^ np.uint64(0xABCDEF)], axis=1).view(np.uint8).reshape(-1, 16)


def screen(
    registry: SqliteRegistry, subjects: np.ndarray[tuple[int, int], np.dtype[np.uint8]], now: int = NOW
) -> list[int]:
    with registry.screening(RULE, now) as screening:
        bits: list[int] = screening.screen(Candidates.of(subjects, np.zeros_like(subjects))).tolist()
    return bits


def one(subject: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(subject, np.uint8).reshape(1, 16)


def refusal_code(folder: Path, *, create: bool = True) -> str:
    with pytest.raises(RegistryError) as caught:
        open_registry(folder, create=create)
    return caught.value.code


def test_an_absent_registry_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    assert refusal_code(tmp_path, create=False) == "registry_unavailable"
    assert not (tmp_path / "registry.sqlite").exists()


def test_the_folder_of_the_registry_must_be_there(tmp_path: Path) -> None:
    assert refusal_code(tmp_path / "nowhere") == "registry_unavailable"


def test_a_newer_registry_is_left_alone(tmp_path: Path) -> None:
    open_registry(tmp_path).close()
    with sqlite3.connect(tmp_path / "registry.sqlite") as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    assert refusal_code(tmp_path) == "registry_newer"


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_what_is_no_database_is_refused_unless_it_is_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "registry.sqlite").write_bytes(content)
    if content:
        assert refusal_code(tmp_path) == "registry_damaged"
    else:
        open_registry(tmp_path).close()


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION])
def test_another_programs_database_is_left_alone(tmp_path: Path, version: int) -> None:
    with sqlite3.connect(tmp_path / "registry.sqlite") as db:
        db.execute("CREATE TABLE diary (page)")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    assert refusal_code(tmp_path) == "registry_damaged"


def test_the_file_names_its_format(tmp_path: Path) -> None:
    open_registry(tmp_path).close()
    head = (tmp_path / "registry.sqlite").read_bytes()[:72]
    assert head[68:72] == APPLICATION_ID.to_bytes(4, "big")


def test_a_held_registry_is_reported_as_locked_and_nothing_is_recorded(
    registry: SqliteRegistry, tmp_path: Path
) -> None:
    holder = sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(RegistryError) as caught:
        registry.record([grant()])
    assert caught.value.code == "registry_locked"
    assert screen(registry, one(ANN)) == [Drop.CONSENT_MISSING]
    holder.execute("ROLLBACK")
    holder.close()
    assert registry.record([grant()]).outcomes == (Outcome.RECORDED,)


def test_a_full_disk_is_reported_and_nothing_is_recorded(registry: SqliteRegistry) -> None:
    pages = registry._db.execute("PRAGMA page_count").fetchone()[0]
    registry._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RegistryError) as caught:
        registry.record([grant(subject.tobytes(), reference="x" * 500) for subject in numbered(100)])
    assert caught.value.code == "registry_unwritable"
    assert registry.standing().change == 0


def test_every_damaged_page_is_either_noticed_or_harmless(tmp_path: Path) -> None:
    people = numbered(300)
    with open_registry(tmp_path) as registry:
        registry.record([block(subject.tobytes()) for subject in people])
    path = tmp_path / "registry.sqlite"
    whole, codes = path.read_bytes(), []
    for page in range(0, len(whole), 4096):
        path.write_bytes(whole[:page] + bytes(4096) + whole[page + 4096 :])
        try:
            with open_registry(tmp_path) as registry:
                verdicts = screen(registry, people)
        except RegistryError as error:
            codes.append(error.code)
        else:
            assert set(verdicts) <= {Drop.SUPPRESSED | Drop.CONSENT_MISSING}
    assert len(codes) > 5
    assert set(codes) == {"registry_damaged"}


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM term",
        "UPDATE event SET kind = 9",
        "UPDATE event SET kind = 300",
        "UPDATE event SET term = 99",
        "UPDATE event SET term = -1",
        "UPDATE term SET reason = 'whim'",
        "UPDATE contract SET code = 77",
    ],
)
@pytest.mark.parametrize("size", [10, 25_000])
def test_events_that_cannot_be_understood_release_nobody(tmp_path: Path, damage: str, size: int) -> None:
    people = numbered(size)
    removal = replace(block(people[0].tobytes()), act=SuppressionAct.REMOVED, why="asked", recorded_by="ann")
    foreign = replace(block(people[1].tobytes()), contract=2)
    with open_registry(tmp_path) as registry:
        registry.record([block(people[0].tobytes()), removal, foreign])
    with sqlite3.connect(tmp_path / "registry.sqlite") as db:
        db.execute(damage)
    db.close()
    with open_registry(tmp_path) as registry, pytest.raises(RegistryError) as caught:
        screen(registry, people)
    assert caught.value.code in {"registry_damaged", "contract_unknown"}


def test_an_interrupted_bulk_load_is_completed_by_the_next_opening(tmp_path: Path) -> None:
    people = numbered(500)
    with open_registry(tmp_path) as registry, pytest.raises(KeyboardInterrupt):
        registry.record_bulk_consents(people, _interrupt, grant())
    with open_registry(tmp_path) as registry:
        index = "SELECT count(*) FROM sqlite_schema WHERE name = 'event_of_subject'"
        assert registry._db.execute(index).fetchone() == (1,)
        assert registry.record([grant(), grant()]).outcomes == (Outcome.RECORDED, Outcome.ALREADY_THERE)


def _interrupt(_start: int, _stop: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    raise KeyboardInterrupt


def test_a_killed_process_leaves_whole_batches_only(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_embedded_registry import open_registry, block, numbered\n"
        "registry = open_registry(Path(sys.argv[1]))\n"
        "def events():\n"
        "    for number, subject in enumerate(numbered(30)):\n"
        "        if number == 25: os._exit(9)\n"
        "        yield block(subject.tobytes())\n"
        "all_events = events()\n"
        "registry.record([next(all_events) for _ in range(10)])\n"
        "registry.record(all_events)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)], check=False
    )
    assert killed.returncode == 9
    with open_registry(tmp_path, create=False) as registry:
        assert registry.standing().change == 10
        verdicts = screen(registry, numbered(30))
    assert [bool(bits & Drop.SUPPRESSED) for bits in verdicts] == [True] * 10 + [False] * 20


def test_a_failed_batch_leaves_no_trace_in_what_is_recorded_next(registry: SqliteRegistry) -> None:
    unstorable = grant(BOB, reference="\ud800")
    first = ConsentEvent(ANN, ConsentStatus.GRANTED, 1, "new purpose", "new channel", effective_at=1)
    with pytest.raises(RegistryError):
        registry.record([first, unstorable])
    registry.record([grant(BOB), first])
    assert registry.history(ANN).consents == (first,)


def test_nothing_of_a_forgotten_person_stays_in_the_file(registry: SqliteRegistry, tmp_path: Path) -> None:
    registry.record([grant(ANN, reference="order of Ann", source="called Ann"), block(ANN), grant(BOB)])
    registry.keep_reply(ANN, b"sealed reply", 5)
    registry.forget(ANN, BLOCK, Leave(9))
    assert screen(registry, one(BOB)) == [0]
    for path in tmp_path.iterdir():
        if path.is_file():
            for left in (b"order of Ann", b"called Ann", b"sealed reply"):
                assert left not in path.read_bytes()
    assert registry.record([grant(EVE, source="called Ann"), grant(EVE)]).outcomes[0] is Outcome.RECORDED


def test_what_is_forgotten_is_forgotten_by_snapshots_too(registry: SqliteRegistry) -> None:
    people = numbered(30_000)
    registry.record([grant(people[0].tobytes()), grant(people[1].tobytes())])
    assert screen(registry, people)[:2] == [0, 0]
    registry.forget(people[0].tobytes(), BLOCK, Leave(9))
    assert screen(registry, people)[:2] == [Drop.CONSENT_MISSING, 0]


def test_replies_that_nobody_understood_wait_until_somebody_settles_them(registry: SqliteRegistry) -> None:
    first = registry.keep_reply(ANN, b"sealed 1", 5)
    second = registry.keep_reply(BOB, b"sealed 2", 6)
    waiting = registry.waiting_replies()
    assert [(r.number, r.subject, r.sealed, r.recorded_at) for r in waiting] == [
        (first, ANN, b"sealed 1", 5),
        (second, BOB, b"sealed 2", 6),
    ]
    assert registry.settle_reply(first, "ann", 9)
    assert not registry.settle_reply(first, "bob", 10)
    assert [r.number for r in registry.waiting_replies()] == [second]
    assert "sealed" not in repr(waiting)


def test_a_bulk_load_says_what_single_recordings_would(registry: SqliteRegistry) -> None:
    people = numbered(3000)
    change = registry.record_bulk_consents(people, lambda start, stop: numbered(stop - start), grant())
    assert change == 3000
    assert set(screen(registry, people)) == {0}
    assert registry.history(people[7].tobytes()).consents[0].sealed == people[7].tobytes()
    events: list[Event] = [grant(subject.tobytes()) for subject in people[:10]]
    assert (
        registry.record_bulk_consents(people, lambda a, b: np.zeros((b - a, 1), np.uint8), grant()) == change
    )
    registry.record(events)
    assert all(len(registry.history(s.tobytes()).consents) == 1 for s in people[:10])


def test_only_its_owner_may_read_the_registry(tmp_path: Path) -> None:
    with open_registry(tmp_path) as registry:
        screen(registry, numbered(30_000))
    assert (tmp_path / "registry.sqlite").stat().st_mode & 0o077 == 0
    assert (tmp_path / "snapshots").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("now", [-1, 2**32 - 1, 2**40])
def test_a_moment_out_of_range_is_refused(registry: SqliteRegistry, now: int) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.screening(RULE, now)
    assert caught.value.code == "rule_refused"
