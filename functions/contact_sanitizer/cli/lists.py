"""`lists`: what was made."""

from __future__ import annotations

import json
from typing import Any

import click

from contact_sanitizer.catalogue import ListEntry
from contact_sanitizer.cli.frame import Group, emit
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.erasing.absent import forget_list
from contact_sanitizer.errors import OutputError
from contact_sanitizer.listid import ListId, parse_list_id
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.ports import ListShelf
from contact_sanitizer.workspace import Workspace


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def lists(context: click.Context) -> None:
    """Show which lists were made, oldest first; 'lists show LIST' tells one.

    'lists forget LIST': one whose files were deleted for good.
    """
    if context.invoked_subcommand:
        return
    with open_workspace(context) as workspace:
        entries = workspace.catalogue.entries()
        documents = [_document(entry, workspace.shelf_of(entry)) for entry in entries]
    emit(context, {"lists": documents}, lambda: _print(documents))


@lists.command()
@click.argument("list_id", metavar="LIST")
@click.pass_context
def show(context: click.Context, list_id: str) -> None:
    """Show one list's manifest."""
    with open_workspace(context) as workspace:
        entry = _known(workspace, list_id)
        manifest = _manifest(workspace.shelf_of(entry), entry)
    emit(context, manifest, lambda: click.echo(json.dumps(manifest, ensure_ascii=False, indent=2)))


@lists.command()
@click.argument("list_id", metavar="LIST")
@click.pass_context
def forget(context: click.Context, list_id: str) -> None:
    """Look no more for LIST, whose files were deleted for good.

    Until then an erasure is not complete: whoever was on a list that is only moved or unmounted still is.
    """
    with open_workspace(context) as workspace:
        known = ListId(_known(workspace, list_id).list_id)
        forget_list(known, workspace.erase_desk)
    said = f"List {known} is looked for no more."
    emit(context, {"list_id": known, "state": "forgotten"}, lambda: click.echo(said))


def _known(workspace: Workspace, list_id: str) -> ListEntry:
    """The entry of the list that was typed; `OutputError` (`list_unknown`) where there is none."""
    known = parse_list_id(list_id)
    entry = workspace.catalogue.get(known) if known else None
    if entry is None:
        raise OutputError("list_unknown", "no list of that id was made here")
    return entry


def _manifest(shelf: ListShelf, entry: ListEntry) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(shelf.manifest(ListId(entry.list_id)) or b"")
    except (ValueError, RecursionError):
        raise OutputError("list_unknown", "that list was not finished, or is no longer there") from None
    return document


def _document(entry: ListEntry, shelf: ListShelf) -> dict[str, Any]:
    list_id = ListId(entry.list_id)
    # A list whose manifest is there is made, whatever was written down before a crash; and the reverse.
    made, otherwise = shelf.manifest(list_id) is not None, "gone" if entry.state == "made" else entry.state
    return {
        "list_id": entry.list_id,
        "state": "made" if made else otherwise,
        "policy": entry.policy,
        "started_at": rfc3339(entry.started_at),
        "place": shelf.where(list_id),
        "counts": {
            "rows": entry.rows,
            "kept": entry.kept,
            "dropped": entry.dropped,
            "rejected": entry.rejected,
        },
    }


def _print(documents: list[dict[str, Any]]) -> None:
    if not documents:
        click.echo("No list was made yet: see 'run --help'.")
    for document in documents:
        rows, kept = document["counts"]["rows"], document["counts"]["kept"]
        counts = f"{rows:>11,} rows {kept:>11,} kept" if rows else ""
        click.echo(
            f"{document['list_id']}  {document['started_at']}  {document['state']:9}"
            f" {document['policy']:16} {counts}"
        )
