from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.access import Role, principal_name, principal_word
from contact_sanitizer.audit.events import Action, Event, Outcome
from contact_sanitizer.aws.world import directory_of
from contact_sanitizer.errors import RequestError
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.request_upload import handler as request_upload
from functiondesk import ACCOUNT, FunctionDesk, event

ROLE = f"arn:aws:iam::{ACCOUNT}:role/marketing-upload"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/marketing-upload/li.wei@example.com"


def test_a_mapped_principal_works_in_its_own_tenant(desk: FunctionDesk) -> None:
    desk.map(ROLE, Role.UPLOADER, tenant="brand-a")
    fields = desk.call(request_upload, "POST /uploads", {}).document["fields"]
    assert fields["key"].startswith("uploads/brand-a/")


def test_another_role_is_refused_and_the_refusal_is_an_event(desk: FunctionDesk) -> None:
    desk.map(ROLE, Role.SENDER)
    answer = desk.call(request_upload, "POST /uploads", {})
    assert (answer.status, answer.document["code"]) == (403, "not_allowed")
    (said,) = desk.audit
    assert said["api"]["operation"] == "access.denied"
    assert said["actor"]["user"]["uid"] == "role/123456-789012/marketing-upload"
    assert said["unmapped"]["reason"] == "requestUpload"
    assert said["status"] == "Failure"


def test_whoever_comes_from_another_account_has_to_be_written_down(desk: FunctionDesk) -> None:
    stranger = {"userArn": SESSION.replace(ACCOUNT, "210987654321"), "accountId": "210987654321"}
    assert desk.call(request_upload, "POST /uploads", {}, **stranger).status == 403
    assert [said["actor"]["user"]["uid"] for said in desk.audit] == ["role/210987-654321/marketing-upload"]
    desk.map(ROLE.replace(ACCOUNT, "210987654321"), Role.UPLOADER)
    assert desk.call(request_upload, "POST /uploads", {}, **stranger).status == 200


def test_without_a_default_tenant_everybody_has_to_be_written_down(
    desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CS_DEFAULT_TENANT", "")
    stage.settings.cache_clear()
    assert desk.call(request_upload, "POST /uploads", {}).status == 403
    desk.map(ROLE, Role.UPLOADER)
    assert desk.call(request_upload, "POST /uploads", {}).status == 200


def test_a_removed_principal_is_not_let_in_by_default(desk: FunctionDesk) -> None:
    directory_of(desk.settings, desk.cloud.clients).remove(ROLE)
    assert desk.call(request_upload, "POST /uploads", {}).status == 403


@pytest.mark.parametrize(
    "authorizer", [None, {}, {"iam": {}}, {"iam": {"userArn": "13812345678"}}, {"jwt": {}}]
)
def test_who_is_not_said_to_be_anybody_is_refused(desk: FunctionDesk, authorizer: object) -> None:
    sample = event("http_iam_role")
    sample["requestContext"]["authorizer"] = authorizer
    assert desk.send(request_upload, sample).status == 403
    assert [said["actor"]["user"]["uid"] for said in desk.audit] == ["unknown"]


def test_a_client_of_an_identity_provider_needs_a_mapping(desk: FunctionDesk) -> None:
    sample = event("http_iam_role")
    claims = {"iss": "https://login.example.com/", "sub": "li.wei@example.com"}
    sample["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    assert desk.send(request_upload, sample).status == 403
    desk.map("jwt:https://login.example.com/#li.wei@example.com", Role.UPLOADER)
    assert desk.send(request_upload, sample).status == 200
    assert {said["actor"]["user"]["uid"] for said in desk.audit} == {"jwt/client"}


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (SESSION, ROLE),
        (f"arn:aws:iam::{ACCOUNT}:role/teams/marketing/marketing-upload", ROLE),
        (f"arn:aws:iam::{ACCOUNT}:user/teams/wei", f"arn:aws:iam::{ACCOUNT}:user/teams/wei"),
        ("jwt:https://login.example.com/#client", "jwt:https://login.example.com/#client"),
    ],
)
def test_a_role_has_one_name_whatever_its_path_and_session(arn: str, name: str) -> None:
    assert principal_name(arn) == name
    assert principal_name(name) == name


@pytest.mark.parametrize(
    "text", ["", "wei", "arn:aws:s3:::bucket", f"arn:aws:iam::{ACCOUNT}:root", "jwt:a b"]
)
def test_what_is_no_principal_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        principal_name(text)
    assert caught.value.code == "principal_invalid"
    assert not text or text not in caught.value.message


def test_audit_events_name_users_by_their_id_and_no_session() -> None:
    user = f"arn:aws:iam::{ACCOUNT}:user/wei"
    assert principal_word(user, "AIDAEXAMPLEEXAMPLE12") == "user/123456-789012/AIDAEXAMPLEEXAMPLE12"
    assert principal_word(principal_name(SESSION)) == "role/123456-789012/marketing-upload"


@given(
    st.text(
        st.characters(codec="ascii", exclude_characters=" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f/"),
        min_size=1,
        max_size=64,
    )
)
@settings(derandomize=True, max_examples=100)
def test_any_principals_word_can_stand_in_an_event(called: str) -> None:
    name = principal_name(f"arn:aws:iam::{ACCOUNT}:role/{called}")
    word = principal_word(name)
    uid = "01KAKV2DC060RK4CSM6MV3EE1S"
    assert Event(Action.ACCESS_DENIED, Outcome.FAILURE, 1, word, "-", uid, uid).principal == word
