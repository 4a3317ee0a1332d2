"""A list that is not there: whether anybody may still be on it.

What is knowable decides. In a stack an upload may be told again for a day, and a list that was made and is
gone has reached its end. At home nobody takes a run up again, for the next one makes a list of its own: one
that failed is over, and so is one whose maker is dead, which the lock of its folder tells. A finished list
that is not there may be moved or unmounted, with everybody on it: nobody but its owner can say that it is
gone for good.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from contact_sanitizer.audit.events import Action, Outcome, plain_word
from contact_sanitizer.catalogue import ListEntry
from contact_sanitizer.erasing.desk import EraseDesk
from contact_sanitizer.listid import ListId
from contact_sanitizer.ports import Absence
from contact_sanitizer.tracing.trace import Unread

#: What was begun longer ago is not finished any more: its upload is gone (milliseconds; for stacks).
LONGEST_MAKING: Final = 24 * 3_600_000


def still_open(entry: ListEntry, why: Unread, desk: EraseDesk) -> Unread | None:
    """Why somebody may still be on a list that could not be looked into; None where nobody can be.

    A list whose maker is found dead is given up, which is an event: should it live all the same, somewhere
    between its entry and its folder, it fails before it publishes anything.
    """
    if why is Unread.DAMAGED or entry.state == "forgotten":
        return why if why is Unread.DAMAGED else None
    absence = desk.shelf_of(entry).absence(ListId(entry.list_id))
    if absence is Absence.AS_ENTERED:
        young = desk.delivery.clock() - entry.started_at < LONGEST_MAKING
        return why if young and why is not Unread.GONE else None
    if why is Unread.GONE:
        return None
    if absence is Absence.OPEN:
        return why
    return _of_a_dead_maker(entry, absence, desk)


def _of_a_dead_maker(entry: ListEntry, absence: Absence, desk: EraseDesk) -> Unread | None:
    """What becomes of a list that is not finished and that nobody is at work on."""
    list_id = ListId(entry.list_id)
    present = desk.catalogue.get(list_id) or entry
    if absence is not Absence.DIED and present.manifest:
        # It was about to appear, or did: here, since it was looked for, or for somebody who took it away.
        return Unread.MAKING if desk.shelf_of(entry).manifest(list_id) is not None else Unread.GONE
    if present.state == "making":
        purpose = plain_word(present.terms.use.rule.purpose)
        about = {"list_id": list_id, "policy": present.policy_sha256, "purpose": purpose}
        desk.delivery.announce(Action.LIST_FAILED, outcome=Outcome.FAILURE, **about, code="interrupted")
        present = desk.catalogue.change(list_id, lambda entry: _given_up(entry, absence))
    return None if present.state in {"failed", "forgotten"} else Unread.MAKING


def _given_up(entry: ListEntry, absence: Absence) -> ListEntry:
    """The entry of a list that nobody goes on with, unless its manifest was settled meanwhile."""
    is_over = absence is Absence.DIED or not entry.manifest
    return replace(entry, state="forgotten") if is_over and entry.state == "making" else entry
