import pytest

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.rule import FOREVER, Rule
from contact_sanitizer.screening.suppression import (
    SuppressionAct,
    SuppressionEvent,
    SuppressionReason,
    entries,
    scope_of,
    suppressed_until,
)

SUBJECT = b"\x02" * 16
RULE = Rule("marketing", "sms", "brand-a")


def act(
    kind: SuppressionAct = SuppressionAct.ADDED,
    scope: str = "tenant",
    reason: SuppressionReason = SuppressionReason.OPTED_OUT,
    *,
    by: str = "ann",
    expires_at: int | None = None,
    at: int = 10,
) -> SuppressionEvent:
    return SuppressionEvent(SUBJECT, kind, scope, reason, at, by, why="asked by phone", expires_at=expires_at)


def forbidden(*events: SuppressionEvent, rule: Rule = RULE, now: int = 100) -> bool:
    by_entry = any(entry.forbids(rule, now) for entry in entries(events))
    assert by_entry == (now < suppressed_until(events, rule))
    return by_entry


def test_nobody_is_suppressed_without_an_entry() -> None:
    assert not forbidden()


@pytest.mark.parametrize("scope", ["global", "tenant", "sender:brand-a", "sender: Brand-A"])
def test_an_entry_in_a_scope_of_the_rule_forbids(scope: str) -> None:
    assert forbidden(act(scope=scope))


def test_an_entry_towards_another_sender_does_not_forbid() -> None:
    assert not forbidden(act(scope="sender:brand-b"))


def test_without_a_sender_in_the_rule_the_refusal_towards_any_sender_forbids() -> None:
    assert forbidden(act(scope="sender:brand-b"), rule=Rule("marketing", "sms"))


def test_only_scopes_of_the_rule_count() -> None:
    rule = Rule("marketing", "sms", scopes=frozenset({"global"}))
    assert not forbidden(act(), rule=rule)
    assert forbidden(act(scope="global"), rule=rule)


def test_an_entry_ends_in_the_second_in_which_it_expires() -> None:
    assert forbidden(act(expires_at=100), now=99)
    assert not forbidden(act(expires_at=100), now=100)


def test_adding_again_never_makes_an_entry_end_earlier() -> None:
    assert entries([act(), act(expires_at=50)])[0].until == FOREVER
    assert entries([act(expires_at=80), act(expires_at=50)])[0].until == 80


def test_one_person_removes_an_ordinary_entry() -> None:
    assert not forbidden(act(), act(SuppressionAct.REMOVED))


def test_a_removal_reaches_only_the_entry_that_it_names() -> None:
    assert forbidden(act(), act(scope="global"), act(SuppressionAct.REMOVED))


def test_what_is_added_after_a_removal_forbids_again() -> None:
    assert forbidden(act(), act(SuppressionAct.REMOVED), act())


@pytest.mark.parametrize("reason", [SuppressionReason.REGULATOR, SuppressionReason.COMPLAINT])
def test_some_reasons_need_a_second_person(reason: SuppressionReason) -> None:
    entry, asked = act(reason=reason), act(SuppressionAct.REMOVED, reason=reason, by="ann")
    assert forbidden(entry, asked)
    assert entries([entry, asked])[0].removal_by == "ann"
    assert forbidden(entry, asked, act(SuppressionAct.APPROVED, reason=reason, by=" ANN"))
    assert not forbidden(entry, asked, act(SuppressionAct.APPROVED, reason=reason, by="bob"))


def test_an_approval_without_a_request_does_nothing() -> None:
    reason = SuppressionReason.REGULATOR
    assert forbidden(act(reason=reason), act(SuppressionAct.APPROVED, reason=reason, by="bob"))


def test_an_approval_does_not_reach_what_was_added_after_the_request() -> None:
    reason = SuppressionReason.COMPLAINT
    asked = act(SuppressionAct.REMOVED, reason=reason, by="ann")
    approved = act(SuppressionAct.APPROVED, reason=reason, by="bob")
    assert forbidden(act(reason=reason), asked, act(reason=reason), approved)


def test_as_of_asks_what_was_known_at_a_moment() -> None:
    events = [act(at=10), act(SuppressionAct.REMOVED, at=20)]
    assert not entries(events, as_of=15)[0].removed
    assert entries(events, as_of=20)[0].removed
    assert entries(events, as_of=9) == []


@pytest.mark.parametrize("text", ["", "world", "sender", "sender:", "tenant:x", "global:", "sender: "])
def test_an_unknown_scope_is_refused(text: str) -> None:
    with pytest.raises(RegistryError) as caught:
        scope_of(text)
    assert caught.value.code == "event_refused"


@pytest.mark.parametrize(("by", "why"), [("", "asked"), ("ann", ""), (" ", " ")])
def test_a_removal_says_who_and_why(by: str, why: str) -> None:
    with pytest.raises(RegistryError) as caught:
        SuppressionEvent(
            SUBJECT, SuppressionAct.REMOVED, "tenant", SuppressionReason.OPERATOR, 1, by, why=why
        )
    assert caught.value.code == "removal_refused"
