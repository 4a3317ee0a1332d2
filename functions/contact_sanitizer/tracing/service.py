"""Asking for a trace where somebody else reads: a stack's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class TraceService(Protocol):
    """Tells stories as `trace_document` writes them. Every fault is a `RequestError`."""

    def tell(self, phone: str, region: str) -> Mapping[str, Any]:
        """The story of a phone's owner; `region`: where a number without + belongs."""
        ...
