"""GET /audit/checkpoint: the newest signed checkpoint of the audit log, for whoever wants to keep one."""

from __future__ import annotations

from typing import Final

from aws_lambda_powertools.event_handler import Response

from contact_sanitizer.audit.tiles import CHECKPOINT
from contact_sanitizer.errors import AuditError
from contact_sanitizer.handlers.api import EVERYBODY, enter, function_of, routes

router: Final = routes()


@router.get("/audit/checkpoint", summary="The newest checkpoint", operation_id="showCheckpoint")
def get_checkpoint() -> Response[str]:
    """A C2SP signed note; whoever keeps one can prove later that the log was not rewritten."""
    call = enter(router, EVERYBODY, "showCheckpoint")
    note = call.world.audit.objects.get(CHECKPOINT)
    if note is None:
        raise AuditError("audit_missing", "nothing was sealed yet; ask again in a minute")
    return Response(200, "text/plain; charset=utf-8", note.decode())


handler = function_of(router)
