"""What stays of a person who is forgotten: the bare refusals, if there were any.

Who asked to be left alone and then to be forgotten is left alone: of a refusal that stands stay the keyed
subject, its scope, its reason, since when and until when. Who recorded it, where it came from, its reference
and the sealed number go, and so does every consent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from contact_sanitizer.screening.consent import LAST_MOMENT, ConsentEvent, ConsentStatus, order_of
from contact_sanitizer.screening.foreign import KEPT_BYTES, HashContract
from contact_sanitizer.screening.recording import Event
from contact_sanitizer.screening.rule import FOREVER
from contact_sanitizer.screening.suppression import (
    SuppressionAct,
    SuppressionEntry,
    SuppressionEvent,
    SuppressionReason,
    entries,
)

PersonKey = tuple[int, bytes]
"""A contract's code (0: keyed) and a subject under it."""

#: Under which change number an event was recorded; 0: it is new.
Logged = tuple[int, Event]
NEW: Final = 0


@dataclass(frozen=True, slots=True)
class Leave:
    """What is to stay of a person at `now` (Unix seconds).

    `scopes`: those in which a withdrawal goes on counting, as a suppression. `always`: a refusal stays in
    these scopes also where none is on record.
    """

    now: int
    scopes: tuple[str, ...] = ("tenant",)
    always: bool = False


def person_keys(contracts: Iterable[HashContract], subject: bytes, block: bytes) -> list[PersonKey]:
    """The keys under which a registry may hold a person (16 bytes each): their own, then foreign lists'."""
    digits = block.rstrip(b"\0")
    foreign = [(contract.code, contract.digest(digits)[:KEPT_BYTES]) for contract in contracts]
    return [(0, subject), *foreign]


def bare_refusals(subject: bytes, log: Sequence[Logged], leave: Leave) -> list[tuple[int, SuppressionEvent]]:
    """All that stays of a person's log (keyed events and those of foreign lists, in order of recording).

    Each with the change number of what it stands for, so that a job which is pinned at an earlier change
    than the forgetting sees the refusals that it would have seen.
    """
    kept: dict[tuple[str, SuppressionReason], tuple[int, SuppressionEvent]] = {}
    for change, entry in (*_standing(log, leave.now), *_withdrawn(log, leave)):
        bare = _bare(subject, entry)
        key = (entry.scope, entry.reason)
        known = kept.get(key)
        kept[key] = (change, bare) if known is None else _stronger(known, (change, bare))
    return sorted(kept.values(), key=_by_change)


def _standing(log: Sequence[Logged], now: int) -> Iterator[tuple[int, SuppressionEntry]]:
    """The entries in force, each with the change number under which it was first made."""
    acts = [(change, event) for change, event in log if isinstance(event, SuppressionEvent)]
    for name in dict.fromkeys(_name(act) for _, act in acts):
        own = [(change, act) for change, act in acts if _name(act) == name]
        for entry in entries(act for _, act in own):
            if not entry.removed and now < entry.until:
                # Also where it was removed and made again since: a pinned job may have seen the first.
                yield next(change for change, act in own if act.act is SuppressionAct.ADDED), entry


def _name(act: SuppressionEvent) -> tuple[int, str, SuppressionReason]:
    return act.contract, act.scope, act.reason


def _withdrawn(log: Sequence[Logged], leave: Leave) -> Iterator[tuple[int, SuppressionEntry]]:
    """The entries that withdrawals turn into, and those that are left in any case."""
    consents = [(change, event) for change, event in log if isinstance(event, ConsentEvent)]
    grants = [event for _, event in consents if event.status is ConsentStatus.GRANTED]
    standing = [
        (change, event)
        for change, event in consents
        if event.status is ConsentStatus.WITHDRAWN and not _is_overruled(event, grants)
    ]
    change, since = min(((change, event.recorded_at) for change, event in standing), default=(NEW, leave.now))
    if standing or leave.always:
        # One change number names one event.
        for number, scope in enumerate(_scopes(leave, (event for _, event in standing))):
            reason = SuppressionReason.OPTED_OUT
            yield (NEW if number else change), SuppressionEntry(scope, reason, since, FOREVER)


def _scopes(leave: Leave, withdrawals: Iterable[ConsentEvent]) -> list[str]:
    senders = (f"sender:{event.sender}" for event in withdrawals if event.sender)
    return list(dict.fromkeys((*leave.scopes, *senders)))


def _is_overruled(withdrawal: ConsentEvent, grants: Iterable[ConsentEvent]) -> bool:
    """Whether a later grant speaks of all that was withdrawn, once all of it has taken effect."""
    return any(
        order_of(grant, LAST_MOMENT) > order_of(withdrawal, LAST_MOMENT)
        and (grant.purpose, grant.channel) == (withdrawal.purpose, withdrawal.channel)
        and grant.sender in {"", withdrawal.sender}
        for grant in grants
    )


def _bare(subject: bytes, entry: SuppressionEntry) -> SuppressionEvent:
    until = None if entry.until >= FOREVER else entry.until
    added = SuppressionAct.ADDED
    return SuppressionEvent(subject, added, entry.scope, entry.reason, entry.since, expires_at=until)


def _stronger(
    one: tuple[int, SuppressionEvent], other: tuple[int, SuppressionEvent]
) -> tuple[int, SuppressionEvent]:
    """Two refusals of one scope and reason as one: from the earlier on, until the later end."""
    (change, first), (_, second) = sorted((one, other), key=_by_change)
    longest = max(first, second, key=lambda event: event.expires_at or FOREVER)
    return change, replace(longest, recorded_at=min(first.recorded_at, second.recorded_at))


def _by_change(stays: tuple[int, SuppressionEvent]) -> tuple[bool, int]:
    return stays[0] == NEW, stays[0]
