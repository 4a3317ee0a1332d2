"""POST /lists/{id}/deliveries: a list to a sender, screened again now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from aws_lambda_powertools.event_handler.openapi.params import Body as InBody
from pydantic import Field

from contact_sanitizer.access import Role
from contact_sanitizer.aws.noterevision import CONTENT
from contact_sanitizer.aws.presigned import S3Links
from contact_sanitizer.delivery.deliver import DeliveryRequest, deliver
from contact_sanitizer.delivery.rendering import Form
from contact_sanitizer.handlers.api import Body, enter, function_of, routes
from contact_sanitizer.handlers.journal import Counted, count
from contact_sanitizer.handlers.redeem import Name
from contact_sanitizer.handlers.sending import speak_for
from contact_sanitizer.handlers.show_upload import Id
from contact_sanitizer.handlers.spans import Span, span
from contact_sanitizer.handlers.stage import CIRCUMSTANCES
from contact_sanitizer.outputs.manifest import rfc3339

router: Final = routes()
_ROLES: Final = frozenset({Role.SENDER})
LINK_SECONDS: Final = 5 * 60


class DeliveryWish(Body):
    """Who asks for the list, for what, and in which form."""

    sender: Name
    purpose: Name
    form: Annotated[Literal["token", "hash", "phone"], Field(alias="as")] = "token"
    format: Literal["csv", "jsonl", "parquet"] = "csv"


class DeliveryMade(Body):
    """The delivery, and for five minutes a link to its file."""

    delivery: str
    as_of: str
    rows: int
    refused: dict[str, int]
    sha256: str
    sealed: bool
    url: str
    expires_at: str


@router.post("/lists/<list_id>/deliveries", summary="Deliver a list", operation_id="deliverList")
def post_delivery(list_id: Id, wish: Annotated[DeliveryWish, InBody()]) -> DeliveryMade:
    """The same request of one day, answered the same way, is the same delivery."""
    call = enter(router, _ROLES, "deliverList")
    speak_for(call, wish.sender, "deliverList")
    request = DeliveryRequest(list_id, wish.sender, wish.purpose, Form(wish.form), wish.format)
    with span(Span.DELIVER, list_id=list_id), call.workspace(make=False) as workspace:
        made = deliver(request, workspace.delivery_desk(), workspace.shelf_of).delivery
    count(Counted.DELIVERIES_MADE)
    count(Counted.ROWS_DELIVERED, made.rows)
    expires = datetime.fromtimestamp(CIRCUMSTANCES.clock() // 1000 + LINK_SECONDS, UTC)
    world = call.world
    key = f"{world.delivery_prefix}{made.delivery_id}/{CONTENT}"
    return DeliveryMade(
        delivery=made.delivery_id,
        as_of=rfc3339(made.as_of),
        rows=made.rows,
        refused=dict(made.refused),
        sha256=made.sha256,
        sealed=made.sealed,
        url=S3Links(world.clients.s3, world.settings.clean).link(key, f"list.{wish.format}", LINK_SECONDS),
        expires_at=expires.isoformat(),
    )


handler = function_of(router)
