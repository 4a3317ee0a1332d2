"""The seal: one sequence out of many writers, the same bytes after any crash, nothing lost or twice."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.lookback import LookBack
from contact_sanitizer.audit.plans import Plan, parse_plan
from contact_sanitizer.audit.reading import all_entries, all_events
from contact_sanitizer.audit.seal import Sealer, begin_log
from contact_sanitizer.audit.tiles import CHECKPOINT, kept_checkpoint_key
from contact_sanitizer.audit.tree import Tree
from contact_sanitizer.audit.verify import verify_log
from contact_sanitizer.embedded.objectfolder import ObjectFolder
from contact_sanitizer.errors import AuditError
from contact_sanitizer.ports import Objects
from logworld import (
    MINUTE,
    SIGNER,
    START,
    STRANGER,
    VERIFIERS,
    MemoryObjects,
    append,
    entry,
    event,
    log_of,
    newest,
    sealer,
)


@pytest.mark.parametrize("count", [0, -1])
def test_a_plan_of_a_segment_without_entries_is_refused(count: int) -> None:
    """It would stand still, or go back, in the events whose names are compared with it."""
    plan = Plan(0, START, False, ((event(1).uid, 1), (event(2).uid, count)))
    with pytest.raises(AuditError, match="seal_altered"):
        parse_plan(plan.encode())


SEEDS = int(os.environ.get("CONTACT_SANITIZER_SEALS", "8"))


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Failing:
    """Objects whose operation number `at` does not happen, or happens last: then the process ends."""

    objects: Objects
    at: int
    after: bool
    count: int = field(default=0)

    def _step(self, *, before: bool) -> None:
        self.count += before
        if self.count == self.at and before is not self.after:
            raise Crash

    def put(self, key: str, data: bytes, *, absent: bool) -> bool:
        self._step(before=True)
        written = self.objects.put(key, data, absent=absent)
        self._step(before=False)
        return written

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        return self.objects.keys(prefix, after)

    def delete(self, key: str) -> None:
        self._step(before=True)
        self.objects.delete(key)
        self._step(before=False)


def sealed(objects: Objects) -> list[bytes]:
    return [data for _, data in Tree(objects, newest(objects).size).entries_from(0)]


def test_waiting_segments_become_one_sequence_as_they_happened() -> None:
    objects = log_of([])
    append(objects, [2, 0, 1])
    segments.append(objects, [event(3), event(4)])
    checkpoint = sealer(objects).seal(START + 9_000)
    assert (checkpoint.size, checkpoint.number, checkpoint.time) == (5, 1, START + 9_000)
    assert sealed(objects) == [entry(number) for number in range(5)]
    assert list(segments.waiting(objects)) == []
    assert verify_log(objects, VERIFIERS).newest == checkpoint


def test_a_seal_with_nothing_to_seal_signs_only_for_a_heartbeat() -> None:
    objects = log_of([3])
    before = dict(objects.data)
    assert sealer(objects).seal(START + MINUTE).number == 1
    assert objects.data == before
    beat = sealer(objects).seal(START + MINUTE, heartbeat=True)
    assert (beat.number, beat.size, beat.time) == (2, 3, START + MINUTE)
    assert set(objects.data) - set(before) == {kept_checkpoint_key(2)}


def test_more_than_one_plan_takes_goes_into_several() -> None:
    objects = log_of([])
    for first in range(0, 9_000, 1_000):
        segments.append(objects, [event(number) for number in range(first, first + 1_000)])
    append(objects, [9_000])
    assert sealer(objects).seal(START + 9_001_000).number == 3
    assert sealed(objects) == [entry(number) for number in range(9_001)]
    verify_log(objects, VERIFIERS)


def test_time_never_runs_backwards_in_checkpoints() -> None:
    objects = log_of([2])
    append(objects, [2])
    assert sealer(objects).seal(START - MINUTE).time == START + 2_000


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_step_is_made_up_for_by_the_next_seal(*, keep: bool, after: bool) -> None:
    base, whole = log_of([250], keep=keep), log_of([250, 260], keep=keep)
    append(base, range(250, 260))
    for step in range(1, 400):
        objects = MemoryObjects(dict(base.data))
        failing = Failing(objects, step, after)
        try:
            sealer(failing, keep=keep).seal(START + 260_000)
        except Crash:
            crashed = True
        else:
            crashed = False
        append(objects, range(260, 263))
        sealer(objects, keep=keep).seal(START + 263_000)
        entries = sealed(objects)
        assert entries == [entry(number) for number in range(263)], step
        found = verify_log(objects, VERIFIERS)
        assert found.waiting == 0
        kept = kept_checkpoint_key(2)
        assert objects.data[kept] == whole.data[kept] or crashed
        if not crashed:
            assert step > 5
            return
    pytest.fail("the seal has no end")


def test_a_seal_that_was_begun_is_finished_to_the_same_bytes_whatever_came_since() -> None:
    base, whole = log_of([250]), log_of([250, 260])
    append(base, range(250, 260))
    for step in range(3, 9):
        objects = MemoryObjects(dict(base.data))
        with pytest.raises(Crash):
            sealer(Failing(objects, step, after=False)).seal(START + 260_000)
        early = event(999, at=START + 255_500)
        segments.append(objects, [early])
        sealer(objects).seal(START + 300_000)
        assert objects.data[kept_checkpoint_key(2)] == whole.data[kept_checkpoint_key(2)]
        assert sealed(objects)[260] == early.line()[:-1]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("keep", [False, True])
def test_eight_writers_and_a_crashing_sealer_lose_nothing_and_tell_nothing_twice(
    seed: int, *, keep: bool
) -> None:
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    objects = log_of([], keep=keep)
    numbers = list(range(chance.randrange(1, 400)))
    shares = [numbers[writer::8] for writer in range(8)]

    def write(share: list[int]) -> None:
        for number in share:
            append(objects, [number])
            if number % 7 == 0:
                append(objects, [number])  # told twice, with the same id

    def crash() -> None:
        step = random.Random(seed).randrange(1, 40)  # noqa: S311 - as above
        while not written.is_set():
            step += 1
            try:
                sealer(Failing(objects, step % 37 + 1, after=bool(step % 2)), keep=keep).seal(START + 500_000)
            except Crash:
                continue

    written = Event()
    with ThreadPoolExecutor(9) as pool:
        sealing = pool.submit(crash)
        try:
            for future in [pool.submit(write, share) for share in shares]:
                future.result()
        finally:
            written.set()
        sealing.result()
    sealer(objects, keep=keep).seal(START + 600_000)
    assert sorted(sealed(objects)) == sorted(entry(number) for number in numbers)
    assert verify_log(objects, VERIFIERS).waiting == 0


@dataclass
class SealedMeanwhile(MemoryObjects):
    """Objects whose segments are sealed just before somebody reads one back."""

    def get(self, key: str) -> bytes | None:
        if key.startswith(segments.FOLDER):
            sealer(MemoryObjects(self.data)).seal(START + 10_000)
        return super().get(key)


def test_an_event_that_is_told_again_while_it_is_sealed_is_kept_once() -> None:
    objects = SealedMeanwhile(log_of([3]).data)
    assert segments.append(objects, [event(3)])
    assert not segments.append(objects, [event(3)])
    plain = MemoryObjects(objects.data)
    sealer(plain).seal(START + 20_000)
    assert sealed(plain) == [entry(number) for number in range(4)]
    assert verify_log(plain, VERIFIERS).waiting == 0


def test_two_sealers_at_once_make_one_history(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for objects in (log_of([5], keep=True), ObjectFolder(tmp_path / "log")):
        if isinstance(objects, ObjectFolder):
            begin_log(objects, SIGNER, START)
        append(objects, range(5, 60))

        def seal(objects: Objects = objects) -> int:
            return sealer(objects, keep=True).seal(START + 60_000).size

        with ThreadPoolExecutor(2) as pool:
            sizes = {future.result() for future in [pool.submit(seal) for _ in range(2)]}
        assert max(sizes) == newest(objects).size
        verify_log(objects, VERIFIERS)


def test_a_late_segment_is_found_within_the_window_and_beyond_it_by_looking_back() -> None:
    objects = log_of([100], keep=True)
    by = sealer(objects, keep=True)
    append(objects, [5_000])
    by.seal(START + 5_000_000)
    late = event(7_000, at=START + 5_000_000 - 10 * MINUTE)
    later = event(7_001, at=START + 5_000_000 - 20 * MINUTE)
    segments.append(objects, [late])
    segments.append(objects, [later])
    assert by.seal(START + 5_001_000).size == 102
    found = LookBack(objects, 15 * MINUTE, MINUTE)
    assert found.step(START + 5_002_000, 102) is None
    waiting = found.step(START + 5_002_000, 102)
    assert waiting is not None
    assert by.seal_late(START + 5_002_000, waiting).size == 103
    assert sealed(objects)[101:] == [late.line()[:-1], later.line()[:-1]]
    assert found.step(START + 5_003_000, 103) is None
    assert verify_log(objects, VERIFIERS).waiting == 0


def test_an_effect_that_is_announced_again_later_is_not_sealed_again() -> None:
    objects = log_of([3, 10])
    append(objects, [1, 5])
    assert sealer(objects).seal(START + 20_000).size == 10
    assert list(segments.waiting(objects)) == []
    verify_log(objects, VERIFIERS)


def altered(objects: MemoryObjects, key: str) -> None:
    data = objects.data[key]
    objects.data[key] = data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]


@pytest.mark.parametrize("key", ["tile/0/001.p/44", "tile/1/000.p/1", CHECKPOINT, kept_checkpoint_key(1)])
def test_a_sealer_signs_nothing_over_a_tree_that_is_not_the_signed_one(key: str) -> None:
    objects = log_of([300])
    append(objects, [300])
    altered(objects, key)
    before = dict(objects.data)
    with pytest.raises(AuditError, match="audit_damaged"):
        sealer(objects).seal(START + 400_000)
    assert objects.data == before


def test_a_sealer_with_another_key_or_without_a_log_signs_nothing() -> None:
    objects = log_of([3])
    append(objects, [3])
    with pytest.raises(AuditError, match="audit_damaged"):
        Sealer(objects, STRANGER).seal(START)
    with pytest.raises(AuditError, match="audit_missing"):
        sealer(MemoryObjects()).seal(START)


def test_a_key_that_the_log_was_not_handed_over_to_signs_nothing() -> None:
    objects = log_of([3])
    append(objects, [3])
    before = dict(objects.data)
    with pytest.raises(AuditError, match="key_retired"):
        Sealer(objects, STRANGER, former=(SIGNER.verifier,)).seal(START + 4_000)
    assert objects.data == before


def test_a_damaged_segment_stops_the_seal_and_stays_to_be_looked_at() -> None:
    objects = log_of([3])
    append(objects, [3])
    (name,) = segments.waiting(objects)
    for data in (b"", b"{}\n", entry(3), entry(4) + b"\n"):
        objects.put(segments.FOLDER + name, data, absent=False)
        with pytest.raises(AuditError, match="audit_damaged"):
            sealer(objects).seal(START)
        assert list(segments.waiting(objects)) == [name]


def test_what_waits_is_read_after_what_is_sealed() -> None:
    objects = log_of([3])
    append(objects, [4, 3])
    assert list(all_entries(objects)) == [entry(number) for number in range(5)]
    assert [seen.index for seen in all_events(objects)] == [0, 1, 2, None, None]
    assert [seen.counts for seen in all_events(objects)] == [{"kept": number} for number in range(5)]


def test_a_folder_carries_the_same_log(tmp_path: Path) -> None:
    memory, folder = log_of([1, 2, 300, 301]), ObjectFolder(tmp_path)
    begin_log(folder, SIGNER, START)
    last = 0
    for size in (1, 2, 300, 301):
        append(folder, range(last, size))
        sealer(folder).seal(START + size * 1000)
        last = size
    assert {key: folder.get(key) for key in folder.keys()} == memory.data  # noqa: SIM118 - a port, no mapping
    assert [path.name for path in tmp_path.rglob(".*")] == []


def test_where_segments_stay_their_entries_lie_as_lines_by_day() -> None:
    objects = log_of([1, 3, 300], keep=True)
    lines = {key: data for key, data in objects.data.items() if key.startswith("lines/")}
    assert sorted(lines) == [
        "lines/2026/09/21/00000000000000000000",
        "lines/2026/09/21/00000000000000000001",
        "lines/2026/09/21/00000000000000000003",
    ]
    assert b"".join(lines[key] for key in sorted(lines)).splitlines() == [entry(n) for n in range(300)]
    assert not [key for key in log_of([3]).data if key.startswith("lines/")]


@pytest.mark.parametrize("change", ["altered", "removed", "moved", "invented", "foreign"])
def test_lines_that_are_not_what_was_sealed_are_found(change: str) -> None:
    objects = log_of([1, 3, 300], keep=True)
    key = "lines/2026/09/21/00000000000000000001"
    if change == "altered":
        objects.data[key] = objects.data[key].replace(b"ops", b"spo")
    elif change == "invented":
        objects.data["lines/2026/09/21/00000000000000000300"] = entry(300) + b"\n"
    elif change == "foreign":
        objects.data["lines/other"] = b""
    else:
        data = objects.data.pop(key)
        if change == "moved":
            objects.data[key.replace("/21/", "/22/")] = data
    with pytest.raises(AuditError, match="lines_altered"):
        verify_log(objects, VERIFIERS)


def test_a_log_from_before_there_were_lines_has_them_from_some_seal_on() -> None:
    objects = log_of([1, 3, 300], keep=True)
    del objects.data["lines/2026/09/21/00000000000000000000"]
    assert verify_log(objects, VERIFIERS).newest.size == 300
    for key in [key for key in objects.data if key.startswith("lines/")]:
        del objects.data[key]
    assert verify_log(objects, VERIFIERS).newest.size == 300
