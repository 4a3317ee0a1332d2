"""What every registry does when it is told to forget somebody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudworld import REGISTRY, cloud
from contact_sanitizer.aws.registry import DynamoRegistry
from contact_sanitizer.embedded.registry import SqliteRegistry
from contact_sanitizer.ports import TenantRegistry
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.foreign import KEPT_BYTES, HashContract
from contact_sanitizer.screening.forgetting import Leave, bare_refusals
from contact_sanitizer.screening.recording import Candidates, Event, Outcome, Remembered
from contact_sanitizer.screening.rule import FOREVER, Rule
from contact_sanitizer.screening.suppression import (
    SuppressionAct,
    SuppressionEvent,
    SuppressionReason,
    entries,
)
from contact_sanitizer.screening.verdict import Drop

ANN, BOB = (bytes([n]) * 16 for n in (1, 2))
DIGITS = b"8613812345678"
BLOCK = DIGITS.ljust(16, b"\0")
RULE = Rule("marketing", "sms", "brand-a")
NOW = 1_000_000
CONTRACT = HashContract.named("sha256:+E164")
HASH = CONTRACT.digest(DIGITS)[:KEPT_BYTES]


@pytest.fixture(params=["sqlite", "dynamodb"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TenantRegistry]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            path = tmp_path / "registry.sqlite"
            yield stack.enter_context(SqliteRegistry.open(path, tmp_path / "snapshots", create=True))
            return
        dynamo = DynamoRegistry(stack.enter_context(cloud()).clients.dynamodb, REGISTRY, "default")
        dynamo.create()
        stack.callback(dynamo.close)
        yield dynamo


def grant(subject: bytes = ANN, at: int = 100, sender: str = "") -> ConsentEvent:
    granted = ConsentStatus.GRANTED
    return ConsentEvent(
        subject, granted, 200, "marketing", "sms", sender, at, source="form", reference="7", sealed=b"s"
    )


def withdrawal(subject: bytes = ANN, at: int = 150, **more: str) -> ConsentEvent:
    return ConsentEvent(subject, ConsentStatus.WITHDRAWN, 200, effective_at=at, recorded_by="li", **more)  # type: ignore[arg-type] # names of its texts


def block(subject: bytes = ANN, scope: str = "tenant", **more: object) -> SuppressionEvent:
    added, reason = SuppressionAct.ADDED, SuppressionReason.OPTED_OUT
    event = SuppressionEvent(subject, added, scope, reason, 200, "li", "mail", "8", "asked", sealed=b"s")
    return replace(event, **more)  # type: ignore[arg-type] # the tests name fields of the event


def bits(registry: TenantRegistry, subject: bytes, rule: Rule = RULE, change: int | None = None) -> int:
    rows = [np.frombuffer(each, np.uint8).reshape(1, 16) for each in (subject, BLOCK)]
    with registry.screening(rule, NOW, change) as screening:
        found = int(screening.screen(Candidates.of(*rows))[0])
    if change is None:
        assert registry.ask(rule, NOW, Candidates.of(*rows)).tolist() == [found]
    return found


def scopes(registry: TenantRegistry) -> list[str]:
    history = registry.history(ANN, BLOCK)
    assert history.consents == ()
    for event in history.suppressions:
        assert (event.recorded_by, event.source, event.reference, event.why) == ("", "", "", "")
        assert (event.sealed, event.contract, event.act) == (b"", 0, SuppressionAct.ADDED)
    return [entry.scope for entry in history.entries]


def test_who_never_refused_is_unknown_afterwards_and_nobody_else_is_touched(registry: TenantRegistry) -> None:
    registry.record([grant(), grant(BOB)])
    registry.keep_reply(ANN, b"sealed", 300)
    assert registry.remembered(ANN, BLOCK) == Remembered(1, 0, 1)
    registry.forget(ANN, BLOCK, Leave(NOW))
    assert registry.remembered(ANN, BLOCK).is_nothing
    assert scopes(registry) == []
    assert bits(registry, ANN) == Drop.CONSENT_MISSING
    assert bits(registry, BOB) == 0


def test_of_a_refusal_the_bare_refusal_stays(registry: TenantRegistry) -> None:
    registry.record([grant(), block(), block(scope="sender:gate", expires_at=NOW + 9)])
    registry.forget(ANN, BLOCK, Leave(NOW))
    assert scopes(registry) == ["tenant", "sender:gate"]
    assert [e.until for e in registry.history(ANN).entries][1] == NOW + 9
    assert bits(registry, ANN) == Drop.SUPPRESSED | Drop.CONSENT_MISSING


def test_a_withdrawal_becomes_a_refusal_for_everybody(registry: TenantRegistry) -> None:
    registry.record([grant(), withdrawal(sender="brand-a")])
    registry.forget(ANN, BLOCK, Leave(NOW, ("tenant", "global")))
    assert scopes(registry) == ["tenant", "global", "sender:brand-a"]
    for counted in ("tenant", "global", "sender"):
        assert bits(registry, ANN, replace(RULE, scopes=frozenset({counted}))) & Drop.SUPPRESSED


def test_what_was_over_before_leaves_nothing(registry: TenantRegistry) -> None:
    taken_back = withdrawal(purpose="marketing", channel="sms")
    removed = block(act=SuppressionAct.REMOVED, recorded_at=300)
    registry.record([block(), removed, block(scope="global", expires_at=NOW), taken_back, grant(at=400)])
    registry.forget(ANN, BLOCK, Leave(NOW))
    assert scopes(registry) == []


def test_a_later_consent_does_not_outlive_a_wider_withdrawal(registry: TenantRegistry) -> None:
    registry.record([withdrawal(), grant(at=400)])
    registry.forget(ANN, BLOCK, Leave(NOW))
    assert scopes(registry) == ["tenant"]


def test_a_removal_that_nobody_agreed_to_leaves_the_entry_in_force(registry: TenantRegistry) -> None:
    complaint = SuppressionReason.COMPLAINT
    registry.record([block(reason=complaint), block(reason=complaint, act=SuppressionAct.REMOVED)])
    registry.forget(ANN, BLOCK, Leave(NOW))
    (entry,) = registry.history(ANN).entries
    assert entry.state(NOW) == "in force"


def test_a_job_that_was_pinned_before_sees_each_refusal_that_it_saw(registry: TenantRegistry) -> None:
    pinned = registry.record([grant(), block(), grant(BOB), block(HASH, contract=CONTRACT.code)]).change
    before = registry.record([grant(sender="x"), grant(sender="y")]).change
    registry.forget(ANN, BLOCK, Leave(NOW))
    for change in (pinned, before, None):
        assert bits(registry, ANN, change=change) & Drop.SUPPRESSED, change


def test_an_entry_of_somebody_elses_hashed_list_stays_under_our_own_key(registry: TenantRegistry) -> None:
    registry.record([block(HASH, contract=CONTRACT.code, occasion="file")])
    assert registry.remembered(ANN, BLOCK) == Remembered(0, 1, 0)
    registry.forget(ANN, BLOCK, Leave(NOW))
    assert scopes(registry) == ["tenant"]
    assert [entry.scope for entry in registry.history(HASH, BLOCK).entries] == []


def test_a_refusal_is_left_in_any_case_where_that_is_asked(registry: TenantRegistry) -> None:
    registry.record([grant()])
    for _ in range(2):
        registry.forget(ANN, BLOCK, Leave(NOW, always=True))
        assert scopes(registry) == ["tenant"]
    assert bits(registry, ANN) & Drop.SUPPRESSED


def test_forgetting_again_changes_nothing(registry: TenantRegistry) -> None:
    registry.record([grant(), withdrawal(), block(scope="global")])
    registry.forget(ANN, BLOCK, Leave(NOW))
    once = registry.history(ANN, BLOCK)
    registry.forget(ANN, BLOCK, Leave(NOW + 99))
    assert registry.history(ANN, BLOCK) == once


def test_the_same_blocklist_again_says_nothing_new_and_a_consent_does_not_come_back(
    registry: TenantRegistry,
) -> None:
    registry.record([block(occasion="file"), grant()])
    registry.forget(ANN, BLOCK, Leave(NOW))
    assert registry.record([block(occasion="file")]).outcomes == (Outcome.ALREADY_THERE,)
    registry.record([grant(at=999)])
    assert bits(registry, ANN) == Drop.SUPPRESSED


SCOPES = st.sampled_from(["tenant", "global", "sender:brand-a", "sender:x"])
REASONS = st.sampled_from([SuppressionReason.OPTED_OUT, SuppressionReason.COMPLAINT])
ACTORS = st.sampled_from(["li", "wu"])
PLACES = st.sampled_from(["", "brand-a"])


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """What may have been recorded about one person, in order."""
    events: list[Event] = []
    for at in range(draw(st.integers(1, 9))):
        if draw(st.booleans()):
            act, until = draw(st.sampled_from(SuppressionAct)), draw(st.sampled_from([None, 5, NOW + 5]))
            added = act is SuppressionAct.ADDED
            events.append(
                block(
                    act=act,
                    scope=draw(SCOPES),
                    reason=draw(REASONS),
                    recorded_at=at,
                    recorded_by=draw(ACTORS),
                    expires_at=until if added else None,
                )
            )
        elif draw(st.booleans()):
            events.append(grant(at=draw(st.integers(0, 20)), sender=draw(PLACES)))
        else:
            events.append(withdrawal(at=draw(st.integers(0, 20)), sender=draw(PLACES)))
    return events


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(logs())
def test_no_refusal_is_weakened_by_forgetting(
    tmp_path_factory: pytest.TempPathFactory, log: list[Event]
) -> None:
    folder = tmp_path_factory.mktemp("registry")
    with SqliteRegistry.open(folder / "r.sqlite", folder / "s", create=True) as registry:
        registry.record(log)
        rules = [replace(RULE, scopes=frozenset(some)) for some in ({"tenant"}, {"global"}, {"sender"})]
        before = [bits(registry, ANN, rule) for rule in rules]
        registry.forget(ANN, BLOCK, Leave(NOW, ("tenant", "global", "sender:brand-a")))
        for rule, was in zip(rules, before, strict=True):
            if was & (Drop.SUPPRESSED | Drop.CONSENT_WITHDRAWN):
                assert bits(registry, ANN, rule) & Drop.SUPPRESSED
        assert registry.history(ANN, BLOCK).consents == ()


@settings(max_examples=100, derandomize=True, deadline=None)
@given(logs())
def test_each_refusal_stays_where_it_was_in_the_order_of_changes(log: list[Event]) -> None:
    kept = bare_refusals(ANN, list(enumerate(log, 1)), Leave(NOW))
    stays = {(event.scope, event.reason): (change, event) for change, event in kept}
    acts = [(at, act) for at, act in enumerate(log, 1) if isinstance(act, SuppressionEvent)]
    for entry in entries(act for _, act in acts):
        if entry.forbids(replace(RULE, sender=None), NOW):
            made = [at for at, act in acts if (act.scope, act.reason) == (entry.scope, entry.reason)]
            added = [at for at in made if log[at - 1].act is SuppressionAct.ADDED]  # type: ignore[union-attr] # as above
            change, event = stays[entry.scope, entry.reason]
            assert 0 < change <= added[0]
            assert (event.expires_at or FOREVER) >= entry.until
    assert len({change for change, _ in kept if change}) == len([change for change, _ in kept if change])


def test_a_log_without_anything_leaves_nothing() -> None:
    assert bare_refusals(ANN, [], Leave(NOW)) == []
