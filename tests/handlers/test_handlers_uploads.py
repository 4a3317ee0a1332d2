from __future__ import annotations

import base64
import json
from datetime import datetime

import pytest

from cloudworld import CATALOGUE, UPLOADS
from contact_sanitizer.access import Role
from contact_sanitizer.handlers.request_upload import handler as request_upload
from contact_sanitizer.handlers.show_upload import handler as show_upload
from contact_sanitizer.policy_text import DEFAULT_POLICY
from contact_sanitizer.uploading import Upload, UploadState
from functiondesk import FunctionDesk, event

UPLOADER = "arn:aws:iam::123456789012:role/marketing-upload"
UNKNOWN_ID = "01KAKV2DC060RK4CSM6MV3EE1S"


def test_a_form_admits_one_key_a_size_and_our_encryption_for_a_quarter_of_an_hour(desk: FunctionDesk) -> None:
    answer = desk.call(request_upload, "POST /uploads", {})
    assert answer.status == 200, answer.text
    offer = answer.document
    signed = json.loads(base64.b64decode(offer["fields"]["policy"]))
    conditions = signed["conditions"]
    key = f"uploads/default/{offer['upload_id']}/list"
    assert {"key": key} in conditions
    assert offer["fields"]["key"] == key
    assert {"bucket": UPLOADS} in conditions
    assert ["content-length-range", 1, 5 * 10**9] in conditions
    assert {"x-amz-server-side-encryption": "aws:kms"} in conditions
    assert {"x-amz-server-side-encryption-aws-kms-key-id": desk.cloud.data_key} in conditions
    assert {"success_action_status": "201"} in conditions
    assert offer["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    # A condition that lets anything through ("starts-with") would be another form.
    assert not [part for part in conditions if isinstance(part, list) and part[0] != "content-length-range"]
    issued = datetime.strptime(offer["fields"]["x-amz-date"], "%Y%m%dT%H%M%S%z")
    expires = datetime.fromisoformat(signed["expiration"])
    assert (expires - issued).total_seconds() <= 15 * 60 + 1


def test_a_form_is_announced_and_noted_before_it_is_handed_out(desk: FunctionDesk) -> None:
    upload_id = desk.call(request_upload, "POST /uploads", {}).document["upload_id"]
    (said,) = desk.said("upload.requested")
    assert said["unmapped"]["upload_id"] == upload_id
    assert said["actor"]["user"]["uid"] == "role/123456-789012/marketing-upload"
    assert said["metadata"]["tenant_uid"] == "default"
    noted = desk.world.uploads.get(upload_id)
    assert noted is not None
    assert noted.state is UploadState.REQUESTED


def test_nothing_is_handed_out_where_the_audit_log_cannot_be_written(
    desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CS_AUDIT_BUCKET", "no-such-bucket")
    from contact_sanitizer.handlers import stage  # noqa: PLC0415 - its cache is what is emptied

    stage.settings.cache_clear()
    answer = desk.call(request_upload, "POST /uploads", {})
    assert (answer.status, answer.document["code"]) == (503, "audit_unwritable")
    assert "fields" not in answer.text
    items = desk.cloud.clients.dynamodb.scan(TableName=CATALOGUE)["Items"]
    assert items == []


def test_a_policy_limits_its_uploads_and_a_missing_or_broken_one_is_refused_at_once(
    desk: FunctionDesk,
) -> None:
    small = DEFAULT_POLICY.encode() + b"\nlimits: {max_bytes: 1MB}\n"
    desk.world.policies.put("small", small)
    desk.world.policies.objects.put("broken.yaml", b"name: [13812345678", absent=False)
    form = desk.call(request_upload, "POST /uploads", {"policy": "small"}).document
    assert ["content-length-range", 1, 10**6] in json.loads(base64.b64decode(form["fields"]["policy"]))[
        "conditions"
    ]
    missing = desk.call(request_upload, "POST /uploads", {"policy": "none-such"})
    assert (missing.status, missing.document["code"]) == (422, "policy_missing")
    broken = desk.call(request_upload, "POST /uploads", {"policy": "broken"})
    assert (broken.status, broken.document["code"]) == (422, "policy_syntax")
    assert "13812" not in broken.text


@pytest.mark.parametrize(
    "body",
    [
        '{"policy": "../keys/default/keyring.json"}',
        '{"policy": 13812345678}',
        '{"13812345678": "x"}',
        '{"policy": "13812345678',
        '"13812345678"',
        "[]",
        "\x00",
    ],
)
def test_what_is_no_request_is_a_problem_that_quotes_nothing(desk: FunctionDesk, body: str) -> None:
    answer = desk.call(request_upload, "POST /uploads", body)
    assert (answer.status, answer.document["code"]) == (400, "request_invalid")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.document["type"] == "urn:contact-sanitizer:error:request_invalid"
    assert answer.document["instance"].startswith("urn:contact-sanitizer:call:")
    assert "13812" not in answer.text
    assert "keyring" not in answer.text


def test_an_unknown_path_is_a_problem_too(desk: FunctionDesk) -> None:
    answer = desk.call(request_upload, "GET /13812345678")
    assert (answer.status, answer.document["code"]) == (404, "path_unknown")
    assert "13812" not in answer.text


def test_an_upload_is_shown_as_far_as_it_has_come(desk: FunctionDesk) -> None:
    upload_id = desk.call(request_upload, "POST /uploads", {}).document["upload_id"]
    shown = desk.call(show_upload, f"GET /uploads/{upload_id}")
    assert shown.status == 200, shown.text
    assert (shown.document["state"], shown.document["rejects_url"]) == ("requested", None)
    assert desk.said("upload.shown") == []
    made = Upload(UNKNOWN_ID, UploadState.MADE, "default", 1, UNKNOWN_ID, counts={"rows": 2, "kept": 1})
    desk.world.uploads.begin(made)
    shown = desk.call(show_upload, f"GET /uploads/{UNKNOWN_ID}")
    assert shown.document["counts"] == {"rows": 2, "kept": 1}
    assert f"lists/default/{UNKNOWN_ID}/rejects.csv" in shown.document["rejects_url"]
    assert "Expires=300" in shown.document["rejects_url"]
    assert [said["unmapped"]["upload_id"] for said in desk.said("upload.shown")] == [UNKNOWN_ID]


def test_an_upload_of_nobody_or_of_another_tenant_is_unknown(desk: FunctionDesk) -> None:
    unknown = desk.call(show_upload, f"GET /uploads/{UNKNOWN_ID}")
    assert (unknown.status, unknown.document["code"]) == (404, "upload_unknown")
    malformed = desk.call(show_upload, "GET /uploads/13812345678")
    assert (malformed.status, malformed.document["code"]) == (400, "request_invalid")
    assert "13812" not in malformed.text
    upload_id = desk.call(request_upload, "POST /uploads", {}).document["upload_id"]
    desk.map(UPLOADER, Role.UPLOADER, tenant="other")
    elsewhere = desk.call(show_upload, f"GET /uploads/{upload_id}")
    assert (elsewhere.status, elsewhere.document["code"]) == (404, "upload_unknown")


def test_a_stage_in_front_of_the_path_is_passed_over(desk: FunctionDesk) -> None:
    sample = event("http_iam_role")
    sample["requestContext"]["stage"] = "v1"
    sample["rawPath"] = "/v1/uploads"
    sample["requestContext"]["http"]["path"] = "/v1/uploads"
    assert desk.send(request_upload, sample).status == 200
