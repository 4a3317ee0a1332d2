"""Deliveries in a bucket: `deliveries/TENANT/DELIVERY_ID/`, the sender's file and our note of its people.

Both are written to this machine's scratch space first: what they are named by is known when they are whole.
Each is put in one request, only where there is none, so that it is there whole or not at all, and once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from contact_sanitizer.aws.faults import told
from contact_sanitizer.aws.listparts import list_fault
from contact_sanitizer.aws.noterevision import CONTENT, PEOPLE, S3NoteRevision, settle_note
from contact_sanitizer.aws.objects import encrypted, written_if_absent
from contact_sanitizer.aws.uploads import S3Upload
from contact_sanitizer.errors import IntakeError, OutputError
from contact_sanitizer.intake.raw import Source
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.digesting import Digest, DigestingFile, writing_errors
from contact_sanitizer.protection.digests import note_digest

if TYPE_CHECKING:
    from typing import BinaryIO

    from mypy_boto3_s3 import S3Client

_DIGEST: Final = "digest"


@dataclass(frozen=True, slots=True)
class S3Deliveries:
    """Implements `ports.DeliveryShelf` under `prefix` of a bucket; `out`: a file for the sender's copy."""

    s3: S3Client
    bucket: str
    prefix: str
    key: str
    out: Path | None = None

    def begin(self) -> S3Delivery:
        """A new delivery; `OutputError` where none can be made."""
        return S3Delivery(self)

    def people(self, delivery_id: ListId) -> Source:
        """The note of a delivery's people."""
        return _Note(self, delivery_id)

    def revise(self, delivery_id: ListId) -> S3NoteRevision:
        """A delivery's note, to be written anew."""
        return S3NoteRevision(self.s3, self.bucket, self.key_of(delivery_id, ""), self.key)

    def settle(self, delivery_id: ListId) -> None:
        """Complete a revision that was interrupted while it was published."""
        settle_note(self.s3, self.bucket, self.key_of(delivery_id, ""))

    def key_of(self, delivery_id: ListId, name: str) -> str:
        """Where a file of a delivery lies."""
        return f"{self.prefix}{delivery_id}/{name}"


@dataclass(frozen=True, slots=True)
class _Note:
    """Implements `Source`; nothing is asked of S3 before it is opened."""

    shelf: S3Deliveries
    delivery_id: ListId

    @property
    def name(self) -> str:
        """The note's name."""
        return PEOPLE

    def open(self) -> BinaryIO:
        """Its bytes. Raises `IntakeError`: `object_missing` where it is not there any more."""
        shelf, key = self.shelf, self.shelf.key_of(self.delivery_id, PEOPLE)
        try:
            return S3Upload.find(shelf.s3, shelf.bucket, key).open()
        except IntakeError as error:
            if error.code == "object_unreadable" and self._is_gone(key):
                raise IntakeError("object_missing", "the note is not there any more") from None
            raise

    def _is_gone(self, key: str) -> bool:
        """Whether nothing is there: to whoever may not list all of a bucket S3 says 403 of that."""
        try:
            listed = self.shelf.s3.list_objects_v2(Bucket=self.shelf.bucket, Prefix=key, MaxKeys=1)
        except (ClientError, BotoCoreError):
            return False
        return not any(entry["Key"] == key for entry in listed.get("Contents", []))


class S3Delivery:
    """Implements `ports.DeliverySink`."""

    def __init__(self, shelf: S3Deliveries) -> None:
        self._shelf = shelf
        self._files: dict[str, DigestingFile] = {}
        with writing_errors():
            self._scratch = Path(tempfile.mkdtemp(prefix="delivery-"))

    def content(self) -> DigestingFile:
        """The sender's file, invisible until `publish`."""
        return self._create(CONTENT)

    def people(self) -> DigestingFile:
        """The note of the delivered people, for our eyes only."""
        return self._create(PEOPLE, note_digest())

    def check(self) -> None:
        """Raises `OutputError` (`out_exists`) where another file is in the place of the sender's copy."""
        out = self._shelf.out
        with writing_errors():
            if out is not None and os.path.lexists(out) and _digest(out) != self._files[CONTENT].sha256:
                raise OutputError("out_exists", "another file is there already; it was left as it is")

    def keep_people(self, delivery_id: ListId) -> None:
        """Keep the note for good; one that is kept under this id already says the same and stays."""
        self._put(delivery_id, PEOPLE)

    def publish(self, delivery_id: ListId) -> str:
        """Make the sender's file visible whole, written only if absent; returns where it is."""
        shelf = self._shelf
        self.check()
        self._put(delivery_id, CONTENT)
        if shelf.out is None:
            return f"s3://{shelf.bucket}/{shelf.key_of(delivery_id, CONTENT)}"
        with writing_errors():
            shelf.out.parent.mkdir(parents=True, exist_ok=True)
            beside = shelf.out.with_name(f".{shelf.out.name}.{os.getpid()}.partial")
            try:
                shutil.copyfile(self._scratch / CONTENT, beside)
                beside.chmod(0o600)
                beside.rename(shelf.out)
            finally:
                beside.unlink(missing_ok=True)
        return str(shelf.out)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.abandon()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _create(self, name: str, digest: Digest | None = None) -> DigestingFile:
        with writing_errors():
            file = DigestingFile((self._scratch / name).open("xb"), digest=digest)
        self._files[name] = file
        return file

    def _put(self, delivery_id: ListId, name: str) -> None:
        """Put a file where there is none; one that is there is another attempt's at the same delivery."""
        shelf = self._shelf
        key = shelf.key_of(delivery_id, name)
        with told(list_fault), (self._scratch / name).open("rb") as content:

            def write(condition: Mapping[str, Any]) -> None:
                content.seek(0)
                shelf.s3.put_object(
                    Bucket=shelf.bucket,
                    Key=key,
                    Body=content,
                    Metadata={_DIGEST: self._files[name].sha256},
                    **condition,
                    **encrypted(shelf.key),
                )

            if written_if_absent(lambda: write({"IfNoneMatch": "*"}), lambda: True):
                return
            # Encryption to a sender's key is never twice the same; what is announced has to be what is there.
            there = shelf.s3.head_object(Bucket=shelf.bucket, Key=key)["Metadata"].get(_DIGEST)
            if name == CONTENT and there != self._files[name].sha256:
                write({})


def _digest(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
