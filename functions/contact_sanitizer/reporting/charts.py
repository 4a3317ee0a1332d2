"""Bars for numbers over time, as places in a drawing 100 wide and 100 high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_GAP: Final = 0.25
"""The part of a bar's room that stays empty."""
_WIDEST: Final = 6.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its place, and what it says."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars of one series. `top`: the number at the upper edge; `peak`: the largest one and where."""

    title: str
    total: int
    top: int
    peak: int
    peak_at: str
    bars: tuple[Bar, ...]

    @property
    def is_flat(self) -> bool:
        """Whether there is nothing to draw."""
        return self.peak == 0


def chart_of(title: str, word: str, buckets: Sequence[dict[str, Any]]) -> Chart:
    """The chart of one series of `volumes`; values above zero are drawn at least a hair high."""
    values = [int(bucket[word]) for bucket in buckets]
    peak = max(values, default=0)
    peak_at = buckets[values.index(peak)]["from"] if values else ""
    top = rounded_up(peak)
    step = 100 / max(len(values), 1)
    bars = []
    for place, value in enumerate(values):
        if value:
            height = max(100 * value / top, 1.0)
            label = f"{buckets[place]['from']}: {value:,}"
            width = min(step * (1 - _GAP), _WIDEST)
            bars.append(Bar(_short(step * place), _short(100 - height), _short(width), _short(height), label))
    return Chart(title, sum(values), top, peak, peak_at, tuple(bars))


def rounded_up(value: int) -> int:
    """The next of 1, 2, 4, 5, 10, 20, ... that is not smaller: a number that reads well at an axis."""
    magnitude = 1
    while magnitude * 10 <= value:
        magnitude *= 10
    return next(step * magnitude for step in (1, 2, 4, 5, 10) if step * magnitude >= value)


def _short(value: float) -> float:
    return round(value, 3)
