"""What a seal decides once and for all: which segments follow at a size of the log, and in which order."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from contact_sanitizer.errors import AuditError

PLANS: Final = "sealed/"
LINES: Final = "lines/"
LARGEST_PLAN: Final = 4096
"""Entries in one plan; so the plan before another does not begin further back."""
_PLAN_KEY = re.compile(r"sealed/(\d{20})\Z")
_LINES_KEY = re.compile(r"lines/\d{4}/\d\d/\d\d/(\d{20})\Z")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which segments follow at entry `first`, each with its number of entries, decided at `time`.

    `kept`: whether the segments stay where they are once they are sealed.
    """

    first: int
    time: int
    kept: bool
    segments: tuple[tuple[str, int], ...]

    @property
    def size(self) -> int:
        """How many entries it adds."""
        return sum(count for _, count in self.segments)

    @property
    def lines_key(self) -> str:
        """Where its entries lie as lines, where segments stay: below the day of the plan (UTC)."""
        day = datetime.fromtimestamp(self.time / 1000, UTC)
        return f"{LINES}{day:%Y/%m/%d}/{self.first:020}"

    @property
    def names(self) -> set[str]:
        """The segments' names."""
        return {name for name, _ in self.segments}

    def encode(self) -> bytes:
        """The plan's bytes."""
        stated = {
            "first": self.first,
            "format": "contact-sanitizer/seal-plan/v1",
            "kept": self.kept,
            "segments": [list(segment) for segment in self.segments],
            "time": self.time,
        }
        return json.dumps(stated, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse_plan(data: bytes) -> Plan:
    """A plan from its bytes; `AuditError` (`seal_altered`) where they are none."""
    try:
        stated = json.loads(data)
        pairs = tuple((str(name), int(count)) for name, count in stated["segments"])
        plan = Plan(int(stated["first"]), int(stated["time"]), bool(stated["kept"]), pairs)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise AuditError("seal_altered", "a plan of the seal is damaged") from None
    if plan.encode() != data or not pairs or any(count < 1 for _, count in pairs):
        raise AuditError("seal_altered", "a plan of the seal is damaged")
    return plan


def plan_key(first: int) -> str:
    """Where the plan lies of what follows at entry `first`."""
    return f"{PLANS}{first:020}"


def parse_plan_key(key: str) -> int | None:
    """The entry that the plan at `key` begins with, or None where no plan lies there."""
    found = _PLAN_KEY.match(key)
    return int(found.group(1)) if found else None


def parse_lines_key(key: str) -> int | None:
    """The entry that the lines at `key` begin with, or None where none lie there."""
    found = _LINES_KEY.match(key)
    return int(found.group(1)) if found else None


def lines_of(entries: Sequence[bytes]) -> bytes:
    """Entries as lines: the same bytes that their segments have."""
    return b"".join([entry + b"\n" for entry in entries])
