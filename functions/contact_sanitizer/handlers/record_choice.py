"""POST /consents, POST /optouts: what people chose, as others report it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from aws_lambda_powertools.event_handler.openapi.params import Body as InBody
from pydantic import AfterValidator, AwareDatetime, Field

from contact_sanitizer.access import Role
from contact_sanitizer.handlers.api import Body, enter, function_of, routes
from contact_sanitizer.handlers.journal import Counted, count
from contact_sanitizer.handlers.spans import Span, span
from contact_sanitizer.policy_words import REGIONS
from contact_sanitizer.registering.choices import Choice, record_choices
from contact_sanitizer.registering.desk import ConsentTerms
from contact_sanitizer.screening.consent import ConsentStatus

router: Final = routes()
MOST: Final = 1_000
_RECORDERS: Final = frozenset({Role.OPERATOR})
_LISTENERS: Final = frozenset({Role.SENDER, Role.OPERATOR})


def _known(region: str) -> str:
    if region not in REGIONS:
        raise ValueError("no region")
    return region


Phone = Annotated[str, Field(min_length=1, max_length=256)]
Text = Annotated[str, Field(max_length=256)]
Region = Annotated[str, Field(max_length=2), AfterValidator(_known)]


class Status(StrEnum):
    """What was said."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


class ChoiceItem(Body):
    """One person's consent or withdrawal; without `effective_at`: now, and a withdrawal is in force at once.

    A grant needs purpose and channel.
    """

    phone: Phone
    status: Status
    purpose: Text = ""
    channel: Text = ""
    sender: Text = ""
    effective_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    source: Text = ""
    reference: Text = ""
    wording: Text = ""


class Choices(Body):
    """Up to 1,000 choices; `region`: where a number without + belongs."""

    items: Annotated[list[ChoiceItem], Field(min_length=1, max_length=MOST)]
    region: Region = "CN"


class ChoiceResult(Body):
    """What became of the choice at `index`: `recorded`, `already_there`, or `refused:` and a reason."""

    index: int
    outcome: str


class ChoiceResults(Body):
    """The results, in the order of the items."""

    results: list[ChoiceResult]


class Reply(Body):
    """A reply to a message of `sender` (left out: of any), as it came; `asked_at`: when it was sent."""

    phone: Phone
    message: Annotated[str, Field(max_length=4_096)]
    sender: Annotated[str, Field(max_length=64)] = ""
    asked_at: AwareDatetime | None = None
    region: Region = "CN"


class ReplyRead(Body):
    """How the reply was read; one that is not understood is kept for a person to read."""

    result: str
    recorded: bool


@router.post("/consents", summary="Record consents and withdrawals", operation_id="recordConsents")
def post_consents(choices: Annotated[Choices, InBody()]) -> ChoiceResults:
    """Each item has its own result; the same items again change nothing."""
    call = enter(router, _RECORDERS, "recordConsents")
    with span(Span.RECORD), call.workspace() as workspace:
        desk = workspace.desk(choices.region)
        outcomes = record_choices(desk, [_choice(item) for item in choices.items])
    refused = sum(outcome.startswith("refused:") for outcome in outcomes)
    count(Counted.CHOICES_RECORDED, len(outcomes) - refused)
    count(Counted.CHOICES_REFUSED, refused)
    return ChoiceResults(
        results=[ChoiceResult(index=index, outcome=outcome) for index, outcome in enumerate(outcomes)]
    )


@router.post("/optouts", summary="Read a reply, record the refusal", operation_id="recordOptOut")
def post_optouts(reply: Annotated[Reply, InBody()]) -> ReplyRead:
    """R, TD, 退订, STOP and the like refuse; a sender reports what was replied to it."""
    call = enter(router, _LISTENERS, "recordOptOut")
    with span(Span.RECORD), call.workspace() as workspace:
        desk = workspace.desk(reply.region)
        person, asked_at = desk.person(reply.phone), _seconds(reply.asked_at)
        reading = desk.reply(person, reply.message, reply.sender, workspace.registry, asked_at)
    count(Counted.CHOICES_RECORDED, int(reading.refuses))
    return ReplyRead(result=reading.kind.value, recorded=reading.refuses)


def _choice(item: ChoiceItem) -> Choice:
    terms = ConsentTerms(
        item.purpose,
        item.channel,
        item.sender,
        _seconds(item.effective_at),
        _seconds(item.expires_at),
        item.source,
        item.reference,
        item.wording,
    )
    return Choice(item.phone, ConsentStatus[item.status.name], terms)


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


handler = function_of(router)
