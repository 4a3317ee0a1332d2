"""Callers whom an identity provider knows: API Gateway has checked token, issuer and audience."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contact_sanitizer.access import Role
from contact_sanitizer.handlers.api import Handler
from contact_sanitizer.handlers.lists import handler as lists
from contact_sanitizer.handlers.request_upload import handler as request_upload
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.handlers.trace import handler as trace
from functiondesk import Answer, FunctionDesk, event
from templates import resources, template

ISSUER = "https://login.example.com"
WEI = f"jwt:{ISSUER}#li.wei@example.com"


def called(
    desk: FunctionDesk, handler: Handler, route: str, body: Any = None, **claims: str | None
) -> Answer:
    """A call with the sample's token, or with other claims; None leaves one out."""
    method, path = route.split(" ")
    sample = event("http_jwt")
    sample |= {"rawPath": path, "body": None if body is None else json.dumps(body)}
    sample["requestContext"]["http"] |= {"method": method, "path": path}
    stated = sample["requestContext"]["authorizer"]["jwt"]["claims"]
    stated |= claims
    for name in [name for name, value in claims.items() if value is None]:
        del stated[name]
    return desk.send(handler, sample)


def test_who_was_written_down_works_as_its_role_in_its_tenant_and_as_nothing_else(desk: FunctionDesk) -> None:
    assert desk.deliver(sanitize, desk.put("uploads/default/a", b"phone\n13812345678\n")) == []
    desk.map(WEI, Role.UPLOADER, tenant="brand-a")
    offer = called(desk, request_upload, "POST /uploads", {})
    assert offer.document["fields"]["key"].startswith("uploads/brand-a/")
    assert called(desk, lists, "GET /lists").document["lists"] == []
    (entry,) = desk.workspace.catalogue.entries()
    assert called(desk, lists, f"GET /lists/{entry.list_id}").status == 404
    denied = called(desk, trace, "POST /trace", {"phone": "13812345678"})
    assert (denied.status, denied.document["code"]) == (403, "not_allowed")
    words = {said["actor"]["user"]["uid"] for said in desk.said("access.denied")}
    assert words == {"jwt/client"}
    assert "li.wei" not in json.dumps(desk.audit)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "zhang.san@example.com"},
        {"iss": "https://evil.example.com"},
        {"iss": f"{ISSUER}/"},
        {"sub": None},
        {"sub": "", "client_id": None},
        {"iss": None},
        {"sub": "li.wei@example.com 13812345678"},
    ],
)
def test_whose_token_says_something_else_is_refused(
    desk: FunctionDesk, claims: dict[str, str | None]
) -> None:
    """The stack's own account has a default tenant; nobody of an identity provider has one."""
    desk.map(WEI, Role.UPLOADER)
    answer = called(desk, request_upload, "POST /uploads", {}, **claims)
    assert (answer.status, answer.document["code"]) == (403, "not_allowed")
    assert "13812" not in json.dumps(desk.audit)


def test_a_client_without_a_person_goes_by_its_own_id(desk: FunctionDesk) -> None:
    desk.map(f"jwt:{ISSUER}#contacts-web", Role.UPLOADER)
    assert called(desk, request_upload, "POST /uploads", {}, sub=None).status == 200
    assert called(desk, request_upload, "POST /uploads", {}).status == 403


def test_the_template_lets_a_token_s_issuer_and_audience_be_checked_before_any_function() -> None:
    (authorizer,) = resources("AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["JwtConfiguration"] == {
        "Issuer": {"Ref": "JwtIssuer"},
        "Audience": {"Ref": "JwtAudience"},
    }
    assert template()["Resources"]["ApiJwt"]["Condition"] == "UsesJwt"
    assert template()["Parameters"]["JwtIssuer"]["Default"] == ""
