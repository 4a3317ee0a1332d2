"""`phone` and `inspect`: look before you run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click
import pyarrow as pa

from contact_sanitizer.cli.frame import Command, emit
from contact_sanitizer.cli.people import known_region
from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.listfile import ReadOptions, inspect_list
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.normalize import Normalizer, Numbers
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.reasons import Reason

BATCH = 20_000


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--region", default="CN", show_default=True, help="Where a number without country code belongs."
)
def phone(file: Path | None, region: str) -> None:
    """Read cells, one a line, from FILE or standard input; say what becomes of each as a JSON line."""
    rules = NumberRules(known_region(region), frozenset({NumberKind.MOBILE}), frozenset(), placeholders=True)
    normalizer = Normalizer(rules)
    with _lines(file) as source:
        row = 0
        while cells := _cells(source, row):
            numbers = normalizer.normalize(pa.array(cells, pa.string()))
            for line in _answers(normalizer, numbers, row):
                click.echo(line)
            row += len(cells)


@contextmanager
def _lines(file: Path | None) -> Iterator[BinaryIO]:
    if file is None:
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError:
        raise IntakeError("file_unreadable", "the file cannot be read") from None
    with opened:
        yield opened


def _cells(source: BinaryIO, row: int) -> list[str]:
    cells = []
    for number, line in enumerate(islice(source, BATCH), row + 1):
        try:
            cells.append(line.removesuffix(b"\n").removesuffix(b"\r").decode())
        except UnicodeDecodeError:
            raise IntakeError("encoding_invalid", f"line {number} is not UTF-8") from None
    return cells


def _answers(normalizer: Normalizer, numbers: Numbers, before: int) -> Iterator[str]:
    for index, reason in enumerate(numbers.reasons.tolist()):
        answer: dict[str, object] = {"row": before + index + 1}
        if reason:
            answer["reason"] = Reason(reason).word
        else:
            answer["number"] = "+" + numbers.blocks[index].tobytes().rstrip(b"\0").decode("ascii")
            answer["type"] = NumberKind(int(numbers.kinds[index])).word
            answer["region"] = normalizer.regions[numbers.regions[index]]
        yield json.dumps(answer)


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def inspect(context: click.Context, file: Path) -> None:
    """Show what is seen in FILE: format, encoding, delimiter, header row and columns; no cell."""
    seen = inspect_list(file, ReadOptions(limits=Limits()))
    columns: list[dict[str, object]] = [
        {
            "column": column.index + 1,
            "header": column.header,
            "role": column.role.value if column.role else None,
        }
        for column in seen.columns
    ]
    document: dict[str, object] = {
        "format": seen.format,
        "compression": seen.compression,
        "encoding": seen.encoding,
        "delimiter": seen.delimiter,
        "bytes": seen.bytes,
        "header_row": seen.header_line,
        "columns": columns,
    }
    emit(context, document, lambda: _print(document, columns))


def _print(document: dict[str, object], columns: list[dict[str, object]]) -> None:
    for name in ("format", "compression", "encoding", "delimiter", "bytes", "header_row"):
        if document[name] is not None:
            shown = document[name] if name != "delimiter" else repr(document[name])
            click.echo(f"{name.replace('_', ' '):12} {shown}")
    for column in columns:
        role = f"  ({column['role']})" if column["role"] else ""
        click.echo(f"column {column['column']:<5} {column['header'] or '(no header)'}{role}")
