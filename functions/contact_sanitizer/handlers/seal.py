"""Every minute: what was appended to the audit log is put into its one sequence and signed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.aws.world import audit_of
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.journal import Counted, count, reporting

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from contact_sanitizer.audit.plans import Plan

MINUTE: Final = 60_000
LOOK_BACK: Final = 5
"""So many minutes lie between two steps through what is kept: the steps cost more than the seals."""

MOST_PLANS: Final = 2_000

#: What this process has read by its connections; a seal needs the plans of twelve hours, one a minute.
_PLANS: Final[WeakKeyDictionary[Clients, dict[int, Plan]]] = WeakKeyDictionary()


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Seal, also where nothing waits: silence shows then. Raises `AuditError`; the next minute goes on."""
    now = stage.CIRCUMSTANCES.clock()
    log = audit_of(stage.settings(), stage.clients())
    plans = _PLANS.setdefault(stage.clients(), {})
    with reporting(context.aws_request_id):
        size = log.seal(now, plans)
        count(Counted.SEALS)
        for first in list(islice(plans, max(0, len(plans) - MOST_PLANS))):
            del plans[first]
        if now // MINUTE % LOOK_BACK == 0:
            size = log.look_back(now, size)
    return {"size": size}
