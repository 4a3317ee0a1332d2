"""POST /tokens/redeem: tokens to numbers, for a sender that is about to use them."""

from __future__ import annotations

from typing import Annotated, Final

from aws_lambda_powertools.event_handler.openapi.params import Body as InBody
from pydantic import Field

from contact_sanitizer.access import Role
from contact_sanitizer.delivery.redeem import MOST_TOKENS
from contact_sanitizer.delivery.redeem import redeem as redeem_tokens
from contact_sanitizer.handlers.api import Body, enter, function_of, routes
from contact_sanitizer.handlers.journal import Counted, count
from contact_sanitizer.handlers.sending import speak_for
from contact_sanitizer.handlers.spans import Span, span

router: Final = routes()
_ROLES: Final = frozenset({Role.SENDER})
Name = Annotated[str, Field(min_length=1, max_length=64)]


class Redemption(Body):
    """Up to 1,000 tokens, in a sender's name and for one purpose."""

    sender: Name
    purpose: Name
    tokens: Annotated[
        list[Annotated[str, Field(max_length=256)]], Field(min_length=1, max_length=MOST_TOKENS)
    ]


class RedeemedToken(Body):
    """What became of the token at this place: its number (E.164), or `refused`, or `not_redeemable`."""

    phone: str | None = None
    refused: str | None = None


class Redeemed(Body):
    """The results, in the order of the tokens."""

    results: list[RedeemedToken]


@router.post("/tokens/redeem", summary="Tokens to numbers", operation_id="redeemTokens")
def post_redeem(redemption: Annotated[Redemption, InBody()]) -> Redeemed:
    """Each person is asked for in the registry at this moment; all tokens count against the quotas."""
    call = enter(router, _ROLES, "redeemTokens")
    speak_for(call, redemption.sender, "redeemTokens")
    with span(Span.REDEEM), call.workspace(make=False) as workspace:
        desk = workspace.delivery_desk()
        done = redeem_tokens(redemption.tokens, redemption.sender, redemption.purpose, desk)
    refused = sum(word is not None for word in done.refusals)
    count(Counted.TOKENS_REDEEMED, len(done) - refused)
    count(Counted.TOKENS_REFUSED, refused)
    return Redeemed(
        results=[
            RedeemedToken(phone=phone, refused=word and word.value)
            for phone, word in zip(done.phones, done.refusals, strict=True)
        ]
    )


handler = function_of(router)
