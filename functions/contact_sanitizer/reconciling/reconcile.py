"""Reads without an announcement, and announced fetches without a read.

A read is accounted for by an event about that very thing, or of an act that looks at such things (a trace, a
redemption, a verification), by the same principal and within a window of it. What one of the stack's own
functions read is accounted for by anybody's event, for they work in others' names; notes of a delivery's
people they look through for recalls, of which an event tells only where some are found. A delivery is
fetched by a link that the function for deliveries signed: the delivery's own event accounts for that.
Does not promise: anything about reads that the trail does not tell. Where it tells of none at all for an
announced delivery, it has a hole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from contact_sanitizer.reconciling.told import ANYBODY, Announcements, Handed
from contact_sanitizer.reconciling.trail import NOBODY, Read, Thing

LINK: Final = 300_000
"""How long a link of a delivery works (milliseconds)."""
MOST_FINDINGS: Final = 1000
"""So many findings are told one by one; the rest are counted."""
MINUTE: Final = 60_000


class Flag(StrEnum):
    """What is wrong."""

    READ_UNANNOUNCED = "read_unannounced"
    READ_FOREIGN = "read_foreign"
    LINK_UNANNOUNCED = "link_unannounced"
    DELIVERY_UNFETCHED = "delivery_unfetched"
    DELIVERY_UNSEEN = "delivery_unseen"


@dataclass(frozen=True, slots=True)
class Circle:
    """Who is who: the stack's account, and its own functions' roles as audit events write principals."""

    account: str
    functions: Collection[str]


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when (milliseconds, the end excluded) reads count; how far from its event one may be."""

    start: int | None = None
    end: int | None = None
    window: int = 15 * MINUTE

    def holds(self, at: int) -> bool:
        """Whether a moment counts."""
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing that is wrong with one object and one principal: how often, first and last when."""

    flag: Flag
    thing: Thing
    principal: str
    first: int
    last: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How it ended. `counts`: `reads`, `accounted`, `refused`, `other`, `outside`, and findings by flag."""

    counts: dict[str, int]
    findings: tuple[Finding, ...]
    start: int | None
    end: int | None

    @property
    def flagged(self) -> int:
        """How many objects, each with each principal, something is wrong with."""
        return sum(self.counts.get(flag, 0) for flag in Flag)


def reconcile(reads: Iterable[Read], told: Announcements, circle: Circle, span: Span) -> Reconciled:
    """Compare all reads, in any order and perhaps told twice, with all announcements."""
    work = _Reconciliation(told, circle, span)
    for read in reads:
        work.take(read)
    return work.conclude()


@dataclass
class _Reconciliation:
    told: Announcements
    circle: Circle
    span: Span
    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[Flag, Thing, str], Finding] = field(default_factory=dict)
    fetched: set[str] = field(default_factory=set)
    looked: dict[str, set[tuple[int, bool]]] = field(default_factory=dict)
    start: int | None = None
    end: int | None = None

    def take(self, read: Read) -> None:
        if not self.span.holds(read.at):
            self.counts["outside"] += 1
            return
        self.start = read.at if self.start is None else min(self.start, read.at)
        self.end = read.at if self.end is None else max(self.end, read.at)
        if read.refused:
            self.counts["refused"] += 1
        elif read.thing.kind == "other":
            self.counts["other"] += 1
        else:
            self.counts["reads"] += 1
            self._judge(read)

    def _judge(self, read: Read) -> None:
        ours = read.principal in self.circle.functions
        if read.thing.kind == "list":
            self.looked.setdefault(read.thing.name, set()).add((read.at // MINUTE, ours))
        flag = self._flag(read, ours=ours)
        if flag is None:
            self.counts["accounted"] += 1
        else:
            self._find(flag, read.thing, read.principal, read.at)

    def _flag(self, read: Read, *, ours: bool) -> Flag | None:
        if self.circle.account and read.account not in {"", self.circle.account}:
            return Flag.READ_FOREIGN
        earliest, latest = read.at - self.span.window, read.at + self.span.window
        if ours and read.by_link:
            handed = self.told.handed.get(read.thing.name) if read.thing.part == "content" else None
            if handed and self.told.is_between(read.thing.name, ANYBODY, earliest - LINK, latest):
                self.fetched.add(handed.delivery_id)
                return None
            return Flag.LINK_UNANNOUNCED
        if ours and read.thing.part == "people":
            return None
        if not ours and read.principal == NOBODY:
            return Flag.READ_UNANNOUNCED
        whose = ANYBODY if ours else read.principal
        known = self.told.account_for(read.thing, whose, earliest, latest)
        return None if known else Flag.READ_UNANNOUNCED

    def _find(self, flag: Flag, thing: Thing, principal: str, at: int) -> None:
        key = (flag, thing, principal)
        known = self.findings.get(key)
        if known:
            times = known.times + 1
            self.findings[key] = replace(
                known, first=min(known.first, at), last=max(known.last, at), times=times
            )
            return
        self.counts[flag] += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings[key] = Finding(flag, thing, principal, at, at)

    def conclude(self) -> Reconciled:
        """What is left: deliveries that were announced while the trail ran and that nobody fetched."""
        margin = self.span.window + LINK
        start = self.start if self.span.start is None else self.span.start
        end = self.end if self.span.end is None else self.span.end
        for handed in self.told.handed.values():
            if start is not None and end is not None and start + margin <= handed.at < end - margin:
                self._miss(handed)
        found = sorted(self.findings.values(), key=lambda finding: (finding.first, finding.flag))
        return Reconciled(dict(self.counts), tuple(found), start, end)

    def _miss(self, handed: Handed) -> None:
        near = [
            ours
            for minute, ours in self.looked.get(handed.list_id, ())
            if abs(minute * MINUTE - handed.at) <= self.span.window + MINUTE
        ]
        thing = Thing("delivery", handed.delivery_id, "content")
        if not near:
            self._find(Flag.DELIVERY_UNSEEN, thing, NOBODY, handed.at)
        elif any(near) and handed.delivery_id not in self.fetched:
            # Whoever delivers from the command line reads the list in their own name and keeps the file.
            self._find(Flag.DELIVERY_UNFETCHED, thing, NOBODY, handed.at)
