"""One upload as a file: read by ranges, a bounded piece at a time, always the same version of the object."""

from __future__ import annotations

import io
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from urllib3.exceptions import HTTPError

from contact_sanitizer.aws.faults import AWS_ERRORS, Fault, fault_of
from contact_sanitizer.errors import IntakeError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: So much is asked for at once; a reader in order is always one piece ahead.
PIECE: Final = 8 << 20
#: A workbook's reader goes back and forth between its directory and its parts.
_PIECES_KEPT: Final = 3
_ATTEMPTS: Final = 5
#: How many bytes of the body are taken at once, so that a break loses little.
_GULP: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class S3Upload:
    """One version of one object, a `Source`; `size` in bytes.

    A bucket without versions is told apart by the object's ETag: what was replaced is refused, not mixed.
    """

    s3: S3Client
    bucket: str
    key: str
    version: str
    etag: str
    size: int

    @classmethod
    def find(cls, s3: S3Client, bucket: str, key: str, version: str = "") -> S3Upload:
        """The object, in that version or its present one.

        Raises `IntakeError`: `object_missing` (or deleted meanwhile), `object_unreadable` (no right to it, or
        to the key that it is encrypted under; or no answer).
        """
        which = {"VersionId": version} if version else {}
        try:
            head = s3.head_object(Bucket=bucket, Key=key, **cast("dict[str, Any]", which))
        except AWS_ERRORS as error:
            raise read_fault(error) from None
        return cls(s3, bucket, key, head.get("VersionId", version), head["ETag"], head["ContentLength"])

    @property
    def name(self) -> str:
        """The last part of the key; it goes into no message."""
        return self.key.rpartition("/")[2]

    def open(self) -> BinaryIO:
        """The bytes from the start, seekable; raises `IntakeError` as they are read."""
        return cast("BinaryIO", _Reader(self))

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes of a range; a body that breaks off is asked for again from where it broke."""
        content = bytearray()
        for left in reversed(range(_ATTEMPTS)):
            try:
                self._take(content, start + len(content), stop)
            except (ClientError, ParamValidationError) as error:
                raise read_fault(error) from None
            except (BotoCoreError, HTTPError, OSError):
                if not left:
                    raise _unanswered() from None
            if len(content) >= stop - start:
                break
        if len(content) != stop - start:
            raise _unanswered()
        return bytes(content)

    def _take(self, content: bytearray, start: int, stop: int) -> None:
        body = self.s3.get_object(
            Bucket=self.bucket, Key=self.key, Range=f"bytes={start}-{stop - 1}", **self._pinned()
        )["Body"]
        with body:
            while gulp := body.read(_GULP):
                content += gulp

    def _pinned(self) -> dict[str, Any]:
        version = {"VersionId": self.version} if self.version else {}
        return {"IfMatch": self.etag, **version}


class _Reader(io.BufferedIOBase):
    """Reads an upload; keeps a few pieces, and fetches the next one while this one is used."""

    def __init__(self, upload: S3Upload) -> None:
        self._upload = upload
        self._at = 0
        self._pieces: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, "upload")

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; beyond the end nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._upload.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the file")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """The next `size` bytes, fewer at the end alone; all that is left without a size."""
        left = max(0, self._upload.size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        parts = []
        while wanted:
            part = self._some(wanted)
            parts.append(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read1(self, size: int = -1, /) -> bytes:
        """Some of the next bytes, none at the end."""
        left = max(0, self._upload.size - self._at)
        wanted = left if size < 0 else min(size, left)
        return self._some(wanted) if wanted else b""

    def close(self) -> None:
        """Let go of what was read ahead."""
        if not self.closed:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pieces.clear()
        super().close()

    def _some(self, wanted: int) -> bytes:
        number, offset = divmod(self._at, PIECE)
        in_order = number - 1 in self._pieces or not number
        piece = self._piece(number).result()
        if in_order and (number + 1) * PIECE < self._upload.size:
            self._piece(number + 1)
        part = piece[offset : offset + wanted]
        self._at += len(part)
        return part

    def _piece(self, number: int) -> Future[bytes]:
        if number not in self._pieces:
            start = number * PIECE
            stop = min(start + PIECE, self._upload.size)
            self._pieces[number] = self._pool.submit(self._upload.fetch, start, stop)
        self._pieces.move_to_end(number)
        while len(self._pieces) > _PIECES_KEPT:
            self._pieces.popitem(last=False)[1].cancel()
        return self._pieces[number]


def read_fault(error: Exception) -> IntakeError:
    """What stands in the way of reading an object."""
    if isinstance(error, ClientError) and _has_changed(error):
        return IntakeError("object_changed", "the upload is no longer what it was when it arrived")
    fault = fault_of(error)
    if fault is Fault.ABSENT:
        return IntakeError("object_missing", "the upload is not there any more")
    if fault is Fault.DENIED:
        return IntakeError(
            "object_unreadable", "access to the upload, or to the key that opens it, is refused"
        )
    return _unanswered()


def _has_changed(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") in {"412", "PreconditionFailed", "InvalidRange"}


def _unanswered() -> IntakeError:
    return IntakeError("object_unreadable", "the upload cannot be read now; try again")
