"""Logs to report on: weeks of made-up work, sealed once at the end of each day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import Any

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.checkpoint import Checkpoint, open_checkpoint
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.merkle import EMPTY_ROOT
from contact_sanitizer.audit.tiles import CHECKPOINT, kept_checkpoint_key
from contact_sanitizer.audit.tree import Tree
from contact_sanitizer.listid import ListId, sortable_id
from contact_sanitizer.ports import Objects
from contact_sanitizer.reporting.report import Report, Scope, make_report
from logworld import ORIGIN, SIGNER, VERIFIERS, MemoryObjects

HOUR = 3_600_000
DAY = 24 * HOUR
FIRST = 1_788_220_800_000
"""2026-09-01, a Tuesday."""


@dataclass
class Diary:
    """Events in the order in which they are told; ids are made by counting."""

    events: list[Event] = field(default_factory=list)
    tenant: str = "default"
    _count: int = 0

    def new_id(self, at: int) -> ListId:
        self._count += 1
        return sortable_id(at, self._count.to_bytes(10))

    def tell(
        self,
        at: int,
        action: Action,
        by: str = "ops",
        outcome: Outcome = Outcome.BEGUN,
        **particulars: Any,
    ) -> None:
        """One event; `at` in milliseconds since 1970."""
        uid = self.new_id(at)
        self.events.append(Event(action, outcome, at, by, self.tenant, uid, uid, **particulars))

    def deny(self, at: int, action: Action, code: str, by: str = "ops", **particulars: Any) -> None:
        """One refusal."""
        self.tell(at, action, by, Outcome.FAILURE, code=code, **particulars)

    def make_list(self, at: int, counts: dict[str, int], by: str = "marketing") -> ListId:
        """A list from its announcement to its publication, a minute later."""
        list_id = self.new_id(at)
        self.tell(at, Action.LIST_STARTED, by, list_id=list_id, purpose="marketing")
        self.tell(at + 60_000, Action.LIST_PUBLISHED, by, list_id=list_id, purpose="marketing", counts=counts)
        return list_id

    def deliver(self, at: int, list_id: ListId, sender: str, counts: dict[str, int]) -> ListId:
        """A delivery."""
        delivery_id = self.new_id(at)
        about: dict[str, Any] = {"list_id": list_id, "delivery_id": delivery_id, "sender": sender}
        self.tell(at, Action.DELIVERY_BEGUN, f"role/{sender}", **about)
        self.tell(at + 5_000, Action.DELIVERY_PUBLISHED, f"role/{sender}", **about, counts=counts)
        return delivery_id

    def recalls(
        self, at: int, delivery_id: ListId, sender: str, found: int, known: int | None = None
    ) -> None:
        """The recalls of a delivery are looked at, or acknowledged up to `known`."""
        about: dict[str, Any] = {"delivery_id": delivery_id, "sender": sender}
        if known is None:
            counts = {"recalls": found, "all": found}
            self.tell(at, Action.RECALLS_SHOWN, f"role/{sender}", **about, counts=counts)
        else:
            counts = {"acknowledged": known, "all": found}
            self.tell(at, Action.RECALLS_ACKNOWLEDGED, f"role/{sender}", **about, counts=counts)

    def redeem(self, at: int, sender: str, **counts: int) -> None:
        """A redemption."""
        self.tell(at, Action.TOKENS_REDEEMED, f"role/{sender}", sender=sender, counts=counts)


def sealed(events: Iterable[Event], *, until: int | None = None) -> MemoryObjects:
    """A log of the events, with a seal at the end of each day on which something was told."""
    objects = MemoryObjects()
    seal_into(objects, events, until=until)
    return objects


def seal_entries(objects: Objects, entries: Sequence[bytes], at: int) -> None:
    """One more seal of a log, of any entries whatsoever; it begins where there is none."""
    note = objects.get(CHECKPOINT)
    newest = (
        open_checkpoint(note, VERIFIERS) if note else Checkpoint(ORIGIN, 0, EMPTY_ROOT, 0, min(at, FIRST))
    )
    if note is None:
        objects.put(kept_checkpoint_key(0), newest.signed(SIGNER), absent=True)
    tree, files = Tree(objects, newest.size).extended(entries)
    for key, data in files.items():
        objects.put(key, data, absent=False)
    newest = Checkpoint(ORIGIN, tree.size, tree.root(), newest.number + 1, at)
    objects.put(kept_checkpoint_key(newest.number), newest.signed(SIGNER), absent=True)
    objects.put(CHECKPOINT, newest.signed(SIGNER), absent=False)


def seal_into(objects: Objects, events: Iterable[Event], *, until: int | None = None) -> None:
    """As above, into a place for objects; the last seal is at `until` where that is given."""
    told = iter(events)
    first = next(told, None)
    begun = FIRST if first is None else first.at
    tree, number = Tree(objects, 0), 0
    newest = Checkpoint(ORIGIN, 0, EMPTY_ROOT, 0, begun)
    objects.put(kept_checkpoint_key(0), newest.signed(SIGNER), absent=True)
    for day, those in groupby(_again(first, told), lambda event: event.at // DAY):
        tree, files = tree.extended([event.line()[:-1] for event in those])
        for key, data in files.items():
            objects.put(key, data, absent=False)
        number += 1
        newest = Checkpoint(ORIGIN, tree.size, tree.root(), number, (day + 1) * DAY - 1)
        objects.put(kept_checkpoint_key(number), newest.signed(SIGNER), absent=True)
    if until is not None:
        newest = Checkpoint(ORIGIN, newest.size, newest.root, number + 1, until)
        objects.put(kept_checkpoint_key(number + 1), newest.signed(SIGNER), absent=True)
    objects.put(CHECKPOINT, newest.signed(SIGNER), absent=False)
    objects.put("public-key", SIGNER.verifier.encode().encode() + b"\n", absent=True)


def _again(first: Event | None, rest: Iterator[Event]) -> Iterator[Event]:
    if first is not None:
        yield first
    yield from rest


def reported(events: Iterable[Event], scope: Scope = Scope()) -> Report:  # noqa: B008 - frozen
    """The report on a log of these events."""
    return make_report(sealed(events), VERIFIERS, scope)


def figures(events: Iterable[Event], scope: Scope = Scope()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Its figures."""
    return reported(events, scope).figures()


def autumn(days: int = 61, seed: int = 1, calls: int = 6) -> Iterator[Event]:
    """Two months of an ordinary house, with a few things in the last weeks that are not."""
    chance, diary = Random(seed), Diary()  # noqa: S311 - a sample, no secret
    diary.tell(FIRST, Action.HOME_CREATED)
    diary.tell(FIRST + HOUR, Action.POLICY_CHANGED, policy="ab" * 32)
    for sender in ("gate", "voice"):
        diary.tell(FIRST + HOUR, Action.SENDER_REGISTERED, sender=sender)
    open_deliveries: list[tuple[ListId, str]] = []
    for day in range(days):
        start = FIRST + day * DAY
        if (day + 1) % 7 in {5, 6}:
            continue
        _ordinary(diary, chance, start, calls, open_deliveries)
        if day >= days - 15:
            _strange(diary, start, day - (days - 15))
        yield from sorted(diary.events, key=lambda event: event.at)
        diary.events.clear()


def _ordinary(
    diary: Diary, chance: Random, start: int, calls: int, recalled: list[tuple[ListId, str]]
) -> None:
    rows = chance.randrange(8_000, 14_000)
    missing, blocked, short, twice = (chance.randrange(rows // part) for part in (9, 25, 40, 60))
    kept = rows - missing - blocked - short - twice
    counts = {"rows": rows, "kept": kept, "consent_missing": missing, "suppressed": blocked}
    counts |= {"too_short": short, "duplicate": twice}
    made = diary.make_list(start + 8 * HOUR, counts)
    for sender, hour in (("gate", 9), ("voice", 10)):
        gone = chance.randrange(30)
        at = start + hour * HOUR
        delivery = diary.deliver(at, made, sender, {"rows": kept - gone, "suppressed": gone})
        for call in range(calls):
            tokens = chance.randrange(700, 1_000)
            refused = chance.randrange(12)
            moment = at + HOUR + call * min(HOUR // 2, 6 * HOUR // calls)
            diary.redeem(moment, sender, tokens=tokens, redeemed=tokens - refused, refused=refused)
        if chance.random() < 0.4:
            diary.recalls(start + 16 * HOUR, delivery, sender, found=chance.randrange(1, 9))
            recalled.append((delivery, sender))
    for waiting in list(recalled)[:-2][:1]:
        diary.recalls(start + 17 * HOUR, *waiting, found=9, known=9)
        recalled.remove(waiting)
    for _ in range(chance.randrange(4)):
        at = start + chance.randrange(8 * HOUR, 18 * HOUR)
        kind = chance.choice(["opt_out", "opt_out", "complaint"])
        asked = at - chance.randrange(DAY * 3) if chance.random() < 0.8 else None
        diary.tell(at, Action.OPTOUT_RECORDED, reason=kind, asked_at=asked, counts={kind: 1})
    diary.tell(start + 18 * HOUR, Action.CONSENT_RECORDED, counts={"events": chance.randrange(1, 40)})


def _strange(diary: Diary, start: int, day: int) -> None:
    """What happens on that day of the last fifteen."""
    if day == 2:
        for minute in range(14):
            about = {"reason": "redeemTokens"}
            diary.deny(
                start + 11 * HOUR + minute * 60_000, Action.ACCESS_DENIED, "not_allowed", "role/x", **about
            )
    if day == 3:
        diary.redeem(start + 13 * HOUR, "gate", tokens=48_000, redeemed=47_500, refused=500)
        diary.deny(start + 14 * HOUR, Action.TOKENS_DENIED, "quota_exceeded", "role/gate", sender="gate")
    if day == 6:
        diary.redeem(start + 2 * HOUR, "voice", tokens=900, redeemed=120, other_audience=700, token_forged=80)
    if day == 9:
        for minute in range(25):
            diary.tell(start + 9 * HOUR + minute * 60_000, Action.PERSON_TRACED, "security", Outcome.SUCCESS)
        diary.tell(start + 10 * HOUR, Action.KEY_ROTATED, key_ids=(7,))
        diary.tell(start + 11 * HOUR, Action.SENDER_REVOKED, sender="voice")
