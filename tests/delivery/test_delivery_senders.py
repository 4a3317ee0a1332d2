from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest

from contact_sanitizer.delivery.senders import Quotas, Right, Sender
from contact_sanitizer.errors import CatalogueError, ContactSanitizerError, DeliveryError
from counter import Counter
from desk import NOW

SOON = NOW // 1000 + 1000


def sender(**changes: Any) -> Sender:
    stated: dict[str, Any] = {"name": "gate", "licence": "X1", "until": SOON, "purposes": ("marketing",)}
    return Sender(**(stated | changes))


def test_a_sender_is_kept_as_it_was_registered(counter: Counter) -> None:
    made = sender(
        name="京东-短信",
        licence="京B2-20240001",
        purposes=("marketing", "Service"),
        rights=(Right.PHONE, Right.TOKENS),
        audiences=("shared",),
        quotas=Quotas(1, 2, 3),
        seal_to=str(pyrage.x25519.Identity.generate().to_public()),
        principals=("arn:aws:iam::000000000000:role/gate",),
        registered_by="tester",
    )
    counter.place.senders.register(made)
    assert counter.place.senders.find("京东-短信") == made
    assert list(counter.place.senders.all()) == [made]
    assert made.purposes == ("marketing", "service")
    assert made.all_audiences == ("sender:京东-短信", "shared")
    event = counter.last_event
    assert event["operation"] == "sender.registered"
    assert "20240001" not in str(event)


def test_a_name_is_registered_once_unless_it_is_to_be_replaced(counter: Counter) -> None:
    desk = counter.place.senders
    desk.register(sender())
    with pytest.raises(DeliveryError, match="sender_exists"):
        desk.register(sender(name="GATE", licence="X2"))
    assert desk.find("gate").licence == "X1"
    desk.revoke("gate", 5)
    desk.register(sender(licence="X2"), again=True)
    assert desk.find(" Gate ").licence == "X2"
    assert desk.find("gate").revoked_at is None


def test_a_revocation_works_at_once_and_once(counter: Counter) -> None:
    desk = counter.place.senders
    desk.register(sender())
    assert desk.revoke("gate", 5).revoked_at == 5
    assert desk.revoke("gate", 9).revoked_at == 5
    assert counter.last_event["operation"] == "sender.revoked"
    with pytest.raises(DeliveryError, match="sender_revoked"):
        desk.find("gate").authorize("marketing", Right.TOKENS, 0)
    with pytest.raises(DeliveryError, match="sender_unknown"):
        desk.revoke("other", 9)


def test_a_licence_counts_to_its_last_second() -> None:
    made = sender()
    made.authorize(" MARKETING", Right.TOKENS, SOON - 1)
    assert made.state(SOON - 1) == "active"
    with pytest.raises(DeliveryError, match="sender_expired"):
        made.authorize("marketing", Right.TOKENS, SOON)
    assert made.state(SOON) == "expired"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a/b"},
        {"name": "a|b"},
        {"name": "gate13812345678"},
        {"name": "x" * 65},
        {"licence": " "},
        {"licence": "a\nb"},
        {"licence": "x" * 129},
        {"until": 0},
        {"until": "soon"},
        {"purposes": ()},
        {"purposes": (" ",)},
        {"rights": ()},
        {"audiences": ("sender:other",)},
        {"audiences": ("a/b",)},
        {"audiences": ("",)},
        {"quotas": Quotas(rows_a_day=-1)},
        {"seal_to": "age1xyz"},
        {"seal_to": "AGE-SECRET-KEY-1XYZ"},
    ],
    ids=str,
)
def test_what_no_sender_can_be_is_refused_without_a_word_of_it(changes: dict[str, Any]) -> None:
    with pytest.raises(ContactSanitizerError) as raised:
        sender(**changes)
    assert raised.value.code in {"sender_invalid", "recipient_invalid"}
    assert "13812345678" not in str(raised.value)
    assert "XYZ" not in str(raised.value)


DAMAGES: list[dict[str, Any]] = [
    {},
    {"name": "other"},
    {"rights": ["all"]},
    {"until": None},
    {"quotas": 7},
    {"purposes": 7},
    {"extra": 1},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_a_damaged_entry_gives_no_rights(damage: dict[str, Any], counter: Counter) -> None:
    desk, records = counter.place.senders, counter.place.world.records
    desk.register(sender())
    record = records.get("sender", "gate")
    assert record is not None
    records.put("sender", "gate", {**record.document, **damage} if damage else {}, after=1)
    for act in _acts(counter):
        with pytest.raises(CatalogueError, match="catalogue_damaged"):
            act()


def _acts(counter: Counter) -> list[Callable[[], object]]:
    desk = counter.place.senders
    return [lambda: desk.find("gate"), lambda: list(desk.all()), lambda: desk.revoke("gate", 1)]


def test_nobody_gains_rights_from_a_write_that_came_between(counter: Counter, tmp_path: Path) -> None:
    assert tmp_path == counter.folder
    desk = counter.place.senders
    desk.register(sender())
    announce = desk.announce

    def revoking_meanwhile(*words: Any, **particulars: Any) -> None:
        announce(*words, **particulars)
        counter.place.senders.revoke("gate", 5)

    between = type(desk)(desk.records, revoking_meanwhile)
    with pytest.raises(DeliveryError, match="sender_exists"):
        between.register(sender(licence="X2"), again=True)
    assert desk.find("gate").revoked_at == 5
