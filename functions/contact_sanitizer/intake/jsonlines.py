"""JSON Lines: one object a line, whose keys are the columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.batching import BatchNumbering
from contact_sanitizer.intake.celltext import number_text
from contact_sanitizer.intake.encoding import Piece, TextStream
from contact_sanitizer.intake.layout import SAMPLE_RECORDS, Layout
from contact_sanitizer.intake.limits import HARD_RECORD_BYTES, Limits
from contact_sanitizer.intake.records import is_blank

_ARRAY = re.compile(rb"\[\s*[{\[]")
_MAY_BE_JSON = re.compile(rb"\s*[\[{]")
_OBJECT = re.compile(rb"\{\s*[\"}]")
_SPACE = " \t\r\n"
_SAMPLE_BYTES = 256 << 10

Row = Mapping[str, str]


def is_json_lines(head: Piece) -> bool:
    """Whether text begins with JSON objects, one a line. Raises `format_unsupported` for other JSON."""
    if not _MAY_BE_JSON.match(head):
        return False
    start = bytes(head).lstrip()
    if _ARRAY.match(start):
        raise IntakeError("format_unsupported", "this is one JSON array: write one JSON object a line")
    if not _OBJECT.match(start):
        return False
    if any(_parse(line) is not None for line in start.splitlines()[:SAMPLE_RECORDS]):
        return True
    raise IntakeError("format_unsupported", "this JSON spreads over several lines: write one object a line")


class JsonLinesReader:
    """The objects of a text. The sample's first record is the keys of the first objects.

    Raises while reading: `limit_cell_chars` for an endless line, and whatever the stream and the
    numbering raise.
    """

    named = True

    def __init__(self, text: TextStream, limits: Limits, block_bytes: int) -> None:
        self._text = text
        self._limits = limits
        self._block_bytes = block_bytes
        self._window = self._read_head()
        rows = [row for line in _lines(self._window)[:SAMPLE_RECORDS] if (row := _parse(line))]
        self._keys = list(dict.fromkeys(key for row in rows for key in row))
        limits.check_columns(len(self._keys))
        self.sample = [self._keys, *([row.get(key, "") for key in self._keys] for row in rows)]

    def batches(self, layout: Layout) -> Iterator[CellBatch]:
        """Every object, in order; the first is record 1."""
        numbering = BatchNumbering(1, layout.bound, self._limits)
        for lines in self._blocks(numbering):
            rows = [_parse(line) for line in lines if line.strip()]
            if rows:
                yield self._batch(rows, layout, numbering)

    def _read_head(self) -> bytes:
        window = b""
        while len(window) < _SAMPLE_BYTES or b"\n" not in window:
            if not (block := self._text.read()):
                break
            window += block
            _refuse_endless(window, 1)
        return window

    def _blocks(self, numbering: BatchNumbering) -> Iterator[list[bytes]]:
        parts: list[Piece] = [self._window]
        self._window = b""
        size = len(parts[0])
        while block := self._text.read():
            parts.append(block)
            size += len(block)
            if size < self._block_bytes:
                continue
            window = b"".join(parts)
            cut = max(window.rfind(b"\n"), window.rfind(b"\r")) + 1
            yield _lines(window[:cut])
            _refuse_endless(window[cut:], numbering.next_record)
            parts = [window[cut:]]
            size = len(parts[0])
        yield _lines(b"".join(parts))

    def _batch(self, rows: list[Row | None], layout: Layout, numbering: BatchNumbering) -> CellBatch:
        self._limits.check_columns(max(len(row or ()) for row in rows))
        wanted = set(layout.bound.values())
        columns = {index: _column(rows, self._keys[index]) for index in wanted}
        count = len(rows)
        blank = np.fromiter((row is not None and is_blank([*row.values()]) for row in rows), bool, count)
        malformed = np.fromiter((row is None for row in rows), bool, count)
        return numbering.batch(columns, blank, malformed)


def _column(rows: list[Row | None], key: str) -> pa.StringArray:
    return pa.array([row.get(key, "") if row else "" for row in rows], pa.string())


def _lines(text: bytes) -> list[bytes]:
    return text.replace(b"\r", b"\n").split(b"\n") if b"\r" in text else text.split(b"\n")


def _parse(line: bytes) -> Row | None:
    """The cells of one object; None where the line is none."""
    try:
        text = line.decode().strip(_SPACE)
        value, end = _DECODER.raw_decode(text)
        if end < len(text) or not isinstance(value, dict):
            return None
        row = {key: cell if cell.__class__ is str else _text(cell) for key, cell in value.items()}
        if "\\u" in text:
            "".join((*row, *row.values())).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError):
        return None
    return row


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)


def _no_number(word: str) -> object:
    raise ValueError(len(word))


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError(len(pairs))  # two values for one column: neither is the one
    return row


_DECODER = json.JSONDecoder(
    parse_int=str, parse_float=number_text, parse_constant=_no_number, object_pairs_hook=_each_key_once
)


def _refuse_endless(tail: bytes, record: int) -> None:
    if len(tail) > HARD_RECORD_BYTES and b"\n" not in tail and b"\r" not in tail:
        raise IntakeError("limit_cell_chars", f"record {record} is longer than {HARD_RECORD_BYTES} bytes")
