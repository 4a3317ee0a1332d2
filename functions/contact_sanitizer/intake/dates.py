"""Moments as lists write them: ISO 8601, `2024/1/1`, `2024年1月1日`, spreadsheet serials."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_WRITTEN = re.compile(
    r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|年(\d{1,2})月(\d{1,2})[日号])"
    r"(?:[T ]{0,2}(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})(?:\.\d+)?秒?|分)?)?"
)
_COMPACT = re.compile(r"(?:19|20)\d{6}")
_SERIAL = re.compile(r"\d{5}(?:\.\d+)?")
_SERIAL_ORIGIN = datetime(1899, 12, 30, tzinfo=UTC)
_SERIAL_ORIGIN_1904 = datetime(1904, 1, 1, tzinfo=UTC)
_DAY = 86_400
_LATEST_AHEAD = 100 * 366 * _DAY


@dataclass(frozen=True, slots=True)
class Moment:
    """`seconds` since 1970 UTC; `zoned`: the text said its offset, so the second is exact.

    A moment without offset is taken as UTC: it may be up to 14 hours off either way.
    """

    seconds: int
    zoned: bool


def parse_moment(text: str, now: int, *, serials_from_1904: bool = False) -> int | None:
    """Seconds since 1970 UTC, None where the text is no date; see `read_moment`."""
    moment = read_moment(text, now, serials_from_1904=serials_from_1904)
    return None if moment is None else moment.seconds


def end_of_date(moment: int) -> int:
    """The last second of a date, which `parse_moment` reads as its midnight; any other moment as it is."""
    return moment if moment % _DAY else moment + _DAY - 1


def read_moment(text: str, now: int, *, serials_from_1904: bool = False) -> Moment | None:
    """The moment that a text states, None where it states none.

    Understood: ISO 8601 dates with or without time and offset, also with `/` or `.` and single digits,
    `2024年1月1日`, and five-digit serials of spreadsheets (days since 1899-12-30, or since 1904-01-01). A
    date alone is its midnight. `now` bounds what a bare number can mean: a serial before 1970 or more than a
    century ahead is no date.
    """
    plain = text.strip()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKC", plain)
    if not plain[:4].isdecimal():
        return None
    try:
        moment = _iso(plain) or _written(plain)
    except ValueError:
        return None
    return moment or _serial(plain, now, _SERIAL_ORIGIN_1904 if serials_from_1904 else _SERIAL_ORIGIN)


def _iso(text: str) -> Moment | None:
    """What the standard library reads; it would also take ordinal and week dates, which no list means."""
    if len(text) < 10 or text[4] != "-" or text[7] != "-":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _moment(moment)


def _written(text: str) -> Moment | None:
    if _COMPACT.fullmatch(text):
        return _moment(datetime.strptime(text, "%Y%m%d"))  # noqa: DTZ007 - the offset is added where it is known
    if not (match := _WRITTEN.fullmatch(text)):
        return None
    year, _, month, day, han_month, han_day, *clock = match.groups()
    hour, minute, second = (int(part or 0) for part in clock)
    return _moment(
        datetime(int(year), int(month or han_month), int(day or han_day), hour, minute, second)  # noqa: DTZ001 - as above
    )


def _serial(text: str, now: int, origin: datetime) -> Moment | None:
    if not text.isascii() or not _SERIAL.fullmatch(text):
        return None
    seconds = round((origin + timedelta(days=float(text))).timestamp())
    return Moment(seconds, zoned=False) if 0 <= seconds <= now + _LATEST_AHEAD else None


def _moment(moment: datetime) -> Moment:
    zoned = moment.tzinfo is not None
    exact = moment if zoned else moment.replace(tzinfo=UTC)
    return Moment(int(exact.timestamp()), zoned)
