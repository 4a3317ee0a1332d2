"""One job's view of the SQLite registry: small batches read it directly, large lists through a snapshot."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.embedded import registry_schema as schema
from contact_sanitizer.embedded.eventsource import EventSource
from contact_sanitizer.embedded.registry_rows import read_contracts
from contact_sanitizer.embedded.snapshots import SnapshotShelf
from contact_sanitizer.screening.recording import Candidates, RegistryStanding
from contact_sanitizer.screening.snapshot import Completed
from contact_sanitizer.screening.subjectruns import Needles

#: So many candidates a job are looked up in SQLite; from then on a snapshot pays.
DIRECT_CANDIDATES: Final = 20_000


class SqliteScreening:
    """Implements `ports.Screening`; see there for what it promises."""

    def __init__(self, source: EventSource, shelf: SnapshotShelf, standing: RegistryStanding) -> None:
        schema.expect_few(source.db)
        self._source = source
        self._shelf = shelf
        self._standing = standing
        self._contracts = read_contracts(source.db)
        self._looked_up = 0
        self._snapshot: Completed | None = None

    @property
    def standing(self) -> RegistryStanding:
        """What the answers rest on; `snapshot` is final after the last batch."""
        return self._standing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._snapshot = None

    def screen(self, candidates: Candidates) -> NDArray[np.uint8]:
        """The `Drop` bits of each candidate: uint8 (n,)."""
        with schema.faults():
            self._looked_up += len(candidates)
            if self._snapshot is None and self._looked_up > DIRECT_CANDIDATES:
                self._use_snapshot()
            return candidates.verdicts(self._contracts, self._look_up)

    def _use_snapshot(self) -> None:
        schema.expect_many(self._source.db)
        contracts = [0, *(contract.code for contract in self._contracts)]
        snapshot = self._shelf.snapshot(self._source, contracts)
        self._standing = replace(self._standing, snapshot=snapshot.name)
        later = {}
        for contract in contracts:
            moved = self._source.changed_since(snapshot.change, contract)
            rows = [*moved, *self._source.events_of(snapshot.tables[contract].unsettled, contract)]
            later[contract] = self._source.fold(_distinct(rows))
        self._snapshot = Completed(snapshot, later, self._source.now)

    def _look_up(self, needles: Needles, contract: int) -> NDArray[np.uint8]:
        reader = self._snapshot or self._source
        return reader.verdicts(needles, contract)


def _distinct(rows: list[NDArray[np.void]]) -> list[NDArray[np.void]]:
    """The same events, each once: a subject may be both changed and unsettled."""
    if not rows:
        return rows
    packed = np.concatenate(rows)
    packed = packed[np.argsort(packed["change"], kind="stable")]
    return [packed[np.diff(packed["change"], prepend=-1) != 0]]
