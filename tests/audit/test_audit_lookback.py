from __future__ import annotations

import random

import pytest

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.lookback import STATE, Late, LookBack, parse_state
from contact_sanitizer.audit.plans import LARGEST_PLAN
from contact_sanitizer.audit.verify import verify_log
from logworld import MINUTE, START, VERIFIERS, MemoryObjects, append, event, log_of, newest, sealer

WINDOW = 15 * MINUTE
DAY = 24 * 60 * MINUTE


def look(objects: MemoryObjects, most: int = 7, most_plans: int = 5) -> LookBack:
    return LookBack(objects, WINDOW, 7 * DAY, 4, most, most_plans)


def late_segments(objects: MemoryObjects, chance: random.Random, count: int, before: int) -> set[str]:
    """Segments of times long gone by that nobody was told of."""
    names = set()
    for number in range(count):
        late = event(100_000 + number, at=START + chance.randrange(before))
        segments.append(objects, [late])
        names.add(late.uid)
    return names


@pytest.mark.parametrize("seed", range(6))
def test_step_by_step_all_that_no_seal_noticed_is_sealed_once(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    objects = log_of(sorted({chance.randrange(1, 1_200) for _ in range(12)} | {1_200}), keep=True)
    now = START + 1_201_000
    append(objects, [7_200])
    assert sealer(objects, keep=True).seal(now + 6_000_000).size == 1_201
    late = late_segments(objects, chance, chance.randrange(1, 9), 1_000_000)
    by, now, found = sealer(objects, keep=True), now + 6_001_000, look(objects, 97, chance.choice([2, 5, 50]))
    assert by.seal(now).size == 1_201
    for _ in range(500):
        now += MINUTE
        waiting = found.step(now, newest(objects).size)
        if waiting is not None:
            assert set(waiting.names) <= late
            if chance.random() < 0.7:  # else the seal was cut off
                by.seal_late(now, waiting)
        if parse_state(objects.get(STATE) or b"", 0).done:
            break
    else:
        pytest.fail("the look has no end")
    assert newest(objects).size == 1_201 + len(late)
    assert verify_log(objects, VERIFIERS).waiting == 0


def test_a_look_that_is_done_rests_and_then_begins_anew() -> None:
    objects = log_of([50], keep=True)
    now, found = START + DAY, look(objects, 100, 100)
    for _ in range(3):
        assert found.step(now, 50) is None
    done = objects.data[STATE]
    assert parse_state(done, 0).done
    assert found.step(now + DAY, 50) is None
    assert objects.data[STATE] == done
    assert found.step(now + 8 * DAY, 50) is None
    assert parse_state(objects.data[STATE], 0).begun == now + 8 * DAY


def test_a_step_reads_no_more_than_its_share() -> None:
    objects = log_of(range(1, 60), keep=True)
    got: list[str] = []

    class Counting(MemoryObjects):
        def get(self, key: str) -> bytes | None:
            got.append(key)
            return super().get(key)

    counting = Counting(objects.data)
    assert look(counting, 7, 30).step(START + DAY, 59) is None
    assert 10 < len(got) <= 31


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"format": "contact-sanitizer/looked-back/v1"}',
        b'{"format": "contact-sanitizer/looked-back/v1", "begun": -1, "suspects": []}',
        b'{"format": "contact-sanitizer/looked-back/v1", "begun": 1, "suspects": ["13812345678"]}',
        b'{"format": "contact-sanitizer/looked-back/v1", "begun": 1, "suspects": [], "more": 1}',
        b"\xff",
    ],
)
def test_a_state_that_is_none_begins_the_look_anew(state: bytes) -> None:
    begun = parse_state(state, 5)
    assert (begun.begun, begun.after, begun.suspects, begun.scanned) == (5, "", (), 0)


def test_of_two_sealers_with_one_suspect_one_seals_it() -> None:
    objects = log_of([100], keep=True)
    (name,) = late_segments(objects, random.Random(1), 1, 1)  # noqa: S311 - as above
    late = Late((name,), 100)
    first, second = sealer(objects, keep=True), sealer(objects, keep=True)
    assert first.seal_late(START + DAY, late).size == 101
    assert second.seal_late(START + DAY, late).size == 101
    assert verify_log(objects, VERIFIERS).newest.size == 101


def test_after_a_long_silence_what_waited_is_sealed_though_it_fills_several_plans() -> None:
    """Also where the seal is cut off after each plan, as by a function's time limit."""
    objects = log_of([10], keep=True)
    for first in range(10, 2 * LARGEST_PLAN, 1_000):
        segments.append(objects, [event(number) for number in range(first, first + 1_000)])
    size = newest(objects).size
    now = START + 30 * DAY
    while True:
        by = sealer(objects, keep=True)
        back_to = by._back_to(newest(objects), now)
        names = [
            name for name in by._waiting(back_to) if name not in by._sealed_since(newest(objects), back_to)
        ]
        plan = by._plan(newest(objects), now, names)
        if plan is None:
            break
        size = by._carry_out(plan, newest(objects), by._sound_tree(newest(objects))).size
        now += MINUTE
    assert size == 9_010
    assert verify_log(objects, VERIFIERS).waiting == 0


def test_a_segment_that_was_put_under_an_old_name_is_noted_and_sealed() -> None:
    objects = log_of([100], keep=True)
    append(objects, [5_000])
    by = sealer(objects, keep=True)
    by.seal(START + 5_000_000)
    late = event(7_000, at=START)
    segments.append(objects, [late])
    segments.note_late(objects, late.uid, START + 5_100_000)
    assert by.seal(START + 5_120_000).size == 102
    assert by.seal(START + 5_130_000).size == 102
    assert verify_log(objects, VERIFIERS).waiting == 0
