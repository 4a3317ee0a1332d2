"""The keyring on a laptop: one file that only its owner may read."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.keyring import Keyring, new_key
from contact_sanitizer.protection.keyring_json import dump_keyring, load_keyring

_LARGEST_FILE = 1 << 20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_PENDING = ".pending"


class KeyFile:
    """A keyring in a file of mode 0600, replaced as a whole or not at all.

    Promises: the file is refused where its group or others may do anything with it; after a crash
    there is the old keyring or the new one. Does not promise: order between two processes that
    rotate at once (the home's lock does that), protection from the owner's other programs, or wiping
    old sectors of the disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def where(self) -> str:
        """The file."""
        return str(self._path)

    def create(
        self, tenant: str, now: datetime, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> Keyring:
        """A new keyring of one key, stored.

        Raises `KeyringError` `keyring_unwritable`, also where there is a file already.
        """
        keyring = Keyring.create(tenant, *new_key(random_bytes), now)
        pending = self._write_pending(keyring)
        try:
            os.link(pending, self._path, follow_symlinks=False)  # unlike a rename, it replaces nothing
            pending.unlink()
            self._sync_folder()
        except OSError:
            raise _unwritable() from None
        finally:
            pending.unlink(missing_ok=True)
        return keyring

    def load(self) -> Keyring:
        """The stored keyring.

        Raises `KeyringError`: `keyring_missing`, `keyring_exposed` (others may read or write it, or it
        is a link), `keyring_damaged`, `keyring_newer`.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            if self._path.is_symlink():
                raise KeyringError(
                    "keyring_exposed", "the key file is a link: put the file itself in its place"
                )
            with os.fdopen(os.open(self._path, flags), "rb") as file:
                _check_private(os.fstat(file.fileno()))
                content = file.read(_LARGEST_FILE + 1)
        except FileNotFoundError:
            raise KeyringError("keyring_missing", "there is no key file") from None
        except OSError:
            raise KeyringError("keyring_damaged", "the key file cannot be read") from None
        if len(content) > _LARGEST_FILE:
            raise KeyringError("keyring_damaged", "the key file is too large to be one")
        return load_keyring(content)

    def rotate(self, now: datetime, random_bytes: Callable[[int], bytes] = os.urandom) -> Keyring:
        """The stored keyring with a new primary key, stored. Raises as `load`, and `keyring_unwritable`."""
        return self._replace(self.load().rotate(*new_key(random_bytes), now))

    def destroy(self, key_id: int) -> Keyring:
        """The stored keyring without that key's root, stored.

        Raises as `load`, and `keyring_unwritable`, `key_unknown`, `key_refused` (the primary).
        """
        return self._replace(self.load().destroy(key_id))

    def _replace(self, keyring: Keyring) -> Keyring:
        self._remove_leftovers()
        pending = self._write_pending(keyring)
        try:
            pending.replace(self._path)
            self._sync_folder()
        except OSError:
            raise _unwritable() from None
        finally:
            pending.unlink(missing_ok=True)
        return keyring

    def _write_pending(self, keyring: Keyring) -> Path:
        """The keyring in a file beside, on disk; `mkstemp` opens it exclusively with mode 0600."""
        pending: Path | None = None
        try:
            descriptor, name = tempfile.mkstemp(_PENDING, f".{self._path.name}.", self._path.parent)
            pending = Path(name)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(dump_keyring(keyring))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            if pending is not None:
                pending.unlink(missing_ok=True)
            raise _unwritable() from None
        return pending

    def _remove_leftovers(self) -> None:
        """A crash may have left a copy of roots that are to be destroyed now."""
        try:
            for leftover in self._path.parent.glob(f".{self._path.name}.*{_PENDING}"):
                leftover.unlink(missing_ok=True)
        except OSError:
            raise _unwritable() from None

    def _sync_folder(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _check_private(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyringError("keyring_damaged", "the key file is no regular file")
    if status.st_mode & _OTHERS:
        raise KeyringError("keyring_exposed", "the key file is open to group or others: make it mode 0600")


def _unwritable() -> KeyringError:
    return KeyringError("keyring_unwritable", "the key file cannot be written, or exists already")
