"""Suppression: entries that forbid, their expiry and their removal, as a fold over events.

Suppression beats consent. What was recorded stays recorded: a removal is one more event.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Final

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.consent import check_moments, check_subject
from contact_sanitizer.screening.rule import FOREVER, SCOPES, Rule, name_of


class SuppressionReason(StrEnum):
    """Why somebody must not be contacted."""

    OPTED_OUT = "opted_out"
    COMPLAINT = "complaint"
    REGULATOR = "regulator"
    OPERATOR = "operator"
    LITIGATION = "litigation"
    REASSIGNED = "reassigned"

    @property
    def needs_second_person(self) -> bool:
        """True where the removal counts only once a second person has approved it."""
        return self in _TWO_PERSONS


_TWO_PERSONS: Final = frozenset({SuppressionReason.REGULATOR, SuppressionReason.COMPLAINT})


class SuppressionAct(IntEnum):
    """What a suppression event does."""

    ADDED = 3
    REMOVED = 4
    APPROVED = 5


@dataclass(frozen=True, slots=True, repr=False)
class SuppressionEvent:
    """One act on the entry that (subject, scope, reason) names; times are Unix seconds (UTC).

    `contract` is 0 where `subject` is a keyed subject, else the code of the `HashContract` under which
    `subject` is the first 16 bytes of somebody else's hash. A removal and its approval say who and why.
    `occasion` tells apart entries that say the same (the digest of the file they came in).
    Raises `RegistryError("event_refused")` or `("removal_refused")` where it says something impossible.
    """

    subject: bytes
    act: SuppressionAct
    scope: str
    reason: SuppressionReason
    recorded_at: int
    recorded_by: str = ""
    source: str = ""
    reference: str = ""
    why: str = ""
    expires_at: int | None = None
    sealed: bytes = b""
    occasion: str = ""
    contract: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scope", scope_of(self.scope))
        check_subject(self.subject)
        check_moments(self.recorded_at, self.expires_at)
        signed = bool(name_of(self.recorded_by) and self.why.strip())
        if self.act is not SuppressionAct.ADDED and not signed:
            raise RegistryError("removal_refused", "A removal says who removes and why.")

    def __repr__(self) -> str:
        return f"SuppressionEvent({self.act.name.lower()}, {self.reason.value})"


@dataclass(frozen=True, slots=True)
class SuppressionEntry:
    """The present state of one entry. `until` is when it ends (`FOREVER`: without end).

    `removal_by` names who asked for a removal that a second person has not approved yet.
    """

    scope: str
    reason: SuppressionReason
    since: int
    until: int
    removed: bool = False
    removal_by: str | None = None

    def forbids(self, rule: Rule, now: int) -> bool:
        """True where the entry speaks against use under this rule at this moment."""
        return not self.removed and now < self.until and rule.counts_scope(self.scope)

    def state(self, now: int) -> str:
        """How it stands at a moment: `in force`, `removal asked` (and in force), `expired` or `removed`."""
        if self.removed:
            return "removed"
        if now >= self.until:
            return "expired"
        return "removal asked" if self.removal_by else "in force"


def scope_of(text: str) -> str:
    """`global`, `tenant` or `sender:NAME` as compared; raises `RegistryError("event_refused")` for others."""
    kind, colon, name = name_of(text).partition(":")
    name = name.strip()
    if kind not in SCOPES or bool(name) != (kind == "sender") or (colon and not name):
        raise RegistryError("event_refused", "A scope is global, tenant or sender:NAME.")
    return f"{kind}:{name}" if name else kind


def entries(events: Iterable[SuppressionEvent], as_of: int | None = None) -> list[SuppressionEntry]:
    """All entries of one person in the order in which they first appeared, from what was known at `as_of`.

    `events` come in the order in which they were recorded. An entry that is added again never ends
    earlier than before; a removal ends what was added before it, at once or when approved.
    """
    state: dict[tuple[str, SuppressionReason], SuppressionEntry] = {}
    for event in events:
        if as_of is None or event.recorded_at <= as_of:
            _STEPS[event.act](state, event)
    return list(state.values())


def suppressed_until(events: Iterable[SuppressionEvent], rule: Rule) -> int:
    """When the last entry that counts under the rule ends: 0 for none, `FOREVER` for never."""
    return max((e.until for e in entries(events) if not e.removed and rule.counts_scope(e.scope)), default=0)


def same_person(one: str, other: str) -> bool:
    """True where two actors' names are the same however they are written."""
    return name_of(one) == name_of(other)


_State = dict[tuple[str, SuppressionReason], SuppressionEntry]


def _add(state: _State, event: SuppressionEvent) -> None:
    key = (event.scope, event.reason)
    until = FOREVER if event.expires_at is None else min(event.expires_at, FOREVER)
    old = state.get(key)
    if old is None or old.removed:
        state[key] = SuppressionEntry(event.scope, event.reason, event.recorded_at, until)
    else:
        # a request to remove what was known before does not reach what is added after it
        state[key] = replace(old, until=max(old.until, until), removal_by=None)


def _remove(state: _State, event: SuppressionEvent) -> None:
    key = (event.scope, event.reason)
    if (old := state.get(key)) is None or old.removed:
        return
    if event.reason.needs_second_person:
        state[key] = replace(old, removal_by=event.recorded_by)
    else:
        state[key] = replace(old, removed=True)


def _approve(state: _State, event: SuppressionEvent) -> None:
    key = (event.scope, event.reason)
    old = state.get(key)
    if old and old.removal_by is not None and not same_person(old.removal_by, event.recorded_by):
        state[key] = replace(old, removed=True, removal_by=None)


_STEPS = {
    SuppressionAct.ADDED: _add,
    SuppressionAct.REMOVED: _remove,
    SuppressionAct.APPROVED: _approve,
}
