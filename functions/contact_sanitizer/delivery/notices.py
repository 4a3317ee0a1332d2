"""Telling senders that recalls wait for them, without waiting to be asked.

A look goes through the deliveries whose people are kept. Where histories changed since its last look, a
delivery is searched for those people alone; once a day for everybody, since consents expire without a change.
What is found goes into the delivery's feed, which stays the truth: a notice only says that it is worth
asking. One that is lost is told again, and one may be told twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.audit.events import Action, plain_word
from contact_sanitizer.delivery.deliveries import Deliveries, Delivery
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.recalls import (
    ACKNOWLEDGED,
    Found,
    Pending,
    Untold,
    announce_untold,
    look_for_recalls,
)
from contact_sanitizer.errors import CatalogueError, ContactSanitizerError
from contact_sanitizer.listid import ListId, moment_of, sortable_id
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.ports import Record, Records
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects, halves

NOTICED: Final = "noticed"
FORMAT: Final = "contact-sanitizer/recalls-pending/v1"
DAY: Final = 86_400_000
MOST_CHANGES: Final = 200_000
"""Where more histories changed, everybody is looked at."""

LARGEST_WHOLE: Final = 500_000
"""Deliveries of more people are not looked through whole: that would outlast a function."""


class ChangeLog(Protocol):
    """Which histories of the registry changed."""

    def changed(self, after: int, most: int) -> Mapping[int, NDArray[np.uint8]] | None:
        """The subjects, uint8 (n, 16), by the code of their contract (0: keyed), after a change number.

        None where they are more than `most`. Raises `RegistryError`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Notice:
    """That a sender has recalls to ask for; nobody is named in it. `since`: milliseconds."""

    tenant: str
    sender: str
    delivery_id: str
    recalls: int
    unacknowledged: int
    since: int
    overdue: bool

    def document(self) -> dict[str, Any]:
        """What is told: ids, counts, and a moment."""
        return {
            "format": FORMAT,
            "tenant": self.tenant,
            "sender": plain_word(self.sender),
            "delivery": self.delivery_id,
            "recalls": self.recalls,
            "unacknowledged": self.unacknowledged,
            "since": rfc3339(self.since),
            "overdue": self.overdue,
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """`kept`: how long the people of a delivery are; `overdue`: after how long a recall is (milliseconds)."""

    kept: int
    overdue: int


@dataclass(slots=True)
class Look:
    """What a look came to: how many notices were told, deliveries are overdue, failed, and were left."""

    told: int = 0
    overdue: int = 0
    failed: int = 0
    left: int = 0
    codes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Noticed:
    """What is known of a delivery since its last look; moments in milliseconds.

    `change`: the registry's change number then. `whole_at`: when everybody was looked at. `found`: recalls
    so far, `told`, `told_at`: how many of them its sender was told of, and when. `since`: the earliest
    refusal among those that wait for its word, `sender`: who it is. `untold`: why its people cannot be
    read, as an error's code.
    """

    sender: str
    change: int
    whole_at: int
    found: int = 0
    told: int = 0
    told_at: int = 0
    since: int = 0
    untold: str = ""

    def document(self) -> dict[str, Any]:
        """The JSON object that is kept; readers that know no `untold` read all others."""
        return {name: value for name, value in asdict(self).items() if name != "untold" or value}


def give_notice(
    desk: DeliveryDesk,
    log: ChangeLog,
    tell: Callable[[Notice], None],
    terms: Terms,
    enough: Callable[[], bool] = lambda: False,
) -> Look:
    """Look at the deliveries, those first that were looked at the longest ago, and tell what is new.

    `tell` may raise the package's errors: then the next look tells. One delivery that cannot be looked at, or
    whose notice cannot be announced, keeps no other one back. Raises where nothing can be looked at.
    """
    look, now = Look(), desk.clock()
    oldest = sortable_id(max(0, now - terms.kept), b"")
    known = {record.name: record for record in desk.records.named(NOTICED, "", oldest)}
    waiting = list(Deliveries(desk.records).all(oldest))
    waiting.sort(key=lambda delivery: _looked_at(known.get(delivery.delivery_id), delivery))
    watch = _Watch(desk, log, tell, terms, desk.registry.standing().change, {})
    for number, delivery in enumerate(waiting):
        if enough():
            look.left = len(waiting) - number
            break
        try:
            watch.look_at(delivery, known.get(delivery.delivery_id), look)
        except ContactSanitizerError as error:
            look.failed += 1
            look.codes.add(error.code)
    return look


def noticed_recalls(records: Records, kept_since: int = 0) -> Iterator[Pending | Untold]:
    """Recalls that wait for their senders' word, as the last look found them: the registry is not asked.

    What could not be looked for is `Untold`, unless the delivery is older than `kept_since` (milliseconds).
    """
    for record in records.named(NOTICED):
        noticed = _noticed(record)
        if noticed.untold and moment_of(ListId(record.name)) >= kept_since:
            yield Untold(record.name, noticed.sender, noticed.untold)
        left = noticed.found - _acknowledged(records, record.name)
        if left > 0:
            yield Pending(record.name, noticed.sender, left, noticed.since)


class _People:
    """Implements `recalls.Among`: those whose histories changed, keyed or under a foreign contract."""

    def __init__(self, changed: Mapping[int, NDArray[np.uint8]]) -> None:
        self._by_contract = {code: _sorted(subjects) for code, subjects in changed.items()}

    def rows(
        self, subjects: NDArray[np.uint8], open_blocks: Callable[[], NDArray[np.uint8]]
    ) -> NDArray[np.int64]:
        """Which of these people are among them."""
        found = np.zeros(len(subjects), np.bool_)
        blocks: NDArray[np.uint8] | None = None
        for code, changed in self._by_contract.items():
            keys = subjects
            if code:
                blocks = open_blocks() if blocks is None else blocks
                keys = HashContract.coded(code).keys(blocks)
            needles = Needles.of(keys)
            found[needles.order] |= changed.contains(needles.hi, needles.lo)
        return np.flatnonzero(found)


def _sorted(subjects: NDArray[np.uint8]) -> SortedSubjects:
    distinct = np.unique(np.ascontiguousarray(subjects).view("V16").ravel())
    return SortedSubjects(*halves(distinct.view(np.uint8).reshape(-1, 16)))


@dataclass(frozen=True, slots=True)
class _Watch:
    """One look. `head`: the registry's change number at its beginning."""

    desk: DeliveryDesk
    log: ChangeLog
    tell: Callable[[Notice], None]
    terms: Terms
    head: int
    people: dict[int, _People | None]

    def look_at(self, delivery: Delivery, record: Record | None, look: Look) -> None:
        """Look at one delivery, and keep what was found."""
        now = self.desk.clock()
        before = _noticed(record) if record else Noticed(delivery.sender, delivery.change, delivery.as_of)
        after, found = self._found(delivery, before, now)
        pending = found.pending
        after = replace(after, found=found.recalls, since=pending.since if pending else before.since)
        if found.untold:
            look.failed += 1
            look.codes.add(found.untold)
            if found.untold != before.untold:
                announce_untold(delivery, found.untold, self.desk)
        after = replace(after, untold=found.untold)
        overdue = pending is not None and pending.since <= now - self.terms.overdue
        look.overdue += overdue
        if pending and (found.recalls > before.told or (overdue and now - before.told_at >= DAY)):
            self._tell(delivery, found.recalls, pending, overdue=overdue)
            look.told += 1
            after = replace(after, told=found.recalls, told_at=now)
        if after != before:
            version = record.version if record else 0
            # Whoever was faster has kept the same, or more is found next time.
            self.desk.records.put(NOTICED, delivery.delivery_id, after.document(), after=version)

    def _found(self, delivery: Delivery, before: Noticed, now: int) -> tuple[Noticed, Found]:
        if before.untold:
            # Asking for everybody at each look, to no end, would cost more than all else.
            found = look_for_recalls(delivery, self.desk, _People({}))
            if found.untold:
                return before, found
        whole = now - before.whole_at >= DAY and delivery.rows <= LARGEST_WHOLE
        people = None
        if not whole and self.head > before.change:
            people = self._changed_since(before.change)
            whole = people is None
        if not whole and people is None:
            return before, self._remembered(delivery, before)
        found = look_for_recalls(delivery, self.desk, people)
        if found.untold:
            return before, found
        after = replace(before, change=max(self.head, before.change))
        return replace(after, whole_at=now) if whole else after, found

    def _remembered(self, delivery: Delivery, before: Noticed) -> Found:
        """What the last look found, less what the sender has acknowledged since."""
        left = before.found - _acknowledged(self.desk.records, delivery.delivery_id) if before.found else 0
        if left <= 0:
            return Found(before.found, None)
        return Found(before.found, Pending(delivery.delivery_id, delivery.sender, left, before.since))

    def _changed_since(self, change: int) -> _People | None:
        if change not in self.people:
            changed = self.log.changed(change, MOST_CHANGES)
            self.people[change] = None if changed is None else _People(changed)
        return self.people[change]

    def _tell(self, delivery: Delivery, recalls: int, pending: Pending, *, overdue: bool) -> None:
        desk = self.desk
        desk.announce(
            Action.RECALLS_NOTIFIED,
            delivery_id=delivery.delivery_id,
            list_id=delivery.list_id,
            sender=plain_word(delivery.sender),
            counts={"recalls": recalls, "unacknowledged": pending.unacknowledged, "overdue": int(overdue)},
        )
        waiting = pending.unacknowledged
        tenant, name = desk.keyring.tenant, delivery.sender
        self.tell(
            Notice(tenant, name, delivery.delivery_id, recalls, waiting, pending.since, overdue=overdue)
        )


def _acknowledged(records: Records, delivery_id: str) -> int:
    known = records.get(ACKNOWLEDGED, delivery_id)
    return int(known.document["cursor"]) if known else 0


def _looked_at(record: Record | None, delivery: Delivery) -> tuple[int, str]:
    return (int(record.document.get("change", 0)) if record else -1), delivery.delivery_id


def _noticed(record: Record) -> Noticed:
    try:
        noticed = Noticed(**record.document)
    except TypeError:
        noticed = None
    if noticed is None or not all(
        type(number) is int for name, number in record.document.items() if name not in {"sender", "untold"}
    ):
        raise CatalogueError("catalogue_damaged", "the catalogue's entry of a notice is damaged")
    return noticed
