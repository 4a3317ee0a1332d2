"""Every action's event against the OCSF schema: `py-ocsf-models`, and the classes' own rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from py_ocsf_models.events.base_event import BaseEvent
from py_ocsf_models.objects.api import API
from py_ocsf_models.objects.metadata import Metadata

from contact_sanitizer.audit.actions import MEANING, Action, Outcome
from contact_sanitizer.audit.events import Event

ID = "01KAKV2DC060RK4CSM6MV3EE1S"

# From the schema's classes (events/iam/entity_management.json, events/application/*.json, 1.5): activities
# and what a class requires beyond the base event.
ACTIVITIES = {3004: range(1, 14), 6003: range(1, 5), 6005: range(1, 11)}
BASE = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
REQUIRED = {
    3004: {"entity"},
    6003: {"actor", "api", "src_endpoint"},
    6005: {"actor", "src_endpoint", "table"},
}
OPTIONAL = {"actor", "api", "src_endpoint", "status", "status_id", "status_code", "type_id", "unmapped"}
CAPTIONS = {1: "Success", 2: "Failure"}


def written(action: Action, outcome: Outcome = Outcome.BEGUN) -> dict[str, Any]:
    code = "file_missing" if outcome is Outcome.FAILURE else None
    event = Event(action, outcome, 1_790_000_000_000, "ops", "default", ID, ID, sender="brand-a", code=code)
    document: dict[str, Any] = json.loads(event.line())
    return document


def test_every_action_has_a_meaning() -> None:
    assert set(MEANING) == set(Action)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("action", Action)
def test_an_event_of_every_action_is_what_its_class_wants(action: Action, outcome: Outcome) -> None:
    document = written(action, outcome)
    uid = document["class_uid"]
    assert BASE | REQUIRED[uid] <= set(document)
    assert set(document) <= BASE | REQUIRED[uid] | OPTIONAL
    assert document["activity_id"] in ACTIVITIES[uid]
    assert document["category_uid"] == uid // 1000
    assert document["type_uid"] == uid * 100 + document["activity_id"]
    assert document["status"] == CAPTIONS.get(document["status_id"], "begun")
    assert uid != 3004 or document["entity"]["uid"]
    assert all(document[name] for name in REQUIRED[uid])


@pytest.mark.parametrize("action", Action)
def test_the_public_models_read_it(action: Action) -> None:
    document = written(action)
    base = BaseEvent.model_validate(document)
    assert base.metadata.uid == ID
    assert Metadata.model_validate(document["metadata"]).product.vendor_name == "contact-sanitizer"
    assert API.model_validate(document["api"]).operation == action.value


def test_the_models_refuse_what_is_no_event() -> None:
    document = written(Action.LIST_STARTED)
    del document["metadata"]["product"]["vendor_name"]
    with pytest.raises(ValueError, match="vendor_name"):
        BaseEvent.model_validate(document)
