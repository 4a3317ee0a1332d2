"""By the clock: snapshots of registries, by which large lists are screened, are made and kept up to date."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from contact_sanitizer.aws.snapshotmaking import RESERVE_MILLISECONDS, Maker, Refreshed
from contact_sanitizer.aws.world import StackWorld, tenants_of
from contact_sanitizer.errors import ContactSanitizerError
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.journal import (
    Counted,
    Said,
    count,
    keep_others_quiet,
    place_of,
    reporting,
    say,
)
from contact_sanitizer.handlers.spans import Span, span

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

TURN: Final = 900_000
"""So many milliseconds lie between two runs."""

keep_others_quiet()


class NotAllMade(Exception):  # noqa: N818 - the log and a metric say why; this is for the alarm
    """Some tenant's snapshots could not be made; nothing is in it that somebody could read."""


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Bring every tenant's snapshots up to date; a fault with one is `NotAllMade` when all had their turn."""
    now = stage.CIRCUMSTANCES.clock()
    with reporting(context.aws_request_id):
        done: list[Refreshed] = []
        failed = False
        for tenant in _in_turn(tenants_of(stage.settings(), stage.clients()), now):
            if context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS:
                say(Said.PAUSED)
                break
            made = _refresh(tenant, now // 1000, context)
            failed = failed or made is None
            done += [made] if made else []
        built, refreshed = sum(each.built for each in done), sum(each.refreshed for each in done)
        count(Counted.SNAPSHOTS_MADE, built + refreshed)
        if failed:
            raise NotAllMade
    return {"built": built, "refreshed": refreshed, "paused": sum(each.paused for each in done)}


def _in_turn(tenants: Sequence[str], now: int) -> list[str]:
    """Each run begins with another tenant: one that takes all the time must not take all runs."""
    first = now // TURN % len(tenants) if tenants else 0
    return [*tenants[first:], *tenants[:first]]


def _refresh(tenant: str, now: int, context: LambdaContext) -> Refreshed | None:
    """What became of one tenant's snapshots; None where that is a fault."""
    try:
        world = StackWorld(stage.settings(), stage.clients(), tenant)
        with span(Span.SNAPSHOTS), closing(world):
            return Maker(world).refresh(now, context.get_remaining_time_in_millis)
    except ContactSanitizerError as error:
        say(Said.UNMADE, code=error.code)
    except Exception as error:  # noqa: BLE001 - the last fence: a third party's words could quote what it met
        say(Said.UNEXPECTED, error=type(error).__name__, place=place_of(error))
        count(Counted.UNEXPECTED)
    return None
