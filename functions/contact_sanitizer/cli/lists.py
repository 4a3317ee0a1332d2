"""`lists`: what was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from contact_sanitizer.cli.frame import Group, emit
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.errors import OutputError
from contact_sanitizer.listid import parse_list_id
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.ports import ListEntry


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def lists(context: click.Context) -> None:
    """Show which lists were made, oldest first; 'lists show LIST' tells one."""
    if context.invoked_subcommand:
        return
    workspace = open_workspace(context)
    entries = [entry for entry in workspace.catalogue.entries() if entry.tenant == workspace.tenant]
    emit(context, {"lists": [_document(entry) for entry in entries]}, lambda: _print(entries))


@lists.command()
@click.argument("list_id", metavar="LIST")
@click.pass_context
def show(context: click.Context, list_id: str) -> None:
    """Show one list's manifest."""
    workspace = open_workspace(context)
    known = parse_list_id(list_id)
    entry = workspace.catalogue.get(known) if known else None
    if entry is None or entry.tenant != workspace.tenant:
        raise OutputError("list_unknown", "no list of that id was made here")
    manifest = _manifest(entry)
    emit(context, manifest, lambda: click.echo(json.dumps(manifest, ensure_ascii=False, indent=2)))


def _manifest(entry: ListEntry) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((Path(entry.place) / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise OutputError("list_unknown", "that list was not finished, or is no longer there") from None
    return document


def _state(entry: ListEntry) -> str:
    """A list whose manifest is there is made, whatever was written down before a crash; and the reverse."""
    if (Path(entry.place) / "manifest.json").is_file():
        return "made"
    return "gone" if entry.state == "made" else entry.state


def _document(entry: ListEntry) -> dict[str, Any]:
    return {
        "list_id": entry.list_id,
        "state": _state(entry),
        "policy": entry.policy,
        "started_at": rfc3339(entry.started_at),
        "place": entry.place,
        "counts": {
            "rows": entry.rows,
            "kept": entry.kept,
            "dropped": entry.dropped,
            "rejected": entry.rejected,
        },
    }


def _print(entries: list[ListEntry]) -> None:
    if not entries:
        click.echo("No list was made yet: see 'run --help'.")
    for entry in entries:
        counts = f"{entry.rows:>11,} rows {entry.kept:>11,} kept" if entry.state == "made" else ""
        click.echo(
            f"{entry.list_id}  {rfc3339(entry.started_at)}  {_state(entry):7} {entry.policy:16} {counts}"
        )
