"""What a file is, by its first bytes."""

from __future__ import annotations

from enum import Enum, auto

from contact_sanitizer.errors import IntakeError

HEAD_BYTES = 4096
"""How many first bytes the decision rests on."""

_FOREIGN = (
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
)
_BINARY = (
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"SQLite format 3\x00", "a database"),
)
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_TEXT_CONTROLS = frozenset(b"\t\n\v\f\r\x1b\x00")
_MAX_CONTROL_SHARE = 0.09


class Container(Enum):
    """What the first bytes promise."""

    TEXT = auto()
    GZIP = auto()
    ZIP = auto()
    PARQUET = auto()


def sniff(head: bytes, tail: bytes = b"") -> Container:
    """The kind of file; `tail` (more of an OLE2 file, where it can be had) tells a protected workbook.

    Raises: `file_binary`, `file_encrypted`, `format_unsupported`, `file_truncated`.
    """
    if head.startswith(b"\x1f\x8b"):
        return Container.GZIP
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Container.ZIP
    if head.startswith(b"PAR1"):
        return Container.PARQUET
    if head.startswith(b"PARE"):
        raise IntakeError("file_encrypted", "the Parquet file is encrypted")
    if is_ole2(head):
        raise _ole2(head + tail)
    _refuse_foreign(head)
    return Container.TEXT


def is_ole2(head: bytes) -> bool:
    """Whether this is a compound file, as old and as protected workbooks are."""
    return head.startswith(_OLE2)


def looks_wide(head: bytes) -> bool:
    """Whether text without a byte-order mark looks like UTF-16: every other byte is often zero."""
    return max(head[::2].count(0), head[1::2].count(0)) * 4 > len(head) > 1


def refuse_binary(head: bytes) -> None:
    """Raises `file_binary` where the bytes hold too many control characters to be text."""
    if head.startswith(_WIDE_BOMS):
        return
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
    if controls > _MAX_CONTROL_SHARE * len(head):
        raise IntakeError("file_binary", "the file is no text: it is full of control characters")


def _ole2(content: bytes) -> IntakeError:
    if _ENCRYPTED_STREAM in content:
        return IntakeError("file_encrypted", "the workbook is protected by a password")
    return IntakeError("format_unsupported", "this is an old Excel workbook (.xls): save it as .xlsx")


def _refuse_foreign(head: bytes) -> None:
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise IntakeError("format_unsupported", f"this is {what}: unpack it, or use .gz or .zip")
    for magic, what in _BINARY:
        if head.startswith(magic):
            raise IntakeError("file_binary", f"this is {what}, not a list")
