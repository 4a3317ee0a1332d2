from __future__ import annotations

import pytest

from contact_sanitizer.delivery.redeem import REDEMPTION
from contact_sanitizer.delivery.traces import deliveries_of, redemptions_of
from contact_sanitizer.errors import CatalogueError, DeliveryError
from counter import PHONES, Counter
from desk import home_of


def subject(counter: Counter, phone: str) -> bytes:
    return counter.place.desk("CN").person(phone).subject


def test_a_persons_deliveries_recalls_and_redemptions_are_found(counter: Counter) -> None:
    counter.sender()
    counter.sender("other")
    first = counter.made(phones=PHONES[:5])
    second = counter.made(phones=PHONES[3:])
    delivered = [counter.deliver(made, to)[0] for made in (first, second) for to in ("gate", "other")]
    tokens = counter.tokens(second)
    counter.redeem(tokens)
    counter.pass_time(60)
    counter.redeem(tokens[:1])
    counter.block(PHONES[3])
    counter.recalls(delivered[0].delivery.delivery_id)
    known = subject(counter, PHONES[3])
    found = list(deliveries_of(known, counter.desk()))
    assert [each.delivery for each in found] == [each.delivery for each in delivered]
    assert [each.recall is not None for each in found] == [True, False, False, False]
    assert [each.sender for each in redemptions_of(known, counter.desk())] == ["gate", "gate"]
    only = list(deliveries_of(subject(counter, PHONES[9]), counter.desk()))
    assert [each.delivery for each in only] == [each.delivery for each in delivered[2:]]
    assert len(list(redemptions_of(subject(counter, PHONES[9]), counter.desk()))) == 1
    stranger = subject(counter, "13899990000")
    assert not list(deliveries_of(stranger, counter.desk()))
    assert not list(redemptions_of(stranger, counter.desk()))


def test_a_trace_is_whole_or_none(counter: Counter) -> None:
    counter.sender()
    tokens = counter.tokens(counter.made())
    counter.redeem(tokens)
    (note,) = home_of(counter.place).places.deliveries.iterdir()
    note.write_bytes(note.read_bytes()[:-1])
    known = subject(counter, PHONES[0])
    with pytest.raises(DeliveryError, match="people_damaged"):
        list(deliveries_of(known, counter.desk()))
    records = counter.place.world.records
    (record,) = records.named(REDEMPTION)
    records.put(REDEMPTION, record.name, {**record.document, "people": "?"}, after=1)
    with pytest.raises(CatalogueError, match="catalogue_damaged"):
        list(redemptions_of(known, counter.desk()))
