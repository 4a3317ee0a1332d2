"""What the suites of a log that takes nothing share: who announces which action."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import contact_sanitizer
from contact_sanitizer.audit import segments
from contact_sanitizer.audit.actions import Action
from contact_sanitizer.audit.events import Event
from contact_sanitizer.ports import Objects

_READING = ("audit/", "reporting/", "reconciling/")
"""Where actions are named to be read, not to be announced."""


@contextmanager
def log_lost_at(action: Action, lose: Callable[[], None]) -> Iterator[list[Action]]:
    """Lose the log when this action is to be announced; what was to be announced, in order."""
    append, heard = segments.append, list[Action]()

    def losing(objects: Objects, events: Sequence[Event]) -> None:
        heard.extend(event.action for event in events)
        if action in heard:
            lose()
        append(objects, events)

    with patch.object(segments, "append", losing):
        yield heard


def announced() -> frozenset[Action]:
    """The actions that a module of the package names otherwise than to read of them."""
    package = Path(contact_sanitizer.__file__).parent
    texts = [
        path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
        if not str(path.relative_to(package)).startswith(_READING)
    ]
    named = {name for text in texts for name in re.findall(r"\bAction\.([A-Z_]+)\b", text)}
    return frozenset(action for action in Action if action.name in named)
