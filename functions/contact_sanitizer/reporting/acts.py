"""Who did what: all events by kind and by person, what was refused, looks at people, changes."""

from __future__ import annotations

from collections import Counter, deque
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


def is_refusal(event: Told) -> bool:
    """Whether the event tells that somebody was refused what they asked for."""
    return event.action.endswith(".denied")


def _is_step(event: Told) -> bool:
    """Whether this is one of the many events that an erasure has before its last one."""
    return event.action == Action.PERSON_ERASED and event.outcome is Outcome.BEGUN


@dataclass(slots=True)
class _Person:
    events: int = 0
    refused: int = 0
    looks: Counter[str] = field(default_factory=Counter)
    first_at: int = 1 << 62
    last_at: int = 0


@dataclass(slots=True)
class Acts:
    """Every event of a period, counted."""

    WANTED: ClassVar[frozenset[str] | None] = None

    _actions: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    _people: dict[str, _Person] = field(default_factory=dict)
    _refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    _failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    _changes: deque[Told] = field(default_factory=lambda: deque(maxlen=MOST_TOLD))
    _changed: Counter[str] = field(default_factory=Counter)

    def take(self, event: Told) -> None:
        """Take note of an event of the period."""
        self._actions[event.action, event.outcome] += 1
        person = self._people.get(event.principal)
        if person is None:
            person = self._people[event.principal] = _Person()
        person.events += 1
        person.first_at, person.last_at = min(person.first_at, event.at), max(person.last_at, event.at)
        if is_refusal(event):
            person.refused += 1
            self._refused[event.action, event.code or "unknown"] += 1
        elif event.outcome is Outcome.FAILURE:
            self._failed[event.action, event.code or "unknown"] += 1
        if event.action in LOOKS:
            person.looks[LOOKS[Action(event.action)]] += 1
        elif event.action in CHANGES and not _is_step(event):
            self._changes.append(event)
            self._changed[event.action] += 1

    def document(self) -> dict[str, Any]:
        """All of it; whoever did most comes first, changes come in their order."""
        by_events = sorted(self._people.items(), key=lambda item: (-item[1].events, item[0]))
        actions = sorted({action for action, _ in self._actions})
        return {
            "total": self._actions.total(),
            "actions": [
                {"action": action, **{each.value: self._actions[action, each] for each in Outcome}}
                for action in actions
            ],
            "people": [_person(name, person) for name, person in by_events[:MOST_TOLD]],
            "people_count": len(by_events),
            "refused": _by_code(self._refused),
            "failed": _by_code(self._failed),
            "looks": [
                {"principal": name, **{word: person.looks[word] for word in LOOKS.values()}}
                for name, person in by_events[:MOST_TOLD]
                if person.looks
            ],
            "changes_count": self._changed.total(),
            "changes": [_change(event) for event in self._changes],
        }


def _person(name: str, person: _Person) -> dict[str, Any]:
    return {
        "principal": name,
        "events": person.events,
        "refused": person.refused,
        "first_at": moment(person.first_at),
        "last_at": moment(person.last_at),
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
