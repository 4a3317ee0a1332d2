"""Whether an act on a person's entries changes anything, given what was recorded before it."""

from __future__ import annotations

from collections.abc import Sequence

from contact_sanitizer.screening.recording import Outcome
from contact_sanitizer.screening.rule import FOREVER
from contact_sanitizer.screening.suppression import (
    SuppressionAct,
    SuppressionEntry,
    SuppressionEvent,
    entries,
    same_person,
)


def judge(event: SuppressionEvent, acts: Sequence[SuppressionEvent], *, known: bool) -> Outcome:
    """What becomes of an act after the person's `acts`; `RECORDED`: it is to be recorded.

    `known`: the same act, by its identity, is among them.
    """
    entry = next((e for e in entries(acts) if (e.scope, e.reason) == (event.scope, event.reason)), None)
    if event.act is SuppressionAct.ADDED:
        # the same file again does not undo a removal; a later list, or a person, does
        there = known and (bool(event.occasion) or _covers(entry, event))
        covered = bool(event.occasion) and _covers(entry, event)
        return Outcome.ALREADY_THERE if there or covered else Outcome.RECORDED
    return _judge_removal(event, entry)


def salt_of(acts: Sequence[SuppressionEvent], *, known: bool) -> int:
    """What sets an act apart from the same one of the same second: it is an act of its own after others."""
    return len(acts) if known else 0


def _covers(entry: SuppressionEntry | None, event: SuppressionEvent) -> bool:
    """Whether an entry in force already says all that the event would."""
    if entry is None or entry.removed or entry.removal_by is not None:
        return False
    return entry.until >= (FOREVER if event.expires_at is None else min(event.expires_at, FOREVER))


def _judge_removal(event: SuppressionEvent, entry: SuppressionEntry | None) -> Outcome:
    if entry is None or entry.removed:
        return Outcome.NOTHING_TO_REMOVE
    asked_by = entry.removal_by
    if event.act is SuppressionAct.REMOVED:
        again = asked_by is not None and same_person(asked_by, event.recorded_by)
        return Outcome.ALREADY_THERE if again else Outcome.RECORDED
    if asked_by is None:
        return Outcome.NO_REMOVAL_ASKED
    return Outcome.SECOND_PERSON_NEEDED if same_person(asked_by, event.recorded_by) else Outcome.RECORDED
