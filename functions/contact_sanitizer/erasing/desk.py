"""What an erasure works with, and what all of its steps share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contact_sanitizer.audit.events import Action, Outcome
from contact_sanitizer.catalogue import Catalogue, ListEntry
from contact_sanitizer.delivery.deliveries import Deliveries
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.erasing.journal import Begun, Journal
from contact_sanitizer.ports import RevisableShelf, TenantRegistry
from contact_sanitizer.protection.commitments import receipt_commitment
from contact_sanitizer.registering.desk import Person


@dataclass(frozen=True, slots=True)
class EraseDesk:
    """One tenant's things for erasing a person.

    `people_kept_since` (milliseconds): who was on deliveries that are older does not have to be known.
    """

    tenant: str
    delivery: DeliveryDesk
    registry: TenantRegistry
    shelf_of: Callable[[ListEntry], RevisableShelf]
    randomness: Callable[[int], bytes]
    people_kept_since: int

    @property
    def catalogue(self) -> Catalogue:
        """Which lists were made."""
        return Catalogue(self.delivery.records)

    @property
    def deliveries(self) -> Deliveries:
        """What was delivered."""
        return Deliveries(self.delivery.records)


@dataclass(frozen=True, slots=True, repr=False)
class Work:
    """One erasure under way: whose, with what, as it was begun, and where each step is noted."""

    person: Person
    desk: EraseDesk
    begun: Begun
    journal: Journal

    def __repr__(self) -> str:
        return f"Work({self.begun.erasure})"

    @property
    def commitment(self) -> str:
        """What the events say of whom it is about."""
        return receipt_commitment(bytes.fromhex(self.begun.opening), self.person.block)

    def announce(self, outcome: Outcome = Outcome.BEGUN, **particulars: Any) -> None:
        """Write an event of this erasure; what it announces may happen once this has returned."""
        self.desk.delivery.announce(
            Action.PERSON_ERASED, outcome=outcome, correlation=self.begun.erasure, **particulars
        )

    def announce_revision(self, before: str, digests: Mapping[str, str], **particulars: Any) -> None:
        """Say that a list or a note is about to be replaced; `before`: the digest of what it replaces."""
        self.announce(digests={**digests, SUPERSEDED: before}, **particulars)


#: Under which word an event names the manifest or note that is replaced.
SUPERSEDED = "superseded"
