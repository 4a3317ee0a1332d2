"""`run`: the main job, its progress bar and its summary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contact_sanitizer.cli.frame import Command, emit, options_of
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.errors import RequestError
from contact_sanitizer.job import Manner
from contact_sanitizer.policy import default_policy, load_policy

if TYPE_CHECKING:
    from contact_sanitizer.outputs.manifest import Manifest

SHOW_AFTER_SECONDS = 1.0


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What the list may contain; see 'policy example'. [default: marketing SMS in China]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the list's folder goes. [default: HOME/lists]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Threads to work with; the result is the same.",
)
@click.pass_context
def run(context: click.Context, file: Path, policy_file: Path | None, out: Path | None, workers: int) -> None:
    """Sanitize the contact list FILE.

    CSV and other delimited text, one number a line, XLSX, JSON Lines and Parquet are read, also as .gz
    or .zip. The result is a folder with the clean list (tokens instead of phones), the rejects with a
    reason for every row, the decisions and a manifest.
    """
    if options_of(context).stack is not None:
        message = "a stack makes its lists itself: use 'upload FILE --stack NAME'"
        raise RequestError("request_invalid", message)
    policy = load_policy(policy_file) if policy_file else default_policy()
    with open_workspace(context) as workspace, progress_bar(file) as progress:
        manifest, place = workspace.sanitize(file, policy, out, Manner(progress, workers=workers - 1))
    emit(context, manifest.document(), lambda: print_summary(manifest, place))


@contextmanager
def progress_bar(file: Path) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's standard error, shown once the work takes over a second; else nothing."""
    if not sys.stderr.isatty():
        yield lambda _bytes: None
        return
    from time import monotonic  # noqa: PLC0415 - only for a terminal

    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    total = file.stat().st_size if file.is_file() else None
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress("reading", *columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("reading", total=total)
    started, shown = monotonic(), False

    def advance(read: int) -> None:
        nonlocal shown
        bar.advance(task, read)
        if not shown and monotonic() - started > SHOW_AFTER_SECONDS:
            bar.start()
            shown = True

    try:
        yield advance
    finally:
        bar.stop()


def print_summary(manifest: Manifest, place: str) -> None:
    """What became of the rows, why, and where everything lies."""
    from rich.console import Console  # noqa: PLC0415 - `--json` needs no table
    from rich.table import Table  # noqa: PLC0415 - as above

    from contact_sanitizer.reasons import Reason  # noqa: PLC0415 - as above

    counts, console = manifest.counts, Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("outcome")
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    share = max(counts.rows, 1)
    for outcome, count, drops in (
        ("kept", counts.kept, None),
        ("dropped", counts.dropped, True),
        ("rejected", counts.rejected, False),
    ):
        table.add_row(outcome, f"{count:,}", f"{count / share:.1%}", style="bold")
        for word, number in counts.by_reason.items():
            if Reason[word.upper()].drops is drops:
                table.add_row(f"  {word}", f"{number:,}", f"{number / share:.1%}")
    table.add_row("all rows", f"{counts.rows:,}", "", style="bold")
    console.print(table)
    if counts.redacted:
        found = ", ".join(f"{count} {kind}" for kind, count in counts.redacted.items())
        console.print(f"\nredacted in kept columns: {found}")
    for warning in manifest.warnings:
        console.print(f"\nwarning: {warning.code} ({warning.count:,}): {warning.message}", style="yellow")
    if not counts.kept and counts.by_reason.get(Reason.CONSENT_MISSING.word):
        console.print("\nNobody on this list has a consent on record: see 'consent import --help'.")
    console.print(f"\nlist {manifest.list_id} in {place}")
    for output in manifest.outputs:
        console.print(f"  {output.name:18} {output.rows:>11,} rows")
    console.print("  manifest.json")
