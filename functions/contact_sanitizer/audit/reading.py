"""Reading the log for a person: its events in order, whether sealed or still waiting.

Nothing is verified here: whoever has to rely on what is read verifies first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.actions import Outcome
from contact_sanitizer.audit.tiles import CHECKPOINT
from contact_sanitizer.audit.tree import Tree
from contact_sanitizer.errors import AuditError

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects

_OUTCOMES: Final = {99: Outcome.BEGUN, 1: Outcome.SUCCESS, 2: Outcome.FAILURE}


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as it stands in the log. `index`: its number, None while it waits for the seal.

    `at`: milliseconds since 1970 UTC. `particulars`: what the event states beside, by name.
    """

    index: int | None
    uid: str
    at: int
    action: str
    outcome: Outcome
    principal: str
    tenant: str
    correlation: str
    particulars: Mapping[str, Any] = field(default_factory=dict)

    @property
    def list_id(self) -> str | None:
        """The list that it is about."""
        return self.particulars.get("list_id")

    @property
    def counts(self) -> Mapping[str, int]:
        """Its counts by word."""
        counts: Mapping[str, int] = self.particulars.get("counts", {})
        return counts


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted; what is None does not matter. Moments in milliseconds since 1970 UTC.

    `action`: a whole action, or the noun before its dot.
    """

    tenant: str | None = None
    since: int | None = None
    until: int | None = None
    principal: str | None = None
    action: str | None = None
    list_id: str | None = None
    outcome: Outcome | None = None

    def takes(self, event: Seen) -> bool:
        """Whether the event is wanted."""
        pairs = (
            (self.tenant, event.tenant),
            (self.principal, event.principal),
            (self.list_id, event.list_id),
            (self.outcome, event.outcome),
        )
        return (
            all(wanted is None or wanted == stated for wanted, stated in pairs)
            and (self.since is None or event.at >= self.since)
            and (self.until is None or event.at < self.until)
            and self.action in {None, event.action, event.action.partition(".")[0]}
        )


def tree_size(objects: Objects) -> int:
    """How many events the newest checkpoint says are sealed; 0 where there is none."""
    lines = (objects.get(CHECKPOINT) or b"").split(b"\n")
    return int(lines[1]) if len(lines) > 1 and lines[1].isdigit() else 0


def all_entries(objects: Objects) -> Iterator[bytes]:
    """The entries of all events, the sealed ones in their order, then those that wait."""
    yield from (entry for _, entry in _numbered(objects))


def all_events(objects: Objects) -> Iterator[Seen]:
    """All events, as above. `AuditError` (`audit_damaged`) where one is none."""
    for index, entry in _numbered(objects):
        yield parse_entry(entry, index)


def _numbered(objects: Objects) -> Iterator[tuple[int | None, bytes]]:
    # Names first: what is sealed while this reads is then found among the sealed ones, and not missed.
    waiting = list(segments.waiting(objects))
    size, recent = tree_size(objects), set[str]()
    for index, entry in Tree(objects, size).entries_from(0):
        uid = segments.entry_id(entry)
        if waiting and uid and uid >= waiting[0]:
            recent.add(uid)
        yield index, entry
    later = {name: segments.read(objects, name) for name in waiting if name not in recent}
    there = {name: entries for name, entries in later.items() if entries}
    for name in sorted(there, key=lambda name: segments.order(name, there[name])):
        for entry in there[name]:
            yield None, entry


def parse_entry(entry: bytes, index: int | None) -> Seen:
    """An entry as an event; `AuditError` (`audit_damaged`) where it is none."""
    try:
        stated = json.loads(entry)
        metadata = stated["metadata"]
        return Seen(
            index,
            str(metadata["uid"]),
            int(stated["time"]),
            str(stated["api"]["operation"]),
            _OUTCOMES[stated["status_id"]],
            str(stated["actor"]["user"]["uid"]),
            str(metadata["tenant_uid"]),
            str(metadata["correlation_uid"]),
            dict(stated["unmapped"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise AuditError("audit_damaged", "an audit event cannot be read") from None
