"""Whether events stand where they may: none dated later than its seal, none other than its plan names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from contact_sanitizer.audit.checkpoint import Checkpoint
from contact_sanitizer.audit.lines import Lines
from contact_sanitizer.audit.plans import Plan
from contact_sanitizer.errors import AuditError

TOLERANCE: Final = 15 * 60_000
"""By how much (milliseconds) a writer's clock may be ahead of the sealer's."""


class Places:
    """Judges the events of a log, told in ascending order, by their seals and by the plans of those."""

    def __init__(self, plans: list[Plan], chain: list[Checkpoint]) -> None:
        self._chain = chain
        self._sealed = 0
        self._names = _expected_names(plans, chain[-1].size)
        self._due = next(self._names, None)

    def first_fault(self, lines: Lines, count: int) -> tuple[int, AuditError | None]:
        """How many events of a bundle of `count` entries are to be told, and then what is wrong, if any."""
        good, fault = len(lines), None
        if good < count:
            number = lines.first + good
            fault = AuditError("event_malformed", f"event {number} is not written as an audit event")
        misdated = self._misdated(lines)
        if misdated is not None:
            good, number = misdated, lines.first + misdated
            fault = AuditError("event_misdated", f"event {number} is dated later than its seal")
        misnamed = self._misnamed(lines, good)
        if misnamed is not None:
            good, number = misnamed + 1, lines.first + misnamed
            fault = AuditError("seal_altered", f"the plan of event {number} names another event")
        return good, fault

    def _misdated(self, lines: Lines) -> int | None:
        """The place of the first event that is dated later than the first checkpoint that covers it."""
        start, end = lines.first, lines.first + len(lines)
        while start < end:
            while self._chain[self._sealed].size <= start:
                self._sealed += 1
            seal = self._chain[self._sealed]
            times = lines.times[start - lines.first : seal.size - lines.first]
            if max(times) > seal.time + TOLERANCE:
                late = next(place for place, time in enumerate(times) if time > seal.time + TOLERANCE)
                return start - lines.first + late
            start = seal.size
        return None

    def _misnamed(self, lines: Lines, count: int) -> int | None:
        """The place of the first event, among so many, that is not the one that its plan names."""
        while self._due and self._due[0] < lines.first + count:
            place = self._due[0] - lines.first
            if self._due[1].encode() != lines.uids[place]:
                return place
            self._due = next(self._names, None)
        return None


def _expected_names(plans: list[Plan], size: int) -> Iterator[tuple[int, str]]:
    """Which event each planned segment has to begin with, by the entry's number."""
    for plan in plans:
        index = plan.first
        for name, count in plan.segments:
            if index >= size:
                return
            yield index, name
            index += count
