"""Periods of a report, in UTC: the start belongs to them, the end does not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
"""Milliseconds."""
_FORM = re.compile(r"\d{4}(?:-(?:Q([1-4])|(\d{2})(?:-(\d{2}))?))?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to before `end`, milliseconds since 1970 UTC; None: no limit. `name`: as asked for."""

    start: int | None = None
    end: int | None = None
    name: str = ""

    def __contains__(self, at: int) -> bool:
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)


def parse_period(text: str) -> Period | None:
    """A year (`2026`), quarter (`2026-Q4`), month (`2026-10`) or day (`2026-10-31`); None for all else."""
    found = _FORM.match(text)
    if not found:
        return None
    quarter, month, day = (int(part) if part else None for part in found.groups())
    first = 3 * quarter - 2 if quarter else 1 if month is None else month
    try:
        start = datetime(int(text[:4]), first, 1 if day is None else day, tzinfo=UTC)
        end = start + timedelta(1) if day else _months_later(start, 1 if month else 3 if quarter else 12)
    except (ValueError, OverflowError):
        return None
    return Period(_milliseconds(start), _milliseconds(end), text) if start.year >= 1970 else None


def _months_later(start: datetime, months: int) -> datetime:
    years, month = divmod(start.month - 1 + months, 12)
    return start.replace(year=start.year + years, month=month + 1)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


ALWAYS: Final = Period()
