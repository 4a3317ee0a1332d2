"""The lists and deliveries of a stack, of all tenants, as verification wants them: read in pieces."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from contact_sanitizer.audit.beside import FILE, MANIFEST, PEOPLE, Kept
from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import parse_list_id

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_VERSION_OF: Final = "version-of-"
_DELIVERED: Final = {"content": FILE, "people": PEOPLE}


@dataclass(frozen=True, slots=True)
class S3Kept:
    """What lies below `lists/` and `deliveries/` of a bucket.

    Raises `AuditError`: `kept_denied` where a right is missing, `kept_unreadable` where S3 does not answer.
    """

    s3: S3Client
    bucket: str

    def lists(self) -> Iterator[Kept]:
        """The finished lists, each with the versions of its files that its manifest was written with."""
        for name, keys in self._things("lists/"):
            if MANIFEST in keys:
                with told(_fault):
                    head = self.s3.head_object(Bucket=self.bucket, Key=keys[MANIFEST])
                versions = head["Metadata"]
                files = {
                    file.partition(".")[0]: partial(self._open, key, versions.get(_VERSION_OF + file, ""))
                    for file, key in sorted(keys.items())
                }
                yield Kept(name, files)

    def deliveries(self) -> Iterator[Kept]:
        """The deliveries that are there still."""
        for name, keys in self._things("deliveries/"):
            files = {
                _DELIVERED[file]: partial(self._open, key, "")
                for file, key in sorted(keys.items())
                if file in _DELIVERED
            }
            yield Kept(name, files)

    def _things(self, prefix: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """By tenant and id: the keys of what lies at `PREFIX TENANT/ID/FILE`, by file."""
        parts = (key.split("/") for key in self._keys(prefix))
        ours = (part for part in parts if len(part) == 4 and parse_list_id(part[2]))
        for (_, name), group in groupby(ours, lambda part: (part[1], part[2])):
            yield name, {part[3]: "/".join(part) for part in group}

    def _keys(self, prefix: str) -> Iterator[str]:
        with told(_fault):
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for entry in page.get("Contents", []):
                    yield entry["Key"]

    def _open(self, key: str, version: str) -> BinaryIO:
        with told(_fault):
            which: Any = {"VersionId": version} if version else {}
            body = self.s3.get_object(Bucket=self.bucket, Key=key, **which)["Body"]
        return cast("BinaryIO", _Reader(cast("BinaryIO", body)))


class _Reader(io.RawIOBase):
    """A body whose faults are ours: one that breaks off is no altered file."""

    def __init__(self, body: BinaryIO) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        with told(_fault):
            return self._body.read(size)

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()
        super().close()


def _fault(fault: Fault) -> AuditError:
    if fault is Fault.DENIED:
        return AuditError("kept_denied", "the lists' bucket does not let you read what the log tells of")
    return AuditError("kept_unreadable", "the lists' bucket does not answer as it should; try again")
