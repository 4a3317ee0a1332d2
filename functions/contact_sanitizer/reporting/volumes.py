"""How much happened when: by day, or by week or month where a period is long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.reporting.acts import is_refusal
from contact_sanitizer.reporting.choices import COMPLAINT
from contact_sanitizer.reporting.entries import Told
from contact_sanitizer.reporting.period import DAY, Period
from contact_sanitizer.reporting.showing import day_name

SERIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rows": "Rows in finished lists",
        "delivered": "Rows delivered to senders",
        "redeemed": "Numbers redeemed by senders",
        "refused": "Requests refused",
        "opt_outs": "Opt-outs and complaints recorded",
        "events": "Events in all",
    }
)
_COUNTED: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        Action.TOKENS_REDEEMED: ("redeemed", ("redeemed",)),
        Action.LIST_PUBLISHED: ("rows", ("rows",)),
        Action.DELIVERY_PUBLISHED: ("delivered", ("rows",)),
        Action.OPTOUT_RECORDED: ("opt_outs", ("opt_out", COMPLAINT)),
        Action.BLOCK_ADDED: ("opt_outs", ("opted_out", COMPLAINT)),
        # A blocklist that was taken over is nobody's opting out that day.
        Action.REGISTRY_IMPORTED: ("opt_outs", (COMPLAINT,)),
    }
)
"""To which series an action adds which of its counts."""
_CONCLUDED: Final = frozenset({Action.REGISTRY_IMPORTED})
_MOST_DAYS: Final = 92
_MOST_WEEKS: Final = 106
_MONDAY: Final = 4
"""The first Monday after 1970-01-01, in days."""


@dataclass(slots=True)
class Volumes:
    """Counts of a period by day."""

    WANTED: ClassVar[frozenset[str] | None] = None

    _days: dict[int, dict[str, int]] = field(default_factory=dict)

    def take(self, events: Iterable[Told]) -> None:
        """Take note of events of the period."""
        for event in events:
            day = event.at // DAY
            counts = self._days.get(day)
            if counts is None:
                counts = self._days[day] = dict.fromkeys(SERIES, 0)
            counts["events"] += 1
            counted = _COUNTED.get(event.action)
            if counted is None:
                counts["refused"] += is_refusal(event.action)
            elif not event.again and (event.action not in _CONCLUDED or event.outcome is Outcome.SUCCESS):
                series, words = counted
                for word in words:
                    counts[series] += event.counts.get(word, 0)

    def document(self, period: Period) -> dict[str, Any]:
        """Buckets without a hole, from the first day to the last one on which something happened.

        A period with both ends is told from end to end, as far as the log reaches.
        """
        if not self._days:
            return {"unit": "day", "buckets": []}
        first, last = min(self._days), max(self._days)
        if period.start is not None and first - period.start // DAY < _MOST_DAYS:
            first = period.start // DAY
        unit, begin, after = _unit(first, last)
        buckets: dict[int, dict[str, int]] = {}
        at = begin(first)
        while at <= last:
            buckets[at] = dict.fromkeys(SERIES, 0)
            at = after(at)
        for day, counts in self._days.items():
            bucket = buckets[begin(day)]
            for word, count in counts.items():
                bucket[word] += count
        return {
            "unit": unit,
            "buckets": [{"from": day_name(at), **counts} for at, counts in buckets.items()],
        }


_Step = Callable[[int], int]


def _unit(first: int, last: int) -> tuple[str, _Step, _Step]:
    """A span's unit; the first day of the bucket of a day; the first day of the bucket after a bucket."""
    if last - first < _MOST_DAYS:
        return "day", lambda day: day, lambda day: day + 1
    if last - first < 7 * _MOST_WEEKS:
        return (
            "week",
            lambda day: max(day - (day - _MONDAY) % 7, 0),
            lambda day: day + 7 - (day - _MONDAY) % 7,
        )
    return "month", _first_of_month, lambda day: _first_of_month(day + 31)


def _first_of_month(day: int) -> int:
    date = datetime.fromtimestamp(day * 86_400, UTC)
    return day - date.day + 1
