"""Who did what: all events by kind and by person, what was refused, looks at people, changes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.reporting.entries import Told
from contact_sanitizer.reporting.showing import MOST_TOLD, moment

CHANGES: Final = frozenset(
    {
        Action.HOME_CREATED,
        Action.POLICY_CHANGED,
        Action.KEY_ROTATED,
        Action.KEY_DESTROYED,
        Action.SENDER_REGISTERED,
        Action.SENDER_REVOKED,
        Action.PRINCIPAL_ADMITTED,
        Action.PRINCIPAL_REMOVED,
        Action.BLOCK_REMOVED,
        Action.LIST_FORGOTTEN,
        Action.PERSON_ERASED,
        Action.QUEUE_REDRIVEN,
        Action.AUDIT_REKEYED,
    }
)
LOOKS: Final = {Action.PERSON_TRACED: "traced", Action.PERSON_SHOWN: "shown"}


def is_refusal(action: str) -> bool:
    """Whether events of that action tell that somebody was refused what they asked for."""
    return action.endswith(".denied")


def _is_step(event: Told) -> bool:
    """Whether this is one of the many events that an erasure has before its last one."""
    return event.action == Action.PERSON_ERASED and event.outcome is Outcome.BEGUN


@dataclass(slots=True)
class _Deed:
    """What somebody did, in the same words each time: how often, how it ended, and when first and last."""

    action: str
    principal: str
    code: str
    begun: int = 0
    succeeded: int = 0
    failed: int = 0
    first_at: int = 1 << 62
    last_at: int = 0

    @property
    def count(self) -> int:
        return self.begun + self.succeeded + self.failed

    @property
    def refused(self) -> int:
        return self.count if is_refusal(self.action) else 0


@dataclass(slots=True)
class Acts:
    """Every event of a period, counted."""

    WANTED: ClassVar[frozenset[str] | None] = None

    _deeds: dict[tuple[str, str, str], _Deed] = field(default_factory=dict)
    _changes: deque[Told] = field(default_factory=lambda: deque(maxlen=MOST_TOLD))
    _changes_count: int = 0

    def take(self, events: Iterable[Told]) -> None:
        """Take note of events of the period."""
        for event in events:
            at, action, outcome = event.at, event.action, event.outcome
            words = action, event.principal, event.code
            deed = self._deeds.get(words)
            if deed is None:
                deed = self._deeds[words] = _Deed(*words)
            if outcome is Outcome.BEGUN:
                deed.begun += 1
            elif outcome is Outcome.SUCCESS:
                deed.succeeded += 1
            else:
                deed.failed += 1
            deed.first_at, deed.last_at = min(deed.first_at, at), max(deed.last_at, at)
            if action in CHANGES and not _is_step(event):
                self._changes.append(event)
                self._changes_count += 1

    def document(self) -> dict[str, Any]:
        """All of it; whoever did most comes first, changes come in their order."""
        actions, people = _grouped(self._deeds.values())
        by_events = sorted(people.items(), key=lambda item: (-_events(item[1]), item[0]))
        refused, failed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for deed in self._deeds.values():
            refused[deed.action, deed.code or "unknown"] += deed.refused
            failed[deed.action, deed.code or "unknown"] += 0 if deed.refused else deed.failed
        looks = ((name, _looks(deeds)) for name, deeds in by_events[:MOST_TOLD])
        return {
            "total": _events(self._deeds.values()),
            "actions": [_action(action, actions[action]) for action in sorted(actions)],
            "people": [_person(name, deeds) for name, deeds in by_events[:MOST_TOLD]],
            "people_count": len(by_events),
            "refused": _by_code(+refused),
            "failed": _by_code(+failed),
            "looks": [{"principal": name, **looked} for name, looked in looks if any(looked.values())],
            "changes_count": self._changes_count,
            "changes": [_change(event) for event in self._changes],
        }


def _grouped(deeds: Iterable[_Deed]) -> tuple[dict[str, list[_Deed]], dict[str, list[_Deed]]]:
    """By action, and by principal."""
    actions, people = dict[str, list[_Deed]](), dict[str, list[_Deed]]()
    for deed in deeds:
        actions.setdefault(deed.action, []).append(deed)
        people.setdefault(deed.principal, []).append(deed)
    return actions, people


def _events(deeds: Iterable[_Deed]) -> int:
    return sum(deed.count for deed in deeds)


def _action(name: str, deeds: list[_Deed]) -> dict[str, Any]:
    return {
        "action": name,
        Outcome.BEGUN.value: sum(deed.begun for deed in deeds),
        Outcome.SUCCESS.value: sum(deed.succeeded for deed in deeds),
        Outcome.FAILURE.value: sum(deed.failed for deed in deeds),
    }


def _person(name: str, deeds: list[_Deed]) -> dict[str, Any]:
    return {
        "principal": name,
        "events": _events(deeds),
        "refused": sum(deed.refused for deed in deeds),
        "first_at": moment(min(deed.first_at for deed in deeds)),
        "last_at": moment(max(deed.last_at for deed in deeds)),
    }


def _looks(deeds: list[_Deed]) -> dict[str, int]:
    return {
        word: sum(deed.count for deed in deeds if deed.action == action) for action, word in LOOKS.items()
    }


def _by_code(counts: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"action": action, "code": code, "count": count}
        for (action, code), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ][:MOST_TOLD]


def _change(event: Told) -> dict[str, Any]:
    about = {
        "sender": event.sender,
        "principal": event.scope if event.action.startswith("principal.") else "",
        "policy": event.policy,
        "keys": " ".join(map(str, event.key_ids)),
        "roles": " ".join(event.counts) if event.action == Action.PRINCIPAL_ADMITTED else "",
    }
    return {
        "at": moment(event.at),
        "action": event.action,
        "by": event.principal,
        "event": event.uid,
        "about": {name: value for name, value in about.items() if value},
    }
