"""Audit events as immutable objects: one a segment, there before the effect that it announces."""

from __future__ import annotations

from dataclasses import dataclass

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.events import Event
from contact_sanitizer.errors import AuditError
from contact_sanitizer.ports import Objects


@dataclass(frozen=True, slots=True)
class AuditSegments:
    """Implements `ports.AuditLog` on objects: `segments/UID`, written only where there is none."""

    objects: Objects

    def append(self, event: Event) -> None:
        """Keep the event for good, or raise `AuditError`; the same event again changes nothing."""
        segments.append(self.objects, [event])

    def conclude(self, now: int, *, heartbeat: bool = False) -> None:
        """Nothing: the stack's own seal comes by the clock, and nobody else may sign."""

    def public_keys(self) -> str:
        """The verifier keys that the seal put beside the log; `AuditError` (`audit_missing`) before then."""
        keys = self.objects.get("public-key")
        if keys is None:
            raise AuditError("audit_missing", "the audit log was never sealed yet")
        return keys.decode("ascii", "replace")
