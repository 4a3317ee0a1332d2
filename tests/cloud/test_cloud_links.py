"""Links and forms on the deployed application, after their time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cloudcast import TRIAL, Cast
from contact_sanitizer.aws.presigned import S3Forms, S3Links
from demo import TENANT
from emulator import Answer

PATIENCE = 60.0


def in_the_end(attempt: Callable[[], Answer], first: int) -> Answer:
    """The answer that comes instead of the `first` one, which comes while it is time."""
    assert attempt().status == first
    deadline = time.monotonic() + PATIENCE
    while (answer := attempt()).status == first and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def test_a_link_ends_at_its_time(cast: Cast, made: dict[str, Any]) -> None:
    """Signed by our own code, in the role of the function that hands such links out."""
    stack = cast.stack
    role = stack.in_the_role_of("ShowUpload", TRIAL)
    links = S3Links(stack.client("s3", role), stack.outputs["CleanBucket"])
    url = links.link(f"lists/{TENANT}/{made['list_id']}/rejects.csv", "rejects.csv", 8)
    answer = in_the_end(lambda: stack.fetch(url), first=200)
    assert answer.status == 403
    assert b"row,reason" not in answer.body


def test_a_form_ends_at_its_time(cast: Cast, made: dict[str, Any]) -> None:
    """An empty file tells whether it is looked at: the form is refused only where it has ended."""
    stack = cast.stack
    role = stack.in_the_role_of("RequestUpload", TRIAL)
    bucket, key = stack.outputs["UploadsBucket"], stack.outputs["DataKeyArn"]
    form = S3Forms(stack.client("s3", role), bucket, key).form(
        f"uploads/{TENANT}/{made['upload_id']}/list", 1000, 8
    )
    answer = in_the_end(lambda: stack.post_form(form.url, form.fields, b""), first=400)
    assert answer.status == 403
    assert stack.post_form(form.url, form.fields, b"phone").status == 403
