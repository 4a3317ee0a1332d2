"""What a report has found that somebody should look at, in the order in which it matters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to look at: a sentence, and the part of the page that says more."""

    said: str
    anchor: str
    link: str


def asks_of(document: dict[str, Any]) -> Iterator[Ask]:
    """Everything in a verified report that asks for a look."""
    verification, recalls, registry = document["verification"], document["recalls"], document["registry"]
    if verification["keys_from"] == "folder":
        yield Ask(
            "The key was taken from the log's own folder: verify with one that you keep.", "verdict", "Key"
        )
    if count := verification["gaps_count"]:
        yield Ask(f"No seal came when one was due: {_times(count)}.", "seals", "Seals")
    for rule in document["unusual"]:
        if rule["count"]:
            said = f"{rule['title']}: {_times(rule['count'])}."
            yield Ask(said, f"rule-{rule['rule']}", "Findings")
    if count := recalls["pending"]:
        yield Ask(f"Recalls that no sender has acknowledged: {count:,}.", "recalls", "Deliveries")
    if count := registry["imports"]["without_result"]:
        yield Ask(f"Imports that told of no result: {count:,}.", "people", "Consents")
    if count := registry["handling"]["complaints"]["without_asked_at"]:
        yield Ask(
            f"Complaints recorded without saying when they were made: {count:,}.", "people", "Complaints"
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
