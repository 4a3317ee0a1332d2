"""The fold of many histories at once, with the answers of `resolve` and `suppressed_until`.

Histories of the common kinds are folded by array operations; the rest (removals, several senders under a
rule without one) go through the definitions one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus, Standing, resolve
from contact_sanitizer.screening.rule import FOREVER, Rule
from contact_sanitizer.screening.subjectruns import U64, SortedSubjects, subject_bytes
from contact_sanitizer.screening.suppression import (
    SuppressionAct,
    SuppressionEvent,
    SuppressionReason,
    suppressed_until,
)
from contact_sanitizer.screening.verdict import Drop, standing_bits

#: Stands for "undated" and "does not expire" in `EventColumns`.
NO_MOMENT: Final = -1
_AT_ONCE: Final = 1 << 18
_NEVER: Final = np.iinfo(np.int64).min
_KINDS: Final = np.array([*ConsentStatus, *SuppressionAct], np.uint8)
_REMOVED: Final = int(SuppressionAct.REMOVED)


@dataclass(frozen=True, slots=True)
class Terms:
    """What many events have in common, as far as a fold looks at it; unused fields are empty."""

    purpose: str = ""
    channel: str = ""
    sender: str = ""
    scope: str = ""
    reason: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class EventColumns:
    """Events as columns (n,), sorted by subject, within a subject in the order of recording.

    `kind` uint8: a `ConsentStatus` or `SuppressionAct`; `terms` int64: which `Terms`; times int64 Unix
    seconds, `NO_MOMENT` where there is none.
    """

    hi: U64
    lo: U64
    kind: NDArray[np.uint8]
    terms: NDArray[np.int64]
    effective_at: NDArray[np.int64]
    expires_at: NDArray[np.int64]
    recorded_at: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hi)

    def __repr__(self) -> str:
        return f"EventColumns({len(self)})"


@dataclass(frozen=True, slots=True, repr=False)
class Resolutions:
    """What a rule says of each subject: columns (n,) beside `subjects`.

    Granted before `valid_until`, `otherwise` (a `Standing`) from then on, suppressed before
    `blocked_until`; uint32 Unix seconds, `FOREVER` for no end. `unsettled` marks subjects with events that
    take effect later: for them the rest holds only at the moment of the fold.
    """

    subjects: SortedSubjects
    valid_until: NDArray[np.uint32]
    otherwise: NDArray[np.uint8]
    blocked_until: NDArray[np.uint32]
    unsettled: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.subjects)

    def __repr__(self) -> str:
        return f"Resolutions({len(self)})"

    def bits(self, rows: NDArray[np.int64], now: int) -> NDArray[np.uint8]:
        """The `Drop` bits of these rows at `now`, -1 standing for an absent subject: uint8 like `rows`."""
        return verdict_bits(self.valid_until, self.otherwise, self.blocked_until, now)[rows]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Resolutions:
        """The same for some rows only, in the given order."""
        kept = SortedSubjects(self.subjects.hi[rows], self.subjects.lo[rows])
        return Resolutions(
            kept,
            self.valid_until[rows],
            self.otherwise[rows],
            self.blocked_until[rows],
            self.unsettled[rows],
        )

    def telling(self) -> Resolutions:
        """Without the subjects of whom it says no more than of an unknown one."""
        return self.take((self.otherwise != Standing.MISSING) | (self.blocked_until > 0) | self.unsettled)


def verdict_bits(
    valid_until: NDArray[np.uint32], otherwise: NDArray[np.uint8], blocked_until: NDArray[np.uint32], now: int
) -> NDArray[np.uint8]:
    """The `Drop` bits of n resolutions at `now`, and last those of an unknown subject: uint8 (n + 1,).

    So the index -1, which stands for an absent subject, finds its verdict too.
    """
    bits = np.empty(len(otherwise) + 1, np.uint8)
    bits[-1] = Drop.CONSENT_MISSING
    for start in range(0, len(otherwise), _AT_ONCE):
        part = slice(start, min(start + _AT_ONCE, len(otherwise)))
        bits[part] = standing_bits(otherwise[part]) * (valid_until[part] <= now)
        bits[part] |= (blocked_until[part] > now).view(np.uint8)
    return bits


@dataclass(frozen=True, slots=True)
class _Relevance:
    """Which terms count under the rule, one entry a term."""

    grants: NDArray[np.bool_]
    withdrawals: NDArray[np.bool_]
    scopes: NDArray[np.bool_]
    senders: NDArray[np.int64]


def fold_columns(columns: EventColumns, terms: Mapping[int, Terms], rule: Rule, now: int) -> Resolutions:
    """What the rule says of each subject of these columns at `now`, subjects ascending.

    Raises `RegistryError("registry_damaged")` for an event of an unknown kind or without its terms: it might
    be a refusal.
    """
    starts = _starts(columns)
    if not len(starts):
        return _nothing()
    _require_known(columns, terms)
    relevance = _relevance(terms, rule)
    to_come = columns.effective_at > now
    valid_until, otherwise, mixed = _fold_consents(columns, starts, relevance, to_come, rule)
    added = (columns.kind == SuppressionAct.ADDED) & relevance.scopes[columns.terms]
    until = np.where(columns.expires_at == NO_MOMENT, FOREVER, np.minimum(columns.expires_at, FOREVER))
    blocked_until = np.maximum.reduceat(np.where(added, until, 0), starts)
    removals = np.logical_or.reduceat(columns.kind >= _REMOVED, starts)
    resolutions = Resolutions(
        SortedSubjects(columns.hi[starts], columns.lo[starts]),
        valid_until.astype(np.uint32),
        otherwise,
        blocked_until.astype(np.uint32),
        np.logical_or.reduceat(to_come, starts),
    )
    _fold_one_by_one(resolutions, np.flatnonzero(mixed | removals), columns, starts, _Rest(terms, rule, now))
    return resolutions


def _require_known(columns: EventColumns, terms: Mapping[int, Terms]) -> None:
    ordered = np.sort(columns.terms)
    unknown = set(ordered[np.diff(ordered, prepend=-1) != 0].tolist()) - set(terms)
    if unknown or not np.isin(columns.kind, _KINDS).all():
        raise RegistryError("registry_damaged", "The registry holds an event that cannot be understood.")


def _nothing() -> Resolutions:
    u32 = np.empty(0, np.uint32)
    return Resolutions(SortedSubjects.empty(), u32, np.empty(0, np.uint8), u32, np.empty(0, np.bool_))


def _starts(columns: EventColumns) -> NDArray[np.int64]:
    if not len(columns):
        return np.empty(0, np.int64)
    new = np.ones(len(columns), np.bool_)
    new[1:] = (columns.hi[1:] != columns.hi[:-1]) | (columns.lo[1:] != columns.lo[:-1])
    return np.flatnonzero(new)


def _relevance(terms: Mapping[int, Terms], rule: Rule) -> _Relevance:
    size = max(terms, default=0) + 1
    found = _Relevance(
        np.zeros(size, np.bool_), np.zeros(size, np.bool_), np.zeros(size, np.bool_), np.zeros(size, np.int64)
    )
    senders: dict[str, int] = {}
    for number, term in terms.items():
        towards = rule.sender is None or term.sender in {"", rule.sender}
        found.grants[number] = towards and (term.purpose, term.channel) == (rule.purpose, rule.channel)
        found.withdrawals[number] = (
            towards and term.purpose in {"", rule.purpose} and term.channel in {"", rule.channel}
        )
        found.scopes[number] = bool(term.scope) and rule.counts_scope(term.scope)
        # under a rule with a sender all that is relevant is one stream
        found.senders[number] = senders.setdefault(term.sender, len(senders)) if rule.sender is None else 0
    return found


def _fold_consents(
    columns: EventColumns,
    starts: NDArray[np.int64],
    relevance: _Relevance,
    to_come: NDArray[np.bool_],
    rule: Rule,
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.bool_]]:
    """Per subject: valid until, otherwise, and whether several streams meet (then the other two are void)."""
    grants = (columns.kind == ConsentStatus.GRANTED) & ~to_come
    own = grants & relevance.grants[columns.terms]
    refusals = (columns.kind == ConsentStatus.WITHDRAWN) & relevance.withdrawals[columns.terms]
    order = _orders(columns, own, refusals, to_come)
    latest = np.maximum.reduceat(order, starts)
    sizes = np.diff(starts, append=len(columns))
    wins = (order == np.repeat(latest, sizes)) & (own | refusals)
    refused = np.logical_or.reduceat(wins & refusals, starts)
    ends = np.minimum.reduceat(np.where(wins & own, _ends(columns, rule.max_age), FOREVER), starts)
    decided = latest != _NEVER
    valid_until = np.where(decided & ~refused, ends, 0)
    otherwise = np.where(refused, Standing.WITHDRAWN, Standing.EXPIRED)
    elsewhere = np.logical_or.reduceat(grants, starts)
    otherwise = np.where(decided, otherwise, np.where(elsewhere, Standing.OTHER, Standing.MISSING))
    return valid_until, otherwise.astype(np.uint8), _mixed(columns, starts, relevance, own | refusals)


def _orders(
    columns: EventColumns,
    own: NDArray[np.bool_],
    refusals: NDArray[np.bool_],
    to_come: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """As `consent.order_of`; the least integer where an event is not relevant."""
    undated = columns.effective_at == NO_MOMENT
    granted = np.where(undated, -1 - columns.recorded_at, 2 * columns.effective_at)
    refused = 2 * np.where(undated | to_come, columns.recorded_at, columns.effective_at) + 1
    order: NDArray[np.int64] = np.where(own, granted, np.where(refusals, refused, _NEVER))
    return order


def _ends(columns: EventColumns, max_age: int | None) -> NDArray[np.int64]:
    """As `consent.ends_at`."""
    ends = np.where(columns.expires_at == NO_MOMENT, FOREVER, np.minimum(columns.expires_at, FOREVER))
    if max_age is None:
        return ends
    undated = columns.effective_at == NO_MOMENT
    base: NDArray[np.int64] = np.where(undated, columns.recorded_at, columns.effective_at)
    return np.minimum(ends, base + max_age)


def _mixed(
    columns: EventColumns,
    starts: NDArray[np.int64],
    relevance: _Relevance,
    relevant: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    senders = relevance.senders[columns.terms]
    highest = np.maximum.reduceat(np.where(relevant, senders, -1), starts)
    lowest = np.minimum.reduceat(np.where(relevant, senders, np.iinfo(np.int64).max), starts)
    mixed: NDArray[np.bool_] = highest > lowest
    return mixed


@dataclass(frozen=True, slots=True)
class _Rest:
    """What the definitions need beside the events."""

    terms: Mapping[int, Terms]
    rule: Rule
    now: int


def _fold_one_by_one(
    into: Resolutions,
    rows: NDArray[np.int64],
    columns: EventColumns,
    starts: NDArray[np.int64],
    rest: _Rest,
) -> None:
    ends = np.append(starts[1:], len(columns))
    for row in rows.tolist():
        span = range(int(starts[row]), int(ends[row]))
        events = [_event(columns, place, rest.terms) for place in span]
        consent = resolve([e for e in events if isinstance(e, ConsentEvent)], rest.rule, rest.now)
        into.valid_until[row] = consent.valid_until
        into.otherwise[row] = consent.otherwise
        acts = [e for e in events if isinstance(e, SuppressionEvent)]
        into.blocked_until[row] = suppressed_until(acts, rest.rule)


def _event(
    columns: EventColumns, place: int, all_terms: Mapping[int, Terms]
) -> ConsentEvent | SuppressionEvent:
    terms = all_terms[int(columns.terms[place])]
    subject = subject_bytes(columns.hi[place : place + 1], columns.lo[place : place + 1]).tobytes()
    kind, recorded_at = int(columns.kind[place]), int(columns.recorded_at[place])
    expires_at = _moment(columns.expires_at[place])
    if kind in {*ConsentStatus}:
        return ConsentEvent(
            subject,
            ConsentStatus(kind),
            recorded_at,
            terms.purpose,
            terms.channel,
            terms.sender,
            _moment(columns.effective_at[place]),
            expires_at,
        )
    return SuppressionEvent(
        subject,
        SuppressionAct(kind),
        terms.scope,
        SuppressionReason(terms.reason),
        recorded_at,
        terms.actor,
        why="-",
        expires_at=expires_at,
    )


def _moment(value: np.int64) -> int | None:
    return None if value == NO_MOMENT else int(value)
