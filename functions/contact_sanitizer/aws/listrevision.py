"""A finished list in a bucket, written anew: new versions of its files, then of its manifest.

The manifest is replaced on condition that it is the one that was there at the beginning, and names the
versions of the files beside it: so readers see the old list or the new one, and of two revisions at once one
counts. Versions that are older than those it names are deleted for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

from botocore.exceptions import ClientError

from contact_sanitizer.aws.faults import Fault, fault_of, told
from contact_sanitizer.aws.listparts import PartsFile, Place, list_fault
from contact_sanitizer.aws.objects import encrypted
from contact_sanitizer.errors import OutputError
from contact_sanitizer.outputs.digesting import DigestingFile

if TYPE_CHECKING:
    from typing import BinaryIO

    from mypy_boto3_s3 import S3Client

MANIFEST: Final = "manifest.json"
#: How a manifest's metadata name the version of a file beside it.
VERSION_OF: Final = "version-of-"
_SENDERS: Final = 4


class S3Revision:
    """Implements `ports.ListRevision`; `folder` is the list's prefix, with its slash."""

    def __init__(self, s3: S3Client, bucket: str, folder: str, key: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._folder = folder
        self._key = key
        self._etag = ""
        self._versions: dict[str, str] = {}
        self._files: dict[str, tuple[PartsFile, DigestingFile]] = {}
        self._pool = ThreadPoolExecutor(_SENDERS, "parts")

    def create(self, name: str) -> DigestingFile:
        """A file in the place of the one of that name."""
        parts = PartsFile(Place(self._s3, self._bucket, self._folder + name, self._key), self._pool)
        file = DigestingFile(cast("BinaryIO", parts), sync=parts.sync)
        self._files[name] = (parts, file)
        return file

    def publish(self, manifest: bytes) -> None:
        """Make the new versions count, and delete the old ones; `OutputError` (`list_busy`) in a race."""
        for name, (parts, _) in self._files.items():
            self._versions[VERSION_OF + name] = parts.complete()
        self._files.clear()
        with told(_revision_fault):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=self._folder + MANIFEST,
                    Body=manifest,
                    ContentType="application/json",
                    IfMatch=self._etag,
                    Metadata=self._versions,
                    **encrypted(self._key),
                )
            except ClientError as error:
                # an answer that was lost on its way left our very bytes there
                if fault_of(error) is not Fault.LOST_RACE or self._present() != manifest:
                    raise
        settle_revision(self._s3, self._bucket, self._folder)

    def _present(self) -> bytes:
        return self._s3.get_object(Bucket=self._bucket, Key=self._folder + MANIFEST)["Body"].read()

    def __enter__(self) -> Self:
        with told(_revision_fault):
            head = self._s3.head_object(Bucket=self._bucket, Key=self._folder + MANIFEST)
        self._etag, self._versions = head["ETag"], dict(head["Metadata"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for parts, file in self._files.values():
            if not file.closed:
                file.abandon()
            parts.abort()
        self._pool.shutdown(wait=True, cancel_futures=True)


def settle_revision(s3: S3Client, bucket: str, folder: str) -> None:
    """Delete what is older than the versions that count; nothing where there is no list."""
    with told(_revision_fault):
        try:
            head = s3.head_object(Bucket=bucket, Key=folder + MANIFEST)
        except ClientError as error:
            if fault_of(error) is not Fault.ABSENT:
                raise
            return
        counting = {
            folder + name.removeprefix(VERSION_OF): version for name, version in head["Metadata"].items()
        }
        counting[folder + MANIFEST] = head.get("VersionId", "")
        for key, version in list(_older(s3, bucket, folder, counting)):
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version)


def _older(s3: S3Client, bucket: str, folder: str, counting: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Versions that were stored before the one that counts; those after it may be somebody's who is at work.

    S3 lists the versions of a key from the newest on.
    """
    met: set[str] = set()
    for key, version in versions_of(s3, bucket, folder):
        if key in met:
            yield key, version
        elif version == counting.get(key):
            met.add(key)


def versions_of(s3: S3Client, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Key and version of all that is kept below a prefix; of each key the newest first."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        kept: list[Any] = [*page.get("Versions", [])]
        for entry in kept:
            yield entry["Key"], entry["VersionId"]


def _revision_fault(fault: Fault) -> OutputError:
    if fault is Fault.LOST_RACE:
        return OutputError("list_busy", "somebody else is writing the same list anew; try again")
    if fault is Fault.ABSENT:
        return OutputError("list_unknown", "that list was not finished, or is no longer there")
    return list_fault(fault)
