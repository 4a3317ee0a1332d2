"""Typed cells as the text that a person would read in them."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal

EXACT_BELOW = 1e15
"""A double is exact to 15 digits; above that a spreadsheet has lost digits, and shows it by an exponent."""

Value = str | int | float | date | datetime | time | timedelta | None


def cell_text(value: Value) -> str:
    """A cell's text: whole numbers without a fraction, dates in ISO 8601, `true`/`false`, '' for nothing."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, datetime):
        return _moment_text(value)
    if isinstance(value, timedelta):
        return _span_text(value)
    return str(value) if isinstance(value, int) else value.isoformat()


def float_text(value: float) -> str:
    """A number without exponent, unless its digits are lost: then as a spreadsheet shows it."""
    if not math.isfinite(value):
        return ""
    if abs(value) >= EXACT_BELOW:
        return f"{value:.5E}"
    if value.is_integer():
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def number_text(written: str) -> str:
    """A number as written in JSON, without exponent where that loses nothing and stays short."""
    if not any(char in written for char in "eE."):
        return written
    number = Decimal(written)
    if abs(number.adjusted()) > 30:
        return written
    if number == number.to_integral_value():
        return format(number.quantize(Decimal(1)), "f")
    return format(number, "f")


def _moment_text(value: datetime) -> str:
    if value.time() == time(0) and value.tzinfo is None:
        return value.date().isoformat()
    return value.isoformat(sep=" ")


def _span_text(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    minutes, second = divmod(abs(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{'-' if seconds < 0 else ''}{hour}:{minute:02d}:{second:02d}"
