from __future__ import annotations

from contact_sanitizer.access import Role
from contact_sanitizer.handlers import openapi
from contact_sanitizer.handlers.lists import handler as lists
from contact_sanitizer.handlers.sanitize import handler as sanitize
from functiondesk import FunctionDesk

ROLE = "arn:aws:iam::123456789012:role/marketing-upload"


def made(desk: FunctionDesk, number: int) -> None:
    messages = [desk.put(f"uploads/default/{place}.csv", b"phone\n13812345678\n") for place in range(number)]
    assert desk.deliver(sanitize, *messages) == []


def test_lists_come_in_pages(desk: FunctionDesk) -> None:
    made(desk, 3)
    whole = desk.call(lists, "GET /lists").document
    assert whole["next"] is None
    first = desk.call(lists, "GET /lists?limit=2").document
    rest = desk.call(lists, f"GET /lists?limit=2&after={first['next']}").document
    assert first["lists"] + rest["lists"] == whole["lists"]
    assert len(whole["lists"]) == 3
    assert desk.call(lists, "GET /lists?limit=0").status == 400


def test_every_reason_is_for_security_and_operators_alone(desk: FunctionDesk) -> None:
    made(desk, 1)
    list_id = desk.call(lists, "GET /lists").document["lists"][0]["list_id"]
    shown = desk.call(lists, f"GET /lists/{list_id}").document
    assert (shown["counts"]["dropped"], shown["manifest"]) == (1, None)
    desk.map(ROLE, Role.UPLOADER)
    assert desk.call(lists, f"GET /lists/{list_id}").document["manifest"] is None
    desk.map(ROLE, Role.SECURITY)
    manifest = desk.call(lists, f"GET /lists/{list_id}").document["manifest"]
    assert manifest["counts"]["by_reason"] == {"consent_missing": 1}
    assert len(desk.said("list.shown")) == 3
    desk.map(ROLE, Role.SECURITY, tenant="other")
    assert desk.call(lists, f"GET /lists/{list_id}").document["code"] == "list_unknown"


def test_the_api_describes_itself_as_its_functions_are(desk: FunctionDesk) -> None:
    assert desk.call(lists, "GET /openapi.json").text == openapi.document()


def test_every_operation_of_the_description_can_be_refused_as_a_problem(desk: FunctionDesk) -> None:
    document = desk.call(lists, "GET /openapi.json").document
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) > 6
    for operation in operations:
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert operation["security"] == [{"sigv4": []}]
