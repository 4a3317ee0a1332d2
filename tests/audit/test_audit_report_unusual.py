"""Each rule at its threshold: met by one more, not met by one less; and silent where it knows too little."""

from __future__ import annotations

from typing import Any

import pytest

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.reporting.period import Period
from contact_sanitizer.reporting.report import Scope
from contact_sanitizer.reporting.rules import RULES
from reportlog import DAY, FIRST, HOUR, Diary, autumn, figures, reported

MINUTE = 60_000
TODAY = FIRST + 20 * DAY


def found(diary: Diary, scope: Scope | None = None) -> dict[str, list[dict[str, Any]]]:
    """What each rule found, by its word; rules that found nothing are left out."""
    events = sorted(diary.events, key=lambda event: event.at)
    rules = (figures(events, scope) if scope else figures(events))["unusual"]
    assert [rule["rule"] for rule in rules] == [rule.word for rule in RULES]
    return {rule["rule"]: rule["findings"] for rule in rules if rule["count"]}


def usual(days: int = 7, redeemed: int = 1_000, hour: int = 9) -> Diary:
    """A sender that redeems the same each day, before today."""
    diary = Diary()
    for day in range(days):
        at = TODAY - (day + 1) * DAY + hour * HOUR
        diary.redeem(at, "gate", tokens=redeemed, redeemed=redeemed)
    return diary


@pytest.mark.parametrize(("refusals", "minutes", "met"), [(10, 5, True), (9, 5, False), (10, 7, False)])
def test_refusals_in_one_hour_of_the_clock_are_a_burst(refusals: int, minutes: int, met: bool) -> None:  # noqa: FBT001 - a parameter
    diary = Diary()
    for number in range(refusals):
        diary.deny(TODAY + number * minutes * MINUTE, Action.ACCESS_DENIED, "not_allowed", "role/x")
    told = found(diary)
    assert ("refusals_in_bursts" in told) is met
    if met:
        assert told["refusals_in_bursts"] == [
            {"when": "2026-09-21T00", "who": "role/x", "said": "10 refusals"}
        ]


@pytest.mark.parametrize(
    ("days", "each", "today", "met"),
    [
        (7, 1_000, 3_001, True),
        (7, 1_000, 3_000, False),
        (7, 100, 1_100, False),
        (7, 100, 1_101, True),
        (6, 1_000, 90_000, False),
    ],
)
def test_redemptions_are_held_against_the_median_of_the_days_before(
    days: int,
    each: int,
    today: int,
    met: bool,  # noqa: FBT001 - a parameter
) -> None:
    diary = usual(days, each)
    diary.redeem(TODAY + 9 * HOUR, "gate", tokens=today, redeemed=today)
    assert ("redeemed_above_usual" in found(diary)) is met


def test_what_lies_longer_back_than_28_days_is_not_usual() -> None:
    diary = Diary()
    for day in range(29, 40):
        diary.redeem(TODAY + 40 * DAY - day * DAY, "gate", tokens=10, redeemed=10)
    diary.redeem(TODAY + 40 * DAY, "gate", tokens=9_000, redeemed=9_000)
    assert "redeemed_above_usual" not in found(diary)


def test_rows_delivered_are_held_against_the_days_before_too() -> None:
    diary = Diary()
    for day in range(8):
        at = TODAY - 8 * DAY + day * DAY + 9 * HOUR
        diary.deliver(at, diary.new_id(at), "gate", {"rows": 1_000 if day < 7 else 3_001})
    (finding,) = found(diary)["fetched_above_usual"]
    assert finding["said"] == "3,001 rows delivered; usual: 1,000"


@pytest.mark.parametrize(("hour", "met"), [(8, False), (10, False), (7, True), (11, True), (23, True)])
def test_an_hour_beside_a_usual_one_is_usual(hour: int, met: bool) -> None:  # noqa: FBT001 - a parameter
    diary = usual()
    diary.redeem(TODAY + hour * HOUR, "gate", tokens=1, redeemed=1)
    assert ("outside_usual_hours" in found(diary)) is met


@pytest.mark.parametrize(
    ("counts", "rules"),
    [
        ({"tokens": 2_000, "token_forged": 60, "token_malformed": 40}, {"junk_tokens"}),
        ({"tokens": 2_001, "token_forged": 100}, set()),
        ({"tokens": 99, "token_malformed": 99}, set()),
        ({"tokens": 1_000, "other_audience": 10}, {"tokens_of_others"}),
        ({"tokens": 1_000, "other_audience": 9}, set()),
        ({"tokens": 500, "refused": 100}, {"stale_lists"}),
        ({"tokens": 501, "refused": 100}, set()),
    ],
)
def test_tokens_of_one_day_are_judged_together(counts: dict[str, int], rules: set[str]) -> None:
    diary = Diary()
    half = {word: count // 2 for word, count in counts.items()}
    rest = {word: count - count // 2 for word, count in counts.items()}
    diary.redeem(TODAY, "gate", **half)
    diary.redeem(TODAY + 5 * HOUR, "gate", **rest)
    assert set(found(diary)) == rules


def test_a_quota_that_was_reached_is_told() -> None:
    diary = Diary()
    diary.deny(TODAY, Action.TOKENS_DENIED, "quota_exceeded", "role/gate", sender="gate")
    diary.deny(TODAY, Action.DELIVERY_DENIED, "purpose_refused", "role/gate", sender="gate")
    assert found(diary) == {
        "quotas_reached": [{"when": "2026-09-21", "who": "gate", "said": "1 request"}],
    }


@pytest.mark.parametrize(("looks", "met"), [(20, True), (19, False)])
def test_many_looks_at_people_on_one_day_are_told(looks: int, met: bool) -> None:  # noqa: FBT001 - a parameter
    diary = Diary()
    for number in range(looks):
        action = Action.PERSON_TRACED if number % 2 else Action.PERSON_SHOWN
        diary.tell(TODAY + number * MINUTE, action, "eve")
    assert ("many_looks" in found(diary)) is met


@pytest.mark.parametrize(("entries", "met"), [(20, True), (19, False)])
def test_many_blocks_removed_on_one_day_are_told(entries: int, met: bool) -> None:  # noqa: FBT001 - a parameter
    diary = Diary()
    diary.tell(TODAY, Action.BLOCK_REMOVED, "eve", counts={"entries": entries - 5})
    diary.tell(TODAY + HOUR, Action.BLOCK_REMOVED, "eve", counts={"entries": 5})
    assert ("many_removals" in found(diary)) is met


def test_who_acts_first_when_the_log_is_a_week_old_is_new() -> None:
    diary = Diary()
    diary.tell(FIRST, Action.HOME_CREATED)
    diary.tell(FIRST + 7 * DAY - 1, Action.PERSON_SHOWN, "ann")
    diary.tell(FIRST + 7 * DAY, Action.PERSON_SHOWN, "ben")
    diary.tell(FIRST + 9 * DAY, Action.PERSON_SHOWN, "ben")
    assert [(each["who"], each["when"]) for each in found(diary)["new_principals"]] == [
        ("ben", "2026-09-08T00:00:00.000Z")
    ]


def test_a_verification_that_failed_comes_first() -> None:
    diary = Diary()
    diary.tell(TODAY, Action.AUDIT_VERIFIED, "eve", Outcome.FAILURE, code="event_altered")
    diary.tell(TODAY, Action.AUDIT_VERIFIED, "eve", Outcome.SUCCESS)
    diary.tell(TODAY + HOUR, Action.AUDIT_RECONCILED, "eve", Outcome.FAILURE, code="reads_flagged")
    assert [each["said"] for each in found(diary)["verification_failed"]] == [
        "audit.verified: event_altered",
        "audit.reconciled: reads_flagged",
    ]


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (Action.DELIVERY_FAILED, "list_damaged"),
        (Action.RECALLS_DENIED, "people_damaged"),
        (Action.RECALLS_DENIED, "people_missing"),
        (Action.LIST_FAILED, "registry_damaged"),
        (Action.DELIVERY_FAILED, "catalogue_damaged"),
        (Action.TOKENS_DENIED, "keyring_damaged"),
    ],
)
def test_damage_that_somebody_met_is_told_once_a_day(action: Action, code: str) -> None:
    diary = Diary()
    made, delivered = diary.new_id(TODAY), diary.new_id(TODAY + 1)
    for at in (TODAY, TODAY + HOUR, TODAY + DAY):
        diary.deny(at, action, code, "role/gate", list_id=made, delivery_id=delivered)
    told = found(diary)["damage_met"]
    assert [each["when"][:10] for each in told] == ["2026-09-21", "2026-09-22"]
    assert {each["who"] for each in told} == {"role/gate"}
    thing = f"list {made}" if code == "list_damaged" else f"delivery {delivered}"
    assert told[0]["said"] == f"{action}: {code}, {thing} (2 times that day)"
    assert told[1]["said"] == f"{action}: {code}, {thing}"


def test_a_damaged_list_is_one_finding_however_many_deliveries_of_it_fail() -> None:
    diary = Diary()
    made = diary.new_id(TODAY)
    for at in (TODAY, TODAY + 1):
        diary.deny(at, Action.DELIVERY_FAILED, "list_damaged", list_id=made, delivery_id=diary.new_id(at))
    assert [each["said"] for each in found(diary)["damage_met"]] == [
        f"delivery.failed: list_damaged, list {made} (2 times that day)"
    ]


def test_damage_that_a_trace_names_is_told_too() -> None:
    diary = Diary()
    diary.tell(TODAY, Action.PERSON_TRACED, "eve", Outcome.SUCCESS, counts={"lists": 1, "damaged": 2})
    diary.tell(TODAY, Action.PERSON_TRACED, "eve", Outcome.SUCCESS, counts={"lists": 1, "lists_unread": 2})
    assert [each["said"] for each in found(diary)["damage_met"]] == ["person.traced: damaged"]


def test_a_damaged_upload_and_a_note_whose_term_is_over_are_no_damage() -> None:
    diary = Diary()
    diary.deny(TODAY, Action.LIST_FAILED, "file_damaged")
    diary.deny(TODAY, Action.RECALLS_DENIED, "people_gone")
    diary.deny(TODAY, Action.AUDIT_RECONCILED, "trail_damaged")
    assert "damage_met" not in found(diary)


def test_only_the_period_is_judged_by_what_came_before_it() -> None:
    diary = usual()
    diary.redeem(TODAY + 9 * HOUR, "gate", tokens=9_000, redeemed=9_000)
    diary.redeem(TODAY + DAY + 9 * HOUR, "gate", tokens=9_000, redeemed=9_000)
    assert [each["when"] for each in found(diary)["redeemed_above_usual"]] == ["2026-09-21", "2026-09-22"]
    today = Scope(Period(TODAY + DAY, TODAY + 2 * DAY))
    assert [each["when"] for each in found(diary, today)["redeemed_above_usual"]] == ["2026-09-22"]
    assert "redeemed_above_usual" not in found(diary, Scope(Period(TODAY + 2 * DAY)))


def test_an_ordinary_month_finds_nothing_but_late_recalls() -> None:
    ordinary = [event for event in autumn(days=46) if event.at < FIRST + 30 * DAY]
    rules = {rule["rule"] for rule in reported(ordinary).figures()["unusual"] if rule["count"]}
    assert rules <= {"recalls_late"}
