"""Audit events as immutable objects: one a segment, there before the effect that it announces."""

from __future__ import annotations

from dataclasses import dataclass

from contact_sanitizer.audit.events import Event
from contact_sanitizer.errors import AuditError
from contact_sanitizer.ports import Objects


@dataclass(frozen=True, slots=True)
class AuditSegments:
    """Implements `ports.AuditLog` on objects: `segments/UID`, written only where there is none."""

    objects: Objects

    def append(self, event: Event) -> None:
        """Keep the event for good, or raise `AuditError`; the same event again changes nothing."""
        key, line = f"segments/{event.uid}", event.line()
        if not self.objects.put(key, line, absent=True) and self.objects.get(key) is None:
            raise AuditError("audit_unwritable", "the audit log cannot be written, so nothing was done")
