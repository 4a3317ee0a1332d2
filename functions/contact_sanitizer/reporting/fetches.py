"""Who fetched what: deliveries and redemptions, by sender."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from contact_sanitizer.audit.actions import Action
from contact_sanitizer.reporting.entries import Told
from contact_sanitizer.reporting.showing import MOST_TOLD, moment

#: Words of `tokens.redeemed` for tokens that the caller's sender could not redeem.
NOT_ITS_OWN: Final = (
    "other_purpose",
    "other_audience",
    "token_forged",
    "token_malformed",
    "key_unknown",
    "key_destroyed",
)
_NO_REFUSAL: Final = frozenset({"rows"})
UNNAMED: Final = "(not named)"


@dataclass(slots=True)
class _Sender:
    name: str
    deliveries: int = 0
    again: int = 0
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    lists: set[str] = field(default_factory=set)
    redemptions: Counter[str] = field(default_factory=Counter)
    denied: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    callers: set[str] = field(default_factory=set)
    last_at: int = 0

    def document(self) -> dict[str, Any]:
        return {
            "sender": self.name,
            "deliveries": self.deliveries,
            "deliveries_told_again": self.again,
            "deliveries_failed": self.failed,
            "lists": len(self.lists),
            "rows": self.rows,
            "left_out": sum(self.left_out.values()),
            "left_out_by_reason": dict(sorted(self.left_out.items())),
            "tokens": self.redemptions["tokens"],
            "redeemed": self.redemptions["redeemed"],
            "refused": self.redemptions["refused"],
            "not_its_own": {word: n for word in NOT_ITS_OWN if (n := self.redemptions[word])},
            "requests_refused": sum(self.denied.values()),
            "requests_refused_by_code": dict(sorted(self.denied.items())),
            "callers": sorted(self.callers)[:MOST_TOLD],
            "last_at": moment(self.last_at),
        }


@dataclass(slots=True)
class Fetches:
    """The senders of a period. A delivery that is told again is counted once."""

    WANTED: ClassVar[frozenset[str] | None] = frozenset(
        {
            Action.DELIVERY_PUBLISHED,
            Action.DELIVERY_FAILED,
            Action.DELIVERY_DENIED,
            Action.TOKENS_REDEEMED,
            Action.TOKENS_DENIED,
            Action.RECALLS_DENIED,
        }
    )

    _senders: dict[str, _Sender] = field(default_factory=dict)

    def take(self, events: Iterable[Told]) -> None:
        """Take note of events of the period."""
        for event in events:
            sender = self._of(event)
            match event.action:
                case Action.TOKENS_REDEEMED:
                    redemptions = sender.redemptions
                    for word, count in event.counts.items():
                        redemptions[word] += count
                case Action.DELIVERY_PUBLISHED:
                    self._deliver(sender, event)
                case Action.DELIVERY_FAILED:
                    sender.failed += 1
                case Action.DELIVERY_DENIED | Action.TOKENS_DENIED | Action.RECALLS_DENIED:
                    sender.denied[event.code or "unknown"] += 1

    def _of(self, event: Told) -> _Sender:
        name = event.sender or UNNAMED
        found = self._senders.get(name)
        if found is None:
            found = self._senders[name] = _Sender(name)
        if len(found.callers) < MOST_TOLD:
            found.callers.add(event.principal)
        found.last_at = max(found.last_at, event.at)
        return found

    def _deliver(self, sender: _Sender, event: Told) -> None:
        if event.again:
            sender.again += 1
            return
        sender.deliveries += 1
        sender.rows += event.counts.get("rows", 0)
        sender.left_out.update({word: n for word, n in event.counts.items() if word not in _NO_REFUSAL})
        sender.lists.add(event.list_id)

    def document(self) -> dict[str, Any]:
        """Sums over all senders, and each sender, by name."""
        each = [self._senders[name].document() for name in sorted(self._senders)]
        summed = ("deliveries", "rows", "left_out", "tokens", "redeemed", "refused", "requests_refused")
        return {
            **{word: sum(one[word] for one in each) for word in summed},
            "not_its_own": sum(sum(one["not_its_own"].values()) for one in each),
            "senders": each[:MOST_TOLD],
        }
