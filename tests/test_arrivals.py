from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.arrivals import arrivals_in
from contact_sanitizer.errors import RequestError
from contact_sanitizer.listid import parse_list_id
from functiondesk import event

ULID = "01KAKV2DC060RK4CSM6MV3EE1S"


def told(key: Any = "uploads/default/list.csv", changes: Mapping[str, Any] | None = None) -> str:
    message = event("sqs_eventbridge_s3")["Records"][0]["body"]
    message["detail"]["object"] |= {"key": key, **(changes or {})}
    return json.dumps(message)


@pytest.mark.parametrize(
    "key",
    [
        "uploads/default/a b+c%20d.csv",
        "uploads/default/客户 名单+2026.csv",
        "uploads/default/13812345678.csv",
        "uploads/default/a/b/../c",
        "uploads/default/" + "x" * 900,
        "uploads/default/line\nbreak",
    ],
)
def test_a_key_of_eventbridge_is_taken_as_it_is(key: str) -> None:
    (arrival,) = arrivals_in(told(key))
    assert arrival.key == key
    assert (arrival.area, arrival.tenant) == ("uploads", "default")
    assert arrival.upload_id == arrival.list_id


def test_a_key_of_a_notification_is_decoded() -> None:
    (arrival,) = arrivals_in(json.dumps(event("s3_notification")))
    assert arrival.key == "uploads/default/a b+中.csv"
    assert arrival.version == "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
    assert arrival.etag == "b1946ac92492d2347c6235b4d2611184"


def test_a_form_s_key_names_its_upload() -> None:
    (arrival,) = arrivals_in(told(f"uploads/default/{ULID}/list"))
    assert arrival.upload_id == ULID
    assert arrival.list_id != ULID


def test_one_version_is_one_list_however_it_is_told_and_another_version_is_another() -> None:
    first, again, later = (
        arrivals_in(text)[0].list_id
        for text in (told(), told(changes={"sequencer": "0"}), told(changes={"version-id": "v2"}))
    )
    assert first == again != later
    assert parse_list_id(first) == first
    notified = event("s3_notification")
    notified["Records"][0]["s3"]["object"]["key"] = "uploads/default/list.csv"
    assert arrivals_in(json.dumps(notified))[0].list_id == first


def test_where_no_version_is_told_each_writing_is_a_list() -> None:
    texts = (told(changes={"version-id": None}), told(changes={"version-id": None, "sequencer": "1"}))
    first, second = (arrivals_in(text)[0].list_id for text in texts)
    assert first != second
    assert arrivals_in(texts[0])[0].list_id == first


def test_the_test_message_of_s3_is_nothing() -> None:
    assert arrivals_in('{"Service": "Amazon S3", "Event": "s3:TestEvent"}') == []


@pytest.mark.parametrize("folder", ["consents", "blocks"])
def test_the_registry_s_folders_are_told_apart(folder: str) -> None:
    (arrival,) = arrivals_in(told(f"registry/default/{folder}/a.csv"))
    assert (arrival.area, arrival.folder) == ("registry", folder)
    assert arrivals_in(told(f"registry/default/{folder}"))[0].folder == ""
    assert arrivals_in(told("registry/default/other/a.csv"))[0].folder == ""


def test_an_arrival_does_not_show_itself() -> None:
    (arrival,) = arrivals_in(told("uploads/default/13812345678.csv"))
    assert "13812" not in f"{arrival!r}{arrival}"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "13812345678",
        "[]",
        "{}",
        '{"Records": 1}',
        '{"Records": [{}]}',
        "[" * 100_000,
        told().replace("aws.s3", "aws.s4"),
        told().replace("Object Created", "Object Deleted"),
        told().replace("2026-11-20T08:15:02Z", "13812345678"),
        told().replace("2026-11-20T08:15:02Z", "0001-01-01T00:00:00Z"),
        told(key=13812345678),
    ],
)
def test_what_is_no_arrival_is_refused_without_being_quoted(body: str) -> None:
    with pytest.raises(RequestError) as caught:
        arrivals_in(body)
    assert caught.value.code == "message_invalid"
    assert "13812" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
@settings(derandomize=True, max_examples=60)
def test_any_detail_is_an_arrival_or_refused(detail: object) -> None:
    message = event("sqs_eventbridge_s3")["Records"][0]["body"] | {"detail": detail}
    with pytest.raises(RequestError):
        arrivals_in(json.dumps(message))
