"""What may be there of a list or a note after erasures, from the events alone."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.replacements import Replacements

LIST, DELIVERY = "01KAKV2DC060RK4CSM6MV3EE1S", "01KAKV2DC060RK4CSM6MV3EE1T"
ONE, TWO = "01KAKV2DC060RK4CSM6MV3EE1W", "01KAKV2DC060RK4CSM6MV3EE1V"
A, B, C = ("a" * 64, "b" * 64, "c" * 64)
FIRST = {"manifest": A, "clean": A, "rejects": A}


def line(erasure: str, outcome: Outcome = Outcome.BEGUN, **about: Any) -> bytes:
    event = Event(
        Action.PERSON_ERASED, outcome, 1_790_000_000_000, "ops", "default", erasure, erasure, **about
    )
    return event.line().rstrip()


def replaced(erasure: str, before: str, after: str) -> bytes:
    return line(erasure, list_id=LIST, digests={"manifest": after, "clean": after, "superseded": before})


def manifests(*lines: bytes) -> list[str]:
    found = Replacements()
    for each in lines:
        found.take(each)
    return sorted(state["manifest"] for state in found.states(LIST, FIRST, "manifest"))


def test_without_an_erasure_a_list_is_what_was_announced() -> None:
    assert manifests() == [A]
    assert manifests(line(ONE), line(ONE, Outcome.SUCCESS)) == [A]


def test_until_an_erasure_is_finished_both_may_be_there_and_then_the_new_one_alone() -> None:
    assert manifests(replaced(ONE, A, B)) == [A, B]
    assert manifests(replaced(ONE, A, B), line(ONE, Outcome.FAILURE, code="out_full")) == [A, B]
    assert manifests(replaced(ONE, A, B), line(ONE, Outcome.SUCCESS)) == [B]


def test_erasures_that_follow_each_other_leave_the_last_state_however_they_were_sealed() -> None:
    first = [replaced(ONE, A, B), line(ONE, Outcome.SUCCESS)]
    second = [replaced(TWO, B, C), line(TWO, Outcome.SUCCESS)]
    for order in permutations([*first, *second]):
        assert manifests(*order) == [C]


def test_of_two_erasures_the_unfinished_one_leaves_two_states() -> None:
    assert manifests(replaced(ONE, A, B), replaced(TWO, B, C), line(ONE, Outcome.SUCCESS)) == [B, C]


def test_what_an_erasure_announced_before_another_was_faster_is_overruled() -> None:
    begun = replaced(ONE, A, "d" * 64)
    faster = [replaced(TWO, A, B), line(TWO, Outcome.SUCCESS)]
    again = [replaced(ONE, B, C), line(ONE, Outcome.SUCCESS)]
    assert manifests(begun, *faster, *again) == [C]


def test_files_that_an_erasure_does_not_name_stay_what_they_were() -> None:
    found = Replacements()
    found.take(replaced(ONE, A, B))
    states = found.states(LIST, FIRST, "manifest")
    assert {"manifest": B, "clean": B, "rejects": A} in states


def test_an_erasure_of_another_list_or_from_another_state_says_nothing() -> None:
    other = line(ONE, list_id=DELIVERY, digests={"manifest": B, "superseded": A})
    assert manifests(other, replaced(ONE, C, B), line(ONE, Outcome.SUCCESS)) == [A]


def test_events_that_lead_in_a_circle_end() -> None:
    assert manifests(replaced(ONE, A, B), replaced(TWO, B, A)) == [A, B]


def test_a_note_follows_the_same_rule() -> None:
    found = Replacements()
    found.take(line(ONE, list_id=LIST, delivery_id=DELIVERY, digests={"people": B, "superseded": A}))
    assert [state["people"] for state in found.states(DELIVERY, {"people": A}, "people")] == [A, B]
    assert found.states(LIST, FIRST, "manifest") == [FIRST]
    found.take(line(ONE, Outcome.SUCCESS))
    assert [state["people"] for state in found.states(DELIVERY, {"people": A}, "people")] == [B]


def test_no_other_event_counts() -> None:
    published = Event(
        Action.LIST_PUBLISHED,
        Outcome.BEGUN,
        1_790_000_000_000,
        "ops",
        "default",
        ONE,
        ONE,
        list_id=LIST,
        digests={"manifest": B, "superseded": A},
    )
    assert manifests(published.line().rstrip()) == [A]
