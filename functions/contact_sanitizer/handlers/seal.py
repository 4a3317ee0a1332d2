"""Every minute: what was appended to the audit log is put into its one sequence and signed."""

from __future__ import annotations

from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from contact_sanitizer.aws.world import audit_of
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.journal import Counted, count, reporting

DAY: Final = 86_400_000
MINUTE: Final = 60_000


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Seal, also where nothing waits: silence shows then. Raises `AuditError`; the next minute goes on."""
    now = stage.CIRCUMSTANCES.clock()
    with reporting(context.aws_request_id):
        # Once a day all that is kept is looked through for a writer that was slower than anybody expected.
        size = audit_of(stage.settings(), stage.clients()).seal(now, far=now % DAY < MINUTE)
        count(Counted.SEALS)
    return {"size": size}
