"""A file that knows the SHA-256 and size of what was written to it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Protocol

from contact_sanitizer.errors import OutputError

Buffer = bytes | memoryview


class Outlet(Protocol):
    """Where bytes go in order: as much of a file as writers, Arrow's too, ask for."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        ...

    def write(self, data: Buffer, /) -> int:
        """Append `data`; returns its length in bytes."""
        ...

    def tell(self) -> int:
        """The number of bytes written."""
        ...

    def flush(self) -> None:
        """Hand on what is kept back."""
        ...


class Digest(Protocol):
    """A digest being taken."""

    def update(self, data: Buffer, /) -> object:
        """Take the next bytes."""
        ...

    def hexdigest(self) -> str:
        """Lower-case hex for what was taken so far."""
        ...


class DigestingFile:
    """Wraps a binary file that is written once, from start to end.

    `sync` makes last what was written, once the file is complete: by default it goes to this machine's disk.
    `digest`: another one than SHA-256, for what is no contract. A write that the system refuses raises
    `OutputError` (`out_full` or `out_unwritable`).
    """

    def __init__(
        self, file: BinaryIO, *, sync: Callable[[], None] | None = None, digest: Digest | None = None
    ) -> None:
        self._file = file
        self._sync = sync or (lambda: os.fsync(file.fileno()))
        self._digest: Digest = digest or hashlib.sha256()
        self._beside: Digest | None = None
        self._abandoned = False
        self.size = 0

    @property
    def closed(self) -> bool:
        """Whether `close` was called; part of the file protocol that Arrow asks for."""
        return self._file.closed

    @property
    def sha256(self) -> str:
        """The digest of all bytes so far, in lower-case hex."""
        return self.hexdigest

    @property
    def hexdigest(self) -> str:
        """The same, whichever digest it is."""
        return self._digest.hexdigest()

    def take_beside(self, digest: Digest) -> None:
        """Have a second digest taken of what is written from now on."""
        self._beside = digest

    def write(self, data: Buffer) -> int:
        """Append `data`; returns its length in bytes."""
        view = memoryview(data).cast("B")
        if self._abandoned:
            return len(view)
        self._digest.update(view)
        if self._beside:
            self._beside.update(view)
        with writing_errors():
            self._file.write(view)
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        """The number of bytes written."""
        return self.size

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        if self._abandoned:
            return
        with writing_errors():
            self._file.flush()

    def close(self) -> None:
        """Put everything where it lasts and close."""
        with writing_errors():
            self._file.flush()
            self._sync()
            self._file.close()

    def abandon(self) -> None:
        """Close without a word; what is still written goes nowhere.

        Arrow's writers complete their file when they are collected, also after a run has failed.
        """
        self._abandoned = True
        with suppress(OSError):
            self._file.close()


class writing_errors:  # noqa: N801 - reads as a statement where it is used
    """A `with` block in which a refused write becomes an `OutputError` without a path in it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise output_error(error) from None


def output_error(error: OSError) -> OutputError:
    """The `OutputError` for what the system said about a write."""
    full = {28, 122, 27}  # ENOSPC, EDQUOT, EFBIG
    if error.errno in full:
        return OutputError("out_full", "there is no room left where the results are written")
    return OutputError("out_unwritable", "the results cannot be written to that folder")
