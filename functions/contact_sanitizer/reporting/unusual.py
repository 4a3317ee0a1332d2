"""Unusual activity: rules that a reader can check by hand, and where the log meets them.

A rule finds something to ask about, not somebody guilty. What is usual for a sender is taken from the 28 days
before, as far as the log reaches; where it knows too little of a sender, that sender is not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any, ClassVar, Final

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.reporting.acts import LOOKS, is_refusal
from contact_sanitizer.reporting.entries import Told
from contact_sanitizer.reporting.fetches import NOT_ITS_OWN, UNNAMED
from contact_sanitizer.reporting.period import DAY, HOUR, Period
from contact_sanitizer.reporting.recalled import Recalled
from contact_sanitizer.reporting.rules import (
    BURST,
    BURSTS,
    DAMAGE,
    DAMAGES,
    FAULTS,
    FETCHED,
    FOREIGN,
    FOREIGN_A_DAY,
    HOURS,
    JUNK,
    JUNK_A_DAY,
    KNOWN_DAYS,
    LOOKED,
    LOOKS_A_DAY,
    MARGIN,
    NEWCOMERS,
    QUOTAS,
    RECALLS,
    REDEEMED,
    REMOVALS_A_DAY,
    REMOVED,
    RULES,
    STALE,
    STALE_A_DAY,
    TIMES_USUAL,
    USUAL_DAYS,
    Finding,
)
from contact_sanitizer.reporting.showing import day_name, how_many, moment

_MOST_FOUND: Final = 200

_CHECKS: Final = frozenset({Action.AUDIT_VERIFIED, Action.AUDIT_REPORTED, Action.AUDIT_RECONCILED})
_SENDERS: Final = frozenset(
    {Action.DELIVERY_PUBLISHED, Action.TOKENS_REDEEMED, Action.DELIVERY_DENIED, Action.TOKENS_DENIED}
)


@dataclass(slots=True)
class _Day:
    """What one sender did on one day."""

    redeemed: int = 0
    rows: int = 0
    tokens: int = 0
    refused: int = 0
    junk: int = 0
    foreign: int = 0
    quota_hits: int = 0
    hours: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Unusual:
    """Judges a period by its events and those before it; what comes after its end is not taken."""

    WANTED: ClassVar[frozenset[str] | None] = None

    period: Period
    _senders: dict[str, dict[int, _Day]] = field(default_factory=dict)
    _refused: Counter[tuple[str, int]] = field(default_factory=Counter)
    _looks: Counter[tuple[str, int]] = field(default_factory=Counter)
    _removed: Counter[tuple[str, int]] = field(default_factory=Counter)
    _first: dict[str, int] = field(default_factory=dict)
    _faults: list[Told] = field(default_factory=list)
    #: By what was met, where and on which day: the first event, and how many there were.
    _damage: dict[tuple[str, ...], tuple[Told, int]] = field(default_factory=dict)
    _began: int | None = None
    _since: int = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.period.start or 0

    def take(self, events: Iterable[Told]) -> None:
        """Take note of events of the period or from before it."""
        for event in events:
            at, action = event.at, event.action
            if self._began is None or at < self._began:
                self._began = at
            if event.principal not in self._first:
                self._first[event.principal] = at
            if action in _SENDERS and event.sender:
                self._sender(event)
            # What is redeemed is most of a log, and is judged above.
            if action != Action.TOKENS_REDEEMED and at >= self._since:
                self._person(event)

    def _person(self, event: Told) -> None:
        action, day = event.action, event.at // DAY
        if (event.code or action == Action.PERSON_TRACED) and _is_damage(event):
            met = (event.code, action, event.principal, _thing(event), str(day))
            first, count = self._damage.get(met, (event, 0))
            self._damage[met] = first, count + 1
        if is_refusal(action):
            self._refused[event.principal, event.at // HOUR] += 1
        elif action in LOOKS:
            self._looks[event.principal, day] += 1
        elif action == Action.BLOCK_REMOVED:
            self._removed[event.principal, day] += event.counts.get("entries", 1)
        elif action in _CHECKS and event.outcome is Outcome.FAILURE:
            self._faults.append(event)

    def _sender(self, event: Told) -> None:
        day = self._day(event)
        counts = event.counts
        if event.code == "quota_exceeded":
            day.quota_hits += 1
        elif event.action == Action.TOKENS_REDEEMED:
            tokens, redeemed = counts.get("tokens", 0), counts.get("redeemed", 0)
            refused = counts.get("refused", 0)
            day.tokens += tokens
            day.redeemed += redeemed
            day.refused += refused
            if tokens != redeemed + refused:
                day.foreign += counts.get("other_audience", 0)
                day.junk += sum(counts.get(word, 0) for word in NOT_ITS_OWN)
            day.hours[event.at // HOUR % 24] += 1
        elif event.action == Action.DELIVERY_PUBLISHED and not event.again:
            day.rows += counts.get("rows", 0)
            day.hours[event.at // HOUR % 24] += 1

    def _day(self, event: Told) -> _Day:
        days = self._senders.get(event.sender)
        if days is None:
            days = self._senders[event.sender] = {}
        number = event.at // DAY
        day = days.get(number)
        if day is None:
            day = days[number] = _Day()
        return day

    def findings(self, recalled: Recalled, now: int) -> list[Finding]:
        """All findings, in the order of the rules. `now`: the end of what is told (milliseconds)."""
        found = [*self._by_people(), *self._newcomers(), *_late(recalled, now)]
        for name in sorted(self._senders):
            for day, done in sorted(self._senders[name].items()):
                if any(day * DAY + hour * HOUR in self.period for hour in range(24)):
                    found += self._judged(name, day, done)
        return sorted(found, key=lambda each: (RULES.index(each.rule), each.when, each.who))

    def _by_people(self) -> Iterator[Finding]:
        for fault in self._faults:
            yield Finding(FAULTS, moment(fault.at) or "", fault.principal, f"{fault.action}: {fault.code}")
        for first, count in self._damage.values():
            yield Finding(DAMAGE, moment(first.at) or "", first.principal, _met(first, count))
        for (who, hour), count in self._refused.items():
            if count >= BURST:
                yield Finding(
                    BURSTS, f"{day_name(hour // 24)}T{hour % 24:02}", who, how_many(count, "refusal")
                )
        for counts, rule, least, what in (
            (self._looks, LOOKED, LOOKS_A_DAY, "look"),
            (self._removed, REMOVED, REMOVALS_A_DAY, "removal"),
        ):
            for (who, day), count in counts.items():
                if count >= least:
                    yield Finding(rule, day_name(day), who, how_many(count, what))

    def _newcomers(self) -> Iterator[Finding]:
        for who, at in self._first.items():
            if at in self.period and at - (self._began or 0) >= KNOWN_DAYS * DAY:
                yield Finding(NEWCOMERS, moment(at) or "", who, "first event")

    def _judged(self, name: str, day: int, done: _Day) -> Iterator[Finding]:
        when = day_name(day)
        before = [
            known
            for earlier in range(day - USUAL_DAYS, day)
            if (known := self._senders[name].get(earlier)) is not None and known.hours
        ]
        if len(before) >= KNOWN_DAYS:
            for rule, amount, usual, what in (
                (REDEEMED, done.redeemed, median(each.redeemed for each in before), "numbers redeemed"),
                (FETCHED, done.rows, median(each.rows for each in before), "rows delivered"),
            ):
                if amount > TIMES_USUAL * usual and amount > usual + MARGIN:
                    yield Finding(rule, when, name, f"{amount:,} {what}; usual: {usual:,.0f}")
            odd = sorted(_odd_hours(done, before))
            if odd:
                spelled = ", ".join(f"{hour:02}:00" for hour in odd)
                calls = sum(done.hours[hour] for hour in odd)
                yield Finding(HOURS, when, name, f"{how_many(calls, 'call')} in the hours from {spelled}")
        yield from _tokens(name, when, done)

    def rules(self, recalled: Recalled, now: int) -> list[dict[str, Any]]:
        """Every rule with what it found, also where that is nothing."""
        found = self.findings(recalled, now)
        return [
            {
                "rule": rule.word,
                "title": rule.title,
                "looks_for": rule.looks_for,
                "count": sum(each.rule is rule for each in found),
                "findings": [
                    {"when": each.when, "who": each.who, "said": each.said}
                    for each in found
                    if each.rule is rule
                ][:_MOST_FOUND],
            }
            for rule in RULES
        ]


def _is_damage(event: Told) -> bool:
    """Whether somebody's work met damage; a trace or an erasure names it and goes on."""
    if event.action in {Action.PERSON_TRACED, Action.PERSON_ERASED} and event.counts.get("damaged"):
        return True
    return event.code in DAMAGES and event.action not in _CHECKS


def _thing(event: Told) -> str:
    """What is damaged, by its id; empty where the event names none."""
    list_id, delivery_id = event.list_id, event.delivery_id
    if list_id and (not delivery_id or event.code.startswith("list_")):
        return f"list {list_id}"
    return f"delivery {delivery_id}" if delivery_id else ""


def _met(event: Told, count: int) -> str:
    """What somebody met, and how often."""
    thing = _thing(event)
    where = f", {thing}" if thing else ""
    return f"{event.action}: {event.code or 'damaged'}{where}" + (
        f" ({count:,} times that day)" if count > 1 else ""
    )


def _tokens(name: str, when: str, done: _Day) -> Iterator[Finding]:
    """What a sender's tokens of one day say."""
    if done.junk >= JUNK_A_DAY and done.junk * 20 >= done.tokens:
        yield Finding(JUNK, when, name, f"{done.junk:,} of {done.tokens:,} tokens")
    if done.foreign >= FOREIGN_A_DAY:
        yield Finding(FOREIGN, when, name, how_many(done.foreign, "token"))
    if done.refused >= STALE_A_DAY and done.refused * 5 >= done.tokens:
        yield Finding(STALE, when, name, f"{done.refused:,} of {done.tokens:,} tokens")
    if done.quota_hits:
        yield Finding(QUOTAS, when, name, how_many(done.quota_hits, "request"))


def _odd_hours(done: _Day, before: list[_Day]) -> set[int]:
    usual = {hour for each in before for hour in each.hours}
    return {hour for hour in done.hours if usual.isdisjoint({(hour - 1) % 24, hour, (hour + 1) % 24})}


def _late(recalled: Recalled, now: int) -> Iterator[Finding]:
    for delivery_id, sender, since, waited in recalled.late(now):
        said = f"delivery {delivery_id}: {how_many(waited // HOUR, 'hour')}"
        yield Finding(RECALLS, moment(since) or "", sender or UNNAMED, said)
