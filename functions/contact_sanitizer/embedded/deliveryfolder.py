"""Deliveries at home: the sender's file goes where it is asked for, the note of its people into the home.

Both are written beside their final place, under a lock that their maker holds, and renamed into it. What a
killed delivery left behind is used or swept by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from contact_sanitizer.embedded.home import sync_folder
from contact_sanitizer.errors import OutputError
from contact_sanitizer.intake.raw import LocalFile
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.digesting import Digest, DigestingFile, writing_errors
from contact_sanitizer.protection.digests import note_digest

_UNFINISHED = re.compile(r"\.people\.\d+\.partial\Z")


@dataclass(frozen=True, slots=True)
class DeliveryFolder:
    """Implements `ports.DeliveryShelf`: notes in the folder `notes`, the sender's file at `out`."""

    notes: Path
    out: Path | None

    def begin(self) -> DeliveryFiles:
        """A new delivery; `OutputError` (`out_unwritable`) where none can be made."""
        if self.out is None:
            raise OutputError("out_unwritable", "a delivery at home needs a file to go to")
        return DeliveryFiles(self.notes, self.out)

    def people(self, delivery_id: ListId) -> LocalFile:
        """The note of a delivery's people."""
        return LocalFile(_note(self.notes, delivery_id))

    def revise(self, delivery_id: ListId) -> NoteFile:
        """A delivery's note, to be written anew; the sender's file is not kept in a home."""
        return NoteFile(self.notes, delivery_id)

    def settle(self, delivery_id: ListId) -> None:
        """A rename leaves nothing to complete."""


class NoteFile:
    """Implements `ports.NoteRevision`: a file beside the note, renamed into its place.

    A second revision waits for the first: both hold the note itself.
    """

    def __init__(self, notes: Path, delivery_id: ListId) -> None:
        self._place = _note(notes, delivery_id)
        self._beside = notes / f".people.{delivery_id}.revised"
        self._locks: list[int] = []
        self._file: DigestingFile | None = None

    def people(self) -> DigestingFile:
        """The new note."""
        with writing_errors():
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            handle = os.fdopen(os.open(self._beside, flags, 0o600), "wb")
        self._file = DigestingFile(handle, digest=note_digest())
        return self._file

    def publish(self) -> None:
        """Make it visible in the old one's place."""
        with writing_errors():
            # Held until the end, so that nobody revises what is not on record yet.
            self._locks.append(_held(self._beside))
            self._beside.rename(self._place)
            sync_folder(self._place.parent)

    def __enter__(self) -> Self:
        with writing_errors():
            self._locks.append(_held(self._place))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._file is not None and not self._file.closed:
                self._file.abandon()
            with suppress(OSError):
                self._beside.unlink()
        finally:
            # Whoever revises the note next would wait for ever.
            for lock in self._locks:
                os.close(lock)


@dataclass(slots=True)
class _Part:
    """A file being written beside its place; `lock` outlives the file's own handle."""

    path: Path
    file: DigestingFile
    lock: int
    placed: bool = False

    def rename(self, place: Path) -> None:
        self.path.rename(place)
        self.placed = True
        sync_folder(place.parent)

    def let_go(self) -> None:
        # While the lock is held: afterwards the path may be another delivery's.
        if not self.placed:
            with suppress(OSError):
                self.path.unlink()
        self.file.abandon()
        os.close(self.lock)


class DeliveryFiles:
    """Implements `ports.DeliverySink`; files that only their owner may read."""

    def __init__(self, notes: Path, out: Path) -> None:
        self._notes = notes
        self._out = out
        self._parts: dict[str, _Part] = {}

    def content(self) -> DigestingFile:
        """The sender's file; one delivery at a time writes to the same place."""
        with writing_errors():
            self._out.parent.mkdir(parents=True, exist_ok=True)
        return self._create("content", self._out.with_name(f".{self._out.name}.partial"))

    def people(self) -> DigestingFile:
        """The note of the delivered people."""
        with writing_errors():
            self._notes.mkdir(mode=0o700, exist_ok=True)
            _sweep(self._notes)
        return self._create("people", self._notes / f".people.{os.getpid()}.partial", note_digest())

    def check(self) -> None:
        """Raises `OutputError` (`out_exists`) where another file is there."""
        with writing_errors():
            if os.path.lexists(self._out) and _digest(self._out) != self._parts["content"].file.sha256:
                raise OutputError("out_exists", "another file is there already; it was left as it is")

    def keep_people(self, delivery_id: ListId) -> None:
        """Keep the note; see `ports.DeliverySink.keep_people`."""
        place = _note(self._notes, delivery_id)
        with writing_errors():
            if not place.exists():
                self._parts["people"].rename(place)

    def publish(self, delivery_id: ListId) -> str:  # noqa: ARG002 - a home's files are named by who asks
        """Make the sender's file visible; `OutputError` (`out_exists`) where another file is there."""
        self.check()
        with writing_errors():
            if not os.path.lexists(self._out):
                self._parts["content"].rename(self._out)
        return str(self._out)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in self._parts.values():
            part.let_go()
        self._parts.clear()

    def _create(self, name: str, path: Path, digest: Digest | None = None) -> DigestingFile:
        with writing_errors():
            handle = _locked(path)
            part = _Part(path, DigestingFile(os.fdopen(handle, "wb"), digest=digest), os.dup(handle))
        self._parts[name] = part
        return part.file


def _note(notes: Path, delivery_id: ListId) -> Path:
    return notes / f"{delivery_id}.people"


def _locked(path: Path) -> int:
    """An empty file at `path` that nobody else writes to."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have renamed it just now: then it is no longer ours to empty.
            if _is_still(path, file):
                os.ftruncate(file, 0)
                return file
        except BlockingIOError:
            os.close(file)
            raise OutputError("out_unwritable", "another delivery is being written there") from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _held(path: Path) -> int:
    """A file that stays as it is while nobody else holds it."""
    while True:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        fcntl.flock(file, fcntl.LOCK_EX)
        if _is_still(path, file):
            return file
        os.close(file)


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _sweep(notes: Path) -> None:
    """Remove what killed deliveries left: a living one holds the lock."""
    for path in notes.iterdir():
        if _UNFINISHED.match(path.name):
            with suppress(OSError, OutputError):
                file = _locked(path)
                path.unlink()
                os.close(file)


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
