"""A contact list, whatever its format: open it, see what it is, read its cells in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.columns import ColumnSeen, ColumnWish, FileDescription
from contact_sanitizer.intake.formats import Opened, ReadOptions, open_format
from contact_sanitizer.intake.layout import Layout, decide_layout, survey_layout
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.raw import ListSource, Observer, RawFile, source_of
from contact_sanitizer.policy_words import Role

__all__ = [
    "ColumnSeen",
    "ColumnWish",
    "FileDescription",
    "Limits",
    "ListFile",
    "ListSource",
    "ReadOptions",
    "Role",
    "inspect_list",
    "open_list",
]

_COMPRESSED = {".gz": "gzip", ".zip": "zip"}
_NAMED_FORMATS = {
    ".csv": ("csv", "text"),
    ".tsv": ("csv", "text"),
    ".txt": ("csv", "text"),
    ".xlsx": ("xlsx",),
    ".xlsm": ("xlsx",),
    ".xls": ("xlsx",),
    ".jsonl": ("jsonl",),
    ".ndjson": ("jsonl",),
    ".json": ("jsonl",),
    ".parquet": ("parquet",),
}


class ListFile:
    """An open list.

    Promises: every record of the file that is not blank comes out of `batches` exactly once, in
    order, numbered (header = 1; the first record is 1 where no record is a header). `bound`: wish name to
    column index; wishes that are absent were optional. A refusal is an `IntakeError` and holds no cell.
    Does not promise that a refusal comes before the first batch: a fault may lie in the last byte.
    """

    def __init__(self, raw: RawFile, opened: Opened, layout: Layout, name: str) -> None:
        self._raw = raw
        self._opened = opened
        self._layout = layout
        self._batches = self._read()
        self.bound: Mapping[str, int] = MappingProxyType(layout.bound)
        if _disagrees(name, opened):
            opened.warnings["name_disagrees"] += 1

    @property
    def description(self) -> FileDescription:
        """What the file is. The encoding settles while it is read: ask again after the last batch."""
        return _describe(self._raw, self._opened, self._layout)

    @property
    def warnings(self) -> Mapping[str, int]:
        """Warning codes with their counts; complete after the last batch."""
        return MappingProxyType(self._opened.warnings)

    def batches(self) -> Iterator[CellBatch]:
        """The records, once: a second call goes on where the first stopped. Raises any `IntakeError`."""
        return self._batches

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ListFile({self._opened.format}, {self._raw.size} bytes)"

    def _read(self) -> Iterator[CellBatch]:
        for batch in self._opened.reader.batches(self._layout):
            if len(batch):
                yield batch
        self._raw.finish()


def open_list(
    source: ListSource, wishes: Sequence[ColumnWish], options: ReadOptions, observe: Observer | None = None
) -> ListFile:
    """The list in a file, its columns bound to the wishes.

    `observe` sees every byte of the file on disk once, in order, by the time the last batch is out.
    Raises `IntakeError`: any of its codes.
    """
    raw = RawFile(source, options.limits, observe)
    try:
        opened = open_format(raw, wishes, options)
        reader = opened.reader
        layout = decide_layout(reader.sample, wishes, options.limits, named=reader.named)
    except BaseException:
        raw.close()
        raise
    return ListFile(raw, opened, layout, source_of(source).name)


def inspect_list(source: ListSource, options: ReadOptions) -> FileDescription:
    """What a file is and the role guessed for each column, from its beginning alone; holds no cell.

    Raises `IntakeError` where the file cannot be read at all; a missing or second phone column is no
    error here.
    """
    wishes = (
        ColumnWish("phone", Role.PHONE, optional=True),
        ColumnWish("consent", Role.CONSENT, optional=True),
    )
    with RawFile(source, options.limits) as raw:
        opened = open_format(raw, wishes, options)
        layout = survey_layout(opened.reader.sample, options.limits, named=opened.reader.named)
        return _describe(raw, opened, layout)


def _describe(raw: RawFile, opened: Opened, layout: Layout) -> FileDescription:
    return FileDescription(
        format=opened.format,
        compression=opened.compression,
        encoding=opened.text.encoding if opened.text else None,
        delimiter=opened.delimiter,
        bytes=raw.size,
        header_line=_header_line(opened, layout),
        columns=layout.columns,
        sheet=opened.sheet,
    )


def _header_line(opened: Opened, layout: Layout) -> int | None:
    if layout.header is None or opened.reader.named:
        return None
    return opened.skipped + layout.header + 1


def _disagrees(name: str, opened: Opened) -> bool:
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    compression = _COMPRESSED.get(suffixes[-1], "none") if suffixes else "none"
    plain = suffixes if compression == "none" else suffixes[:-1]
    known = _NAMED_FORMATS.get(plain[-1]) if plain else None
    return compression != opened.compression or (known is not None and opened.format not in known)
