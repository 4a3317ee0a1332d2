"""A report: every entry of a log counted while the log is verified, and told only if it verifies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from contact_sanitizer.audit.actions import Action
from contact_sanitizer.audit.lines import Lines
from contact_sanitizer.audit.notes import Verifier
from contact_sanitizer.audit.verify import Expectations, Progress, Verified, no_progress, verify_log
from contact_sanitizer.reporting.acts import Acts
from contact_sanitizer.reporting.choices import Choices
from contact_sanitizer.reporting.entries import Told, read_lines
from contact_sanitizer.reporting.fetches import Fetches
from contact_sanitizer.reporting.lists import Lists
from contact_sanitizer.reporting.period import ALWAYS, Period
from contact_sanitizer.reporting.recalled import Recalled
from contact_sanitizer.reporting.unusual import Unusual
from contact_sanitizer.reporting.volumes import Volumes

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects

NOBODYS: Final = "-"
"""The tenant of what happened before it was known whose it is, such as a call that nobody may make."""


_TOLD_ONCE: Final = frozenset({Action.LIST_PUBLISHED, Action.DELIVERY_PUBLISHED})
NOTHING_EXPECTED: Final = Expectations()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is about: a period, and one tenant's events with those of nobody, or all (None)."""

    period: Period = ALWAYS
    tenant: str | None = None


class Part(Protocol):
    """Counts one kind of thing. `WANTED`: the actions that it takes note of, None for all."""

    WANTED: ClassVar[frozenset[str] | None]

    def take(self, events: Iterable[Told]) -> None:
        """Take note of events, in their order."""
        ...


def _wanted(part: Part, events: Sequence[Told]) -> Sequence[Told]:
    wanted = part.WANTED
    return events if wanted is None else [event for event in events if event.action in wanted]


@dataclass
class Tally:
    """Counts events, in bounded memory: by day, sender, person, list and delivery."""

    scope: Scope
    others: Counter[str] = field(default_factory=Counter)
    before: int = 0
    after: int = 0
    _published: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        period = self.scope.period
        self.lists, self.fetches, self.choices = Lists(), Fetches(), Choices()
        self.acts, self.volumes = Acts(), Volumes()
        self.recalled, self.unusual = Recalled(period), Unusual(period)
        self._always: tuple[Part, ...] = (self.recalled, self.unusual)
        self._within: tuple[Part, ...] = (self.lists, self.fetches, self.choices, self.acts, self.volumes)

    def take(self, lines: Lines) -> None:
        """The next events of the log; `AuditError` (`event_malformed`) where one is none."""
        events = list(self._in_scope(read_lines(lines)))
        start = self.scope.period.start
        within = events if start is None else [event for event in events if event.at >= start]
        self.before += len(events) - len(within)
        for part in self._always:
            part.take(_wanted(part, events))
        for part in self._within:
            part.take(_wanted(part, within))

    def _in_scope(self, events: Iterator[Told]) -> Iterator[Told]:
        """Those of the tenant, and not from after the period."""
        end, tenant = self.scope.period.end, self.scope.tenant
        tenants = None if tenant is None else {tenant, NOBODYS}
        for event in events:
            if tenants is not None and event.tenant not in tenants:
                self.others[event.tenant] += 1
            elif end is not None and event.at >= end:
                self.after += 1
            else:
                yield self._known(event) if event.action in _TOLD_ONCE else event

    def _known(self, event: Told) -> Told:
        told = event.delivery_id or event.list_id
        if told in self._published:
            return event._replace(again=True)
        self._published.add(told)
        return event


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of a log in which everything fits."""

    scope: Scope
    verified: Verified
    tally: Tally

    @property
    def end(self) -> int:
        """Up to when it tells (milliseconds since 1970 UTC): the period's end, or the newest seal's time."""
        newest = self.verified.newest.time
        return newest if self.scope.period.end is None else min(self.scope.period.end, newest)

    def figures(self) -> dict[str, Any]:
        """Everything that was counted, as JSON values; see infra/formats/audit-report.md."""
        tally = self.tally
        return {
            "events": tally.acts.document() | {"before_period": tally.before, "after_period": tally.after},
            "volumes": tally.volumes.document(self.scope.period),
            "lists": tally.lists.document(),
            "fetches": tally.fetches.document(),
            "recalls": tally.recalled.document(self.end),
            "registry": tally.choices.document(),
            "unusual": tally.unusual.rules(tally.recalled, self.end),
        }


def make_report(
    objects: Objects,
    verifiers: Sequence[Verifier],
    scope: Scope,
    expected: Expectations = NOTHING_EXPECTED,
    progress: Progress = no_progress,
) -> Report:
    """Verify a log and count its entries in one walk, so that what is told is what was verified.

    `AuditError` names the first thing that does not fit; then nothing is told. What is not sealed yet is not
    counted.
    """
    tally = Tally(scope)
    verified = verify_log(objects, verifiers, expected, progress, tally.take)
    return Report(scope, verified, tally)
