"""One job's view of the registry in DynamoDB: a few people are read there, large lists through a snapshot."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.aws.registry_events import TableEvents, keys_of
from contact_sanitizer.aws.registry_items import PersonKey
from contact_sanitizer.aws.snapshots import S3Snapshots
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.recording import Candidates, RegistryStanding
from contact_sanitizer.screening.snapshot import (
    MOST_CHANGES,
    Completed,
    Header,
    Snapshot,
    load,
    name_of,
    serves,
)
from contact_sanitizer.screening.subjectruns import Needles

#: So many candidates of a view that is free to choose are read in the table.
DIRECT_CANDIDATES: Final = 20_000


class DynamoScreening:
    """Implements `ports.Screening`; see there for what it promises.

    What a snapshot cannot say, or what it may not be asked, is read in the table with consistent reads: about
    40 µs of work a person, and memory for one batch. Both ways give one answer.
    """

    def __init__(
        self,
        events: TableEvents,
        standing: RegistryStanding,
        contracts: Sequence[HashContract],
        shelf: S3Snapshots | None,
        *,
        free: bool,
    ) -> None:
        """`free`: takes any snapshot once there are many candidates; else that of `standing`."""
        self._events = events
        self._standing = standing
        self._contracts = contracts
        self._shelf = shelf
        self._free = free
        self._looked_up = 0
        self._snapshot: Completed | None = None

    @property
    def standing(self) -> RegistryStanding:
        """What the answers rest on.

        A list that was begun with a snapshot states it, also where the snapshot has gone since: what
        it said is what the table says, and every attempt writes the same bytes.
        """
        return self._standing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._snapshot = None

    def screen(self, candidates: Candidates) -> NDArray[np.uint8]:
        """The `Drop` bits of each candidate: uint8 (n,)."""
        self._looked_up += len(candidates)
        if self._shelf and self._wants_snapshot():
            self._take_snapshot(self._shelf)
            self._shelf = None
        return candidates.verdicts(self._contracts, self._look_up)

    def _look_up(self, needles: Needles, contract: int) -> NDArray[np.uint8]:
        reader = self._snapshot or self._events
        return reader.verdicts(needles, contract)

    def _wants_snapshot(self) -> bool:
        return self._looked_up > DIRECT_CANDIDATES if self._free else bool(self._standing.snapshot)

    def _take_snapshot(self, shelf: S3Snapshots) -> None:
        """Completes the snapshot, if there is one that serves; whatever is wrong with it, the table stays."""
        try:
            snapshot = self._loaded(shelf)
            later = self._later(snapshot) if snapshot else None
        except RegistryError:
            return
        if snapshot and later is not None:
            keys = {contract: self._events.of_people(people) for contract, people in later.items()}
            self._snapshot = Completed(snapshot, keys, self._events.now)
            self._standing = replace(self._standing, snapshot=snapshot.name)

    def _loaded(self, shelf: S3Snapshots) -> Snapshot | None:
        events, contracts = self._events, [0, *(contract.code for contract in self._contracts)]
        name = self._name(shelf, contracts)
        path = shelf.fetch(events.rule, name) if name else None
        snapshot = load(path, events, contracts) if path else None
        if path and snapshot is None:
            shutil.rmtree(path, ignore_errors=True)  # the same name may hold another one soon
        if name and snapshot is None and offered(shelf.newest(events.rule), events, contracts) == name:
            # it should serve and does not: nobody else would notice before it is due
            shelf.want(events.rule, events.now, unusable=name)
        return snapshot

    def _later(self, snapshot: Snapshot) -> Mapping[int, Sequence[PersonKey]] | None:
        """Of whom the snapshot cannot speak, by contract; None where they are too many, or not all known."""
        changed = self._events.changed_since(snapshot.change, MOST_CHANGES)
        # Whoever is forgotten is taken out of what has changed before their refusal is put back: then who
        # has changed since cannot be told any more. Asked last, so that it holds of all that was read.
        if changed is None or not self._events.is_same_history:
            return None
        if len(changed) + sum(len(table.unsettled) for table in snapshot.tables.values()) > MOST_CHANGES:
            return None
        later = {}
        for contract, table in snapshot.tables.items():
            moved = {key for key in changed if key[0] == contract}
            later[contract] = [*moved.union(keys_of(table.unsettled, contract))]
        return later

    def _name(self, shelf: S3Snapshots, contracts: Sequence[int]) -> str:
        if not self._free:
            return self._standing.snapshot or ""
        shelf.want(self._events.rule, self._events.now)
        header = shelf.newest(self._events.rule)
        return offered(header, self._events, contracts)


def offered(header: Header | None, events: TableEvents, contracts: Sequence[int]) -> str:
    """The name of the snapshot with that header, where it serves these events; else nothing."""
    usable = header is not None and serves(header, events, contracts)
    return name_of(events.rule, int(header["change"])) if header and usable else ""
