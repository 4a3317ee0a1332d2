"""GET /uploads/{id}: what became of an upload."""

from __future__ import annotations

from typing import Annotated, Final

from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import Field

from contact_sanitizer.access import Role
from contact_sanitizer.audit.events import Action
from contact_sanitizer.aws.presigned import S3Links
from contact_sanitizer.handlers.api import Body, enter, function_of, routes
from contact_sanitizer.listid import parse_list_id
from contact_sanitizer.uploading import UploadState, show_upload

router: Final = routes()
_ROLES: Final = frozenset({Role.UPLOADER, Role.OPERATOR})
_LINK_SECONDS: Final = 5 * 60

Id = Annotated[str, Path(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$", description="A sortable id (ULID).")]


class UploadStatus(Body):
    """How far an upload has come: `requested`, `making`, `waiting`, `made` or `refused` (`code` says why).

    Once it is made: its list, its rows by outcome, and for some minutes a link to the rows that were not
    kept, each with its reason.
    """

    upload_id: str
    state: UploadState
    policy: str
    code: str | None = None
    list_id: str | None = None
    counts: Annotated[dict[str, int] | None, Field(description="rows, kept, dropped, rejected")] = None
    rejects_url: str | None = None


@router.get("/uploads/<upload_id>", summary="What became of an upload", operation_id="showUpload")
def get_upload(upload_id: Id) -> UploadStatus:
    """The upload's state; whoever asks may look at the reasons of its rows."""
    call = enter(router, _ROLES, "showUpload")
    upload = show_upload(call.world.uploads, parse_list_id(upload_id) or "")
    link = None
    if upload.state is UploadState.MADE:
        call.announce(Action.UPLOAD_SHOWN, upload_id=upload.upload_id, list_id=upload.list_id)
        key = f"lists/{call.world.tenant}/{upload.list_id}/rejects.csv"
        links = S3Links(call.world.clients.s3, call.world.settings.clean)
        link = links.link(key, "rejects.csv", _LINK_SECONDS)
    return UploadStatus(
        upload_id=upload.upload_id,
        state=upload.state,
        policy=upload.policy,
        code=upload.code or None,
        list_id=upload.list_id or None,
        counts=dict(upload.counts) or None,
        rejects_url=link,
    )


handler = function_of(router)
