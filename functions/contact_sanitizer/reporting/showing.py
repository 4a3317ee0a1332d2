"""How much is listed one by one, and how moments are written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from contact_sanitizer.outputs.manifest import rfc3339

MOST_TOLD: Final = 1_000
"""Of anything at most so many are listed one by one; sums count all of them."""
_LAST: Final = 253_402_300_799_999
"""The end of the year 9999, beyond which no moment can be written."""


def moment(at: int | None) -> str | None:
    """Milliseconds since 1970 UTC as RFC 3339."""
    return None if at is None else rfc3339(min(at, _LAST))


def day_name(day: int) -> str:
    """A day (since 1970 UTC) as `2026-10-31`."""
    return datetime.fromtimestamp(min(day * 86_400, _LAST // 1000), UTC).date().isoformat()


def how_many(count: int, thing: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
