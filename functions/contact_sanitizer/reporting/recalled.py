"""Refusals that came after a list was fetched: found, acknowledged by the sender, late.

The log knows of a recall from the moment when somebody looked for recalls and it was found.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from contact_sanitizer.audit.actions import Action
from contact_sanitizer.reporting.entries import Told
from contact_sanitizer.reporting.period import DAY, Period
from contact_sanitizer.reporting.showing import MOST_TOLD, moment

LATE: Final = DAY
"""A recall that is not acknowledged within this time is late."""


@dataclass(slots=True)
class _Feed:
    """One delivery's recalls: how many were found and acknowledged, and since when some are waiting."""

    delivery_id: str
    sender: str
    list_id: str
    found: int = 0
    acknowledged: int = 0
    notices: int = 0
    slowest: int = 0
    slowest_since: int = 0
    #: What is not acknowledged: up to which recall was found when.
    waiting: deque[tuple[int, int]] = field(default_factory=deque)

    def find(self, found: int, at: int) -> int:
        """So many are found by then; how many of them are new, below 0 where fewer are than was said before.

        Two who look at once each say that they found the same: the next who is shown all tells how many.
        """
        new = found - self.found
        self.found = found
        if new > 0:
            self.waiting.append((found, at))
        while len(self.waiting) > 1 and self.waiting[-2][0] >= found:
            self.waiting.pop()
        return new

    def acknowledge(self, upto: int, at: int) -> int:
        """The sender knows of so many; how many of them are newly so."""
        new = max(upto - self.acknowledged, 0)
        self.acknowledged += new
        if new and self.waiting and at - self.waiting[0][1] > self.slowest:
            self.slowest_since = self.waiting[0][1]
            self.slowest = at - self.slowest_since
        while self.waiting and (self.waiting[0][0] <= self.acknowledged or not self.pending):
            self.waiting.popleft()
        return new

    @property
    def pending(self) -> int:
        """How many are found and not acknowledged."""
        return max(self.found - self.acknowledged, 0)

    @property
    def waiting_since(self) -> int | None:
        """When the oldest recall was found that is not acknowledged."""
        return self.waiting[0][1] if self.waiting else None

    def waits(self, now: int) -> int:
        """For how long some recall has been waiting, or had to wait at the longest (milliseconds)."""
        return self._longest(now)[0]

    def waited_since(self, now: int) -> int:
        """When that recall was found."""
        return self._longest(now)[1]

    def _longest(self, now: int) -> tuple[int, int]:
        waiting = (now - self.waiting[0][1], self.waiting[0][1]) if self.waiting else (0, 0)
        return max(waiting, (self.slowest, self.slowest_since))


@dataclass(slots=True)
class Recalled:
    """Recalls of all deliveries up to the period's end; sums are of the period alone."""

    WANTED: ClassVar[frozenset[str] | None] = frozenset(
        {
            Action.TOKENS_REDEEMED,
            Action.RECALLS_FOUND,
            Action.RECALLS_NOTIFIED,
            Action.RECALLS_SHOWN,
            Action.RECALLS_ACKNOWLEDGED,
        }
    )

    period: Period
    _feeds: dict[str, _Feed] = field(default_factory=dict)
    _touched: set[str] = field(default_factory=set)
    _found: int = 0
    _acknowledged: int = 0
    _refused_at_redemption: int = 0
    _notices: int = 0

    def take(self, events: Iterable[Told]) -> None:
        """Take note of events of the period or from before it."""
        for event in events:
            if event.action != Action.TOKENS_REDEEMED:
                self._take(event)
            elif (refused := event.counts.get("refused", 0)) and event.at in self.period:
                self._refused_at_redemption += refused

    def _take(self, event: Told) -> None:
        within = event.at in self.period
        if event.action == Action.RECALLS_NOTIFIED:
            self._notices += within
            self._of(event).notices += 1
            return
        feed = self._of(event)
        all_found = event.counts.get("all", feed.found + event.counts.get("recalls", 0))
        new = feed.find(all_found, event.at)
        self._found += new if within else 0
        if event.action == Action.RECALLS_ACKNOWLEDGED:
            new = feed.acknowledge(event.counts.get("acknowledged", 0), event.at)
            self._acknowledged += new if within else 0
        if within:
            self._touched.add(event.delivery_id)

    def _of(self, event: Told) -> _Feed:
        found = self._feeds.get(event.delivery_id)
        if found is None:
            found = _Feed(event.delivery_id, event.sender, event.list_id)
            self._feeds[event.delivery_id] = found
        return found

    def late(self, now: int) -> Iterator[tuple[str, str, int, int]]:
        """Deliveries with a late recall, acknowledged meanwhile or not: id, sender, since when, how long."""
        for feed in self._told():
            if feed.waits(now) > LATE:
                yield feed.delivery_id, feed.sender, feed.waited_since(now), feed.waits(now)

    def _told(self) -> list[_Feed]:
        """Those that the period is about: something happened in it, or is still waiting at its end."""
        return [
            feed
            for feed in self._feeds.values()
            if feed.waiting_since is not None or feed.delivery_id in self._touched
        ]

    def document(self, now: int) -> dict[str, Any]:
        """Sums, and each delivery with recalls, the longest waiting first. `now`: the end of what is told."""
        told = sorted(self._told(), key=lambda feed: (-feed.waits(now), feed.delivery_id))
        return {
            "found": self._found,
            "acknowledged": self._acknowledged,
            "notices": self._notices,
            "refused_at_redemption": self._refused_at_redemption,
            "pending": sum(feed.pending for feed in told),
            "late": sum(feed.waits(now) > LATE for feed in told),
            "late_after_seconds": LATE // 1000,
            "deliveries": [_document(feed, now) for feed in told[:MOST_TOLD]],
        }


def _document(feed: _Feed, now: int) -> dict[str, Any]:
    return {
        "delivery": feed.delivery_id,
        "sender": feed.sender,
        "list_id": feed.list_id,
        "found": feed.found,
        "acknowledged": feed.acknowledged,
        "pending": feed.pending,
        "notices": feed.notices,
        "waiting_since": moment(feed.waiting_since),
        "longest_wait_seconds": feed.waits(now) // 1000,
        "late": feed.waits(now) > LATE,
    }
