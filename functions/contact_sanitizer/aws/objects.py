"""Small objects in a bucket: an audit log, a cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from botocore.exceptions import ClientError

from contact_sanitizer.aws.faults import Fault, Telling, fault_of, retried, told
from contact_sanitizer.errors import AuditError, CatalogueError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONFLICTS: Final = 5
_CONFLICT_PAUSE: Final = 0.05


def audit_fault(fault: Fault) -> AuditError:
    """A fault of the audit log's bucket."""
    if fault is Fault.DENIED:
        return AuditError("audit_unwritable", "the audit log's bucket refuses access")
    return AuditError("audit_unwritable", "the audit log's bucket does not answer as it should")


def catalogue_fault(fault: Fault) -> CatalogueError:
    """A fault of what was made, delivered and allowed, wherever it is kept."""
    if fault is Fault.LOST_RACE:
        return CatalogueError("catalogue_busy", "others are writing the same; try again")
    if fault is Fault.DENIED:
        return CatalogueError("catalogue_unavailable", "access to what was made and delivered is refused")
    return CatalogueError("catalogue_unavailable", "what was made and delivered cannot be reached")


@dataclass(frozen=True, slots=True)
class S3Objects:
    """Implements `ports.Objects` under `prefix` of a bucket, encrypted under `key` (a KMS key's ARN).

    Promises: with `absent` exactly one of several writers is told that it wrote, also where the first answer
    was lost on its way and the request went out again. `telling` says each fault in the owner's words.
    Does not promise: that a deleted object's older versions go too; the bucket's lifecycle sees to them.
    """

    s3: S3Client
    bucket: str
    prefix: str
    key: str
    telling: Telling = catalogue_fault

    def put(self, key: str, data: bytes, *, absent: bool) -> bool:
        """Keep `data` for good; with `absent` only where the key is free. Whether it was written."""
        writing = uuid4().hex
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if absent else {}

        def write() -> None:
            self.s3.put_object(
                Bucket=self.bucket,
                Key=self.prefix + key,
                Body=data,
                Metadata={"writing": writing},
                **encrypted(self.key),
                **condition,
            )

        with told(self.telling):
            return written_if_absent(write, lambda: self._writing(key) == writing)

    def get(self, key: str) -> bytes | None:
        """What is kept under the key, or None."""
        with told(self.telling):
            try:
                return self.s3.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"].read()
            except ClientError as error:
                if is_absent(self.s3, self.bucket, self.prefix + key, error):
                    return None
                raise

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """The keys that begin with `prefix` and come after `after`, ascending by code point."""
        start: Any = {"StartAfter": self.prefix + after} if after else {}
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.prefix + prefix, **start
        )
        with told(self.telling):
            # S3 lists in the order of UTF-8 bytes, which is that of code points
            for page in pages:
                for entry in page.get("Contents", []):
                    yield entry["Key"].removeprefix(self.prefix)

    def delete(self, key: str) -> None:
        """Let go of an object; an absent one is no error."""
        with told(self.telling):
            self.s3.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    def _writing(self, key: str) -> str:
        head = self.s3.head_object(Bucket=self.bucket, Key=self.prefix + key)
        return head["Metadata"].get("writing", "")


def written_if_absent(write: Callable[[], None], is_ours: Callable[[], bool]) -> bool:
    """Whether a conditional writing took place; `is_ours` looks at what is there after a lost answer.

    S3 answers "conflict" while another writing of the same key is under way: then it is asked again.
    """
    for left in reversed(range(_CONFLICTS)):
        try:
            write()
        except ClientError as error:
            if fault_of(error) is not Fault.LOST_RACE or not (left or _is_taken(error)):
                raise
            if _is_taken(error):
                return retried(error) and is_ours()
            time.sleep(_CONFLICT_PAUSE)
        else:
            return True
    return False


def encrypted(key: str) -> dict[str, Any]:
    """What a writing says about encryption; an empty `key` leaves it to the bucket."""
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}


def _is_taken(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") in {"412", "PreconditionFailed"}


def is_absent(s3: S3Client, bucket: str, key: str, error: ClientError) -> bool:
    """Whether reading a key failed because nothing is there; a bucket that is gone is no empty bucket.

    To somebody who may not list all of a bucket S3 says 403 of what is not there. Where they may list this
    key's prefix, that tells it apart from what they may not read.
    """
    if fault_of(error) is not Fault.DENIED:
        return error.response.get("Error", {}).get("Code") in {"404", "NoSuchKey"}
    try:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    except ClientError:
        return False
    return not any(entry["Key"] == key for entry in listed.get("Contents", []))
