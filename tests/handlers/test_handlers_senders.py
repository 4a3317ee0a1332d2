from __future__ import annotations

import urllib.parse
from typing import Any

import pytest

from contact_sanitizer.access import Role
from contact_sanitizer.delivery.senders import Quotas, Right, Sender
from contact_sanitizer.handlers.deliver import handler as deliver
from contact_sanitizer.handlers.lists import handler as lists
from contact_sanitizer.handlers.recalls import handler as recalls
from contact_sanitizer.handlers.record_choice import handler as record_choice
from contact_sanitizer.handlers.redeem import handler as redeem
from contact_sanitizer.handlers.sanitize import handler as sanitize
from functiondesk import FunctionDesk

ROLE = "arn:aws:iam::123456789012:role/marketing-upload"
WISH = {"sender": "gate", "purpose": "marketing"}
NO_DELIVERY = "01KAKV2DC060RK4CSM6MV3EE1S"


@pytest.fixture
def list_id(desk: FunctionDesk) -> str:
    """A list of two, and a sender that the caller speaks for."""
    desk.agree("13812345678", "13912345678")
    sender = Sender(
        "gate",
        "LIC-1",
        4_000_000_000,
        purposes=("marketing",),
        rights=(Right.TOKENS,),
        quotas=Quotas(redemptions_a_day=5),
        registered_at=1,
    )
    desk.workspace.senders.register(sender)
    message = desk.put("uploads/default/a", b"phone\n13812345678\n13912345678\n")
    assert desk.deliver(sanitize, message) == []
    desk.map(ROLE, Role.SENDER, sender="gate")
    found: str = desk.call(lists, "GET /lists").document["lists"][0]["list_id"]
    return found


def delivered(desk: FunctionDesk, list_id: str, **more: str) -> Any:
    answer = desk.call(deliver, f"POST /lists/{list_id}/deliveries", WISH | more)
    assert answer.status == 200, answer.text
    return answer.document


def tokens_of(desk: FunctionDesk, url: str) -> list[str]:
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path).lstrip("/").removeprefix("demo-clean/")
    content = desk.cloud.clients.s3.get_object(Bucket="demo-clean", Key=path)["Body"].read().decode()
    return content.splitlines()[1:]


def test_a_list_is_delivered_by_a_link_and_its_tokens_are_redeemed(desk: FunctionDesk, list_id: str) -> None:
    made = delivered(desk, list_id)
    assert (made["rows"], made["sealed"]) == (2, False)
    assert "Expires=300" in made["url"]
    again = delivered(desk, list_id)
    assert (again["delivery"], again["sha256"]) == (made["delivery"], made["sha256"])
    tokens = tokens_of(desk, made["url"])
    answer = desk.call(redeem, "POST /tokens/redeem", WISH | {"tokens": [*tokens, "ct_13812345678"]})
    assert [result["phone"] for result in answer.document["results"]] == [
        "+8613812345678",
        "+8613912345678",
        None,
    ]
    assert answer.document["results"][2]["refused"] == "not_redeemable"
    beyond = desk.call(redeem, "POST /tokens/redeem", WISH | {"tokens": tokens * 2})
    assert (beyond.status, beyond.document["code"]) == (429, "quota_exceeded")


def test_who_refuses_later_is_recalled_and_opens_no_more(desk: FunctionDesk, list_id: str) -> None:
    made = delivered(desk, list_id)
    reply = {"phone": "13812345678", "message": "TD"}
    assert desk.call(record_choice, "POST /optouts", reply).status == 200
    page = desk.call(recalls, f"GET /deliveries/{made['delivery']}/recalls").document
    (recalled,) = page["recalls"]
    assert recalled["token"] in tokens_of(desk, made["url"])
    assert (page["more"], page["acknowledged"]) == (False, 0)
    answer = desk.call(redeem, "POST /tokens/redeem", WISH | {"tokens": [recalled["token"]]})
    assert answer.document["results"] == [{"phone": None, "refused": "refused"}]
    said = desk.call(recalls, f"POST /deliveries/{made['delivery']}/recalls/ack", {"cursor": page["cursor"]})
    assert said.status == 200, said.text
    assert said.document["receipt"]
    beyond = desk.call(recalls, f"POST /deliveries/{made['delivery']}/recalls/ack", {"cursor": 99})
    assert (beyond.status, beyond.document["code"]) == (400, "cursor_refused")


def test_nobody_speaks_for_another_sender(desk: FunctionDesk, list_id: str) -> None:
    made = delivered(desk, list_id)
    desk.map(ROLE, Role.SENDER, sender="other")
    before = len(desk.said("access.denied"))
    for handler, route, body in (
        (deliver, f"POST /lists/{list_id}/deliveries", WISH),
        (redeem, "POST /tokens/redeem", WISH | {"tokens": ["x"]}),
        (recalls, f"GET /deliveries/{made['delivery']}/recalls", None),
        (recalls, f"POST /deliveries/{made['delivery']}/recalls/ack", {}),
    ):
        answer = desk.call(handler, route, body)
        assert (answer.status, answer.document["code"]) == (403, "not_allowed"), route
    assert len(desk.said("access.denied")) == before + 4


def test_a_sender_s_registered_principal_speaks_for_it(desk: FunctionDesk, list_id: str) -> None:
    sender = Sender(
        "registered",
        "LIC-2",
        4_000_000_000,
        ("marketing",),
        (Right.TOKENS,),
        principals=(ROLE,),
        registered_at=1,
    )
    desk.workspace.senders.register(sender)
    assert delivered(desk, list_id, sender="registered")["rows"] == 2


def test_security_sees_recalls_and_acknowledges_none(desk: FunctionDesk, list_id: str) -> None:
    made = delivered(desk, list_id)
    desk.map(ROLE, Role.SECURITY)
    assert desk.call(recalls, f"GET /deliveries/{made['delivery']}/recalls").status == 200
    assert desk.call(recalls, f"POST /deliveries/{made['delivery']}/recalls/ack", {}).status == 403


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"purpose": "debt"}, 403, "purpose_refused"),
        ({"as": "phone"}, 403, "right_missing"),
        ({"as": "13812345678"}, 400, "request_invalid"),
        ({"format": "13812345678"}, 400, "request_invalid"),
    ],
)
def test_what_a_sender_may_not_have_is_refused(
    desk: FunctionDesk, list_id: str, change: dict[str, str], status: int, code: str
) -> None:
    answer = desk.call(deliver, f"POST /lists/{list_id}/deliveries", WISH | change)
    assert (answer.status, answer.document["code"]) == (status, code)
    assert "13812" not in answer.text


def test_what_is_not_there_is_unknown(desk: FunctionDesk, list_id: str) -> None:
    assert list_id
    answer = desk.call(deliver, f"POST /lists/{NO_DELIVERY}/deliveries", WISH)
    assert (answer.status, answer.document["code"]) == (404, "list_unknown")
    answer = desk.call(recalls, f"GET /deliveries/{NO_DELIVERY}/recalls")
    assert (answer.status, answer.document["code"]) == (404, "delivery_unknown")
    answer = desk.call(redeem, "POST /tokens/redeem", WISH | {"tokens": ["x"] * 1001})
    assert answer.status == 400
