"""A list that is not there: whether anybody may still be on it, and its owner's word that nobody is.

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
from contact_sanitizer.errors import OutputError, RequestError
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
    if why is Unread.GONE or absence is Absence.OPEN:
        return why
    return _of_a_dead_maker(entry, absence, desk)


def forget_list(list_id: ListId, desk: EraseDesk) -> None:
    """Look for a list no more, whose owner says that its files are gone for good; announced before.

    One that comes back all the same is found by the next erasure. Raises `OutputError`: `list_unknown`,
    `list_exists` where any of it is there, `list_busy` where it is being made; `RequestError` in a stack,
    whose lists go when their time is over.
    """
    entry = desk.catalogue.get(list_id)
    if entry is None:
        raise OutputError("list_unknown", "no list of that id was made here")
    shelf = desk.shelf_of(entry)
    absence = shelf.absence(list_id) if shelf.manifest(list_id) is None else Absence.PART
    match absence:
        case Absence.AS_ENTERED:
            raise RequestError(
                "request_invalid", "a stack's lists are gone by themselves when their time is over"
            )
        case Absence.PART:
            message = (
                "files of that list are there: delete its folder first, also the hidden ones of its name"
            )
            raise OutputError("list_exists", message)
        case Absence.OPEN:
            raise OutputError("list_busy", "that list is being made")
    if entry.state != "forgotten":
        desk.delivery.announce(Action.LIST_FORGOTTEN, list_id=list_id)
        desk.catalogue.change(list_id, lambda entry: replace(entry, state="forgotten"))


def _of_a_dead_maker(entry: ListEntry, absence: Absence, desk: EraseDesk) -> Unread | None:
    """What becomes of a list that is not finished and that nobody is at work on."""
    list_id = ListId(entry.list_id)
    present = desk.catalogue.get(list_id) or entry
    # A maker that lived to say so has seen that nothing of the list had appeared.
    may_be_elsewhere = present.state != "failed" or absence is Absence.PART
    if absence is not Absence.DIED and present.manifest and may_be_elsewhere:
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
