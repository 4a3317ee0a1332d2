"""Small objects as files below a folder: an object's key is its path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from contact_sanitizer.embedded.home import sync_folder
from contact_sanitizer.errors import AuditError

_KEY = re.compile(r"[a-zA-Z0-9_\-][a-zA-Z0-9_.\-]*(?:/[a-zA-Z0-9_\-][a-zA-Z0-9_.\-]*)*\Z")
_UNFINISHED = re.compile(r"\.(\d+)\.tmp\Z")
_LARGEST: Final = 64 << 20
_SERIAL = count()
"""Two threads may put the same key at once."""


class ObjectFolder:
    """Implements `ports.Objects` on a folder, which has to be there.

    Promises: an object is seen whole or not at all, and is on disk when `put` returns; of two that put the
    same key if absent at once, one is told that it did not. Folders below are made as they are needed; one
    that is a link is refused.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes, *, absent: bool) -> bool:
        """Keep `data` on disk; with `absent` only where the key is free. Whether it was written."""
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{next(_SERIAL)}.{os.getpid()}.tmp")
        try:
            self._make_folder(path.parent)
            return _placed(temporary, path, data, absent=absent)
        except (OSError, ValueError):
            raise AuditError(
                "audit_unwritable", "the audit log cannot be written, so nothing was done"
            ) from None

    def get(self, key: str) -> bytes | None:
        """What is kept under the key, or None."""
        try:
            with open(self._path(key), "rb", opener=_open_file) as file:
                # Room is made for as much as is asked for, and most objects are small.
                size = os.fstat(file.fileno()).st_size
                data = file.read(min(size, _LARGEST) + 1)
                if len(data) > size:
                    data += file.read(max(_LARGEST + 1 - len(data), 0))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError:
            raise _unreadable() from None
        if len(data) > _LARGEST:
            raise _unreadable()
        return data

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """The keys that begin with `prefix` and come after `after`, ascending by code point."""
        try:
            yield from self._below("", prefix, after)
        except OSError:
            raise _unreadable() from None

    def delete(self, key: str) -> None:
        """Let go of an object; an absent one is no error."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except (NotADirectoryError, FileNotFoundError):
            return
        except OSError:
            raise AuditError("audit_unwritable", "the audit log cannot be written") from None

    def sweep(self) -> None:
        """Remove what killed processes left half-written."""
        for folder, _, names in os.walk(self._root, topdown=False):
            for name in names:
                found = _UNFINISHED.search(name) if name.startswith(".") else None
                if found and not _is_running(int(found.group(1))):
                    Path(folder, name).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            raise AssertionError("a key is made of plain words between slashes")
        return self._root / key

    def _make_folder(self, folder: Path) -> None:
        if folder == self._root:
            return
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
        if folder.is_symlink():
            raise OSError("a link stands where a folder of the log should be")

    def _below(self, folder: str, prefix: str, after: str) -> Iterator[str]:
        """The keys below one folder (its key ends with a slash), in order."""
        try:
            with os.scandir(self._root / folder) as found:
                names = sorted(
                    f"{folder}{entry.name}/"
                    if entry.is_dir(follow_symlinks=False)
                    else f"{folder}{entry.name}"
                    for entry in found
                    if not entry.name.startswith(".")
                )
        except FileNotFoundError:
            return
        for name in names:
            if name.endswith("/"):
                begins = name.startswith(prefix) or prefix.startswith(name)
                if begins and (name > after or after.startswith(name)):
                    yield from self._below(name, prefix, after)
            elif name.startswith(prefix) and name > after:
                yield name


def _placed(temporary: Path, path: Path, data: bytes, *, absent: bool) -> bool:
    """Write beside and move into place; a link, unlike a rename, replaces nothing."""
    try:
        with temporary.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if absent:
            os.link(temporary, path, follow_symlinks=False)
        else:
            temporary.replace(path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _open_file(path: str, _flags: int) -> int:
    # O_NONBLOCK: a named pipe in an object's place would hold us until somebody writes into it.
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _unreadable() -> AuditError:
    return AuditError("audit_damaged", "the audit log cannot be read")
