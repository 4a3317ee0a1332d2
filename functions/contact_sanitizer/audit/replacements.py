"""What erasures have put in the place of lists and notes that were announced before.

Each such event names the digest that it supersedes, so what may be there follows from the events alone and
not from their order: what was announced first, or what replaced it, but nothing that a finished erasure has
replaced. Between an event and the end of its erasure both may be there: somebody was stopped in between, and
whoever takes it up finishes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_ERASED: Final = b'"api":{"operation":"person.erased"}'
_SUCCESS: Final = 1
_SUPERSEDED: Final = "superseded"

Digests = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Edge:
    """One replacement: which digest by which digests, and in which erasure."""

    before: str
    after: Digests
    erasure: str


@dataclass
class Replacements:
    """The replacements that erasures announced, by list or delivery."""

    _edges: dict[str, dict[str, _Edge]] = field(default_factory=dict)
    _finished: set[str] = field(default_factory=set)

    def take(self, entry: bytes) -> None:
        """Take note of an entry of the log, where it is one of an erasure."""
        if _ERASED not in entry:
            return
        stated = json.loads(entry)
        erasure, about = stated["metadata"]["correlation_uid"], stated["unmapped"]
        if stated["status_id"] == _SUCCESS:
            self._finished.add(erasure)
        after = dict(about.get("digests", {}))
        before, name = after.pop(_SUPERSEDED, None), about.get("delivery_id") or about.get("list_id")
        if before is not None and name is not None:
            # What an erasure announced before it was stopped is overruled by what it announces later.
            self._edges.setdefault(name, {})[erasure] = _Edge(before, after, erasure)

    def states(self, name: str, first: Digests, word: str) -> list[Digests]:
        """What the files may be of a list, or of a delivery, that was announced as `first`: digests by word.

        `word`: by which of its files one state is told from another, `manifest` or `people`.
        """
        edges = [*self._edges.get(name, {}).values()]
        return [state for state in _reached(first, word, edges) if not self._is_over(str(state[word]), edges)]

    def _is_over(self, digest: str, edges: list[_Edge]) -> bool:
        return any(edge.before == digest and edge.erasure in self._finished for edge in edges)


def _reached(first: Digests, word: str, edges: list[_Edge]) -> Iterator[Digests]:
    """What replaced what, from the first on; each once, however the events stand to each other."""
    states, met = [first], set[str]()
    while states:
        state = states.pop()
        digest = str(state.get(word))
        if digest not in met:
            met.add(digest)
            yield {word: digest, **state}
            states += [{**state, **edge.after} for edge in edges if edge.before == digest]
