"""One file of a list on its way to S3: sent in parts while it is written, and completed last."""

from __future__ import annotations

import io
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from contact_sanitizer.aws.faults import AWS_ERRORS, Fault, told
from contact_sanitizer.aws.objects import encrypted
from contact_sanitizer.errors import OutputError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: A part; S3 takes 10,000 of them, which makes 80 GB.
PART: Final = 8 << 20
#: How many parts of a file are on their way at once; more would only fill memory.
_UNDER_WAY: Final = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file goes: bucket, key, and the KMS key that it is encrypted under (empty: the bucket's)."""

    s3: S3Client
    bucket: str
    key: str
    kms_key: str

    @property
    def address(self) -> dict[str, Any]:
        """Bucket and key as S3's calls name them."""
        return {"Bucket": self.bucket, "Key": self.key}


class PartsFile(io.RawIOBase):
    """A file that is written from start to end. Nothing can be read of it before `complete`.

    What is smaller than a part is kept in memory and sent whole by `complete`. Every fault is an
    `OutputError`.
    """

    def __init__(self, place: Place, pool: Executor) -> None:
        super().__init__()
        self._place = place
        self._pool = pool
        self._buffer = bytearray()
        self._upload = ""
        self._parts: list[Future[str]] = []

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any, /) -> int:
        """Append all of `data`; waits while enough parts are on their way."""
        view = memoryview(data).cast("B")
        self._buffer += view
        while len(self._buffer) >= PART:
            self._send(bytes(self._buffer[:PART]))
            del self._buffer[:PART]
        return len(view)

    def sync(self) -> None:
        """Send what is left and wait until all parts have arrived."""
        if self._upload and self._buffer:
            self._send(bytes(self._buffer))
            self._buffer.clear()
        self._wait(0)

    def complete(self) -> str:
        """Make the file an object; returns its version, empty in a bucket without versions."""
        with told(list_fault):
            if not self._upload:
                answer: Any = self._place.s3.put_object(
                    **self._place.address, Body=bytes(self._buffer), **encrypted(self._place.kms_key)
                )
            else:
                parts: list[Any] = [
                    {"PartNumber": n, "ETag": part.result()} for n, part in enumerate(self._parts, 1)
                ]
                answer = self._place.s3.complete_multipart_upload(
                    **self._place.address, UploadId=self._upload, MultipartUpload={"Parts": parts}
                )
        self._upload = ""
        return str(answer.get("VersionId", ""))

    def abort(self) -> None:
        """Give up what was sent; where S3 does not hear it, the bucket's lifecycle clears up after a day."""
        self._buffer.clear()
        # a part that arrives after the end of its upload would stay, unseen and paid for
        wait([part for part in self._parts if not part.cancel()])
        if self._upload:
            with suppress(*AWS_ERRORS):
                self._place.s3.abort_multipart_upload(**self._place.address, UploadId=self._upload)
            self._upload = ""

    def _send(self, part: bytes) -> None:
        if not self._upload:
            with told(list_fault):
                started = self._place.s3.create_multipart_upload(
                    **self._place.address, **encrypted(self._place.kms_key)
                )
            self._upload = started["UploadId"]
        self._wait(_UNDER_WAY - 1)
        self._parts.append(self._pool.submit(self._send_part, len(self._parts) + 1, part))

    def _send_part(self, number: int, part: bytes) -> str:
        with told(list_fault):
            return self._place.s3.upload_part(
                **self._place.address, UploadId=self._upload, PartNumber=number, Body=part
            )["ETag"]

    def _wait(self, under_way: int) -> None:
        for part in self._parts[: len(self._parts) - under_way]:
            part.result()


def list_fault(fault: Fault) -> OutputError:
    """What stands in the way of writing a list."""
    if fault is Fault.DENIED:
        return OutputError(
            "out_unwritable", "the lists' bucket, or the key that it is encrypted under, refuses"
        )
    return OutputError("out_unwritable", "the lists' bucket does not take the results now; try again")
