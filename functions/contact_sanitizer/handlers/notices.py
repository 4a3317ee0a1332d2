"""By the clock: senders with recalls to ask for are told so, and what is overdue is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from contact_sanitizer.aws.noticebus import NoticeBus
from contact_sanitizer.aws.world import tenants_of
from contact_sanitizer.delivery.notices import Look, Terms, give_notice
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

RESERVE_MILLISECONDS: Final = 90_000
"""With less time left no further delivery is looked at: one may take a minute."""

_DAY: Final = 86_400_000
_HOUR: Final = 3_600_000

keep_others_quiet()


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Look at every tenant's deliveries; what fails is counted, and looked at again the next time."""
    with reporting(context.aws_request_id):
        looks = [_look(tenant, context) for tenant in tenants_of(stage.settings(), stage.clients())]
        told = sum(look.told for look in looks)
        count(Counted.NOTICES_TOLD, told)
        count(Counted.NOTICES_FAILED, sum(look.failed for look in looks))
        count(Counted.NOTICES_LEFT, sum(look.left for look in looks))
        count(Counted.RECALLS_OVERDUE, sum(look.overdue for look in looks))
    return {"told": told}


def _look(tenant: str, context: LambdaContext) -> Look:
    settings, clients = stage.settings(), stage.clients()
    call = stage.call_of(tenant, "function/notices", stage.CIRCUMSTANCES.new_id())
    terms = Terms(settings.list_days * _DAY, settings.recall_hours * _HOUR)

    def enough() -> bool:
        return context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS

    look = Look(failed=1)
    try:
        with span(Span.NOTICES), call.workspace(make=False) as workspace:
            bus = NoticeBus(clients.events, settings.notice_bus)
            desk, registry = workspace.delivery_desk(), call.world.registry
            look = give_notice(desk, registry, lambda notice: bus.tell(notice.document()), terms, enough)
    except ContactSanitizerError as error:
        look.codes.add(error.code)
    except Exception as error:  # noqa: BLE001 - the last fence: a third party's words could quote what it met
        say(Said.UNEXPECTED, error=type(error).__name__, place=place_of(error))
        count(Counted.UNEXPECTED)
    for code in sorted(look.codes):
        say(Said.UNNOTICED, code=code)
    return look
