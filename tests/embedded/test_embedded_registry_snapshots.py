import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contact_sanitizer.embedded import eventshards
from contact_sanitizer.embedded.registry import SqliteRegistry
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.recording import Candidates
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.suppression import SuppressionAct, SuppressionEvent, SuppressionReason
from contact_sanitizer.screening.verdict import Drop

RULE = Rule("marketing", "sms")
RNG = np.random.default_rng(5)
PEOPLE = RNG.integers(0, 256, (25_000, 16), np.uint8)
KNOWN = 3000


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqliteRegistry]:
    with SqliteRegistry.open(tmp_path / "r.sqlite", tmp_path / "snapshots", create=True) as registry:
        registry.record_bulk_consents(
            PEOPLE[:KNOWN], lambda a, b: np.zeros((b - a, 1), np.uint8), grant(PEOPLE[0])
        )
        yield registry


def grant(subject: NDArray[np.uint8], at: int = 100) -> ConsentEvent:
    return ConsentEvent(
        subject.tobytes(), ConsentStatus.GRANTED, 100, "marketing", "sms", effective_at=at, expires_at=5000
    )


def block(subject: NDArray[np.uint8], contract: int = 0) -> SuppressionEvent:
    reason = SuppressionReason.OPTED_OUT
    return SuppressionEvent(subject.tobytes(), SuppressionAct.ADDED, "tenant", reason, 200, contract=contract)


def screen(registry: SqliteRegistry, rule: Rule = RULE, now: int = 1000) -> tuple[NDArray[np.uint8], str]:
    with registry.screening(rule, now) as screening:
        bits = screening.screen(Candidates.of(PEOPLE, np.zeros_like(PEOPLE)))
        assert screening.standing.snapshot
        return bits, screening.standing.snapshot


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "snapshots").iterdir())


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "checked.json"}


def test_a_snapshot_serves_later_jobs(registry: SqliteRegistry, tmp_path: Path) -> None:
    bits, name = screen(registry)
    assert bits.tolist() == [0] * KNOWN + [Drop.CONSENT_MISSING] * (len(PEOPLE) - KNOWN)
    assert screen(registry, now=4999)[1] == name
    assert set(screen(registry, now=5000)[0][:KNOWN].tolist()) == {Drop.CONSENT_EXPIRED}
    assert kept(tmp_path) == [name]


def test_a_few_changes_complete_a_snapshot_and_many_replace_it(
    registry: SqliteRegistry, tmp_path: Path
) -> None:
    _, first = screen(registry)
    registry.record([block(person) for person in PEOPLE[:1000]])
    bits, same = screen(registry)
    assert same == first
    assert bits[: KNOWN + 1].tolist() == [1] * 1000 + [0] * (KNOWN - 1000) + [2]
    registry.record([block(PEOPLE[1000])])
    bits, second = screen(registry)
    assert second != first
    assert bits[999:1003].tolist() == [1, 1, 0, 0]
    assert kept(tmp_path) == [second]


def test_each_rule_has_its_own_snapshot(registry: SqliteRegistry, tmp_path: Path) -> None:
    names = {screen(registry)[1], screen(registry, Rule("marketing", "voice"))[1]}
    assert len(names) == 2
    assert set(kept(tmp_path)) == names
    assert set(screen(registry, Rule("marketing", "voice"))[0][:KNOWN].tolist()) == {Drop.CONSENT_OTHER}


def test_a_snapshot_from_the_future_is_not_used(registry: SqliteRegistry) -> None:
    late = [grant(person, at=2000) for person in PEOPLE[KNOWN : KNOWN + 10]]
    registry.record(late)
    assert screen(registry, now=3000)[0][KNOWN : KNOWN + 11].tolist() == [0] * 10 + [2]
    assert screen(registry, now=1000)[0][KNOWN : KNOWN + 11].tolist() == [2] * 11


def test_what_takes_effect_after_a_snapshot_was_made_counts_from_its_second_on(
    registry: SqliteRegistry,
) -> None:
    registry.record([grant(person, at=2000) for person in PEOPLE[KNOWN : KNOWN + 10]])
    _, name = screen(registry, now=1999)
    bits, same = screen(registry, now=2000)
    assert same == name
    assert bits[KNOWN : KNOWN + 11].tolist() == [0] * 10 + [2]


@pytest.mark.parametrize(
    "column", ["0-hi", "0-lo", "0-places", "0-valid_until", "0-otherwise", "0-blocked_until"]
)
@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
def test_a_damaged_snapshot_is_made_anew(
    registry: SqliteRegistry, tmp_path: Path, column: str, change: str
) -> None:
    registry.record([block(person) for person in PEOPLE[:50]])
    expected, name = screen(registry)
    path = tmp_path / "snapshots" / name / column
    whole = path.read_bytes()
    if change == "flip":
        path.write_bytes(whole[:9] + bytes([whole[9] ^ 1]) + whole[10:])
    elif change == "cut":
        path.write_bytes(whole[:-1])
    else:
        path.unlink()
    assert screen(registry)[0].tolist() == expected.tolist()
    assert path.read_bytes() == whole


def test_a_copied_snapshot_is_checked_before_use(registry: SqliteRegistry, tmp_path: Path) -> None:
    expected, name = screen(registry)
    folder = tmp_path / "snapshots" / name
    marks = (folder / "checked.json").read_bytes()
    column = folder / "0-otherwise"
    column.rename(tmp_path / "aside")
    column.write_bytes(bytes(len((tmp_path / "aside").read_bytes())))
    assert screen(registry)[0].tolist() == expected.tolist()
    assert column.read_bytes() == (tmp_path / "aside").read_bytes()
    assert (folder / "checked.json").read_bytes() != marks


@pytest.mark.parametrize("field", ["change", "rule", "anchor", "built_at", "format", "sha256", "columns"])
def test_a_changed_header_is_not_believed(registry: SqliteRegistry, tmp_path: Path, field: str) -> None:
    expected, name = screen(registry)
    path = tmp_path / "snapshots" / name / "header.json"
    whole = path.read_bytes()
    header = json.loads(whole)
    header[field] = 0 if isinstance(header[field], int) else "x"
    path.write_text(json.dumps(header))
    assert screen(registry)[0].tolist() == expected.tolist()
    assert path.read_bytes() == whole


def test_a_snapshot_of_another_registrys_history_is_not_used(tmp_path: Path) -> None:
    for name, people in (("one", PEOPLE[:KNOWN]), ("two", PEOPLE[5:KNOWN])):
        path = tmp_path / f"{name}.sqlite"
        with SqliteRegistry.open(path, tmp_path / "snapshots", create=True) as registry:
            registry.record_bulk_consents(
                people, lambda a, b: np.zeros((b - a, 1), np.uint8), grant(PEOPLE[0])
            )
            others = PEOPLE[KNOWN : KNOWN + (10 if name == "one" else 20)]
            registry.record([grant(person) for person in others])
            bits, _ = screen(registry)
            assert bits[:5].tolist() == [0 if name == "one" else 2] * 5


def test_a_restored_backup_that_ends_with_the_same_import_is_another_history(
    registry: SqliteRegistry, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as file, closing(sqlite3.connect(":memory:")) as old:
        file.backup(old)
        registry.record([block(PEOPLE[0]), grant(PEOPLE[KNOWN])])
        assert screen(registry)[0][:2].tolist() == [Drop.SUPPRESSED, 0]
        old.backup(file)
    with SqliteRegistry.open(tmp_path / "r.sqlite", tmp_path / "snapshots") as restored:
        restored.record([block(PEOPLE[1]), replace(grant(PEOPLE[KNOWN]), recorded_at=101)])
        assert screen(restored)[0][:2].tolist() == [0, Drop.SUPPRESSED]


def test_a_draft_that_was_left_behind_is_never_read(registry: SqliteRegistry, tmp_path: Path) -> None:
    expected, name = screen(registry)
    folder = tmp_path / "snapshots"
    (folder / name).rename(folder / f".draft-{name}-1")
    assert screen(registry)[0].tolist() == expected.tolist()
    assert (folder / name).is_dir()


def test_a_folder_that_takes_no_snapshot_stops_the_job(registry: SqliteRegistry, tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_bytes(b"a file in its place")
    with pytest.raises(RegistryError) as caught:
        screen(registry)
    assert caught.value.code == "registry_unwritable"


def test_foreign_lists_that_come_later_are_in_the_next_job(registry: SqliteRegistry) -> None:
    screen(registry)
    contract = HashContract.SHA256_DIGITS
    key = np.frombuffer(contract.digest(b"")[:16], np.uint8)
    registry.record([block(key, contract.code)])
    assert (screen(registry)[0] & Drop.SUPPRESSED).all()


def test_a_registry_of_many_shards_gives_the_same_snapshot(
    registry: SqliteRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.record([block(person) for person in PEOPLE[:100]])
    expected, name = screen(registry)
    folder = tmp_path / "snapshots" / name
    one_shard = written(folder)
    (folder / "header.json").unlink()
    monkeypatch.setattr(eventshards, "_EVENTS_A_SHARD", 200)
    assert screen(registry)[0].tolist() == expected.tolist()
    assert written(folder) == one_shard
