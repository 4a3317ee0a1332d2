"""The few things that the use cases need from the world, each in at most five methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    # Functions that only hand out forms and states start without numpy and cryptography.
    import numpy as np
    from numpy.typing import NDArray

    from contact_sanitizer.audit.beside import Kept
    from contact_sanitizer.audit.events import Action
    from contact_sanitizer.audit.events import Event as AuditEvent
    from contact_sanitizer.intake.raw import Source
    from contact_sanitizer.listid import ListId
    from contact_sanitizer.outputs.digesting import DigestingFile
    from contact_sanitizer.protection.keyring import Keyring
    from contact_sanitizer.screening.forgetting import Leave
    from contact_sanitizer.screening.recording import (
        Ahead,
        Candidates,
        Event,
        ImportMark,
        PersonHistory,
        Recorded,
        RegistryStanding,
        Remembered,
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

    def screening(self, rule: Rule, now: int, change: int | None = None, snapshot: str = "") -> Screening:
        """A view for one job, pinned at `change` (None: the present change number).

        `snapshot`: what `standing` named for a list ahead, where its change number was pinned too.
        Raises `RegistryError("register_stale")` where a register is too old.
        """
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

    def standing(self, ahead: Ahead | None = None) -> RegistryStanding:
        """The change number and the registers' ages now; with a list ahead the snapshot it shall rest on.

        None where the registry leaves that to the view.
        """
        ...


class AskedRegistry(Registry, Protocol):
    """A registry that is also asked about a few people at the moment when somebody uses their numbers."""

    def ask(self, rule: Rule, now: int, candidates: Candidates) -> NDArray[np.uint8]:
        """What speaks against some thousand people right now: `Drop` bits as `Screening.screen` gives them.

        Promises: the answer of a view that is opened now, but nothing is built for it. Raises as a view does,
        `RegistryError("register_stale")` included.
        """
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

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes what was not published."""
        ...


class ListRevision(Protocol):
    """A finished list whose files are being written anew; readers see the old ones until `publish`.

    While it is entered nobody else revises the list, or whoever comes second fails with `OutputError`
    (`list_busy`) and nothing is changed.
    """

    def create(self, name: str) -> DigestingFile:
        """A file in the place of the one of that name; what is not made anew stays as it is."""
        ...

    def publish(self, manifest: bytes) -> object:
        """Make the new files visible together, and let go of those that they replace, for good."""
        ...

    def __enter__(self) -> Self:
        """Itself; `OutputError` (`list_unknown`) where there is no such list."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes what was not published."""
        ...


class ListShelf(Protocol):
    """Where lists are made and found, each whole or not at all."""

    @property
    def place(self) -> str:
        """Its name, by which the same world finds it again."""
        ...

    def begin(self, list_id: ListId) -> ListSink:
        """A new list; `OutputError` (`list_exists`) where there is one of that id already."""
        ...

    def manifest(self, list_id: ListId) -> bytes | None:
        """The manifest of a finished list; None where there is none."""
        ...

    def file(self, list_id: ListId, name: str) -> Source:
        """One file of a finished list."""
        ...

    def where(self, list_id: ListId) -> str:
        """Where a person finds the list."""
        ...


class Absence(Enum):
    """Why a list is not on its shelf, as far as the shelf can tell."""

    #: Somebody makes it at this moment, or that cannot be told.
    OPEN = auto()
    #: Whoever made it died before it appeared; what was left of it is removed.
    DIED = auto()
    #: Nothing of it is here: it was not begun, was swept away, or its owner has it elsewhere.
    NOTHING = auto()
    #: Something of it is here, and not all of it.
    PART = auto()
    #: The shelf keeps lists until their time is over, and another attempt may make one that is not there.
    AS_ENTERED = auto()


class RevisableShelf(ListShelf, Protocol):
    """A shelf whose finished lists may be written anew: for erasing a person, and for nothing else."""

    def revise(self, list_id: ListId) -> ListRevision:
        """A finished list, to be written anew."""
        ...

    def settle(self, list_id: ListId) -> None:
        """Complete a revision that was interrupted while it was published; else nothing."""
        ...

    def absence(self, list_id: ListId) -> Absence:
        """Why a list without a manifest is not there; what a dead maker has left of it goes."""
        ...


class KeyStore(Protocol):
    """One tenant's keyring, wherever it is kept. Every fault is a `KeyringError`, and nothing was used."""

    @property
    def where(self) -> str:
        """Where a person finds it, to back it up."""
        ...

    def load(self) -> Keyring:
        """The keyring as it is now."""
        ...

    def create(self, tenant: str, now: datetime, random_bytes: Callable[[int], bytes]) -> Keyring:
        """A new keyring of one key, kept; refused where there is one."""
        ...

    def rotate(self, now: datetime, random_bytes: Callable[[int], bytes]) -> Keyring:
        """The keyring with a new primary key, kept; the old keys still open what they made."""
        ...

    def destroy(self, key_id: int) -> Keyring:
        """The keyring without that key, kept; what it made opens no more."""
        ...


class ReplyKeeper(Protocol):
    """Keeps replies that nobody understood, for a person to read."""

    def keep_reply(self, subject: bytes, sealed: bytes, recorded_at: int) -> int:
        """Keep one, its text sealed; returns its number."""
        ...


class Forgetter(Protocol):
    """Lets go of one person. Every fault is a `RegistryError`."""

    def remembered(self, subject: bytes, block: bytes) -> Remembered:
        """How much is held about one person, in foreign lists too."""
        ...

    def forget(self, subject: bytes, block: bytes, leave: Leave) -> None:
        """Keeps of one person nothing but bare refusals; the same again changes nothing.

        Promises: whoever was refused at any change number still is, also in a view that was pinned before.
        An interrupted call is completed by the same call.
        """
        ...


class TenantRegistry(AskedRegistry, ReplyKeeper, Forgetter, Protocol):
    """All that a tenant's registry does."""


class AuditWriter(Protocol):
    """Where events go before their effects."""

    def append(self, event: AuditEvent) -> None:
        """Keep the event for good, or raise `AuditError`: then its effect must not happen."""
        ...


TellKeys: TypeAlias = Callable[[Mapping[str, str]], object]
"""Writes the event that announces a log's new key, with the digests of both."""


class AuditLog(AuditWriter, Protocol):
    """The whole log: written, sealed and read."""

    @property
    def objects(self) -> Objects:
        """What the log is made of, to read it."""
        ...

    def conclude(self, now: int, *, heartbeat: bool = False) -> None:
        """Seal what was appended, where nobody else does; `AuditError` where that fails."""
        ...

    def public_keys(self) -> str:
        """The verifier keys of the log's checkpoints (C2SP signed-note), one a line."""
        ...

    def rotate_key(self, now: int, randomness: Callable[[int], bytes], tell: TellKeys, to: str = "") -> str:
        """Announce (by `tell`) that another key signs from now on, `to` or a new one; its verifier key."""
        ...


class Announce(Protocol):
    """Writes an audit event; what it announces may happen once this has returned."""

    def __call__(self, action: Action, **particulars: Any) -> object:
        """Write it, or raise `AuditError`."""
        ...


class DeliverySink(Protocol):
    """One delivery being made: the sender's file, and our own note of whom it names."""

    def content(self) -> DigestingFile:
        """The sender's file, invisible until `publish`."""
        ...

    def people(self) -> DigestingFile:
        """The note of the delivered people, for our eyes only; its digest is a `note_digest`."""
        ...

    def check(self) -> None:
        """Once both files are closed: raises `OutputError` where `publish` could not do its part."""
        ...

    def keep_people(self, delivery_id: ListId) -> None:
        """Keep the note for good; one that is kept under this id already says the same and stays."""
        ...

    def publish(self, delivery_id: ListId) -> str:
        """Make the sender's file visible whole, written only if absent; returns where it is."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes what was not kept or published."""
        ...


class NoteRevision(Protocol):
    """The note of a delivery's people being written anew; readers see the old one until `publish`.

    As with `ListRevision` one is at work, or the second fails with `OutputError` (`list_busy`).
    """

    def people(self) -> DigestingFile:
        """The note in the place of the old one; its digest is a `note_digest`."""
        ...

    def publish(self) -> None:
        """Make it visible, and let go for good of the old one and of the sender's file, where it is kept."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes what was not published."""
        ...


class DeliveryShelf(Protocol):
    """Where deliveries are made, and where the notes of their people are."""

    def begin(self) -> DeliverySink:
        """A new delivery; `OutputError` where none can be made."""
        ...

    def people(self, delivery_id: ListId) -> Source:
        """The note of a delivery's people."""
        ...

    def revise(self, delivery_id: ListId) -> NoteRevision:
        """A delivery's note, to be written anew: for erasing a person, and for nothing else."""
        ...

    def settle(self, delivery_id: ListId) -> None:
        """Complete a revision that was interrupted while it was published; else nothing."""
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
        """Keep it as version `after + 1` where `after` is the present one (0: none); whether it was kept."""
        ...

    def delete(self, kind: str, name: str, *, after: int) -> bool:
        """Let go of the document where `after` is its present version; whether it was there and is gone."""
        ...

    def named(self, kind: str, prefix: str = "", after: str = "") -> Iterator[Record]:
        """A kind's documents whose names begin with `prefix` and come after `after`, ascending by name."""
        ...

    def spend(self, name: str, amount: int, limit: int) -> bool:
        """Add to a counter unless that would take it over `limit`; whether it was added. Atomic."""
        ...


class World(Protocol):
    """Where one tenant's things are: a home folder, or a stack in the cloud."""

    @property
    def audit(self) -> AuditLog:
        """The audit log, one for all tenants."""
        ...

    @property
    def records(self) -> Records:
        """The tenant's catalogue: which lists were made, who may fetch, what was delivered."""
        ...

    @property
    def keys(self) -> KeyStore:
        """The tenant's keyring."""
        ...

    @property
    def registry(self) -> TenantRegistry:
        """The tenant's consents and suppressions."""
        ...

    def shelf(self, place: str | None) -> RevisableShelf:
        """Where lists go: `place`, or the world's own."""
        ...

    def deliveries(self, out: str | None) -> DeliveryShelf:
        """Where deliveries go: to `out`, or to the world's own place."""
        ...

    def kept_lists(self, elsewhere: Iterable[tuple[str, str]]) -> Iterator[Kept]:
        """The lists of all tenants in the world's own place, to be compared with the log.

        And those of `elsewhere`, (place, list id), that are there: places that somebody chose.
        """
        ...

    def kept_deliveries(self) -> Iterator[Kept]:
        """What is kept of the deliveries of all tenants, likewise."""
        ...

    def people_kept_since(self, now: int) -> int:
        """Since when deliveries were made whose people have to be kept still; of older ones they may go.

        Milliseconds since 1970 UTC, as `now`.
        """
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...
