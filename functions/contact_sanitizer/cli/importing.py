"""What the two import commands share: the per-row results, and the report."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from contact_sanitizer.cli.frame import emit
from contact_sanitizer.errors import OutputError
from contact_sanitizer.outputs.digesting import writing_errors
from contact_sanitizer.registering.fileimports import OnRow
from contact_sanitizer.registering.imports import ImportReport

SHOWN_REFUSALS = 20

results_option = click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write each row's number and outcome to FILE (CSV).",
)


class RowResults:
    """Takes in every row's number and outcome: all for a file where one is wanted, the first refusals."""

    def __init__(self, write: OnRow | None) -> None:
        self._write = write
        self.refused: list[tuple[int, str]] = []

    def __call__(self, row: int, outcome: str) -> None:
        """Take in one row."""
        if self._write:
            with writing_errors():
                self._write(row, outcome)
        if outcome.startswith("refused:") and len(self.refused) < SHOWN_REFUSALS:
            self.refused.append((row, outcome.removeprefix("refused:")))


@contextmanager
def row_results(source: Path, file: Path | None) -> Iterator[RowResults]:
    """The results of the import of `source`, which appear in `file`, where it is given, when all is done.

    `OutputError` where they cannot be written; then nothing was imported yet, unless the disk is full.
    """
    if file is None:
        yield RowResults(None)
        return
    _check_place(source, file)
    partial = file.with_name(f".{file.name[:100]}.{os.getpid()}.partial")
    try:
        with writing_errors():
            opened = partial.open("w", newline="", encoding="utf-8")
        try:
            writer = csv.writer(opened, lineterminator="\n")
            writer.writerow(["row", "outcome"])
            yield RowResults(lambda row, outcome: writer.writerow([row, outcome]))
        finally:
            with writing_errors():
                opened.close()
        with writing_errors():
            partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _check_place(source: Path, file: Path) -> None:
    with writing_errors():
        if file.exists() and (not file.is_file() or (source.exists() and file.samefile(source))):
            raise OutputError("out_unwritable", "the results need a file of their own")


def emit_report(context: click.Context, report: ImportReport, results: RowResults) -> None:
    """Print how the import went."""
    document = {
        "rows": report.rows,
        "by_outcome": dict(report.by_outcome),
        "refused_rows": [{"row": row, "reason": reason} for row, reason in results.refused],
        "warnings": dict(report.warnings),
        "contract": report.contract,
        "registry_change": report.change,
    }
    emit(context, document, lambda: _print(report, results))


def _print(report: ImportReport, results: RowResults) -> None:
    click.echo(f"{report.rows:,} rows")
    for word, count in sorted(report.by_outcome.items()):
        click.echo(f"  {word:32} {count:>11,}")
    for row, reason in results.refused[:5]:
        click.echo(f"  row {row}: {reason}")
    if report.refused > len(results.refused[:5]):
        click.echo("  ... and more: --results FILE writes every row")
    if any(reason == "purpose_or_channel_missing" for _, reason in results.refused):
        click.echo(
            "Rows that do not say for what the consent is take it from --purpose and --channel.", err=True
        )
    for word, count in report.warnings.items():
        click.echo(f"warning: {word} ({count:,})", err=True)
