"""What makes two recordings the same event, whatever the store that keeps them."""

from __future__ import annotations

import hashlib
import json

from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.recording import Event
from contact_sanitizer.screening.suppression import SuppressionEvent

TermKey = tuple[str, ...]


def identity_of(event: Event, salt: int = 0) -> int:
    """What makes two recordings about one subject the same event, as a signed 64-bit integer.

    When and by whom it was recorded does not matter for what comes from a file or is dated: the same file
    twice changes nothing. An act without an occasion is told apart by its second.
    """
    parts: list[object] = [kind_of(event), *term_key(event)[:-1]]
    parts += [event.reference, event.expires_at, salt]
    if isinstance(event, ConsentEvent):
        parts.append(event.effective_at)
        told_apart = event.effective_at is None and event.status is ConsentStatus.WITHDRAWN
    else:
        told_apart = True
    if told_apart:
        parts.append(event.occasion or event.recorded_at)
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def term_key(event: Event) -> TermKey:
    """What the event has in common with many, in the order of the table's columns; the actor is last."""
    if isinstance(event, ConsentEvent):
        wording = (event.wording, event.wording_sha256)
        names = (event.purpose, event.channel, event.sender)
        return (*names, "", "", "", event.source, *wording, event.recorded_by)
    return ("", "", "", event.scope, event.reason.value, event.why, event.source, "", "", event.recorded_by)


def contract_of(event: Event) -> int:
    """The code of the contract under which the event's subject is a hash; 0: a keyed subject."""
    return event.contract if isinstance(event, SuppressionEvent) else 0


def kind_of(event: Event) -> int:
    """The event's `ConsentStatus` or `SuppressionAct` as an integer."""
    return int(event.status if isinstance(event, ConsentEvent) else event.act)
