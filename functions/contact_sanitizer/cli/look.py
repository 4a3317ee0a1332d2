"""`phone` and `inspect`: look before you run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
import pyarrow as pa

from contact_sanitizer.cli.frame import Command, emit
from contact_sanitizer.cli.people import REGION
from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.listfile import ReadOptions, inspect_list
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.normalize import Normalizer, Numbers
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.reasons import Reason

BATCH = 20_000
LONGEST_LINE = 1 << 20


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--region",
    type=REGION,
    default="CN",
    show_default=True,
    metavar="CODE",
    help="Where a number without + belongs.",
)
def phone(file: Path | None, region: str) -> None:
    """Say what becomes of a cell: cells in, one a line, from FILE or standard input; JSON lines out.

    A number that can be used comes out as {"row", "number", "type", "region"}, anything else as
    {"row", "reason"}. No home is needed and nothing is recorded.
    """
    rules = NumberRules(region, frozenset({NumberKind.MOBILE}), frozenset(), placeholders=True)
    normalizer = Normalizer(rules)
    with _lines(file) as source:
        row = 0
        while cells := _cells(source, row):
            numbers = normalizer.normalize(pa.array(cells, pa.string()))
            click.echo("\n".join(_answers(normalizer, numbers, row)))
            row += len(cells)


@contextmanager
def _lines(file: Path | None) -> Iterator[BinaryIO]:
    if file is None:
        if sys.stdin.isatty():
            click.echo("One cell a line; Ctrl-D ends.", err=True)
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except FileNotFoundError:
        raise IntakeError("file_missing", "there is no such file") from None
    except (OSError, ValueError):
        raise IntakeError("file_unreadable", "the file cannot be read") from None
    with opened:
        yield opened


def _cells(source: BinaryIO, row: int) -> list[str]:
    """The next cells; from a terminal one, so that each is answered at once."""
    cells = []
    for number, line in enumerate(_some_lines(source, 1 if source.isatty() else BATCH), row + 1):
        try:
            cells.append(line.removesuffix(b"\n").removesuffix(b"\r").decode())
        except UnicodeDecodeError:
            raise IntakeError("encoding_invalid", f"line {number} is not UTF-8") from None
    return cells


def _some_lines(source: BinaryIO, count: int) -> Iterator[bytes]:
    try:
        for _ in range(count):
            if not (line := source.readline(LONGEST_LINE + 1)):
                return
            if len(line) > LONGEST_LINE:
                raise IntakeError("limit_cell_chars", f"a line is longer than {LONGEST_LINE:,} bytes")
            yield line
    except OSError:
        raise IntakeError("file_unreadable", "the input cannot be read") from None


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
