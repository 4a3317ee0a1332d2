"""What the log tells that accounts for a read: who was about to look at what, and when."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.reconciling.trail import Thing
from contact_sanitizer.reporting.entries import Told, read_told

_IMPORTS: Final = frozenset({Action.CONSENT_IMPORTED, Action.BLOCK_IMPORTED, Action.REGISTRY_IMPORTED})
_OF_LISTS: Final = frozenset(
    {
        Action.LIST_STARTED,
        Action.LIST_PUBLISHED,
        Action.LIST_FAILED,
        Action.LIST_SHOWN,
        Action.UPLOAD_SHOWN,
        Action.UPLOAD_DENIED,
        Action.UPLOAD_DELETED,
        Action.DELIVERY_BEGUN,
        Action.DELIVERY_PUBLISHED,
        Action.DELIVERY_FAILED,
        # In a stack they state the id of what arrived.
        *_IMPORTS,
    }
)
_OF_DELIVERIES: Final = frozenset(
    {
        Action.DELIVERY_PUBLISHED,
        Action.DELIVERY_FAILED,
        Action.RECALLS_FOUND,
        Action.RECALLS_SHOWN,
        Action.RECALLS_ACKNOWLEDGED,
        Action.RECALLS_DENIED,
        Action.RECALLS_NOTIFIED,
    }
)
_REDEMPTIONS: Final = frozenset({Action.TOKENS_REDEEMED, Action.TOKENS_DENIED})
_LOOKS_AT_ALL: Final = frozenset({Action.PERSON_ERASED, Action.AUDIT_VERIFIED})
_LOOKS: Final = _LOOKS_AT_ALL | {Action.PERSON_TRACED}
_WIDE: Final = _IMPORTS | _REDEMPTIONS | _LOOKS
"""Acts that look at things which their events do not name."""

ANYBODY: Final = ""


@dataclass(frozen=True, slots=True)
class Handed:
    """One delivery: the earliest event that says its file was about to be handed out."""

    delivery_id: str
    list_id: str
    at: int


@dataclass
class Announcements:
    """The moments (milliseconds) of events that can account for reads, by what they are about and by whom."""

    first: int = 0
    last: int = 0
    handed: dict[str, Handed] = field(default_factory=dict)
    _times: dict[tuple[str, str], array[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[bytes]) -> Announcements:
        """From all entries of a log, in any order."""
        made = cls()
        for index, entry in enumerate(entries):
            made._take(read_told(entry, index))
        for times in made._times.values():
            times[:] = array("q", sorted(times))
        return made

    def _take(self, told: Told) -> None:
        self.first = min(self.first or told.at, told.at)
        self.last = max(self.last, told.at)
        if told.action in _WIDE:
            self._note(told.action, told)
        if told.action in _OF_LISTS and told.list_id:
            self._note(told.list_id, told)
            # Uploads go by what the list's id says of the version that it was made from.
            self._note(told.list_id[-16:], told)
        if told.action in _OF_DELIVERIES and told.delivery_id:
            self._note(told.delivery_id, told)
        if told.action == Action.DELIVERY_PUBLISHED and told.outcome is Outcome.BEGUN:
            known = self.handed.get(told.delivery_id)
            if known is None or told.at < known.at:
                self.handed[told.delivery_id] = Handed(told.delivery_id, told.list_id, told.at)

    def _note(self, subject: str, told: Told) -> None:
        for principal in (ANYBODY, told.principal):
            self._times.setdefault((subject, principal), array("q")).append(told.at)

    def account_for(self, thing: Thing, principal: str, earliest: int, latest: int) -> bool:
        """Whether somebody (`ANYBODY`), or this principal, announced a look at it between these moments."""
        subjects = [thing.name, *_wide(thing)]
        if any(self.is_between(subject, principal, earliest, latest) for subject in subjects):
            return True
        # A long job reads from its start to its end, and one that is told again each time.
        lasts = thing.kind in {"upload", "register"}
        times = self._times.get((thing.name, principal)) if lasts else None
        return bool(times) and times is not None and times[0] <= latest and earliest <= times[-1]

    def is_between(self, subject: str, principal: str, earliest: int, latest: int) -> bool:
        """Whether an event between these moments is about that id, or is such an act."""
        times = self._times.get((subject, principal))
        if times is None:
            return False
        at = bisect_left(times, earliest)
        return at < len(times) and times[at] <= latest


def _wide(thing: Thing) -> Iterator[str]:
    """The acts that may look at such a thing without naming it."""
    if thing.kind == "register":
        yield from _IMPORTS
    if thing.kind in {"list", "delivery"}:
        yield from _LOOKS if thing.part != "content" else _LOOKS_AT_ALL
    if thing.kind == "delivery" and thing.part == "people":
        yield from _REDEMPTIONS
