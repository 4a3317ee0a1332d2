"""One person's story: verdicts as they were decided, what was known then, deliveries, redemptions, recalls.

Announced before anything is read, with a commitment to the person, and concluded with what was found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final

from contact_sanitizer.audit.events import Action, Outcome
from contact_sanitizer.catalogue import Catalogue, ListEntry
from contact_sanitizer.delivery.deliveries import Deliveries, Delivery
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.recalls import DAMAGED, GONE, is_recall_due
from contact_sanitizer.delivery.redeem import REDEMPTION
from contact_sanitizer.delivery.traces import PersonDelivered, PersonRedeemed, delivered_to, redeemed_in
from contact_sanitizer.errors import ContactSanitizerError, DeliveryError, IntakeError, OutputError
from contact_sanitizer.listid import ListId, parse_list_id
from contact_sanitizer.outputs.decided import Decided, decided_of
from contact_sanitizer.outputs.listfiles import DECISIONS
from contact_sanitizer.ports import ListShelf, Record
from contact_sanitizer.protection.commitments import person_commitment
from contact_sanitizer.registering.desk import Person
from contact_sanitizer.screening.recording import PersonHistory

_MISSING: Final = {"file_missing", "object_missing"}


class Unread(StrEnum):
    """Why a list or a delivery could not be looked into."""

    MAKING = "making"
    FAILED = "failed"
    GONE = "gone"
    FORGOTTEN = "forgotten"
    DAMAGED = "damaged"


_UNREAD_PEOPLE: Final = {GONE: Unread.GONE, DAMAGED: Unread.DAMAGED}


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
class DeliveryUnread:
    """A delivery whose people cannot be read: the person may have been on it."""

    delivery: Delivery
    why: Unread


@dataclass(frozen=True, slots=True)
class DeliveryTraced:
    """A delivery that the person was on; `recall_due`: they refuse, and nobody has looked for recalls yet."""

    delivered: PersonDelivered
    recall_due: bool


class Part(StrEnum):
    """What a story is told of, in this order."""

    LISTS = "lists"
    DELIVERIES = "deliveries"
    REDEMPTIONS = "redemptions"


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where a story was told: what bears this name, in this part, was looked into."""

    part: Part
    name: str

    def __str__(self) -> str:
        return f"{self.part}/{self.name}"

    @classmethod
    def of(cls, text: str) -> Place:
        """The place that `str` wrote; `DeliveryError` (`cursor_refused`) where it is none."""
        part, _, name = text.partition("/")
        if part not in set(Part) or not parse_list_id(name):
            raise DeliveryError("cursor_refused", "the cursor is not one of a trace")
        return cls(Part(part), name)


@dataclass(frozen=True, slots=True)
class Leaf:
    """How much of a story is told at once: what comes after `after`, and no more than is `enough`.

    `enough` is told how many things were found so far, and asked before each list, delivery and redemption
    but the first: so that every leaf goes further than the one before.
    """

    after: Place | None = None
    enough: Callable[[int], bool] = lambda _found: False


WHOLE: Final = Leaf()


@dataclass(frozen=True, slots=True, repr=False)
class Trace:
    """All that is known of one person, each kind oldest first. `at`: milliseconds; `lists_read`: how many.

    `told_to`: where the next leaf goes on; None: nothing is left.
    """

    at: int
    lists_read: int
    lists: tuple[PersonListed, ...]
    unread: tuple[ListUnread, ...]
    deliveries: tuple[DeliveryTraced, ...]
    redemptions: tuple[PersonRedeemed, ...]
    history: PersonHistory
    unread_deliveries: tuple[DeliveryUnread, ...] = ()
    told_to: Place | None = None

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
        unread = [each.why for each in self.unread] + [each.why for each in self.unread_deliveries]
        damaged = unread.count(Unread.DAMAGED)
        return {
            "lists": len(self.lists),
            "lists_read": self.lists_read,
            "lists_unread": len(self.unread),
            "rows": sum(listed.decided.count for listed in self.lists),
            "deliveries": len(self.deliveries),
            **({"deliveries_unread": len(self.unread_deliveries)} if self.unread_deliveries else {}),
            **({"damaged": damaged} if damaged else {}),
            "redemptions": len(self.redemptions),
            "events": len(self.history.consents) + len(self.history.suppressions),
            **({"unfinished": 1} if self.told_to else {}),
        }


def trace(
    person: Person, desk: DeliveryDesk, shelf_of: Callable[[ListEntry], ListShelf], leaf: Leaf = WHOLE
) -> Trace:
    """A person's story among the lists of the desk's tenant, or one leaf of it.

    A list that was not finished, is gone or was altered is named in `unread`, a delivery whose people
    are no longer kept, or not as they were written, in `unread_deliveries`. Raises the package's errors
    where anything else cannot be read, e.g. `catalogue_damaged`, `object_unreadable`: then
    nothing is told, and that is an event too. `AuditError`: nothing was read, or what was read is not told.
    """
    _announce(person, desk, Outcome.BEGUN)
    try:
        found = _read(person, desk, shelf_of, leaf)
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


@dataclass(slots=True)
class _Told:
    """A leaf while it is written."""

    lists: list[PersonListed] = field(default_factory=list)
    unread: list[ListUnread] = field(default_factory=list)
    deliveries: list[DeliveryTraced] = field(default_factory=list)
    unread_deliveries: list[DeliveryUnread] = field(default_factory=list)
    redemptions: list[PersonRedeemed] = field(default_factory=list)
    lists_read: int = 0

    @property
    def found(self) -> int:
        """How many things were found."""
        rows = sum(len(listed.decided.rows) for listed in self.lists)
        return rows + len(self.deliveries) + len(self.redemptions)


def _read(
    person: Person, desk: DeliveryDesk, shelf_of: Callable[[ListEntry], ListShelf], leaf: Leaf
) -> Trace:
    at, told, last = desk.clock(), _Told(), None
    for place, tell in _places(person, desk, shelf_of, leaf.after):
        if last is not None and leaf.enough(told.found):
            break
        tell(told)
        last = place
    else:
        last = None
    return Trace(
        at,
        told.lists_read,
        tuple(told.lists),
        tuple(told.unread),
        tuple(told.deliveries),
        tuple(told.redemptions),
        desk.registry.history(person.subject, person.block),
        tuple(told.unread_deliveries),
        last,
    )


_Tell = Callable[[_Told], None]


def _places(
    person: Person, desk: DeliveryDesk, shelf_of: Callable[[ListEntry], ListShelf], after: Place | None
) -> Iterator[tuple[Place, _Tell]]:
    """Everything after a place that may say something of the person, and how it is told."""
    parts = list(Part)
    begin = parts.index(after.part) if after else 0
    for part in parts[begin:]:
        name = after.name if after and after.part is part else ""
        if part is Part.LISTS:
            for entry in Catalogue(desk.records).entries(name):
                yield Place(part, entry.list_id), partial(_tell_list, person, desk, entry, shelf_of)
        elif part is Part.DELIVERIES:
            for delivery in Deliveries(desk.records).all(name):
                yield Place(part, delivery.delivery_id), partial(_tell_delivery, person, desk, delivery)
        else:
            for record in desk.records.named(REDEMPTION, "", name):
                yield Place(part, record.name), partial(_tell_redemption, person, record)


def _tell_list(
    person: Person,
    desk: DeliveryDesk,
    entry: ListEntry,
    shelf_of: Callable[[ListEntry], ListShelf],
    told: _Told,
) -> None:
    decided = decided_in(person.subject, entry, shelf_of(entry))
    if isinstance(decided, Unread):
        told.unread.append(ListUnread(entry, decided))
        return
    told.lists_read += 1
    if decided.count:
        known = desk.registry.history(person.subject, person.block, entry.started_at // 1000)
        told.lists.append(PersonListed(entry, decided, known))


def _tell_delivery(person: Person, desk: DeliveryDesk, delivery: Delivery, told: _Told) -> None:
    try:
        found = delivered_to(person.subject, delivery, desk)
    except DeliveryError as error:
        if error.code not in _UNREAD_PEOPLE:
            raise
        told.unread_deliveries.append(DeliveryUnread(delivery, _UNREAD_PEOPLE[error.code]))
        return
    if found:
        told.deliveries.append(DeliveryTraced(found, _is_due(person, found, desk)))


def _tell_redemption(person: Person, redemption: Record, told: _Told) -> None:
    if found := redeemed_in(person.subject, redemption):
        told.redemptions.append(found)


def decided_in(subject: bytes, entry: ListEntry, shelf: ListShelf) -> Decided | Unread:
    """A person's (16 bytes) rows in a list, or why that cannot be told."""
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
