"""What people said: consents, withdrawals, opt-outs, complaints, and how long those took to be recorded."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.reporting.entries import Told
from contact_sanitizer.reporting.period import DAY

COMPLAINT: Final = "complaint"
_OPT_OUTS: Final = frozenset({"opt_out", COMPLAINT})
_LIMITS: Final = (("within_a_day", DAY), ("within_ten_days", 10 * DAY))


@dataclass(slots=True)
class Handling:
    """How long it took from when people asked to when it was recorded, weighed by how many they were."""

    unsaid: int = 0
    _took: array[int] = field(default_factory=lambda: array("q"))
    _people: array[int] = field(default_factory=lambda: array("q"))

    def take(self, event: Told, people: int) -> None:
        """So many people's requests, which the event records."""
        if event.asked_at is None:
            self.unsaid += people
        elif people:
            self._took.append(max(event.at - event.asked_at, 0))
            self._people.append(people)

    def document(self) -> dict[str, Any]:
        """Counts, and seconds: median, what 95 of 100 did not exceed, slowest; None where none is known."""
        pairs = sorted(zip(self._took, self._people, strict=True))
        timed = sum(self._people)
        return {
            "count": timed + self.unsaid,
            "timed": timed,
            "without_asked_at": self.unsaid,
            "median_seconds": _rank(pairs, timed, 50),
            "p95_seconds": _rank(pairs, timed, 95),
            "slowest_seconds": _rank(pairs, timed, 100),
            **{word: sum(people for took, people in pairs if took <= limit) for word, limit in _LIMITS},
        }


def _import_of(event: Told) -> str:
    # In a stack an import that failed is tried again under the id that it was announced with.
    return event.list_id or event.uid


def _rank(pairs: Sequence[tuple[int, int]], timed: int, percent: int) -> int | None:
    """The nearest-rank percentile, in whole seconds."""
    wanted, passed = -(-timed * percent // 100), 0
    for took, people in pairs:
        passed += people
        if passed >= wanted:
            return took // 1000
    return None


@dataclass(slots=True)
class Choices:
    """What was recorded of people's choices in a period, one by one or in files."""

    WANTED: ClassVar[frozenset[str] | None] = frozenset(
        {
            Action.CONSENT_RECORDED,
            Action.CONSENT_WITHDRAWN,
            Action.OPTOUT_RECORDED,
            Action.BLOCK_ADDED,
            Action.BLOCK_REMOVED,
            Action.PERSON_ERASED,
            Action.CONSENT_IMPORTED,
            Action.BLOCK_IMPORTED,
            Action.REGISTRY_IMPORTED,
        }
    )

    _consents: Counter[str] = field(default_factory=Counter)
    _replies: Counter[str] = field(default_factory=Counter)
    _blocks: Counter[str] = field(default_factory=Counter)
    _removed: int = 0
    _erased: Counter[Outcome] = field(default_factory=Counter)
    _imports: Counter[str] = field(default_factory=Counter)
    _imported: Counter[str] = field(default_factory=Counter)
    _succeeded: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _complaints: Handling = field(default_factory=Handling)
    _opt_outs: Handling = field(default_factory=Handling)
    _withdrawals: Handling = field(default_factory=Handling)

    def take(self, events: Iterable[Told]) -> None:
        """Take note of events of the period."""
        for event in events:
            self._take(event)

    def _take(self, event: Told) -> None:
        match event.action:
            case Action.CONSENT_RECORDED:
                self._consents["granted"] += event.counts.get("events", 1)
            case Action.CONSENT_WITHDRAWN:
                people = event.counts.get("events", 1)
                self._consents["withdrawn"] += people
                self._withdrawals.take(event, people)
            case Action.OPTOUT_RECORDED:
                self._reply(event)
            case Action.BLOCK_ADDED:
                self._blocks.update(event.counts)
                self._complaints.take(event, event.counts.get(COMPLAINT, 0))
            case Action.BLOCK_REMOVED:
                self._removed += event.counts.get("entries", 1)
            case Action.PERSON_ERASED:
                self._erased[event.outcome] += 1
            case Action.CONSENT_IMPORTED | Action.BLOCK_IMPORTED:
                self._imports[event.action] += 1
            case Action.REGISTRY_IMPORTED if event.outcome is Outcome.SUCCESS:
                self._imports["concluded"] += 1
                self._imported.update(event.counts)
                self._succeeded.add(_import_of(event))
            case Action.REGISTRY_IMPORTED if event.outcome is Outcome.FAILURE:
                self._failed.add(_import_of(event))

    def _reply(self, event: Told) -> None:
        self._replies.update(event.counts)
        self._complaints.take(event, event.counts.get(COMPLAINT, 0))
        self._opt_outs.take(event, sum(event.counts.get(word, 0) for word in _OPT_OUTS))

    def document(self) -> dict[str, Any]:
        """Sums, and handling times."""
        begun = self._imports[Action.CONSENT_IMPORTED] + self._imports[Action.BLOCK_IMPORTED]
        failed = len(self._failed - self._succeeded)
        return {
            "consents_recorded": self._consents["granted"] + self._imported["granted"],
            "consents_withdrawn": self._consents["withdrawn"] + self._imported["withdrawn"],
            "opt_outs": sum(self._replies[word] for word in _OPT_OUTS),
            "replies": dict(sorted(self._replies.items())),
            "blocks_added": dict(sorted(self._blocks.items())),
            "blocks_removed": self._removed,
            "erasures": self._erased[Outcome.SUCCESS],
            "erasures_cut_off": self._erased[Outcome.FAILURE],
            "imports": {
                "consent_files": self._imports[Action.CONSENT_IMPORTED],
                "block_files": self._imports[Action.BLOCK_IMPORTED],
                "failed": failed,
                "without_result": max(begun - self._imports["concluded"] - failed, 0),
                "recorded": dict(sorted(self._imported.items())),
            },
            "complaints_in_files": self._imported[COMPLAINT],
            "handling": {
                "complaints": self._complaints.document(),
                "opt_outs": self._opt_outs.document(),
                "withdrawals": self._withdrawals.document(),
            },
        }
