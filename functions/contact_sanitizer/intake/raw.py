"""The bytes of a list as they are kept, each seen once by whoever watches."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.limits import Limits

Observer = Callable[[bytes], None]
"""Sees every byte of the file on disk exactly once, in order."""

_PASS_BYTES = 1 << 20


class ByteStream(Protocol):
    """Bytes in order."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, at least one before the end, none at the end."""


class Source(Protocol):
    """Where a list's bytes are: a file, an object in a store. Opened anew for each reading."""

    @property
    def name(self) -> str:
        """What it is called; only its ending is looked at."""
        ...

    def open(self) -> BinaryIO:
        """The bytes from their beginning, unbuffered and seekable, the same at each opening.

        Raises `IntakeError` (`file_missing`, `file_unreadable`), here and while they are read.
        """
        ...


ListSource = Path | Source


@dataclass(frozen=True, slots=True, repr=False)
class LocalFile:
    """A regular file on this machine; implements `Source`."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def open(self) -> BinaryIO:
        """The file; whatever is no regular one is refused."""
        return _open(self.path)


def source_of(source: ListSource) -> Source:
    """A path as a source; a source as it is."""
    return LocalFile(source) if isinstance(source, Path) else source


def size_of(source: ListSource) -> int:
    """How many bytes there are, compressed or not; raises `IntakeError` as opening does."""
    with source_of(source).open() as file:
        return file.seek(0, os.SEEK_END)


class RawFile:
    """One source of bytes, opened for reading; `size` is its length when it was opened.

    Raises from every method: `file_unreadable` where the disk fails, `limit_bytes` where more comes out
    than the limit, `file_empty` for a file of no bytes.
    """

    def __init__(self, source: ListSource, limits: Limits, observe: Observer | None = None) -> None:
        self._limits = limits
        self._observe = observe
        self._file = source_of(source).open()
        try:
            self.size = _size(self._file)
            limits.check_bytes(self.size)
        except IntakeError:
            self._file.close()
            raise
        self._count = 0
        self._finished = False
        self._kept: list[BinaryIO] = []

    def read(self, size: int, /) -> bytes:
        """The next bytes of the file; the observer sees them."""
        data = self._read(size)
        self._count += len(data)
        self._limits.check_bytes(self._count)
        if self._observe is not None and data:
            self._observe(data)
        return data

    def peek(self, size: int, at: int = 0) -> bytes:
        """Bytes at a place, unseen by the observer; the next `read` is not moved by it."""
        try:
            here = self._file.tell()
            self._file.seek(at)
            data = self._file.read(size)
            self._file.seek(here)
        except OSError:
            raise _unreadable() from None
        return data

    def whole(self) -> BinaryIO:
        """The file itself for a format that jumps about in it, after the observer has seen all of it."""
        self.finish()
        self._file.seek(0)
        return self._file

    def finish(self) -> None:
        """Show the observer what it has not seen yet."""
        if self._observe is not None and not self._finished:
            while self.read(_PASS_BYTES):
                pass
            self._finished = True

    def close(self) -> None:
        """Close the file and all that was kept with it."""
        for file in (*self._kept, self._file):
            file.close()

    def keep(self, file: BinaryIO) -> BinaryIO:
        """A file that is to be closed with this one."""
        self._kept.append(file)
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError:
            raise _unreadable() from None


class IrregularFileError(IntakeError):
    """A folder, a pipe or the like is there (`file_unreadable`): asking again gives no other answer."""


def _open(path: Path) -> BinaryIO:
    try:
        # O_NONBLOCK: a named pipe would otherwise hold the program until somebody writes to it
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise IntakeError("file_missing", "there is no such file") from None
    except (OSError, ValueError) as error:
        # What a socket, and a link that leads to itself, answer.
        if isinstance(error, OSError) and error.errno in {errno.ENXIO, errno.ELOOP}:
            raise _irregular() from None
        raise _unreadable() from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _irregular()
    return os.fdopen(handle, "rb", buffering=0)


def _size(file: BinaryIO) -> int:
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
    except OSError:
        raise _unreadable() from None
    if not size:
        raise IntakeError("file_empty", "the file has no bytes")
    return size


def _irregular() -> IrregularFileError:
    return IrregularFileError("file_unreadable", "this is not a regular file")


def _unreadable() -> IntakeError:
    return IntakeError("file_unreadable", "the file cannot be read")
