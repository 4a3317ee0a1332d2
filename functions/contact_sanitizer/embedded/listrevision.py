"""A finished list in a folder, written anew: beside its place, then put into it by two renames.

The new folder is whole and on disk before the old one moves aside, so whoever dies between the two renames
leaves what `settle` completes. Between them the list is not there, which stops a reader and misleads none.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from contact_sanitizer.embedded.home import sync_folder
from contact_sanitizer.errors import OutputError
from contact_sanitizer.outputs.digesting import DigestingFile, writing_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contact_sanitizer.listid import ListId

_MANIFEST: Final = "manifest.json"


class FolderRevision:
    """Implements `ports.ListRevision` on a folder; a second revision of the list waits for the first."""

    def __init__(self, root: Path, list_id: ListId) -> None:
        self._root = root
        self._list_id = list_id
        self._final = root / list_id
        self._staged = _staged(root, list_id)
        self._held = ExitStack()
        self._files: dict[str, DigestingFile] = {}

    def create(self, name: str) -> DigestingFile:
        """A file in the place of the one of that name."""
        with writing_errors():
            file = self._files[name] = DigestingFile((self._staged / name).open("xb"))
        return file

    def publish(self, manifest: bytes) -> None:
        """Put the new folder into the old one's place, and remove the old one."""
        with writing_errors():
            for path in sorted(self._final.iterdir()):
                if path.name not in self._files and path.name != _MANIFEST:
                    os.link(path, self._staged / path.name, follow_symlinks=False)
            file = self.create(_MANIFEST)
            file.write(manifest)
            file.close()
            sync_folder(self._staged)
            # Held until the end, so that nobody revises what is not entered anywhere yet.
            self._held.enter_context(_locked(self._staged))
            with _locked(self._root):
                self._final.rename(_replaced(self._root, self._list_id))
                sync_folder(self._root)
                _finish(self._root, self._list_id)

    def __enter__(self) -> Self:
        with ExitStack() as held, writing_errors():
            settle_revision(self._root, self._list_id)
            held.enter_context(_locked(self._final))
            shutil.rmtree(self._staged, ignore_errors=True)
            self._staged.mkdir(mode=0o700)
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Let go of the list whatever happens: whoever revises it next would wait for ever.
        with self._held:
            for file in self._files.values():
                if not file.closed:
                    file.abandon()
            if not _replaced(self._root, self._list_id).exists():
                # Once the old folder has moved aside, this is the list.
                shutil.rmtree(self._staged, ignore_errors=True)


def settle_revision(root: Path, list_id: ListId) -> None:
    """Complete a revision whose old folder has moved aside; else nothing. Raises `OutputError`."""
    if not _replaced(root, list_id).exists():
        return
    with writing_errors(), _locked(root):
        if _replaced(root, list_id).exists():
            _finish(root, list_id)


def revision_folders(root: Path, list_id: ListId) -> tuple[Path, Path]:
    """Where a revision of the list is made, and where it puts what it replaces."""
    return _staged(root, list_id), _replaced(root, list_id)


def _finish(root: Path, list_id: ListId) -> None:
    if not (root / list_id).exists():
        _staged(root, list_id).rename(root / list_id)
        sync_folder(root)
    shutil.rmtree(_replaced(root, list_id))
    sync_folder(root)


def _staged(root: Path, list_id: ListId) -> Path:
    return root / f".{list_id}.revised"


def _replaced(root: Path, list_id: ListId) -> Path:
    return root / f".{list_id}.replaced"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """While nobody else holds the folder that is at this place."""
    while True:
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise OutputError("list_unknown", "that list was not finished, or is no longer there") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_still(folder, lock):
                yield
                return
        finally:
            os.close(lock)


def _is_still(folder: Path, lock: int) -> bool:
    try:
        return os.path.samestat(folder.lstat(), os.fstat(lock))
    except FileNotFoundError:
        return False
