"""What arrives at the deployed application and is not as it should be: refused, told and left nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudcast import Cast, commanded, eventually, known_uploads, unread, versions
from contact_sanitizer.policy_text import DEFAULT_POLICY
from contact_sanitizer.uploading import Upload
from demo import EXAMPLES, TENANT, wait_for_queue, wait_for_upload

CONTENT = (EXAMPLES / "contacts.csv").read_bytes()


def put(cast: Cast, key: str, content: bytes) -> None:
    s3 = cast.stack.client("s3", cast.uploader)
    s3.put_object(Bucket=cast.stack.outputs["UploadsBucket"], Key=f"uploads/{TENANT}/{key}", Body=content)


def delete(cast: Cast, key: str) -> None:
    """All of it, as the bucket's lifecycle does."""
    s3, bucket = cast.stack.client("s3"), cast.stack.outputs["UploadsBucket"]
    for version in versions(cast.stack, "UploadsBucket", f"uploads/{TENANT}/{key}"):
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


def outcomes(cast: Cast, arrive: Callable[[], None], count: int) -> list[str]:
    """What becomes of what `arrive` brings while nobody reads: the state of each upload, and why."""
    before = known_uploads(cast.stack, cast.operator)

    def ended() -> list[Upload]:
        after = known_uploads(cast.stack, cast.operator)
        new = [upload for upload_id, upload in after.items() if upload_id not in before]
        return [upload for upload in new if upload.state.is_final]

    with unread(cast.stack):
        arrive()
    # the queue may have been looked at before the events had found their way into it
    eventually(lambda: len(ended()) >= count)
    return sorted(f"{upload.state.value} {upload.code}".strip() for upload in ended())


def test_an_object_of_no_bytes_is_refused(cast: Cast, made: dict[str, Any]) -> None:
    assert made
    assert outcomes(cast, lambda: put(cast, "空 的+list.csv", b""), 1) == ["refused file_empty"]


def test_a_file_over_its_policy_s_limit_does_not_get_in(cast: Cast, tmp_path: Path) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(DEFAULT_POLICY + "limits: {max_bytes: 1KB}\n")
    commanded(cast.stack, cast.operator, "policy", "put", small, "--as", "small")
    offer = cast.stack.call(cast.uploader, "POST", "/uploads", {"policy": "small"}).json
    assert cast.stack.post_form(offer["url"], offer["fields"], b"x" * 2000).status == 400
    assert not versions(cast.stack, "UploadsBucket", f"uploads/{TENANT}/{offer['upload_id']}/")
    assert cast.stack.post_form(offer["url"], offer["fields"], b"phone\n12345\n").status == 201
    assert wait_for_upload(cast.stack, cast.uploader, offer["upload_id"])["counts"]["rejected"] == 1


def test_an_object_that_is_replaced_before_it_is_read_is_not_taken_for_the_other(cast: Cast) -> None:
    def arrive() -> None:
        put(cast, "replaced.csv", b"phone\n12345\n")
        put(cast, "replaced.csv", CONTENT)

    assert outcomes(cast, arrive, 2) == ["made", "refused object_changed"]


def test_an_object_that_is_deleted_before_it_is_read_is_told_to_be_missing(cast: Cast) -> None:
    def arrive() -> None:
        put(cast, "deleted.csv", CONTENT)
        delete(cast, "deleted.csv")

    assert outcomes(cast, arrive, 1) == ["refused object_missing"]


def test_the_same_event_told_again_makes_no_second_list(cast: Cast, made: dict[str, Any]) -> None:
    """Twice, and once more after its list was made."""
    sqs, queue = cast.stack.client("sqs"), cast.stack.outputs["SanitizeQueueUrl"]
    told: list[str] = []

    def arrive() -> None:
        put(cast, "twice.csv", CONTENT)
        (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
        sqs.change_message_visibility(
            QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )
        told.append(message["Body"])
        sqs.send_message(QueueUrl=queue, MessageBody=message["Body"])

    lists = len(cast.stack.call(cast.uploader, "GET", "/lists").json["lists"])
    assert outcomes(cast, arrive, 1) == ["made"]
    sqs.send_message(QueueUrl=queue, MessageBody=told[0])
    wait_for_queue(cast.stack, "SanitizeQueueUrl")
    after = cast.stack.call(cast.uploader, "GET", "/lists").json["lists"]
    assert len(after) == lists + 1
    assert made["counts"] in [each["counts"] for each in after]


def test_a_form_that_is_used_again_changes_nothing(cast: Cast) -> None:
    """And is an event; what came with it lies unread until the day is over."""
    offer = cast.stack.call(cast.uploader, "POST", "/uploads", {}).json
    assert cast.stack.post_form(offer["url"], offer["fields"], CONTENT).status == 201
    first = wait_for_upload(cast.stack, cast.uploader, offer["upload_id"])
    with unread(cast.stack):
        assert cast.stack.post_form(offer["url"], offer["fields"], b"phone\n13812345678\n").status == 201

    def denied() -> list[tuple[str, str]]:
        said = [event["unmapped"] for event in events(cast, "upload.denied")]
        return [(each["code"], each.get("upload_id", "")) for each in said]

    eventually(lambda: ("upload_reused", offer["upload_id"]) in denied())
    second = wait_for_upload(cast.stack, cast.uploader, offer["upload_id"])
    for name in ("state", "list_id", "counts"):
        assert second[name] == first[name]


@pytest.mark.parametrize(("name", "path"), [("rex", "/lists"), ("roy", "/audit/checkpoint")])
def test_who_was_removed_is_refused_though_a_policy_admits_them(cast: Cast, name: str, path: str) -> None:
    """And that is an event."""
    person = cast.stack.person(name, ["Security"])
    arn = cast.stack.client("iam").get_user(UserName=name)["User"]["Arn"]
    commanded(cast.stack, cast.operator, "principals", "remove", arn)
    answer = cast.stack.call(person, "GET", path)
    assert (answer.status, answer.json["code"]) == (403, "not_allowed")
    call = answer.json["instance"].rpartition(":")[2]
    denied = [event["metadata"]["correlation_uid"] for event in events(cast, "access.denied")]
    assert call in denied


def events(cast: Cast, operation: str) -> list[dict[str, Any]]:
    """All events of that kind in the audit log, as functions have appended them."""
    s3, bucket = cast.stack.client("s3"), cast.stack.outputs["AuditBucket"]
    found = []
    for version in versions(cast.stack, "AuditBucket", "log/segments/"):
        body = s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])["Body"]
        found += [json.loads(line) for line in body.read().splitlines()]
    return [event for event in found if event["api"]["operation"] == operation]
