"""The audit log of a home folder: one append-only file of lines, each on disk before its effect."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from contact_sanitizer.audit.events import Event
from contact_sanitizer.embedded.home import sync_folder
from contact_sanitizer.errors import AuditError


class AuditFile:
    """Appends events to one file.

    Promises: when `append` returns, the event is on disk; when it raises, the caller must not go on.
    Writers of several processes do not mix their lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, event: Event) -> None:
        """Put `event` on disk, or raise `AuditError` (`audit_unwritable`)."""
        try:
            self._write(event.line())
        except OSError:
            raise AuditError(
                "audit_unwritable", "the audit log cannot be written, so nothing was done"
            ) from None

    def lines(self) -> Iterator[bytes]:
        """The lines written so far, oldest first, without their newline."""
        try:
            with self._path.open("rb") as file:
                yield from (line.rstrip(b"\n") for line in file)
        except FileNotFoundError:
            return
        except OSError:
            raise AuditError("audit_damaged", "the audit log cannot be read") from None

    def _write(self, line: bytes) -> None:
        # O_NONBLOCK: a named pipe in the log's place would hold us until somebody reads it.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(self._path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError("what lies in the log's place keeps nothing")
            fcntl.flock(file, fcntl.LOCK_EX)
            size = os.fstat(file).st_size
            # A crash in the middle of a line must not swallow the next event.
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            try:
                _write_whole(file, b"\n" + line if torn else line)
                os.fsync(file)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file, size)
                raise
        finally:
            os.close(file)
        if not size:
            sync_folder(self._path.parent)


def _write_whole(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
