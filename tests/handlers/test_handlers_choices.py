from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from contact_sanitizer.access import Role
from contact_sanitizer.aws.registry import DynamoRegistry
from contact_sanitizer.errors import CatalogueError, RegistryError
from contact_sanitizer.handlers.import_registry import handler as import_registry
from contact_sanitizer.handlers.record_choice import handler as record_choice
from contact_sanitizer.screening.consent import ConsentStatus
from contact_sanitizer.uploading import IMPORT, Upload, Uploads, UploadState
from faultdesk import arrival_of
from functiondesk import FunctionDesk

ROLE = "arn:aws:iam::123456789012:role/marketing-upload"
GRANT = {"phone": "13812345678", "status": "granted", "purpose": "marketing", "channel": "sms"}


def history(desk: FunctionDesk, phone: str) -> Any:
    registry = desk.workspace.desk("CN")
    return registry.registry.history(registry.person(phone).subject)


def test_each_choice_has_its_own_result_and_they_are_announced_by_number(desk: FunctionDesk) -> None:
    items = [
        GRANT | {"effective_at": "2026-01-31T08:00:00Z"},
        GRANT | {"phone": "12", "source": "form"},
        {"phone": "+8613912345678", "status": "withdrawn"},
        {"phone": "13712345678", "status": "granted"},
        GRANT | {"phone": "13612345678", "expires_at": "9999-12-31T23:59:59+00:00"},
        GRANT | {"effective_at": "2026-01-31T08:00:00Z"},
    ]
    answer = desk.call(record_choice, "POST /consents", {"items": items})
    assert answer.status == 200, answer.text
    assert [result["outcome"] for result in answer.document["results"]] == [
        "recorded",
        "refused:too_short",
        "recorded",
        "refused:purpose_or_channel_missing",
        "recorded",
        "already_there",
    ]
    assert [result["index"] for result in answer.document["results"]] == list(range(6))
    assert "13812" not in answer.text
    (granted,) = desk.said("consent.recorded")
    (withdrawn,) = desk.said("consent.withdrawn")
    assert (granted["unmapped"]["counts"], withdrawn["unmapped"]["counts"]) == ({"events": 3}, {"events": 1})
    (event,) = history(desk, "13812345678").consents
    assert event.status is ConsentStatus.GRANTED
    assert event.recorded_by == "role/123456-789012/marketing-upload"
    assert [event.effective_at for event in history(desk, "13912345678").consents] == [None]


def test_the_same_choices_again_change_nothing(desk: FunctionDesk) -> None:
    items = {"items": [GRANT | {"effective_at": "2026-01-31T08:00:00Z"}]}
    desk.call(record_choice, "POST /consents", items)
    again = desk.call(record_choice, "POST /consents", items)
    assert again.document["results"][0]["outcome"] == "already_there"


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"items": [GRANT] * 1001},
        {"items": [GRANT | {"status": "13812345678"}]},
        {"items": [GRANT | {"13812345678": 1}]},
        {"items": [GRANT | {"effective_at": "13812345678 hours ago"}]},
        {"items": [GRANT | {"phone": "1" * 257}]},
        {"items": [GRANT], "region": "13812345678"},
        {"items": [GRANT], "region": "XX"},
    ],
)
def test_a_body_that_is_none_is_refused_whole_and_quotes_nothing(desk: FunctionDesk, body: object) -> None:
    answer = desk.call(record_choice, "POST /consents", body)
    assert (answer.status, answer.document["code"]) == (400, "request_invalid")
    assert "13812" not in answer.text
    assert desk.said("consent.recorded") == []


@pytest.mark.parametrize(
    ("message", "result", "recorded"),
    [("TD", "opt_out", True), ("投诉", "complaint", True), ("what is this", "unrecognised", False)],
)
def test_a_reply_is_read_and_recorded(
    desk: FunctionDesk, message: str, result: str, *, recorded: bool
) -> None:
    body = {"phone": "13812345678", "message": message, "sender": "brand-a"}
    answer = desk.call(record_choice, "POST /optouts", body)
    assert answer.document == {"result": result, "recorded": recorded}
    assert bool(history(desk, "13812345678").entries) is recorded


def test_a_reply_from_nobody_is_refused(desk: FunctionDesk) -> None:
    answer = desk.call(record_choice, "POST /optouts", {"phone": "12", "message": "TD"})
    assert (answer.status, answer.document["code"]) == (422, "number_refused")


def test_a_sender_may_report_replies_and_may_not_record_consents(desk: FunctionDesk) -> None:
    _ = desk.workspace
    desk.map(ROLE, Role.SENDER)
    assert desk.call(record_choice, "POST /consents", {"items": [GRANT]}).status == 403
    reply = {"phone": "13812345678", "message": "TD"}
    assert desk.call(record_choice, "POST /optouts", reply).status == 200


def test_a_file_of_consents_goes_into_the_registry_once(desk: FunctionDesk) -> None:
    rows = b"phone,purpose,channel\n13812345678,marketing,sms\n12,marketing,sms\n"
    message = desk.put("registry/default/consents/中 a+b.csv", rows)
    assert desk.deliver(import_registry, message, message) == []
    (record,) = desk.world.records.named(IMPORT)
    assert record.document["state"] == "made"
    assert record.document["counts"]["rows"] == 2
    assert record.document["counts"]["recorded"] == 1
    assert len(history(desk, "13812345678").consents) == 1
    assert desk.versions("registry/") == 0
    assert len(desk.said("consent.imported")) == 1


def test_an_import_that_is_told_again_is_announced_and_concluded_once(
    desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = desk.put(
        "registry/default/consents/a.csv", b"phone,purpose,channel\n13812345678,marketing,sms\n"
    )
    import_id = arrival_of(message).list_id
    fault = RegistryError("registry_unavailable", "the registry does not answer")

    def unavailable(*_words: object) -> None:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(DynamoRegistry, "record", unavailable)
        assert desk.deliver(import_registry, message) == ["0"]
    change = Uploads.change

    def lost(uploads: Uploads, upload_id: str, made: Callable[[Upload], Upload]) -> Upload:
        known = uploads.get(upload_id)
        if known and made(known).state is UploadState.MADE:
            raise CatalogueError("catalogue_unavailable", "the catalogue does not answer")
        return change(uploads, upload_id, made)

    with monkeypatch.context() as patched:
        patched.setattr(Uploads, "change", lost)
        assert desk.deliver(import_registry, message) == ["0"]
    assert desk.deliver(import_registry, message, message) == []
    said = [
        (event["api"]["operation"], event["status"], event.get("status_code", ""))
        for event in desk.audit
        if event["metadata"]["correlation_uid"] == import_id and event["api"]["operation"] != "home.created"
    ]
    assert sorted(said) == [
        ("consent.imported", "begun", ""),
        ("registry.imported", "Failure", fault.code),
        ("registry.imported", "Success", ""),
        ("upload.deleted", "begun", ""),
    ]
    (result,) = [event for event in desk.said("registry.imported") if event["status"] == "Success"]
    assert result["unmapped"]["counts"]["granted"] == 1
    assert {event["unmapped"]["list_id"] for event in desk.said("registry.imported")} == {import_id}


def test_a_blocklist_blocks_and_a_file_without_phones_is_refused(desk: FunctionDesk) -> None:
    blocks = desk.put("registry/default/blocks/a.csv", b"phone\n13812345678\n")
    nothing = desk.put("registry/default/blocks/b.csv", b"a,b\n1,2\n")
    assert desk.deliver(import_registry, blocks, nothing) == []
    assert history(desk, "13812345678").entries
    states = {
        record.document["state"]: record.document["code"] for record in desk.world.records.named(IMPORT)
    }
    assert states == {"made": "", "refused": "phone_column_missing"}
    assert Uploads(desk.world.records).get("x") is None


def test_what_lies_elsewhere_under_the_registry_is_told_again(desk: FunctionDesk) -> None:
    message = desk.put("registry/default/other/a.csv", b"phone\n13812345678\n")
    assert desk.deliver(import_registry, message, json.dumps({})) == ["0", "1"]
