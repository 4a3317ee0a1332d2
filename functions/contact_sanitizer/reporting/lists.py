"""Lists: what was uploaded, what became of each row, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from contact_sanitizer.audit.actions import Action
from contact_sanitizer.reasons import Reason
from contact_sanitizer.reporting.entries import Told
from contact_sanitizer.reporting.showing import MOST_TOLD, moment

_DROPS: Final = {reason.word: reason.drops for reason in Reason}
_WHOLE: Final = frozenset({"rows", "kept"})


def split_rows(counts: Mapping[str, int]) -> tuple[int, int, int]:
    """Rows kept, dropped and rejected, from the counts of a `list.published`."""
    dropped = sum(count for word, count in counts.items() if _DROPS.get(word, False))
    kept = counts.get("kept", 0)
    return kept, dropped, max(counts.get("rows", 0) - kept - dropped, 0)


@dataclass(slots=True)
class _List:
    list_id: str
    by: str
    purpose: str = ""
    started_at: int | None = None
    published_at: int | None = None
    rows: tuple[int, int, int] = (0, 0, 0)
    code: str = ""
    fetches: int = 0

    @property
    def state(self) -> str:
        if self.published_at is not None:
            return "published"
        return "failed" if self.code else "begun"

    def document(self) -> dict[str, Any]:
        kept, dropped, rejected = self.rows
        return {
            "list_id": self.list_id,
            "state": self.state,
            "by": self.by,
            "purpose": self.purpose,
            "started_at": moment(self.started_at),
            "published_at": moment(self.published_at),
            "rows": sum(self.rows),
            "kept": kept,
            "dropped": dropped,
            "rejected": rejected,
            "deliveries": self.fetches,
            **({"code": self.code} if self.state == "failed" else {}),
        }


@dataclass(slots=True)
class Lists:
    """The lists of a period. A list that several attempts tell of is one list."""

    WANTED: ClassVar[frozenset[str] | None] = frozenset(
        {
            Action.LIST_STARTED,
            Action.LIST_PUBLISHED,
            Action.LIST_FAILED,
            Action.DELIVERY_PUBLISHED,
            Action.UPLOAD_REQUESTED,
            Action.UPLOAD_DENIED,
        }
    )

    _lists: dict[str, _List] = field(default_factory=dict)
    _reasons: Counter[str] = field(default_factory=Counter)
    _requested: int = 0
    _refused: Counter[str] = field(default_factory=Counter)

    def take(self, events: Iterable[Told]) -> None:
        """Take note of events of the period."""
        for event in events:
            self._take(event)

    def _take(self, event: Told) -> None:
        match event.action:
            case Action.LIST_STARTED:
                self._of(event).started_at = event.at
            case Action.LIST_PUBLISHED if not event.again:
                self._publish(event)
            case Action.LIST_FAILED:
                self._of(event).code = event.code or "unknown"
            case Action.DELIVERY_PUBLISHED if event.list_id in self._lists and not event.again:
                self._lists[event.list_id].fetches += 1
            case Action.UPLOAD_REQUESTED:
                self._requested += 1
            case Action.UPLOAD_DENIED:
                self._refused[event.code or "unknown"] += 1

    def _of(self, event: Told) -> _List:
        found = self._lists.get(event.list_id)
        if found is None:
            found = self._lists[event.list_id] = _List(event.list_id, event.principal, event.purpose)
        return found

    def _publish(self, event: Told) -> None:
        made = self._of(event)
        made.published_at, made.rows = event.at, split_rows(event.counts)
        self._reasons.update({word: n for word, n in event.counts.items() if word not in _WHOLE})

    def document(self) -> dict[str, Any]:
        """Sums, reasons (most frequent first) and the newest lists."""
        states = Counter(each.state for each in self._lists.values())
        kept, dropped, rejected = (
            sum(each.rows[place] for each in self._lists.values()) for place in range(3)
        )
        newest = sorted(self._lists.values(), key=lambda each: each.list_id, reverse=True)[:MOST_TOLD]
        return {
            "begun": len(self._lists),
            "published": states["published"],
            "failed": states["failed"],
            "upload_forms_requested": self._requested,
            "uploads_refused": sum(self._refused.values()),
            "uploads_refused_by_code": dict(sorted(self._refused.items())),
            "rows": kept + dropped + rejected,
            "kept": kept,
            "dropped": dropped,
            "rejected": rejected,
            "reasons": [
                {"reason": word, "outcome": "dropped" if _DROPS.get(word, False) else "rejected", "rows": n}
                for word, n in sorted(self._reasons.items(), key=lambda item: (-item[1], item[0]))
            ],
            "newest": [each.document() for each in newest],
        }
