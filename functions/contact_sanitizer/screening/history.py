"""One person's history, put together from what a registry has under each of the person's keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from contact_sanitizer.screening.consent import ConsentEvent
from contact_sanitizer.screening.foreign import KEPT_BYTES, HashContract
from contact_sanitizer.screening.recording import PersonHistory
from contact_sanitizer.screening.suppression import SuppressionEvent, entries

Events = tuple[list[ConsentEvent], list[SuppressionEvent]]


def history_of(
    read: Callable[[int, bytes], Events],
    contracts: Iterable[HashContract],
    subject: bytes,
    block: bytes | None,
    as_of: int | None,
) -> PersonHistory:
    """The history as known at `as_of` (seconds; None: now), with `block` also from foreign lists.

    `read`: the events under a contract's code (0: keyed subjects) and a key, in the order of recording.
    """
    consents, acts = read(0, subject)
    states = entries(acts, as_of)
    for contract in contracts if block is not None else ():
        key = contract.digest((block or b"").rstrip(b"\0"))[:KEPT_BYTES]
        foreign = read(contract.code, key)[1]
        acts = acts + foreign
        states += entries(foreign, as_of)
    return PersonHistory(
        tuple(event for event in consents if as_of is None or event.recorded_at <= as_of),
        tuple(event for event in acts if as_of is None or event.recorded_at <= as_of),
        tuple(states),
    )
