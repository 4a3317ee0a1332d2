"""Compressed files as streams of their inflated bytes, never more than the limits allow."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, BinaryIO, TypeVar

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.raw import ByteStream, RawFile

_T = TypeVar("_T")

_STEP = 1 << 20
_GZIP = 31
_ENCRYPTED = 0x1
_MAX_DIRECTORY_BYTES = 1 << 20
_END_RECORD = b"PK\x05\x06"
_END_LENGTH = 22
_WIDE_END_RECORD = b"PK\x06\x06"
_WIDE_END_LENGTH = 56
_SEE_WIDE = 0xFFFFFFFF
_MAX_COMMENT = 65_535
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class GzipStream:
    """The inflated bytes of a gzip file of any number of members (RFC 1952).

    Raises: `file_truncated` where a member does not end, `file_damaged` for a wrong checksum or bytes
    after the last member, `limit_inflated_bytes`, `limit_ratio`.
    """

    def __init__(self, raw: RawFile, limits: Limits) -> None:
        self._raw = raw
        self._limits = limits
        self._member: zlib._Decompress | None = None
        self._rest = b""
        self._count = 0

    def read(self, size: int, /) -> bytes:
        """The next inflated bytes, none at the end."""
        while True:
            if not self._rest:
                self._rest = self._raw.read(_STEP)
            if not self._rest:
                return self._end()
            if self._member is None and not self._next_member():
                continue
            if data := self._inflate(min(size, _STEP)):
                return data

    def _next_member(self) -> bool:
        if not (rest := self._rest.lstrip(b"\x00")):
            self._rest = b""
            return False
        self._rest = rest
        self._member = zlib.decompressobj(_GZIP)
        return True

    def _inflate(self, size: int) -> bytes:
        member = self._member
        if member is None:
            raise AssertionError("no member is open")
        try:
            data = member.decompress(self._rest, size)
        except zlib.error:
            raise IntakeError("file_damaged", "the gzip data is damaged") from None
        self._rest = member.unused_data if member.eof else member.unconsumed_tail
        self._member = None if member.eof else member
        self._count += len(data)
        self._limits.check_inflated(self._count, self._raw.size)
        return data

    def _end(self) -> bytes:
        if self._member is not None:
            raise IntakeError("file_truncated", "the gzip file ends too early")
        return b""


class ZipMember:
    """The inflated bytes of one file in an archive.

    Raises: `file_damaged`, `file_truncated`, `limit_inflated_bytes`, `limit_ratio`.
    """

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> None:
        self._limits = limits
        self._compressed = member.compress_size
        self._count = 0
        self._file: IO[bytes] = _reading(lambda: archive.open(member))

    def read(self, size: int, /) -> bytes:
        """The next inflated bytes, none at the end."""
        data = _reading(lambda: self._file.read(min(size, _STEP)))
        self._count += len(data)
        self._limits.check_inflated(self._count, self._compressed)
        return data


def open_archive(file: BinaryIO, size: int, limits: Limits) -> zipfile.ZipFile:
    """A zip archive whose directory is sound and small and which holds nothing encrypted or outsized.

    Raises: `file_truncated`, `file_damaged`, `file_encrypted`, `archive_not_single`,
    `format_unsupported`, `limit_inflated_bytes`, `limit_ratio`.
    """
    _check_directory(file, size)
    archive = _reading(lambda: zipfile.ZipFile(file))
    members = archive.infolist()
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise IntakeError("file_encrypted", "the archive is encrypted")
    if any(member.compress_type not in _ZIP_METHODS for member in members):
        raise IntakeError("format_unsupported", "the archive uses a compression other than deflate")
    limits.check_inflated(sum(member.file_size for member in members), size)
    return archive


def single_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file of an archive, apart from what macOS adds. Raises `archive_not_single`."""
    files = [member for member in archive.infolist() if not member.is_dir() and not _is_litter(member)]
    if len(files) != 1:
        raise IntakeError(
            "archive_not_single", f"the archive holds {len(files)} files: it must hold one list"
        )
    return files[0]


def is_workbook(archive: zipfile.ZipFile) -> bool:
    """Whether an archive is an Office Open XML workbook."""
    names = set(archive.namelist())
    return "[Content_Types].xml" in names and any(name.startswith("xl/") for name in names)


def drain(stream: ByteStream, into: BinaryIO) -> int:
    """Write all of a stream into a file; the number of bytes."""
    count = 0
    while data := stream.read(_STEP):
        count += into.write(data)
    into.seek(0)
    return count


def _is_litter(member: zipfile.ZipInfo) -> bool:
    return member.filename.startswith("__MACOSX/") or member.filename.endswith(".DS_Store")


def _check_directory(file: BinaryIO, size: int) -> None:
    """Look at the end record before `zipfile` builds an object for each of perhaps millions of entries."""
    length = min(size, _END_LENGTH + _MAX_COMMENT)
    file.seek(size - length)
    end = file.read(length)
    file.seek(0)
    place = end.rfind(_END_RECORD)
    if place < 0 or place + _END_LENGTH > length:
        raise IntakeError("file_truncated", "the archive ends too early: its directory is missing")
    if _directory_bytes(end, place) > _MAX_DIRECTORY_BYTES:
        raise IntakeError("archive_not_single", "the archive holds too many files")


def _directory_bytes(end: bytes, place: int) -> int:
    (directory,) = struct.unpack_from("<I", end, place + 12)
    wide = end.rfind(_WIDE_END_RECORD, 0, place)
    if directory == _SEE_WIDE and 0 <= wide <= place - _WIDE_END_LENGTH:
        (directory,) = struct.unpack_from("<Q", end, wide + 40)
    return int(directory)


def _reading(action: Callable[[], _T]) -> _T:
    try:
        return action()
    except EOFError:
        raise IntakeError("file_truncated", "the archive ends too early") from None
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, RuntimeError, OSError, OverflowError):
        raise IntakeError("file_damaged", "the archive is damaged") from None
