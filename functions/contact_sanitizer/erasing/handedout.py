"""A person is taken out of what is kept of deliveries and redemptions."""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import replace

import numpy as np

from contact_sanitizer.audit.events import plain_word
from contact_sanitizer.delivery.damage import looked_at_twice
from contact_sanitizer.delivery.deliveries import Delivery
from contact_sanitizer.delivery.people import erase_from, read_people
from contact_sanitizer.delivery.recalls import recall_at
from contact_sanitizer.delivery.redeem import REDEMPTION
from contact_sanitizer.erasing.desk import Work
from contact_sanitizer.erasing.journal import Step, Thing
from contact_sanitizer.erasing.receipt import Recipient
from contact_sanitizer.errors import DeliveryError
from contact_sanitizer.intake.raw import IrregularFileError
from contact_sanitizer.listid import ListId


def erase_from_delivery(delivery_id: ListId, work: Work) -> None:
    """Empty the person's places in a delivery's note, and let go of the sender's file where it is kept.

    Everybody else keeps their place, and so do the delivery's recalls. Raises `DeliveryError`
    (`people_damaged`), and `OutputError`, e.g. `list_busy`.
    """
    shelf = work.desk.delivery.shelf
    with shelf.revise(delivery_id) as revision:
        # Read while nobody else revises it.
        delivery = work.desk.deliveries.get(delivery_id)
        note = revision.people()
        places = erase_from(shelf.people(delivery_id), delivery.people, work.person.subject, note)
        note.close()
        if not places:
            return
        about = _recipient(delivery, places[-1], work)
        step = Step(Thing.DELIVERY, delivery_id, note.hexdigest, {"places": len(places)}, about)
        work.journal.put(step)
        work.announce_revision(
            delivery.people,
            {"people": note.hexdigest},
            list_id=delivery.list_id,
            delivery_id=delivery_id,
            sender=plain_word(delivery.sender),
        )
        revision.publish()
        _enter(delivery_id, note.hexdigest, work)
    work.journal.put(replace(step, done=True))


def settle_delivery(step: Step, work: Work) -> None:
    """Complete what an earlier attempt has published of a note, and enter it where that is what is there."""
    delivery_id, shelf = ListId(step.name), work.desk.delivery.shelf
    note = shelf.people(delivery_id)
    try:
        looked_at_twice(lambda: deque(read_people(note, step.digest), maxlen=0), [note])
    except (DeliveryError, IrregularFileError):
        return
    shelf.settle(delivery_id)
    _enter(delivery_id, step.digest, work)


def erase_from_redemption(name: str, work: Work) -> None:
    """Take the person out of the record of a redemption; who redeemed, when and how many stays."""
    records = work.desk.delivery.records
    step = Step(Thing.REDEMPTION, name, "", {}, {})
    work.journal.put(step)
    while record := records.get(REDEMPTION, name):
        people = np.frombuffer(base64.b64decode(record.document["people"]), np.uint8).reshape(-1, 16)
        others = people[(people != np.frombuffer(work.person.subject, np.uint8)).any(axis=1)]
        document = {**record.document, "people": base64.b64encode(others.tobytes()).decode()}
        if records.put(REDEMPTION, name, document, after=record.version):
            break
    work.journal.put(replace(step, done=True))


def _recipient(delivery: Delivery, place: int, work: Work) -> dict[str, str | int]:
    recall = recall_at(place, delivery, work.desk.delivery)
    state = "none" if recall is None else "acknowledged" if recall.acknowledged else "found"
    return {
        "list_id": delivery.list_id,
        "sender": delivery.sender,
        "form": delivery.form.value,
        "at": delivery.as_of,
        "recall": state,
    }


def recipient_of(step: Step) -> Recipient:
    """Whom a step about a delivery tells of."""
    return Recipient(delivery=step.name, **step.about)


def _enter(delivery_id: ListId, digest: str, work: Work) -> None:
    work.desk.deliveries.change(delivery_id, lambda known: replace(known, people=digest))
