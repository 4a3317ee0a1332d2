"""Consent: an append-only history, and its state as a fold over it.

The state is a function of the *set* of events: it does not matter in which order they arrived.
Default: unknown is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.rule import FOREVER, Rule, name_of

#: The last second of the year 9999: later moments are refused.
LAST_MOMENT = 253_402_300_799
_SUBJECT_BYTES = 16


class ConsentStatus(IntEnum):
    """What a consent event says."""

    GRANTED = 1
    WITHDRAWN = 2


class Standing(IntEnum):
    """Where a person stands under one rule; only `GRANTED` allows anything."""

    GRANTED = 0
    MISSING = 1
    WITHDRAWN = 2
    EXPIRED = 3
    OTHER = 4


@dataclass(frozen=True, slots=True, repr=False)
class ConsentEvent:
    """One statement about one person's consent.

    Times are Unix seconds (UTC). `effective_at` None: the statement is undated. A grant states its
    purpose and channel; an empty sender covers every sender of the tenant. In a withdrawal an empty
    purpose, channel or sender means all of them. `sealed` is an opaque copy of the number.
    `occasion` tells apart undated withdrawals that say the same (the digest of the file they came in).
    Raises `RegistryError("event_refused")` where it says something impossible.
    """

    subject: bytes
    status: ConsentStatus
    recorded_at: int
    purpose: str = ""
    channel: str = ""
    sender: str = ""
    effective_at: int | None = None
    expires_at: int | None = None
    source: str = ""
    reference: str = ""
    wording: str = ""
    wording_sha256: str = ""
    recorded_by: str = ""
    sealed: bytes = b""
    occasion: str = ""

    def __post_init__(self) -> None:
        for name in ("purpose", "channel", "sender"):
            object.__setattr__(self, name, name_of(getattr(self, name)))
        if self.status is ConsentStatus.GRANTED and not (self.purpose and self.channel):
            raise RegistryError("event_refused", "A grant states its purpose and its channel.")
        check_subject(self.subject)
        check_moments(self.recorded_at, self.effective_at, self.expires_at)

    def __repr__(self) -> str:
        return f"ConsentEvent({self.status.name.lower()})"


@dataclass(frozen=True, slots=True)
class Resolution:
    """Granted before `valid_until` (0: never, `FOREVER`: without end), and `otherwise` from then on."""

    valid_until: int
    otherwise: Standing
    because: ConsentEvent | None

    def at(self, now: int) -> Standing:
        """The standing at a moment not before the one that the history was resolved for."""
        return Standing.GRANTED if now < self.valid_until else self.otherwise


@dataclass(frozen=True, slots=True)
class ConsentState:
    """Where a person stands at one moment, until when at most, and the event that decided it."""

    standing: Standing
    valid_until: int
    because: ConsentEvent | None


def check_subject(subject: bytes) -> None:
    """Raises `RegistryError("event_refused")` unless the subject has 16 bytes."""
    if len(subject) != _SUBJECT_BYTES:
        raise RegistryError("event_refused", "A subject has 16 bytes.")


def check_moments(*moments: int | None) -> None:
    """Raises `RegistryError("event_refused")` unless each moment lies between 1970 and 9999."""
    if not all(m is None or 0 <= m <= LAST_MOMENT for m in moments):
        raise RegistryError("event_refused", "A moment lies between the years 1970 and 9999.")


def fold(events: Iterable[ConsentEvent], rule: Rule, now: int, as_of: int | None = None) -> ConsentState:
    """One person's state at `now`, from the events that were known (`recorded_at`) at `as_of`.

    Latest `effective_at` wins, at a tie the refusal, between equal grants the one that ends first. An
    undated grant comes before all that is dated and before every withdrawal, and between undated grants the
    first recorded counts: uploading a list again makes no consent younger. A grant that takes effect after
    `now` does not count yet. A withdrawal counts as soon as it is known: an undated one, and until its own
    moment one that names a moment to come, has the place of its recording. So neither a clock that is ahead
    nor a date in the future lets anybody be contacted who is known to have refused.
    """
    known = [e for e in events if as_of is None or e.recorded_at <= as_of]
    resolution = resolve(known, rule, now)
    return ConsentState(resolution.at(now), resolution.valid_until, resolution.because)


def resolve(events: Iterable[ConsentEvent], rule: Rule, now: int) -> Resolution:
    """One person's resolution from the events in force at `now`; it holds until one more takes force."""
    in_force = [e for e in events if _is_in_force(e, now)]
    relevant = [e for e in in_force if _is_relevant(e, rule)]
    if not relevant:
        other = next((e for e in in_force if e.status is ConsentStatus.GRANTED), None)
        return Resolution(0, Standing.OTHER if other else Standing.MISSING, other)
    return _best([_resolve_stream(stream, rule, now) for stream in _streams(relevant, rule)])


def order_of(event: ConsentEvent, now: int) -> int:
    """An event's place at `now`, higher wins: even for dated grants, odd for withdrawals, else negative."""
    if event.status is ConsentStatus.WITHDRAWN:
        stated = event.effective_at
        return 2 * (event.recorded_at if stated is None or stated > now else stated) + 1
    return -1 - event.recorded_at if event.effective_at is None else 2 * event.effective_at


def ends_at(event: ConsentEvent, max_age: int | None) -> int:
    """When a grant ends, by its expiry or its age; `FOREVER` where it does not."""
    ends = FOREVER if event.expires_at is None else event.expires_at
    if max_age is not None:
        ends = min(ends, (event.recorded_at if event.effective_at is None else event.effective_at) + max_age)
    return min(ends, FOREVER)


def _is_in_force(event: ConsentEvent, now: int) -> bool:
    withdrawn = event.status is ConsentStatus.WITHDRAWN
    return withdrawn or event.effective_at is None or event.effective_at <= now


def _is_relevant(event: ConsentEvent, rule: Rule) -> bool:
    if event.status is ConsentStatus.GRANTED:
        same = event.purpose == rule.purpose and event.channel == rule.channel
    else:
        same = event.purpose in {"", rule.purpose} and event.channel in {"", rule.channel}
    return same and (rule.sender is None or event.sender in {"", rule.sender})


def _streams(relevant: Sequence[ConsentEvent], rule: Rule) -> list[list[ConsentEvent]]:
    """Events that can overrule each other: all under a rule with a sender; else one stream a sender."""
    senders = {e.sender for e in relevant}
    if rule.sender is not None or len(senders) == 1:
        return [list(relevant)]
    granting = {e.sender for e in relevant if e.status is ConsentStatus.GRANTED}
    return [[e for e in relevant if _meets(e, sender)] for sender in sorted(granting or senders)]


def _meets(event: ConsentEvent, sender: str) -> bool:
    """Whether an event counts for this sender's grants; a grant to all falls with any withdrawal."""
    if event.status is ConsentStatus.GRANTED:
        return event.sender == sender
    return not sender or event.sender in {"", sender}


def _resolve_stream(stream: Sequence[ConsentEvent], rule: Rule, now: int) -> Resolution:
    latest = max(order_of(e, now) for e in stream)
    winners = [e for e in stream if order_of(e, now) == latest]
    if winners[0].status is ConsentStatus.WITHDRAWN:
        return Resolution(0, Standing.WITHDRAWN, winners[0])
    winner = min(winners, key=lambda e: ends_at(e, rule.max_age))
    return Resolution(ends_at(winner, rule.max_age), Standing.EXPIRED, winner)


def _best(resolutions: Sequence[Resolution]) -> Resolution:
    """The grant that lasts longest; after it a withdrawal weighs more than an expiry."""
    best = max(resolutions, key=lambda r: r.valid_until)
    return Resolution(best.valid_until, min(r.otherwise for r in resolutions), best.because)
