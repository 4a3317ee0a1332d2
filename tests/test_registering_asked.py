"""When people asked: stated by events where it is known of all whom an event tells of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.registering.choices import Choice, record_choices
from contact_sanitizer.registering.desk import ConsentTerms
from contact_sanitizer.screening.consent import ConsentStatus
from contact_sanitizer.screening.suppression import SuppressionReason
from counter import PHONES, Counter, counter_at
from desk import NOW

AT = NOW // 1000


@pytest.fixture
def office(tmp_path: Path) -> Counter:
    return counter_at(tmp_path)


def told(
    office: Counter, *moments: int | None, status: ConsentStatus = ConsentStatus.WITHDRAWN
) -> dict[str, Any]:
    """The event of choices that were made at these moments."""
    terms = [ConsentTerms("marketing", "sms", effective_at=moment) for moment in moments]
    choices = [Choice(phone, status, each) for phone, each in zip(PHONES, terms, strict=False)]
    assert record_choices(office.place.desk("CN"), choices) == ["recorded"] * len(moments)
    return office.last_event


def test_of_several_withdrawals_the_earliest_is_stated(office: Counter) -> None:
    event = told(office, AT - 60, AT - 7200, AT - 1)
    assert (event["counts"], event["asked_at"]) == ({"events": 3}, NOW - 7_200_000)


@pytest.mark.parametrize("unsaid", [None, AT])
def test_where_one_says_nothing_or_now_none_is_stated(office: Counter, unsaid: int | None) -> None:
    event = told(office, AT - 60, unsaid)
    assert event["counts"] == {"events": 2}
    assert "asked_at" not in event


def test_of_consents_none_is_stated(office: Counter) -> None:
    assert "asked_at" not in told(office, AT - 60, status=ConsentStatus.GRANTED)


@pytest.mark.parametrize("moment", [AT + 1, -1])
def test_a_block_states_no_moment_that_cannot_be(office: Counter, moment: int) -> None:
    desk = office.place.desk("CN")
    before = office.events
    with pytest.raises(RegistryError, match="event_refused"):
        desk.block(desk.person(PHONES[0]), "tenant", SuppressionReason.COMPLAINT, asked_at=moment)
    assert office.events == before
    assert not desk.registry.history(desk.person(PHONES[0]).subject).entries


def test_a_reply_refuses_whatever_moment_it_states(office: Counter) -> None:
    desk = office.place.desk("CN")
    person = desk.person(PHONES[0])
    for moment in (AT + 1, -1):
        assert desk.reply(person, "TD", "gate", office.place.registry, moment).refuses
        assert "asked_at" not in office.last_event
    assert desk.reply(person, "TD", "gate", office.place.registry, 0).refuses
    assert office.last_event["asked_at"] == 0
    assert desk.registry.history(person.subject).entries
