"""Messages that were given up: look at them, and have them told again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from contact_sanitizer.arrivals import arrivals_in
from contact_sanitizer.audit.events import Action
from contact_sanitizer.errors import RequestError
from contact_sanitizer.ports import Announce
from contact_sanitizer.receiving import Arrival
from contact_sanitizer.uploading import Uploads


@dataclass(frozen=True, slots=True, repr=False)
class DeadLetter:
    """One message: its store's id for it, when it was first sent, and its text. Does not show itself."""

    message_id: str
    sent_at: int
    body: str
    handle: str

    def __repr__(self) -> str:
        return f"DeadLetter({self.message_id})"


class DeadLetters(Protocol):
    """A queue's dead letters. Every fault is a `RequestError`."""

    def look(self) -> Sequence[DeadLetter]:
        """All of them, at most 10,000; they stay, and nobody else sees them for a while."""
        ...

    def release(self, letters: Sequence[DeadLetter]) -> None:
        """Let others see them again at once."""
        ...

    def move(self, letters: Sequence[DeadLetter]) -> None:
        """Put them back into the queue that they came from, and only then remove them here."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of a dead letter, without its key; `sent_at` in milliseconds since 1970 UTC."""

    message_id: str
    sent_at: int
    upload_id: str
    list_id: str
    state: str
    reason: str


def cases(letters: DeadLetters, uploads: Uploads, tenant: str) -> list[Case]:
    """The tenant's dead letters and those of nobody, oldest first."""
    seen = letters.look()
    letters.release(seen)
    mine = ((letter, _arrival(letter)) for letter in seen)
    found = [
        _case(letter, arrival, uploads) for letter, arrival in mine if not arrival or arrival.tenant == tenant
    ]
    return sorted(found, key=lambda case: (case.sent_at, case.message_id))


def redrive(
    letters: DeadLetters, announce: Announce, tenant: str, wanted: Collection[str] | None = None
) -> int:
    """Have the tenant's dead letters told again, or those `wanted` by id; returns how many.

    Announced before they move. What is no arrival stays: it would only come back.
    """
    seen = letters.look()
    mine = [letter for letter in seen if _is_wanted(letter, tenant, wanted)]
    moving: list[DeadLetter] = []
    try:
        if mine:
            announce(Action.QUEUE_REDRIVEN, counts={"messages": len(mine)})
            moving = mine
            letters.move(mine)
    finally:
        letters.release([letter for letter in seen if letter not in moving])
    return len(mine)


def _is_wanted(letter: DeadLetter, tenant: str, wanted: Collection[str] | None) -> bool:
    arrival = _arrival(letter)
    return (
        arrival is not None and arrival.tenant == tenant and (wanted is None or letter.message_id in wanted)
    )


def _case(letter: DeadLetter, arrival: Arrival | None, uploads: Uploads) -> Case:
    if arrival is None:
        return Case(letter.message_id, letter.sent_at, "", "", "unknown", "message_invalid")
    known = uploads.get(arrival.upload_id)
    state, reason = (known.state.value, known.code or "interrupted") if known else ("unknown", "not_begun")
    return Case(letter.message_id, letter.sent_at, arrival.upload_id, arrival.list_id, state, reason)


def _arrival(letter: DeadLetter) -> Arrival | None:
    try:
        arrivals = arrivals_in(letter.body)
    except RequestError:
        return None
    return arrivals[0] if arrivals else None
