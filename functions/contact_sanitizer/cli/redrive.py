"""`redrive`: what a stack could not do, and trying it again."""

from __future__ import annotations

from dataclasses import asdict

import click

from contact_sanitizer.cli.frame import Command, emit
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.redriving import Case, cases
from contact_sanitizer.redriving import redrive as redrive_letters
from contact_sanitizer.uploading import IMPORT, UPLOAD, Uploads


@click.command(cls=Command)
@click.option("--imports", is_flag=True, help="Files for the registry rather than uploaded lists.")
@click.option("--all", "everything", is_flag=True, help="Try all of them again.")
@click.option("--message", "wanted", multiple=True, metavar="ID", help="Try this one again; repeatable.")
@click.pass_context
def redrive(context: click.Context, *, imports: bool, everything: bool, wanted: tuple[str, ...]) -> None:
    """Show what was given up and why, oldest first; with --all or --message have it tried again."""
    with open_workspace(context) as workspace:
        letters = workspace.stack.dead_letters(imports=imports)
        if everything or wanted:
            moved = redrive_letters(
                letters, workspace.record, workspace.tenant, None if everything else wanted
            )
            emit(context, {"moved": moved}, lambda: click.echo(f"{moved:,} to be tried again"))
            return
        uploads = Uploads(workspace.stack.records, IMPORT if imports else UPLOAD)
        found = cases(letters, uploads, workspace.tenant)
    emit(context, {"messages": [_document(case) for case in found]}, lambda: _print(found))


def _document(case: Case) -> dict[str, object]:
    return {**asdict(case), "sent_at": rfc3339(case.sent_at)}


def _print(found: list[Case]) -> None:
    if not found:
        click.echo("Nothing was given up.")
    for case in found:
        click.echo(
            f"{case.message_id}  {rfc3339(case.sent_at)}  {case.upload_id:26}  {case.state:9} {case.reason}"
        )
