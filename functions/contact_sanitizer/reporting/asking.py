"""What a report has found that somebody should look at, in the order in which it matters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contact_sanitizer.reporting.showing import how_many


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to look at: what, how much of it, and the part of the page that says more."""

    what: str
    said: str
    anchor: str


def asks_of(document: dict[str, Any]) -> Iterator[Ask]:
    """Everything in a verified report that asks for a look."""
    verification, recalls, registry = document["verification"], document["recalls"], document["registry"]
    if verification["keys_from"] == "folder":
        yield Ask(
            "The key", "it was taken from the log's own folder; verify with one that you keep", "verdict"
        )
    if count := verification["gaps_count"]:
        yield Ask("Gaps between seals", how_many(count, "gap"), "seals")
    for rule in document["unusual"]:
        if rule["count"]:
            whom = sorted({finding["who"] for finding in rule["findings"]})
            who = whom[0] if len(whom) == 1 else f"{whom[0]} and {how_many(len(whom) - 1, 'other')}"
            yield Ask(rule["title"], f"{how_many(rule['count'], 'finding')} ({who})", f"rule-{rule['rule']}")
    if count := recalls["pending"]:
        yield Ask("Recalls that no sender has acknowledged", how_many(count, "recall"), "recalls")
    if count := registry["imports"]["failed"]:
        yield Ask("Imports that failed", how_many(count, "import"), "people")
    if count := registry["imports"]["without_result"]:
        yield Ask("Imports that told of no result", how_many(count, "import"), "people")
    if count := registry["handling"]["complaints"]["without_asked_at"]:
        yield Ask(
            "Complaints of which nobody said when they were made", how_many(count, "complaint"), "people"
        )
