"""POST /trace: one person's story across all lists of the caller's tenant, for security alone.

The API waits for 30 seconds, and a tenant may have made thousands of lists: so a story comes in leaves.
"""

from __future__ import annotations

from typing import Annotated, Final

from aws_lambda_powertools.event_handler.openapi.params import Body as InBody
from pydantic import Field

from contact_sanitizer.access import Role
from contact_sanitizer.handlers.api import Body, enter, function_of, routes
from contact_sanitizer.handlers.record_choice import Phone, Region
from contact_sanitizer.handlers.spans import Span, span
from contact_sanitizer.tracing.document import trace_document
from contact_sanitizer.tracing.trace import Leaf, Place
from contact_sanitizer.tracing.trace import trace as trace_person

router: Final = routes()
RESERVE_MILLISECONDS: Final = 14_000
"""With less time left nothing more is looked into: the decisions of a long list take some seconds."""

MOST: Final = 5_000
"""So many rows, deliveries and redemptions are told at once: an answer has at most 6 MB."""

_ROLES: Final = frozenset({Role.SECURITY})


class TraceWish(Body):
    """Whose story; `region`: where a number without + belongs; `after`: the `next` of the leaf before."""

    phone: Phone
    region: Region = "CN"
    after: Annotated[str, Field(max_length=64)] = ""


class TracedConsent(Body):
    """One consent or withdrawal; an empty purpose, channel or sender means any."""

    recorded_at: str
    status: str
    purpose: str
    channel: str
    sender: str
    effective_at: str | None
    expires_at: str | None
    source: str
    recorded_by: str


class TracedSuppression(Body):
    """One act on a suppression: `added`, `removed` or `approved` (a removal, by a second person)."""

    recorded_at: str
    act: str
    scope: str
    reason: str
    expires_at: str | None
    source: str
    recorded_by: str


class TracedEntry(Body):
    """How a suppression stood: `in force`, `removal asked`, `expired` or `removed`; no `until`: no end."""

    scope: str
    reason: str
    since: str
    until: str | None
    state: str


class TracedHistory(Body):
    """What was on record at one moment."""

    consents: list[TracedConsent]
    suppressions: list[TracedSuppression]
    entries: list[TracedEntry]


class TracedRow(Body):
    """One row as it was decided; `row` is its number in the file."""

    row: int
    verdict: str
    reason: str | None
    reasons: list[str]


class TracedList(Body):
    """A list that the person was on; of more than 1,000 rows the first are told. `known`: at `started_at`."""

    list_id: str
    started_at: str
    policy: str
    policy_sha256: str
    row_count: int
    rows: list[TracedRow]
    known: TracedHistory


class UntracedList(Body):
    """A list that could not be looked into: `making`, `failed`, `gone` or `damaged`."""

    list_id: str
    started_at: str
    state: str


class TracedDelivery(Body):
    """A delivery that the person was on.

    `recall`: `none`, `due` (the person refuses, nobody has looked for it yet), `found` or `acknowledged`.
    """

    delivery: str
    list_id: str
    as_of: str
    sender: str
    purpose: str
    form: str
    state: str
    recall: str
    recalled_at: str | None


class UntracedDelivery(Body):
    """A delivery whose people are no longer kept (`gone`) or cannot be read (`damaged`)."""

    delivery: str
    as_of: str
    state: str


class TracedRedemption(Body):
    """That a sender was given the number."""

    redemption: str
    sender: str
    at: str


class Traced(Body):
    """One person's story, or a leaf of it; each array oldest first, no phone in it.

    Where `next` is there, more is left: ask again with `after` set to it. Each leaf has all of `recorded`.
    """

    format: str
    traced_at: str
    lists_read: int
    lists: list[TracedList]
    unread: list[UntracedList]
    deliveries: list[TracedDelivery]
    unread_deliveries: list[UntracedDelivery]
    redemptions: list[TracedRedemption]
    recorded: TracedHistory
    next: str | None = None


@router.post("/trace", summary="One person's story", operation_id="tracePerson")
def post_trace(wish: Annotated[TraceWish, InBody()]) -> Traced:
    """Announced before anything is read; of a person whom nobody knows every array is empty."""
    call = enter(router, _ROLES, "tracePerson")
    leaf = Leaf(Place.of(wish.after) if wish.after else None, _enough)
    with span(Span.TRACE), call.workspace(make=False) as workspace:
        person = workspace.desk(wish.region).person(wish.phone)
        found = trace_person(person, workspace.delivery_desk(), workspace.shelf_of, leaf)
    return Traced.model_validate(trace_document(found))


def _enough(found: int) -> bool:
    return found >= MOST or router.lambda_context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS


handler = function_of(router)
