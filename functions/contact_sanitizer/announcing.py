"""Writes the audit events of one call: the same principal, tenant and correlation in each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contact_sanitizer.audit.events import Action, Event, Outcome
from contact_sanitizer.listid import ListId, sortable_id
from contact_sanitizer.ports import AuditWriter


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a call takes from its surroundings: milliseconds since 1970 UTC, and random bytes."""

    clock: Callable[[], int]
    randomness: Callable[[int], bytes]

    def new_id(self) -> ListId:
        """A fresh sortable id."""
        return sortable_id(self.clock(), self.randomness(10))


@dataclass(frozen=True, slots=True)
class Announcer:
    """Implements `ports.Announce` in somebody's name; `principal` and `tenant` are plain words."""

    audit: AuditWriter
    circumstances: Circumstances
    principal: str
    tenant: str
    correlation: ListId

    def __call__(
        self, action: Action, *, outcome: Outcome = Outcome.BEGUN, uid: str = "", **particulars: Any
    ) -> None:
        """Write one event, or raise `AuditError`; what it announces may happen once this has returned."""
        at = self.circumstances.clock()
        uid = uid or self.circumstances.new_id()
        self.audit.append(
            Event(action, outcome, at, self.principal, self.tenant, self.correlation, uid, **particulars)
        )
