"""Uploads of which no list can be made now: given up with a reason, and made after all once it is gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from cloudcast import Cast, commanded, eventually, known_uploads, sample_numbers
from demo import EXAMPLES, upload, wait_for_queue, wait_for_upload
from rehearsal import Rehearsal

ATTEMPTS: Final = 3
"""As the template's `maxReceiveCount`."""
LATE: Final = "late"
"""A tenant that nobody has made yet."""


@contextmanager
def impatient(stack: Rehearsal) -> Iterator[None]:
    """Failed messages come back after a second, not after the function's time."""
    sqs, queue = stack.client("sqs"), stack.outputs["SanitizeQueueUrl"]
    known = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=known)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An upload that was given up, and what takes the cause away: the key that wraps the keyrings is back."""

    upload_id: str
    mend: Callable[[], None]


def given_up(stack: Rehearsal) -> int:
    """How many messages are among the dead letters."""
    found = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["SanitizeDeadLetterUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


def postponed(stack: Rehearsal) -> int:
    """How many attempts at uploads have ended without a list."""
    told = stack.logs()["/contact-sanitizer/rehearsal/sanitize"]
    return sum('"said": "postponed"' in line for line in told)


@pytest.fixture(scope="module")
def waiting(cast: Cast, made: dict[str, Any]) -> Iterator[GivenUp]:
    """An upload that was given up, beside one for a tenant that is not there and a message of no sense.

    The cause lasts until a test mends it. A message is given up a second after its last attempt began, so
    that the attempts themselves are waited for: one that came late would succeed once the cause is gone.
    """
    stack = cast.stack
    assert made
    letters_before, attempts_before = given_up(stack), postponed(stack)
    kms, key = stack.client("kms"), stack.outputs["KeyringKeyArn"]
    with ExitStack() as cause:
        cause.callback(kms.enable_key, KeyId=key)
        kms.disable_key(KeyId=key)
        with impatient(stack):
            stack.client("sqs").send_message(
                QueueUrl=stack.outputs["SanitizeQueueUrl"], MessageBody=json.dumps({"no": "arrival"})
            )
            stack.client("s3").put_object(
                Bucket=stack.outputs["CleanBucket"],
                Key=f"policies/{LATE}/default.yaml",
                Body=(EXAMPLES / "policy.yaml").read_bytes(),
            )
            stack.client("s3").put_object(
                Bucket=stack.outputs["UploadsBucket"],
                Key=f"uploads/{LATE}/list.csv",
                Body=(EXAMPLES / "contacts.csv").read_bytes(),
            )
            upload_id = upload(stack, cast.uploader, (EXAMPLES / "contacts.csv").read_bytes())
            eventually(lambda: given_up(stack) == letters_before + 3)
            eventually(lambda: postponed(stack) >= attempts_before + 3 * ATTEMPTS)
        yield GivenUp(upload_id, cause.close)


def letters(cast: Cast, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = commanded(cast.stack, cast.operator, "redrive", *more)["messages"]
    return found


def test_what_was_given_up_says_why_to_its_uploader_and_to_the_operator(cast: Cast, waiting: GivenUp) -> None:
    def told(*more: str) -> set[tuple[str, str, str]]:
        return {(each["upload_id"], each["state"], each["reason"]) for each in letters(cast, *more)}

    assert (waiting.upload_id, "waiting", "keyring_denied") in told()
    assert ("waiting", "keyring_missing") in {each[1:] for each in told("--tenant", LATE)}
    assert ("", "unknown", "message_invalid") in told()
    status = cast.stack.call(cast.uploader, "GET", f"/uploads/{waiting.upload_id}").json
    assert (status["state"], status["code"]) == ("waiting", "keyring_denied")


def test_nothing_personal_is_in_what_was_given_up(cast: Cast, waiting: GivenUp) -> None:
    assert waiting
    stack = cast.stack
    answer = stack.client("sqs").receive_message(
        QueueUrl=stack.outputs["SanitizeDeadLetterUrl"], MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    bodies = [message["Body"] for message in answer["Messages"]]
    assert len(bodies) >= 3
    numbers = sample_numbers()
    for body in bodies:
        assert not [number for number in numbers if number in body]


def test_it_is_made_once_the_cause_is_gone_and_it_was_told_again(cast: Cast, waiting: GivenUp) -> None:
    stack = cast.stack
    waiting.mend()
    commanded(stack, cast.operator, "init", "--tenant", LATE)
    assert commanded(stack, cast.operator, "redrive", "--all")["moved"] == 1
    assert commanded(stack, cast.operator, "redrive", "--all", "--tenant", LATE)["moved"] == 1
    assert wait_for_upload(stack, cast.uploader, waiting.upload_id)["state"] == "made"
    wait_for_queue(stack, "SanitizeQueueUrl")
    assert {upload.state.value for upload in known_uploads(stack, cast.operator, LATE).values()} == {"made"}
    assert {each["reason"] for each in letters(cast)} == {"message_invalid"}
