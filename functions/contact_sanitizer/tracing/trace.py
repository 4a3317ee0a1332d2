"""One person's story: verdicts as they were decided, what was known then, deliveries, redemptions, recalls.

Announced before anything is read, with a commitment to the person, and concluded with what was found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contact_sanitizer.audit.events import Action, Outcome
from contact_sanitizer.catalogue import Catalogue, ListEntry
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.recalls import is_recall_due
from contact_sanitizer.delivery.traces import PersonDelivered, PersonRedeemed, deliveries_of, redemptions_of
from contact_sanitizer.errors import ContactSanitizerError, IntakeError, OutputError
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.decided import Decided, decided_of
from contact_sanitizer.outputs.listfiles import DECISIONS
from contact_sanitizer.ports import ListShelf
from contact_sanitizer.protection.commitments import person_commitment
from contact_sanitizer.registering.desk import Person
from contact_sanitizer.screening.recording import PersonHistory

_MISSING: Final = {"file_missing", "object_missing"}


class Unread(StrEnum):
    """Why a list could not be looked into."""

    MAKING = "making"
    FAILED = "failed"
    GONE = "gone"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, repr=False)
class PersonListed:
    """A list that a person was on: their rows, and what was on record about them when it was begun.

    `known` has the registry's precision of a second: all that was recorded in the second in which the list
    was begun is in it.
    """

    entry: ListEntry
    decided: Decided
    known: PersonHistory

    def __repr__(self) -> str:
        return f"PersonListed({self.entry.list_id})"


@dataclass(frozen=True, slots=True)
class ListUnread:
    """A list that could not be looked into: the person may have been on it."""

    entry: ListEntry
    why: Unread


@dataclass(frozen=True, slots=True)
class DeliveryTraced:
    """A delivery that the person was on; `recall_due`: they refuse, and nobody has looked for recalls yet."""

    delivered: PersonDelivered
    recall_due: bool


@dataclass(frozen=True, slots=True, repr=False)
class Trace:
    """All that is known of one person, each kind oldest first. `at`: milliseconds; `lists_read`: how many."""

    at: int
    lists_read: int
    lists: tuple[PersonListed, ...]
    unread: tuple[ListUnread, ...]
    deliveries: tuple[DeliveryTraced, ...]
    redemptions: tuple[PersonRedeemed, ...]
    history: PersonHistory

    def __repr__(self) -> str:
        return f"Trace({len(self.lists)} lists, {len(self.deliveries)} deliveries)"

    @property
    def is_unknown(self) -> bool:
        """Whether nothing at all was found."""
        recorded = self.history.consents or self.history.suppressions or self.history.entries
        return not (self.lists or self.deliveries or self.redemptions or recorded)

    @property
    def counts(self) -> Mapping[str, int]:
        """What was found, in numbers."""
        return {
            "lists": len(self.lists),
            "lists_read": self.lists_read,
            "lists_unread": len(self.unread),
            "rows": sum(listed.decided.count for listed in self.lists),
            "deliveries": len(self.deliveries),
            "redemptions": len(self.redemptions),
            "events": len(self.history.consents) + len(self.history.suppressions),
        }


def trace(person: Person, desk: DeliveryDesk, shelf_of: Callable[[ListEntry], ListShelf]) -> Trace:
    """A person's story among the lists of the desk's tenant.

    A list that was not finished, is gone or was altered is named in `unread`. Raises the package's errors
    where anything else cannot be read, e.g. `people_damaged`, `catalogue_damaged`, `object_unreadable`: then
    nothing is told, and that is an event too. `AuditError`: nothing was read, or what was read is not told.
    """
    _announce(person, desk, Outcome.BEGUN)
    try:
        found = _read(person, desk, shelf_of)
    except ContactSanitizerError as error:
        _announce(person, desk, Outcome.FAILURE, code=error.code)
        raise
    _announce(person, desk, Outcome.SUCCESS, counts=found.counts)
    return found


def _announce(
    person: Person,
    desk: DeliveryDesk,
    outcome: Outcome,
    code: str | None = None,
    counts: Mapping[str, int] | None = None,
) -> None:
    uid = desk.new_id()
    whom = person_commitment(person.subject, uid, desk.keyring)
    desk.announce(Action.PERSON_TRACED, outcome=outcome, uid=uid, person=whom, code=code, counts=counts or {})


def _read(person: Person, desk: DeliveryDesk, shelf_of: Callable[[ListEntry], ListShelf]) -> Trace:
    at = desk.clock()
    lists: list[PersonListed] = []
    unread: list[ListUnread] = []
    read = 0
    for entry in Catalogue(desk.records).entries():
        decided = _decided(person.subject, entry, shelf_of(entry))
        if isinstance(decided, Unread):
            unread.append(ListUnread(entry, decided))
            continue
        read += 1
        if decided.count:
            known = desk.registry.history(person.subject, person.block, entry.started_at // 1000)
            lists.append(PersonListed(entry, decided, known))
    deliveries = [
        DeliveryTraced(each, _is_due(person, each, desk)) for each in deliveries_of(person.subject, desk)
    ]
    return Trace(
        at,
        read,
        tuple(lists),
        tuple(unread),
        tuple(deliveries),
        tuple(redemptions_of(person.subject, desk)),
        desk.registry.history(person.subject, person.block),
    )


def _decided(subject: bytes, entry: ListEntry, shelf: ListShelf) -> Decided | Unread:
    """The person's rows in a list, or why that cannot be told."""
    list_id = ListId(entry.list_id)
    try:
        manifest = shelf.manifest(list_id)
        if manifest is None:
            return Unread.GONE if entry.state == "made" else Unread(entry.state)
        # What the catalogue kept cannot be changed by whoever gets at the shelf.
        digest = _digest_of_decisions(entry.manifest.encode() or manifest)
        return decided_of(subject, shelf.file(list_id, DECISIONS), digest)
    except IntakeError as error:
        if error.code not in _MISSING:
            raise
        return Unread.GONE
    except OutputError as error:
        if error.code != "list_damaged":
            raise
        return Unread.DAMAGED


def _digest_of_decisions(manifest: bytes) -> str:
    try:
        outputs = {output["name"]: output["sha256"] for output in json.loads(manifest)["outputs"]}
        return str(outputs[DECISIONS])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise OutputError("list_damaged", "the list's manifest is not one that was written here") from None


def _is_due(person: Person, delivered: PersonDelivered, desk: DeliveryDesk) -> bool:
    if delivered.recall is not None:
        return False
    return is_recall_due(person.subject, person.block, delivered.delivery, desk)
