"""One person's part in deliveries and redemptions, for whoever may trace people."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.delivery.deliveries import Deliveries, Delivery
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.people import read_people
from contact_sanitizer.delivery.recalls import PersonRecalled, recall_at
from contact_sanitizer.delivery.redeem import REDEMPTION
from contact_sanitizer.errors import CatalogueError
from contact_sanitizer.ports import Record


@dataclass(frozen=True, slots=True)
class PersonDelivered:
    """A delivery that a person was on, and the recall that was found since, if any."""

    delivery: Delivery
    recall: PersonRecalled | None


@dataclass(frozen=True, slots=True)
class PersonRedeemed:
    """That a sender was given a person's number, once or more in one call. `at`: milliseconds."""

    redemption_id: str
    sender: str
    at: int


def deliveries_of(subject: bytes, desk: DeliveryDesk) -> Iterator[PersonDelivered]:
    """The deliveries that a person (16 bytes) was on, oldest first; every note is read.

    Raises `DeliveryError` (`people_damaged`) where a note cannot be read: a trace is whole or none.
    """
    for delivery in Deliveries(desk.records).all():
        if found := delivered_to(subject, delivery, desk):
            yield found


def delivered_to(subject: bytes, delivery: Delivery, desk: DeliveryDesk) -> PersonDelivered | None:
    """A person's part in one delivery, whose note is read; raises as `deliveries_of`."""
    place = _place_of(subject, delivery, desk)
    return None if place is None else PersonDelivered(delivery, recall_at(place, delivery, desk))


def redemptions_of(subject: bytes, desk: DeliveryDesk) -> Iterator[PersonRedeemed]:
    """The redemptions in which a person's number was handed out, oldest first."""
    for record in desk.records.named(REDEMPTION):
        if found := redeemed_in(subject, record):
            yield found


def redeemed_in(subject: bytes, redemption: Record) -> PersonRedeemed | None:
    """A person's part in one redemption; `CatalogueError` where its entry is damaged."""
    try:
        people = base64.b64decode(redemption.document["people"], validate=True)
        sender, at = str(redemption.document["sender"]), int(redemption.document["at"])
    except (KeyError, ValueError, TypeError, binascii.Error):
        message = "the catalogue's entry of a redemption is damaged"
        raise CatalogueError("catalogue_damaged", message) from None
    if not len(_rows_with(subject, np.frombuffer(people, np.uint8))):
        return None
    return PersonRedeemed(redemption.name, sender, at)


def _place_of(subject: bytes, delivery: Delivery, desk: DeliveryDesk) -> int | None:
    place = None
    for run in read_people(desk.shelf.people(delivery.delivery_id), delivery.people):
        for row in _rows_with(subject, run.subjects).tolist():
            place = run.first + row
    return place


def _rows_with(subject: bytes, subjects: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.flatnonzero((subjects.reshape(-1, 16) == np.frombuffer(subject, np.uint8)).all(axis=1))
