"""Lists in a folder: written beside their final place and made visible whole, by one rename.

While a list is being made it lives in `.LIST_ID.partial/`, whose lock its maker holds. `publish`
puts every file and the manifest on disk and then renames the folder to `LIST_ID/`; readers see all
or nothing. What a killed run left behind is swept by the next one.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from contact_sanitizer.embedded.home import sync_folder
from contact_sanitizer.embedded.listrevision import FolderRevision, revision_folders, settle_revision
from contact_sanitizer.errors import OutputError
from contact_sanitizer.intake.raw import LocalFile
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.digesting import DigestingFile, writing_errors
from contact_sanitizer.ports import Absence


@dataclass(frozen=True, slots=True)
class ListFolders:
    """Implements `ports.RevisableShelf` on a folder: a folder a list."""

    root: Path
    name: str = ""

    @property
    def place(self) -> str:
        """The folder, or what it is called wherever it is."""
        return self.name or str(self.root)

    def begin(self, list_id: ListId) -> ListFolder:
        """A new list; `OutputError` (`list_exists`, `out_unwritable`) where none can be made."""
        return ListFolder(self.root, list_id)

    def manifest(self, list_id: ListId) -> bytes | None:
        """The manifest of a finished list; None where there is none."""
        try:
            return (self.root / list_id / MANIFEST).read_bytes()
        except OSError:
            return None

    def file(self, list_id: ListId, name: str) -> LocalFile:
        """One file of a finished list."""
        return LocalFile(self.root / list_id / name)

    def where(self, list_id: ListId) -> str:
        """The list's folder."""
        return str(self.root / list_id)

    def revise(self, list_id: ListId) -> FolderRevision:
        """A finished list, to be written anew."""
        return FolderRevision(self.root, list_id)

    def settle(self, list_id: ListId) -> None:
        """Complete a revision that was interrupted while it was published."""
        settle_revision(self.root, list_id)

    def absence(self, list_id: ListId) -> Absence:
        """Why a list is not here; a living maker holds the lock of its partial folder."""
        try:
            # While nobody begins a list here, or puts one into its place.
            sweeping = _locked(self.root)
        except (FileNotFoundError, NotADirectoryError):
            return Absence.NOTHING
        except OSError:
            return Absence.OPEN
        try:
            found = _cleared(_partial(self.root, list_id))
            here = (self.root / list_id, *revision_folders(self.root, list_id))
            return Absence.PART if found is Absence.NOTHING and any(map(os.path.lexists, here)) else found
        finally:
            os.close(sweeping)


_PARTIAL = re.compile(r"\.[0-9A-HJKMNP-TV-Z]{26}\.partial\Z")
MANIFEST = "manifest.json"


class ListFolder:
    """One list being made, as a context manager: entered it begins, left without `publish` nothing stays."""

    def __init__(self, out: Path, list_id: str) -> None:
        self._out = out
        self._final = out / list_id
        self._partial = _partial(out, list_id)
        self.scratch = self._partial / "scratch"
        self._lock = -1
        self._published = False
        self._open: list[DigestingFile] = []

    def _begin(self) -> int:
        """Make the partial folder and lock it, while nobody else sweeps here; returns the lock."""
        sweeping = _locked(self._out)
        try:
            _sweep(self._out)
            if self._final.exists():
                raise OutputError("list_exists", "a list of this id is already there")
            return self._make_partial()
        finally:
            os.close(sweeping)

    def _make_partial(self) -> int:
        """The folder and its scratch folder, both or neither: an interrupt leaves nothing either."""
        try:
            self._partial.mkdir(mode=0o700)
            self.scratch.mkdir(mode=0o700)
            return _locked(self._partial)
        except FileExistsError:  # somebody else's
            raise
        except BaseException:
            shutil.rmtree(self._partial, ignore_errors=True)
            raise

    @property
    def place(self) -> Path:
        """Where the list will be."""
        return self._final

    def create(self, name: str) -> DigestingFile:
        """A new file of the list."""
        with writing_errors():
            file = DigestingFile((self._partial / name).open("xb"))
        self._open.append(file)
        return file

    def restart(self) -> None:
        """Forget the files that were written so far; the scratch folder stays as it is."""
        self._close_files()
        with writing_errors():
            for path in self._partial.iterdir():
                if path.is_file():
                    path.unlink()

    def publish(self, manifest: bytes) -> Path:
        """Make the list visible, manifest included; returns its folder."""
        with writing_errors():
            shutil.rmtree(self.scratch)
            file = self.create(MANIFEST)
            file.write(manifest)
            file.close()
            sync_folder(self._partial)
            self._partial.rename(self._final)
            self._published = True
            sync_folder(self._final.parent)
        return self._final

    def __enter__(self) -> Self:
        with writing_errors():
            self._out.mkdir(parents=True, exist_ok=True)
            self._lock = self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close_files()
            if not self._published:
                shutil.rmtree(self._partial, ignore_errors=True)
        finally:
            # Whoever looks for the list takes its maker for alive while this is held.
            os.close(self._lock)

    def _close_files(self) -> None:
        """Give up files that were not finished; what they still buffer is of no use to anybody."""
        for file in self._open:
            if not file.closed:
                file.abandon()
        self._open.clear()


def _locked(folder: Path) -> int:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _sweep(out: Path) -> None:
    """Remove partial lists whose maker is gone: a living maker holds the lock."""
    for path in out.iterdir():
        if _PARTIAL.match(path.name):
            _cleared(path)


def _partial(out: Path, list_id: str) -> Path:
    return out / f".{list_id}.partial"


def _cleared(partial: Path) -> Absence:
    """Removes a partial list whose maker is gone; what is known of it then."""
    try:
        lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Absence.NOTHING
    except OSError:  # no folder at all, or out of reach
        return Absence.OPEN
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(partial, ignore_errors=True)
        return Absence.OPEN if partial.exists() else Absence.DIED
    except BlockingIOError:
        return Absence.OPEN
    finally:
        os.close(lock)
