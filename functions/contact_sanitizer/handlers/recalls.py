"""GET /deliveries/{id}/recalls, POST .../recalls/ack: who refused since; the sender's receipt."""

from __future__ import annotations

from typing import Annotated, Final

from aws_lambda_powertools.event_handler.openapi.params import Body as InBody
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field

from contact_sanitizer.access import Role
from contact_sanitizer.delivery.deliveries import Deliveries
from contact_sanitizer.delivery.recalls import acknowledge, show_recalls
from contact_sanitizer.handlers.api import Body, enter, function_of, routes
from contact_sanitizer.handlers.sending import reviews, speak_for
from contact_sanitizer.handlers.show_upload import Id
from contact_sanitizer.handlers.spans import Span, span
from contact_sanitizer.handlers.stage import Call
from contact_sanitizer.outputs.manifest import rfc3339

router: Final = routes()
MOST: Final = 10_000
"""So many recalls are told at once; the cursor goes on from there."""

_SENDERS: Final = frozenset({Role.SENDER})
_READERS: Final = frozenset({Role.SENDER, Role.SECURITY, Role.OPERATOR})


class RecallPage(Body):
    """Recalls after the cursor that was asked for; ask again with `cursor` while there is `more`."""

    delivery: str
    recalls: list[dict[str, str]]
    cursor: int
    acknowledged: int
    more: bool


class Acknowledgement(Body):
    """Up to where the sender knows; left out: up to all that was found."""

    cursor: Annotated[int, Field(ge=0)] | None = None


class ReceiptGiven(Body):
    """The receipt: `receipt` proves what was acknowledged."""

    delivery: str
    cursor: int
    at: str
    receipt: str


@router.get("/deliveries/<delivery_id>/recalls", summary="Who refused since", operation_id="showRecalls")
def get_recalls(delivery_id: Id, after: Annotated[int, Query(ge=0)] = 0) -> RecallPage:
    """The recalled people, by what the sender calls them."""
    call = enter(router, _READERS, "showRecalls")
    if not reviews(call):
        _check_sender(call, delivery_id, "showRecalls")
    with span(Span.RECALLS, delivery_id=delivery_id), call.workspace(make=False) as workspace:
        recalls = show_recalls(delivery_id, workspace.delivery_desk(), after)
    lines = list(recalls.lines())
    told = lines[:MOST]
    return RecallPage(
        delivery=delivery_id,
        recalls=told,
        cursor=after + len(told) if len(told) < len(lines) else recalls.cursor,
        acknowledged=recalls.acknowledged,
        more=len(told) < len(lines),
    )


@router.post(
    "/deliveries/<delivery_id>/recalls/ack", summary="Acknowledge recalls", operation_id="acknowledgeRecalls"
)
def post_acknowledgement(delivery_id: Id, said: Annotated[Acknowledgement, InBody()]) -> ReceiptGiven:
    """The sender's word that it knows; the same again gives the same receipt."""
    call = enter(router, _SENDERS, "acknowledgeRecalls")
    _check_sender(call, delivery_id, "acknowledgeRecalls")
    with call.workspace(make=False) as workspace:
        given = acknowledge(delivery_id, workspace.delivery_desk(), said.cursor)
    return ReceiptGiven(
        delivery=delivery_id, cursor=given.cursor, at=rfc3339(given.at), receipt=given.receipt
    )


def _check_sender(call: Call, delivery_id: str, operation: str) -> None:
    speak_for(call, Deliveries(call.world.records).get(delivery_id).sender, operation)


handler = function_of(router)
