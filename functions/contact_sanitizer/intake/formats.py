"""Which reader reads a file: decided by content, through at most one layer of compression."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, cast

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.columnar import ParquetReader
from contact_sanitizer.intake.columns import ColumnWish
from contact_sanitizer.intake.delimited import DelimitedReader
from contact_sanitizer.intake.encoding import TextStream
from contact_sanitizer.intake.inflate import (
    GzipStream,
    ZipMember,
    drain,
    is_workbook,
    open_archive,
    single_member,
)
from contact_sanitizer.intake.jsonlines import JsonLinesReader, is_json_lines
from contact_sanitizer.intake.layout import Layout
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.raw import ByteStream, RawFile
from contact_sanitizer.intake.sniff import HEAD_BYTES, Container, is_ole2, sniff
from contact_sanitizer.intake.workbook import WorkbookReader

_OLE2_SEARCH = 1 << 20
_SPOOL_BYTES = 64 << 20
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype|html|head|meta|table|\?xml)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a file.

    `encoding`: the policy's, None for the rule of `encoding`. `sheet`: the policy's sheet name.
    `batch_bytes`: about how much text one batch comes from.
    """

    limits: Limits = field(default_factory=Limits)
    encoding: str | None = None
    sheet: str | None = None
    batch_bytes: int = 8 << 20


class Reader(Protocol):
    """One format: a sample to decide the layout by, then every record."""

    named: bool
    sample: list[list[str]]

    def batches(self, layout: Layout, /) -> Iterator[CellBatch]:
        """Every record after the header, in order; once."""


@dataclass(slots=True)
class Opened:
    """A reader and what is known of the file.

    `text` and `sheet` where the format has them; `skipped`: empty records before the sample.
    """

    reader: Reader
    format: str
    compression: str
    delimiter: str | None = None
    text: TextStream | None = None
    sheet: int | None = None
    skipped: int = 0
    warnings: Counter[str] = field(default_factory=Counter)


class _Pushback:
    """A stream whose first bytes were looked at."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.head = b""
        while len(self.head) < HEAD_BYTES and (data := stream.read(HEAD_BYTES - len(self.head))):
            self.head += data
        self._rest = self.head

    def read(self, size: int, /) -> bytes:
        """The next bytes, the ones looked at first."""
        if self._rest:
            data, self._rest = self._rest[:size], self._rest[size:]
            return data
        return self._stream.read(size)


def open_format(raw: RawFile, wishes: Sequence[ColumnWish], options: ReadOptions) -> Opened:
    """The reader for a file. Raises every refusal of the formats; see `IntakeError`."""
    head = raw.peek(HEAD_BYTES)
    kind = sniff(head, _ends(raw) if is_ole2(head) else b"")
    if kind is Container.GZIP:
        return _inside(raw, GzipStream(raw, options.limits), "gzip", wishes, options)
    if kind is Container.ZIP:
        file = raw.whole()
        archive = open_archive(file, raw.size, options.limits)
        if is_workbook(archive):
            return _workbook(file, archive, "none", wishes, options)
        member = ZipMember(archive, single_member(archive), options.limits)
        return _inside(raw, member, "zip", wishes, options)
    if kind is Container.PARQUET:
        return Opened(ParquetReader(raw.whole(), options.limits), "parquet", "none")
    return _text(raw, "none", wishes, options)


def _ends(raw: RawFile) -> bytes:
    return raw.peek(_OLE2_SEARCH) + raw.peek(_OLE2_SEARCH, max(0, raw.size - _OLE2_SEARCH))


def _inside(
    raw: RawFile, stream: ByteStream, compression: str, wishes: Sequence[ColumnWish], options: ReadOptions
) -> Opened:
    """What a compressed file holds: text, a workbook or Parquet, but nothing compressed again."""
    source = _Pushback(stream)
    if not source.head:
        raise IntakeError("file_empty", "the file has no bytes")
    kind = sniff(source.head)
    if kind is Container.TEXT:
        return _text(source, compression, wishes, options)
    if kind is Container.GZIP:
        raise _nested()
    file = raw.keep(cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)))  # noqa: SIM115 - kept
    size = drain(source, file)
    if kind is Container.PARQUET:
        return Opened(ParquetReader(file, options.limits), "parquet", compression)
    archive = open_archive(file, size, options.limits)
    if not is_workbook(archive):
        raise _nested()
    return _workbook(file, archive, compression, wishes, options)


def _nested() -> IntakeError:
    return IntakeError("archive_not_single", "the file holds an archive inside an archive")


def _workbook(
    file: BinaryIO,
    archive: zipfile.ZipFile,
    compression: str,
    wishes: Sequence[ColumnWish],
    options: ReadOptions,
) -> Opened:
    reader = WorkbookReader(file, archive, wishes, options.limits, options.sheet)
    return Opened(
        reader, "xlsx", compression, sheet=reader.sheet, skipped=reader.skipped, warnings=reader.warnings
    )


def _text(source: ByteStream, compression: str, wishes: Sequence[ColumnWish], options: ReadOptions) -> Opened:
    text = TextStream(source, options.encoding, options.batch_bytes)
    head = text.peek()
    if _WEB_PAGE.match(head):
        raise IntakeError("file_mislabelled", "this is a web page or XML: save it as .xlsx or .csv")
    if is_json_lines(head):
        json_reader = JsonLinesReader(text, options.limits, options.batch_bytes)
        return Opened(json_reader, "jsonl", compression, text=text)
    reader = DelimitedReader(text, wishes, options.limits, options.batch_bytes)
    delimiter = reader.separator.delimiter or None
    return Opened(reader, "csv" if delimiter else "text", compression, delimiter, text)
