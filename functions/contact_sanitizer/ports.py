"""The few things that the use cases need from the world, each in at most five methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.audit.events import Event as AuditEvent
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.screening.recording import (
    Candidates,
    Event,
    ImportMark,
    PersonHistory,
    Recorded,
    RegistryStanding,
)
from contact_sanitizer.screening.rule import Rule


class Screening(Protocol):
    """One job's view of the registry, pinned at one change number.

    Promises: what was committed before the view was opened counts, what comes later does not, so the same
    view answers a candidate alike at all times. Raises `RegistryError` where it cannot answer: no fault
    ever looks like "nothing speaks against it".
    """

    @property
    def standing(self) -> RegistryStanding:
        """What the answers rest on; `snapshot` is final after the last batch."""
        ...

    def screen(self, candidates: Candidates) -> NDArray[np.uint8]:
        """The `Drop` bits of each candidate (never `DUPLICATE`): uint8 (n,); 0: nothing speaks against it."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of files; the registry stays open."""
        ...


class Registry(Protocol):
    """Consents and suppressions of one tenant. Every fault is a `RegistryError`."""

    def screening(self, rule: Rule, now: int) -> Screening:
        """A view for one job; raises `RegistryError("register_stale")` where a register is too old."""
        ...

    def record(self, events: Sequence[Event], mark: ImportMark | None = None) -> Recorded:
        """Records events and mark in one transaction, all or nothing; the same again changes nothing."""
        ...

    def history(self, subject: bytes, block: bytes | None = None, as_of: int | None = None) -> PersonHistory:
        """One person's history as known at `as_of`; with `block` (16 bytes) also from foreign lists."""
        ...

    def imported_rows(self, import_id: str) -> int:
        """How many records of this import are dealt with: where it resumes; 0 for an unknown one."""
        ...

    def standing(self) -> RegistryStanding:
        """The change number and the registers' ages now."""
        ...


class ListSink(Protocol):
    """One list being made: its files, invisible until all of them are whole."""

    @property
    def scratch(self) -> Path:
        """A private folder for what a run spills; it goes when the run ends."""
        ...

    def create(self, name: str) -> DigestingFile:
        """A new file of the list; `OutputError` where it cannot be written."""
        ...

    def restart(self) -> None:
        """Forget the files that were written so far; the scratch folder stays as it is."""
        ...

    def publish(self, manifest: bytes) -> object:
        """Make the list visible whole, written only if absent."""
        ...


class AuditLog(Protocol):
    """Where events go before their effects."""

    def append(self, event: AuditEvent) -> None:
        """Keep the event for good, or raise `AuditError`: then its effect must not happen."""
        ...


State = Literal["making", "made", "failed"]


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One list: its state, its policy's name, where it lies, and its rows by outcome once it is made."""

    list_id: str
    tenant: str
    state: State
    policy: str
    started_at: int
    place: str
    rows: int = 0
    kept: int = 0
    dropped: int = 0
    rejected: int = 0


class Catalogue(Protocol):
    """Which lists were made, and how far."""

    def put(self, entry: ListEntry) -> None:
        """Record or replace one entry, for good when this returns."""
        ...

    def get(self, list_id: ListId) -> ListEntry | None:
        """The entry of a list, or None."""
        ...

    def entries(self) -> Iterator[ListEntry]:
        """All entries, oldest first."""
        ...


class Objects(Protocol):
    """Whole small objects by key (`a/b/c`): an audit log, a cache. Every fault is one of our errors."""

    def put(self, key: str, data: bytes, *, absent: bool) -> bool:
        """Keep `data` for good; with `absent` only where the key is free. Whether it was written."""
        ...

    def get(self, key: str) -> bytes | None:
        """What is kept under the key, or None."""
        ...

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """The keys that begin with `prefix` and come after `after`, ascending by code point."""
        ...

    def delete(self, key: str) -> None:
        """Let go of an object; an absent one is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """One small JSON document, and which writing of it this is (1: the first)."""

    kind: str
    name: str
    version: int
    document: Mapping[str, Any]


class Records(Protocol):
    """One tenant's small documents by kind and name: what the catalogue stands on.

    A write says on which version it rests, so that of two writers at once one wins and the other is told.
    Every fault is a `CatalogueError`.
    """

    def get(self, kind: str, name: str) -> Record | None:
        """The document as it is now, or None."""
        ...

    def put(self, kind: str, name: str, document: Mapping[str, Any], *, after: int) -> bool:
        """Keep `document` as version `after + 1` if the present version is `after` (0: none). Whether it was."""
        ...

    def named(self, kind: str, prefix: str = "") -> Iterator[Record]:
        """All documents of a kind whose names begin with `prefix`, ascending by name."""
        ...

    def spend(self, name: str, amount: int, limit: int) -> bool:
        """Add to a counter unless that would take it over `limit`; whether it was added. Atomic."""
        ...
