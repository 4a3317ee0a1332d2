from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from contact_sanitizer.audit.events import Action, Event, Outcome

ID = "01KAKV2DC060RK4CSM6MV3EE1S"
EVENT = Event(Action.LIST_STARTED, Outcome.BEGUN, 1_700_000_000_000, "ops", "default", ID, ID)


def test_a_line_is_canonical_json_of_one_ocsf_object() -> None:
    line = replace(EVENT, list_id=ID, counts={"kept": 2}, key_ids=(7,)).line()
    document = json.loads(line)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n" == line
    assert (document["class_uid"], document["activity_id"], document["type_uid"]) == (6003, 1, 600301)
    assert document["metadata"]["uid"] == ID
    assert document["api"]["operation"] == "list.started"
    assert document["unmapped"] == {"counts": {"kept": 2}, "key_ids": [7], "list_id": ID}


WORDS = ["principal", "tenant", "purpose", "channel", "scope", "code", "sender", "audience", "reason"]
WORDS += ["form", "format"]


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("value", ["13812345678", "+86 13812345678", "张三", "a\nb", "x" * 700])
def test_a_word_that_could_be_personal_data_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="audit event") as caught:
        replace(EVENT, **{name: value})  # type: ignore[arg-type] # the field's name is the parameter
    assert value not in str(caught.value)


def test_counts_and_digests_are_checked_too() -> None:
    with pytest.raises(ValueError, match="audit event"):
        replace(EVENT, counts={"13812345678": 1})
    with pytest.raises(ValueError, match="digest"):
        replace(EVENT, digests={"clean": "13812345678"})
    with pytest.raises(ValueError, match="id"):
        replace(EVENT, list_id="13812345678")


REFUSED: dict[str, list[object]] = {
    "uid": ["13812345678", ID.lower(), "", ID + "\n"],
    "delivery_id": ["13812345678"],
    "upload_id": ["list.csv"],
    "policy": ["spring-sale"],
    "person": ["13812345678", "+8613812345678", "AB" * 16, "ab" * 17],
    "object_version": ["13812345678", "8613812345678" * 3, "list of 张三", "x" * 200],
    "key_ids": [(-1,)],
    "asked_at": [1 << 53],
    "counts": [{"kept": -1}],
    "digests": [{"13812345678": "0" * 64}],
}


@pytest.mark.parametrize(("name", "value"), [(n, value) for n, values in REFUSED.items() for value in values])
def test_a_field_takes_its_own_kind_of_value_only(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"is|holds") as caught:
        replace(EVENT, **{name: value})  # type: ignore[arg-type] # the field's name is the parameter
    assert str(value) not in str(caught.value) or not value


def test_there_is_no_field_for_text_of_a_list() -> None:
    names = {field.name for field in fields(Event)}
    assert not names & {"phone", "name", "cell", "file", "path", "message", "ip"}
