"""Lists in a bucket: `lists/TENANT/LIST_ID/`, finished when their manifest is there.

Files are sent while they are written: that takes memory for a few parts where spooling would take the
function's disk, and the list is as good as uploaded when its last row is judged. Until `publish` they are
unfinished multipart uploads that nobody can read; the manifest comes last and only where there is none.

The maker may write but not read, so that it cannot tell what an attempt that died between its first
completed file and its manifest has left: it writes over it. Hence the manifest's object names the version of
each file beside it (in its metadata), and a reader opens exactly those.
"""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

from botocore.exceptions import ClientError

from contact_sanitizer.aws.faults import Fault, fault_of, told
from contact_sanitizer.aws.listparts import PartsFile, Place, list_fault
from contact_sanitizer.aws.listrevision import MANIFEST, VERSION_OF, S3Revision, settle_revision
from contact_sanitizer.aws.objects import encrypted, is_absent, written_if_absent
from contact_sanitizer.aws.uploads import S3Upload
from contact_sanitizer.errors import IntakeError, OutputError
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.digesting import DigestingFile, writing_errors
from contact_sanitizer.ports import Absence

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SENDERS: Final = 4


@dataclass(frozen=True, slots=True)
class S3ListShelf:
    """Implements `ports.RevisableShelf` under `prefix` (`lists/TENANT/`) of a versioned bucket.

    Promises: a list is there whole or not at all, once, with the files that its manifest was written
    with. Does not promise that somebody who reads by plain key, past the manifest, sees those.
    """

    s3: S3Client
    bucket: str
    prefix: str
    key: str

    @property
    def place(self) -> str:
        """The bucket and prefix."""
        return f"s3://{self.bucket}/{self.prefix}"

    def begin(self, list_id: ListId) -> S3List:
        """A new list; `OutputError` (`list_exists`, `out_unwritable`) where none can be made."""
        with told(list_fault):
            if self._is_finished(list_id):
                raise OutputError("list_exists", "a list of this id is already there")
        return S3List(self, list_id)

    def manifest(self, list_id: ListId) -> bytes | None:
        """The manifest of a finished list; None where there is none. `OutputError` where S3 does not say."""
        with told(_read_fault):
            try:
                answer = self.s3.get_object(Bucket=self.bucket, Key=self.key_of(list_id, MANIFEST))
                return answer["Body"].read()
            except ClientError as error:
                if is_absent(self.s3, self.bucket, self.key_of(list_id, MANIFEST), error):
                    return None
                raise

    def file(self, list_id: ListId, name: str) -> ListedFile:
        """One file of a finished list."""
        return ListedFile(self, list_id, name)

    def where(self, list_id: ListId) -> str:
        """The list's address."""
        return f"{self.place}{list_id}/"

    def revise(self, list_id: ListId) -> S3Revision:
        """A finished list, to be written anew."""
        return S3Revision(self.s3, self.bucket, self.key_of(list_id, ""), self.key)

    def settle(self, list_id: ListId) -> None:
        """Complete a revision that was interrupted while it was published."""
        settle_revision(self.s3, self.bucket, self.key_of(list_id, ""))

    def absence(self, list_id: ListId) -> Absence:  # noqa: ARG002 - as declared
        """Upload and parts of a list may be told again; one that was made is gone when its time is over."""
        return Absence.AS_ENTERED

    def _is_finished(self, list_id: ListId) -> bool:
        try:
            self.s3.head_object(Bucket=self.bucket, Key=self.key_of(list_id, MANIFEST))
        except ClientError as error:
            # to somebody who may not list, S3 says 403 of what is not there; the manifest's condition decides
            if fault_of(error) not in {Fault.ABSENT, Fault.DENIED}:
                raise
            return False
        return True

    def key_of(self, list_id: ListId, name: str) -> str:
        """The key of one of a list's files."""
        return f"{self.prefix}{list_id}/{name}"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of a finished list; implements `Source`."""

    shelf: S3ListShelf
    list_id: ListId
    name: str

    def open(self) -> BinaryIO:
        """Its bytes, in the version that the manifest goes with. Raises `IntakeError` (`file_missing`, …)."""
        shelf = self.shelf
        with told(_missing):
            head = shelf.s3.head_object(Bucket=shelf.bucket, Key=shelf.key_of(self.list_id, MANIFEST))
        version = head["Metadata"].get(VERSION_OF + self.name, "")
        if self.name == MANIFEST:
            version = head.get("VersionId", "")
        return S3Upload.find(shelf.s3, shelf.bucket, shelf.key_of(self.list_id, self.name), version).open()


class S3List:
    """One list being made. A context manager: without `publish`, leaving it gives everything up."""

    def __init__(self, shelf: S3ListShelf, list_id: ListId) -> None:
        self._shelf = shelf
        self._list_id = list_id
        self._files: dict[str, tuple[PartsFile, DigestingFile]] = {}
        self._pool = ThreadPoolExecutor(_SENDERS, "parts")
        with writing_errors():
            self.scratch = Path(tempfile.mkdtemp(prefix="list-"))

    def create(self, name: str) -> DigestingFile:
        """A new file of the list."""
        shelf = self._shelf
        place = Place(shelf.s3, shelf.bucket, shelf.key_of(self._list_id, name), shelf.key)
        parts = PartsFile(place, self._pool)
        file = DigestingFile(cast("BinaryIO", parts), sync=parts.sync)
        self._files[name] = (parts, file)
        return file

    def restart(self) -> None:
        """Forget the files that were written so far; the scratch folder stays as it is."""
        for parts, file in self._files.values():
            if not file.closed:
                file.abandon()
            parts.abort()
        self._files.clear()

    def publish(self, manifest: bytes) -> str:
        """Make the list visible, its manifest last; returns where it is.

        A manifest of the same bytes that is there already is ours, of an earlier attempt or of another
        worker on the same list. Raises `OutputError`, `list_exists` where another one is there.
        """
        versions = {name: parts.complete() for name, (parts, _) in self._files.items()}
        named = {VERSION_OF + name: version for name, version in versions.items() if version}
        shelf, key = self._shelf, self._shelf.key_of(self._list_id, MANIFEST)

        def write() -> None:
            shelf.s3.put_object(
                Bucket=shelf.bucket,
                Key=key,
                Body=manifest,
                ContentType="application/json",
                IfNoneMatch="*",
                Metadata=named,
                **encrypted(shelf.key),
            )

        with told(list_fault):
            written = written_if_absent(write, lambda: False)
        if not written and shelf.manifest(self._list_id) != manifest:
            raise OutputError("list_exists", "a list of this id is already there")
        self._files.clear()
        return self._shelf.where(self._list_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restart()
        self._pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self.scratch, ignore_errors=True)


def _read_fault(fault: Fault) -> OutputError:
    if fault is Fault.DENIED:
        return OutputError("list_unknown", "the lists' bucket refuses to show this list")
    return OutputError("out_unwritable", "the lists' bucket does not answer; try again")


def _missing(fault: Fault) -> IntakeError:
    if fault is Fault.ABSENT:
        return IntakeError("file_missing", "there is no such list")
    return IntakeError("object_unreadable", "the list cannot be read now; try again")
