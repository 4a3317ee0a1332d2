from __future__ import annotations

import json

import pytest

from contact_sanitizer.access import Role
from contact_sanitizer.aws.auditlog import StackLog
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.delivery.deliver import DeliveryRequest, deliver
from contact_sanitizer.delivery.senders import Right, Sender
from contact_sanitizer.errors import AuditError
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.handlers.trace import handler as trace
from contact_sanitizer.workspace import Workspace
from functiondesk import FunctionDesk

ROLE = "arn:aws:iam::123456789012:role/marketing-upload"
PHONE = "13812345678"
WISH = {"phone": PHONE, "region": "CN"}


@pytest.fixture
def list_id(desk: FunctionDesk) -> str:
    """A list with one person twice, delivered; the caller is security."""
    desk.agree(PHONE)
    message = desk.put("uploads/default/a", f"phone\n{PHONE}\n13912345678\n+86 {PHONE}\n".encode())
    assert desk.deliver(sanitize, message) == []
    place = desk.workspace
    place.senders.register(
        Sender("gate", "LIC-1", 4_000_000_000, ("marketing",), (Right.TOKENS,), registered_at=1)
    )
    (entry,) = place.catalogue.entries()
    deliver(DeliveryRequest(entry.list_id, "gate", "marketing"), place.delivery_desk(), place.shelf_of)
    desk.map(ROLE, Role.SECURITY)
    return entry.list_id


def test_security_is_told_a_persons_story(desk: FunctionDesk, list_id: str) -> None:
    answer = desk.call(trace, "POST /trace", WISH)
    assert answer.status == 200, answer.text
    document = answer.document
    (listed,) = document["lists"]
    assert listed["list_id"] == list_id
    assert [(row["row"], row["verdict"], row["reasons"]) for row in listed["rows"]] == [
        (2, "kept", []),
        (4, "dropped", ["duplicate"]),
    ]
    assert [(each["sender"], each["recall"]) for each in document["deliveries"]] == [("gate", "none")]
    assert [each["status"] for each in document["recorded"]["consents"]] == ["granted"]
    assert (document["lists_read"], document["unread"]) == (1, [])
    begun, done = desk.said("person.traced")
    assert (begun["status"], done["status"]) == ("begun", "Success")
    assert done["unmapped"]["counts"]["rows"] == 2
    assert PHONE not in answer.text + json.dumps(desk.audit)


def test_of_a_stranger_and_in_another_tenant_nothing_is_told(desk: FunctionDesk, list_id: str) -> None:
    answer = desk.call(trace, "POST /trace", {"phone": "13899990000"}).document
    assert (answer["lists"], answer["deliveries"], answer["lists_read"]) == ([], [], 1)
    elsewhere = StackWorld(desk.settings, desk.cloud.clients, "other")
    Workspace.in_stack(elsewhere, make=True, principal="tester").close()
    desk.map(ROLE, Role.SECURITY, tenant="other")
    other = desk.call(trace, "POST /trace", WISH)
    assert (other.status, other.document["lists_read"]) == (200, 0)
    assert list_id not in other.text


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.SECURITY}))
def test_nobody_else_may_trace(desk: FunctionDesk, list_id: str, role: Role) -> None:
    desk.map(ROLE, role, sender="gate" if role is Role.SENDER else "")
    answer = desk.call(trace, "POST /trace", WISH)
    assert (answer.status, answer.document["code"]) == (403, "not_allowed")
    assert list_id not in answer.text
    assert desk.said("person.traced") == []
    assert desk.said("access.denied")[-1]["unmapped"]["reason"] == "tracePerson"


def test_where_the_look_cannot_be_recorded_nothing_is_told(
    desk: FunctionDesk, list_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AuditError("audit_unwritable", "the audit log cannot be written")

    monkeypatch.setattr(StackLog, "append", refuse)
    answer = desk.call(trace, "POST /trace", WISH)
    assert (answer.status, answer.document["code"]) == (503, "audit_unwritable")
    assert list_id not in answer.text


def test_a_list_whose_objects_are_gone_is_named(desk: FunctionDesk, list_id: str) -> None:
    key = f"lists/default/{list_id}/manifest.json"
    desk.cloud.clients.s3.delete_object(Bucket="demo-clean", Key=key)
    document = desk.call(trace, "POST /trace", WISH).document
    assert [(each["list_id"], each["state"]) for each in document["unread"]] == [(list_id, "gone")]
    assert document["lists"] == []


def test_a_story_that_takes_too_long_is_told_in_leaves(desk: FunctionDesk, list_id: str) -> None:
    second = desk.put("uploads/default/b", f"phone\n{PHONE}\n".encode())
    assert desk.deliver(sanitize, second) == []
    whole = desk.call(trace, "POST /trace", WISH).document
    assert (whole["next"], len(whole["lists"]), len(whole["deliveries"])) == (None, 2, 1)
    desk.left = 1_000
    leaves = [desk.call(trace, "POST /trace", WISH).document]
    while leaves[-1]["next"]:
        leaves.append(desk.call(trace, "POST /trace", WISH | {"after": leaves[-1]["next"]}).document)
    assert [len(leaf["lists"]) + len(leaf["deliveries"]) for leaf in leaves] == [1, 1, 1]
    assert list_id in {each["list_id"] for each in whole["lists"]}
    for part in ("lists", "deliveries", "redemptions", "unread"):
        assert [each for leaf in leaves for each in leaf[part]] == whole[part]
    assert {json.dumps(leaf["recorded"]) for leaf in leaves} == {json.dumps(whole["recorded"])}
    counts = [each["unmapped"]["counts"] for each in desk.said("person.traced") if each["status"] != "begun"]
    assert [count.get("unfinished", 0) for count in counts] == [0, 1, 1, 0]


@pytest.mark.parametrize("after", ["lists/13812345678", f"phones/{'0' * 26}", "lists/", "/", "x"])
def test_a_cursor_of_no_trace_is_refused(desk: FunctionDesk, list_id: str, after: str) -> None:
    assert list_id
    answer = desk.call(trace, "POST /trace", WISH | {"after": after})
    assert (answer.status, answer.document["code"]) == (400, "cursor_refused")
    assert "13812" not in answer.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"phone": "12"}, 422, "number_refused"),
        ({"phone": ""}, 400, "request_invalid"),
        ({"phone": PHONE, "region": PHONE}, 400, "request_invalid"),
        ({"phone": PHONE, PHONE: 1}, 400, "request_invalid"),
        ({}, 400, "request_invalid"),
    ],
)
def test_what_is_no_phone_is_refused_without_being_repeated(
    desk: FunctionDesk, body: dict[str, str], status: int, code: str
) -> None:
    assert desk.workspace.keyring
    desk.map(ROLE, Role.SECURITY)
    answer = desk.call(trace, "POST /trace", body)
    assert (answer.status, answer.document["code"]) == (status, code)
    assert PHONE not in answer.text
