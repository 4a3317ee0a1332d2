"""Building and refreshing the snapshots under which a tenant's large lists are screened.

A snapshot is refreshed from its predecessor and the people who have changed since; where there is none, or
the history is another one, all people are read. What does not fit into one run of a function is kept, and the
next run goes on: it reads the registry as it was when the first began.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contact_sanitizer.aws.registry_events import TableEvents, keys_of
from contact_sanitizer.aws.registry_items import RegistryTable
from contact_sanitizer.aws.snapshotprogress import Progress
from contact_sanitizer.aws.snapshots import S3Snapshots
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.bulkfold import Resolutions
from contact_sanitizer.screening.rule import DAY
from contact_sanitizer.screening.snapshot import Header, is_whole, most_behind, name_of, unsettled_in
from contact_sanitizer.screening.snapshotmaking import Contents, write_snapshot
from contact_sanitizer.screening.snapshotmerging import merged

if TYPE_CHECKING:
    from contact_sanitizer.aws.world import StackWorld

RESERVE_MILLISECONDS: Final = 90_000
"""With less time left a snapshot is kept unfinished: keeping it takes some of the rest."""

#: With more people changed reading all of them in their order is cheaper than one by one.
_MOST_CHANGED: Final = 500_000
_READERS: Final = 8

Left = Callable[[], int]
"""How many milliseconds are left."""
Tables = Mapping[int, Iterable[Resolutions]]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How many snapshots were built from all people, refreshed, and kept unfinished."""

    built: int = 0
    refreshed: int = 0
    paused: int = 0

    def __add__(self, other: Refreshed) -> Refreshed:
        """Both together."""
        built, refreshed = self.built + other.built, self.refreshed + other.refreshed
        return Refreshed(built, refreshed, self.paused + other.paused)


class Maker:
    """Makes a tenant's snapshots. Two at once do no harm. Every fault is a `RegistryError`."""

    def __init__(self, world: StackWorld) -> None:
        self._table = RegistryTable(world.clients.dynamodb, world.settings.registry, world.tenant)
        self._place = world.snapshots

    def refresh(self, now: int, left: Left) -> Refreshed:
        """Brings the snapshots of all rules that are wanted up to date at `now` (Unix seconds)."""
        done = Refreshed()
        with ThreadPoolExecutor(_READERS, "snapshots") as pool:
            shelf = self._place.shelf(pool)
            failed: RegistryError | None = None
            for wanted in shelf.wanted(now):
                if left() < RESERVE_MILLISECONDS:
                    break
                try:
                    head = self._table.head()
                    events = TableEvents(self._table, pool, head, wanted.rule, now, head.change)
                    done += _Making(self._table, shelf, events, left).bring_up_to_date(wanted.unusable)
                except RegistryError as error:
                    failed = failed or error  # one rule's fault is not the next one's
            if failed:
                raise failed
        return done


@dataclass(frozen=True, slots=True)
class _Making:
    """One rule's snapshot, of the registry as `events` read it."""

    table: RegistryTable
    shelf: S3Snapshots
    events: TableEvents
    left: Left

    def bring_up_to_date(self, unusable: str) -> Refreshed:
        """Does nothing where the snapshot will serve for some time yet, and is not called `unusable`."""
        header = self.shelf.newest(self.events.rule)
        if header is None:
            return self._build()
        change = int(header["change"])
        if not _is_of(header, self.events) or name_of(self.events.rule, change) == unusable:
            # of another history it may tell of somebody who was forgotten
            self.shelf.drop(self.events.rule)
            return self._build()
        if not is_due(self.events.change - change, change):
            return Refreshed()
        return self._refresh(header) or self._build()

    def _refresh(self, header: Header) -> Refreshed | None:
        """From the snapshot with that header; None where it is damaged, or too much has changed."""
        events, change = self.events, int(header["change"])
        changed = events.changed_since(change, _MOST_CHANGED)
        path = self.shelf.fetch(events.rule, name_of(events.rule, change))
        if changed is None or path is None or not events.is_same_history:
            return None
        tables = {}
        try:
            if not is_whole(path, header["columns"]):
                return None
            for contract in header["contracts"]:
                moved = {key for key in changed if key[0] == contract}
                keys = moved.union(keys_of(unsettled_in(path, contract), contract))
                if len(keys) > _MOST_CHANGED:
                    return None
                tables[contract] = merged(path, contract, events.of_people([*keys]))
            self._publish(events, tables)
        except (OSError, ValueError):
            return None
        return Refreshed(refreshed=1)

    def _build(self) -> Refreshed:
        progress = self._progress()
        events = replace(self.events, change=progress.change, now=progress.built_at)
        for contract in progress.read:
            for folded in events.partitions(contract, progress.read[contract]):
                progress.take(contract, folded)
                if self.left() < RESERVE_MILLISECONDS and not progress.is_complete:
                    with self._unless_forgotten():
                        self.shelf.keep_progress(events.rule, progress.encode())
                    return Refreshed(paused=1)
        self._publish(events, {contract: progress.parts[contract] for contract in progress.read})
        return Refreshed(built=1)

    def _progress(self) -> Progress:
        """Where an earlier run left off, if that was in the same history; else the beginning."""
        events = self.events
        codes = [0, *events.head.contracts]
        known = Progress.decode(self.shelf.progress(events.rule) or b"")
        if known and known.rule == events.rule.digest.hex() and [*known.read] == codes:
            recent = events.now - DAY < known.built_at <= events.now and known.change <= events.change
            if recent and known.anchor == events.anchor(known.change):
                return known
        anchor = events.anchor(events.change)
        return Progress(events.rule.digest.hex(), events.change, anchor, events.now, dict.fromkeys(codes, 0))

    def _publish(self, events: TableEvents, tables: Tables) -> None:
        anchor = events.anchor(events.change)
        contents = Contents(
            events.rule,
            events.change,
            anchor,
            events.now,
            {code: _given(table) for code, table in tables.items()},
        )
        with tempfile.TemporaryDirectory(prefix="contact-sanitizer-") as folder:
            path = write_snapshot(Path(folder), name_of(events.rule, events.change), contents)
            with self._unless_forgotten():
                self.shelf.publish(events.rule, path)

    @contextmanager
    def _unless_forgotten(self) -> Iterator[None]:
        """Removes what was put where somebody was forgotten meanwhile: it may tell of them."""
        try:
            yield
        finally:
            if not self.events.is_same_history:
                self.shelf.drop(self.events.rule)


def is_due(behind: int, change: int) -> bool:
    """Whether a snapshot of that change number is made anew, when so many changes have come after it.

    Each list reads everybody who has changed since, and its reads are what it costs; a refresh reads them
    once, and the fewer there are, the more often it moves all columns.
    """
    most = most_behind(change)
    return behind > min(most // 2, max(1_000, most // 20))


def _is_of(header: Header, events: TableEvents) -> bool:
    """Whether a snapshot is an earlier one of the same history, for the same rule and contracts."""
    change, built_at = int(header["change"]), int(header["built_at"])
    return (
        header["rule"] == events.rule.digest.hex()
        and header["contracts"] == [0, *events.head.contracts]
        and change <= events.change
        and built_at <= events.now
        and header["anchor"] == events.anchor(change)
    )


def _given(table: Iterable[Resolutions]) -> Callable[[Path], Iterable[Resolutions]]:
    return lambda _scratch: table
