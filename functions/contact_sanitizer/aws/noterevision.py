"""The note of a delivery's people in a bucket, written anew; the sender's file beside it goes for good.

A link to that file that was handed out minutes ago leads nowhere then: its sender asks for a delivery again.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from botocore.exceptions import ClientError

from contact_sanitizer.aws.faults import Fault, fault_of, told
from contact_sanitizer.aws.listparts import list_fault
from contact_sanitizer.aws.listrevision import versions_of
from contact_sanitizer.aws.objects import encrypted
from contact_sanitizer.errors import OutputError
from contact_sanitizer.outputs.digesting import DigestingFile, writing_errors
from contact_sanitizer.protection.digests import note_digest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT: Final = "content"
PEOPLE: Final = "people"
_DIGEST: Final = "digest"


class S3NoteRevision:
    """Implements `ports.NoteRevision`; `folder` is the delivery's prefix, with its slash.

    The note is written to this machine's scratch space first and put in one request, on condition that the
    note there is the one that was there at the beginning.
    """

    def __init__(self, s3: S3Client, bucket: str, folder: str, key: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._folder = folder
        self._key = key
        self._etag = ""
        self._file: DigestingFile | None = None
        with writing_errors():
            self._scratch = Path(tempfile.mkdtemp(prefix="note-"))

    def people(self) -> DigestingFile:
        """The new note."""
        with writing_errors():
            self._file = DigestingFile((self._scratch / PEOPLE).open("xb"), digest=note_digest())
        return self._file

    def publish(self) -> None:
        """Put it in the old one's place, and delete the old one and the sender's file."""
        with told(_note_fault):
            try:
                self._put()
            except ClientError as error:
                # an answer that was lost on its way left our very bytes there
                if fault_of(error) is not Fault.LOST_RACE or not self._is_there():
                    raise
        settle_note(self._s3, self._bucket, self._folder)

    def _put(self) -> None:
        with (self._scratch / PEOPLE).open("rb") as content:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=self._folder + PEOPLE,
                Body=content,
                IfMatch=self._etag,
                Metadata={_DIGEST: self._digest},
                **encrypted(self._key),
            )

    def _is_there(self) -> bool:
        head = self._s3.head_object(Bucket=self._bucket, Key=self._folder + PEOPLE)
        return head["Metadata"].get(_DIGEST) == self._digest

    @property
    def _digest(self) -> str:
        return self._file.hexdigest if self._file else ""

    def __enter__(self) -> Self:
        with told(_note_fault):
            self._etag = self._s3.head_object(Bucket=self._bucket, Key=self._folder + PEOPLE)["ETag"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and not self._file.closed:
            self._file.abandon()
        shutil.rmtree(self._scratch, ignore_errors=True)


def settle_note(s3: S3Client, bucket: str, folder: str) -> None:
    """Delete all versions of a note but the newest, and all of the sender's file."""
    with told(_note_fault):
        versions = list(versions_of(s3, bucket, folder))
        newest = next((version for key, version in versions if key == folder + PEOPLE), None)
        for key, version in versions:
            if key == folder + CONTENT or (key == folder + PEOPLE and version != newest):
                s3.delete_object(Bucket=bucket, Key=key, VersionId=version)


def _note_fault(fault: Fault) -> OutputError:
    if fault is Fault.LOST_RACE:
        return OutputError("list_busy", "somebody else is writing the same note anew; try again")
    return list_fault(fault)
