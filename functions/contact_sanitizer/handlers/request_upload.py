"""POST /uploads: a form by which one list may be uploaded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from aws_lambda_powertools.event_handler.openapi.params import Body as InBody
from pydantic import Field

from contact_sanitizer.access import Role
from contact_sanitizer.aws.presigned import S3Forms
from contact_sanitizer.handlers.api import Body, enter, function_of, routes
from contact_sanitizer.handlers.journal import Counted, count
from contact_sanitizer.handlers.stage import CIRCUMSTANCES
from contact_sanitizer.policyshelf import DEFAULT, POLICY_NAME
from contact_sanitizer.uploading import FORM_SECONDS, UploadDesk, request_upload

router: Final = routes()
_ROLES: Final = frozenset({Role.UPLOADER, Role.OPERATOR})


class UploadWish(Body):
    """Which policy the list is to be made under."""

    policy: Annotated[str, Field(pattern=POLICY_NAME)] = DEFAULT


class UploadOffer(Body):
    """Send `fields` in this order, then `file`, as multipart/form-data to `url`; then ask for the upload."""

    upload_id: str
    url: str
    fields: dict[str, str]
    expires_at: str


@router.post("/uploads", summary="A form for one upload", operation_id="requestUpload")
def post_upload(wish: Annotated[UploadWish, InBody()]) -> UploadOffer:
    """A presigned form for one file: exactly one key, a size, encryption, and 15 minutes."""
    call = enter(router, _ROLES, "requestUpload")
    world, upload_id, at = call.world, CIRCUMSTANCES.new_id(), CIRCUMSTANCES.clock()
    forms = S3Forms(world.clients.s3, world.settings.uploads, world.settings.data_key)
    largest = world.settings.max_upload_bytes
    desk = UploadDesk(world.tenant, world.uploads, world.policies, forms, call.announce, largest)
    form = request_upload(desk, upload_id, at, wish.policy)
    count(Counted.UPLOADS_REQUESTED)
    expires = datetime.fromtimestamp(at // 1000 + FORM_SECONDS, UTC)
    return UploadOffer(
        upload_id=upload_id, url=form.url, fields=dict(form.fields), expires_at=expires.isoformat()
    )


handler = function_of(router)
