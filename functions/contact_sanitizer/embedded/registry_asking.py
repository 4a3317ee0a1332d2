"""What speaks against a few people right now: from a snapshot that stands ready, or else from their events.

Looking a thousand people up in an open snapshot costs a tenth of reading their events. Nothing is ever
built for it, and whoever has changed since, or has something that takes effect later, is read directly, so
that both ways give one answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.embedded.eventsource import EventSource
from contact_sanitizer.embedded.snapshots import ReadySnapshot, SnapshotShelf
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.recording import Candidates
from contact_sanitizer.screening.subjectruns import Needles, subject_bytes

#: So many snapshots stay open, each of another rule.
_MOST_OPEN: Final = 4
#: So many changes are caught up with at once: reading more costs as much as reading a thousand people.
_MOST_CHANGES: Final = 5_000


class Answers:
    """Verdicts on a few people, and the snapshots that stay open for them."""

    def __init__(self, shelf: SnapshotShelf) -> None:
        self._shelf = shelf
        self._open: dict[bytes, _Completed] = {}

    def clear(self) -> None:
        """Lets go of all snapshots."""
        self._open.clear()

    def ask(
        self, source: EventSource, candidates: Candidates, contracts: Sequence[HashContract]
    ) -> NDArray[np.uint8]:
        """The `Drop` bits of each candidate: uint8 (n,). Reads as one, so within a transaction."""
        ready = self._ready(source, [0, *(contract.code for contract in contracts)])
        look_up = partial(ready.verdicts, source) if ready else source.verdicts
        return candidates.verdicts(contracts, look_up)

    def _ready(self, source: EventSource, contracts: Sequence[int]) -> _Completed | None:
        """What answers for the source's rule; None where no snapshot does, or not yet."""
        rule = source.rule.digest
        known = self._open.pop(rule, None)
        if known is None or not known.serves(source, contracts):
            snapshot = self._shelf.ready(source, contracts)
            known = _Completed(snapshot) if snapshot else None
        if known is None:
            return None
        self._open[rule] = known
        for other in list(self._open)[:-_MOST_OPEN]:
            del self._open[other]
        return known if known.catch_up(source) else None


class _Completed:
    """An open snapshot, and who has an event since: read once, and from then on with each new change.

    `_seen`: the last change that is known, `_anchor` what the registry's history has to give for it.
    """

    def __init__(self, snapshot: ReadySnapshot) -> None:
        self._snapshot = snapshot
        self._seen = snapshot.change
        self._anchor = snapshot.anchor
        self._changed: defaultdict[int, set[bytes]] = defaultdict(set)

    def serves(self, source: EventSource, contracts: Sequence[int]) -> bool:
        """Whether the snapshot still serves, and the history is the one that was read."""
        return self._snapshot.serves(source, contracts) and source.anchor(self._seen) == self._anchor

    def catch_up(self, source: EventSource) -> bool:
        """Read on in the changes; whether that was all."""
        changes = source.changes(self._seen, _MOST_CHANGES)
        for _, contract, subject in changes:
            self._changed[contract].add(subject)
        if changes:
            self._seen = changes[-1][0]
            self._anchor = source.anchor(self._seen)
        return len(changes) < _MOST_CHANGES

    def verdicts(self, source: EventSource, needles: Needles, contract: int) -> NDArray[np.uint8]:
        """The `Drop` bits of the needles, in their order: uint8 (n,)."""
        table = self._snapshot.tables[contract]
        found = table.verdicts(needles, source.now)
        direct = table.unsettled.contains(needles.hi, needles.lo) | self._has_changed(needles, contract)
        rows = np.flatnonzero(direct)
        if len(rows):
            some = Needles(needles.hi[rows], needles.lo[rows], np.arange(len(rows)))
            found[rows] = source.verdicts(some, contract)
        return found

    def _has_changed(self, needles: Needles, contract: int) -> NDArray[np.bool_]:
        changed = self._changed.get(contract)
        if not changed:
            return np.zeros(len(needles), np.bool_)
        raw = subject_bytes(needles.hi, needles.lo).tobytes()
        return np.array([raw[16 * row : 16 * row + 16] in changed for row in range(len(needles))], np.bool_)
