"""One stack for all tests of a deployed application, and the sample list in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cloudcast import Cast
from demo import EXAMPLES, TENANT, put, upload, wait_for_queue, wait_for_upload
from rehearsal import Rehearsal, build


@pytest.fixture(scope="session")
def cast() -> Iterator[Cast]:
    build()
    with Rehearsal(witnessed=True) as stack:
        cast = Cast(
            stack,
            stack.person("olga", ["Operator"], {"contact-sanitizer": "operator"}),
            stack.person("uma", ["Uploader"]),
            stack.person("sam", ["Sender"]),
            stack.person("sue", ["Security"]),
            stack.person("nobody"),
        )
        put(stack, cast.operator, "CleanBucket", f"policies/{TENANT}/default.yaml", EXAMPLES / "policy.yaml")
        put(
            stack,
            cast.operator,
            "UploadsBucket",
            f"registry/{TENANT}/consents/c.csv",
            EXAMPLES / "consents.csv",
        )
        wait_for_queue(stack, "ImportQueueUrl")
        put(
            stack,
            cast.operator,
            "UploadsBucket",
            f"registry/{TENANT}/blocks/b.csv",
            EXAMPLES / "blocklist.csv",
        )
        wait_for_queue(stack, "ImportQueueUrl")
        yield cast


@pytest.fixture(scope="session")
def made(cast: Cast) -> dict[str, Any]:
    """The sample list, uploaded by form."""
    upload_id = upload(cast.stack, cast.uploader, (EXAMPLES / "contacts.csv").read_bytes())
    return wait_for_upload(cast.stack, cast.uploader, upload_id)
