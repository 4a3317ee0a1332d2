"""Objects that arrived in the bucket for uploads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.aws.uploads import S3Upload
from contact_sanitizer.errors import IntakeError, OutputError
from contact_sanitizer.receiving import Arrival

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class S3Arrived:
    """Implements `receiving.Arrived` on one bucket.

    Promises: what is read is what was told, by its version and its ETag; where the event names no version it
    is the present one, if its ETag is the event's.
    """

    s3: S3Client
    bucket: str

    def find(self, arrival: Arrival) -> S3Upload:
        """The very bytes that arrived; `IntakeError` where they are gone, changed, empty or out of reach."""
        upload = self._told(arrival)
        if not upload.size:
            raise IntakeError("file_empty", "the file has no bytes")
        return upload

    def _told(self, arrival: Arrival) -> S3Upload:
        if arrival.bucket != self.bucket:
            raise IntakeError("object_missing", "the object lies in another bucket")
        upload = S3Upload.find(self.s3, self.bucket, arrival.key, arrival.version)
        if arrival.etag and upload.etag.strip('"') != arrival.etag.strip('"'):
            raise IntakeError("object_changed", "the object was replaced after it arrived")
        return upload

    def delete(self, arrival: Arrival) -> None:
        """Delete that version for good; one that is gone is no error."""
        version = arrival.version
        if not version:
            try:
                version = self._told(arrival).version
            except IntakeError as error:
                if error.code in {"object_missing", "object_changed"}:
                    return
                raise
        which: dict[str, Any] = {"VersionId": version} if version else {}
        with told(_kept):
            self.s3.delete_object(Bucket=self.bucket, Key=arrival.key, **which)


def _kept(_fault: Fault) -> OutputError:
    return OutputError("out_unwritable", "the upload cannot be deleted now")
