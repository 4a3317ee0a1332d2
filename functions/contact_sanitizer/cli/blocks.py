"""`block`: who must not be contacted."""

from __future__ import annotations

from pathlib import Path

import click

from contact_sanitizer.cli.frame import Group, emit
from contact_sanitizer.cli.importing import emit_report, results_option, row_results
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import (
    asked_at_option,
    by_option,
    moment_option,
    open_desk,
    phone_of,
    phones_of,
    region_option,
)
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.registering.blocklists import BlockDefaults
from contact_sanitizer.registering.fileimports import HashedList
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.rule import FOREVER
from contact_sanitizer.screening.suppression import SuppressionEntry, SuppressionReason

REASON = click.Choice([reason.value for reason in SuppressionReason])


@click.group(cls=Group)
def block() -> None:
    """Add, import, remove and show people who must not be contacted."""


@block.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--scope",
    default="tenant",
    show_default=True,
    help="Where the block holds, for rows that do not say: global, tenant or sender:NAME.",
)
@click.option(
    "--reason", type=REASON, default="operator", show_default=True, help="Why, for rows that do not say."
)
@click.option("--source", default="", help="Where this is known from, for rows that do not say.")
@click.option(
    "--contract",
    default="",
    help="FILE holds hashes made like this: " + ", ".join(contract.word for contract in HashContract) + ".",
)
@click.option(
    "--known", default="", metavar="PHONE", help="A phone on the hashed list: it proves the contract."
)
@results_option
@region_option
@by_option
@click.pass_context
def import_(
    context: click.Context,
    file: Path,
    scope: str,
    reason: str,
    source: str,
    contract: str,
    known: str,
    results: Path | None,
    region: str,
    by: str | None,
) -> None:
    """Block everybody in FILE (CSV, XLSX, ...), which holds phones, or hashes with --contract or --known.

    Columns: phone, scope, reason, source. Importing a file twice changes nothing; an interrupted import
    goes on where it stopped.
    """
    hashed = HashedList(contract, phone_of(known) if known else "") if contract or known else None
    defaults = BlockDefaults(scope, reason, source)
    with open_workspace(context) as workspace, row_results(file, results) as rows:
        report = workspace.imports(region, rows, by).blocks(file, defaults, hashed)
    emit_report(context, report, rows)


@block.command()
@click.argument("phones", nargs=-1, required=True, metavar="PHONE...")
@click.option("--scope", default="tenant", show_default=True, help="global, tenant or sender:NAME.")
@click.option("--reason", type=REASON, default="operator", show_default=True, help="Why.")
@click.option("--source", default="", help="Where this is known from.")
@moment_option("--expires-at", says="When it ends.", ends=True, beside="[default: never]")
@asked_at_option
@region_option
@by_option
@click.pass_context
def add(
    context: click.Context,
    phones: tuple[str, ...],
    scope: str,
    reason: str,
    source: str,
    expires_at: int | None,
    asked_at: int | None,
    region: str,
    by: str | None,
) -> None:
    """Block the owners of PHONE... at once. Use - to read phones from standard input, one a line."""
    with open_workspace(context) as workspace:
        desk = open_desk(workspace, region, by)
        people = [desk.person(each) for phone in phones for each in phones_of(phone)]
        outcomes = [
            desk.block(person, scope, SuppressionReason(reason), source, expires_at, asked_at=asked_at).value
            for person in people
        ]
    emit(context, {"results": outcomes}, lambda: click.echo("\n".join(outcomes)))


@block.command()
@click.argument("phone")
@click.option("--why", required=True, help="Why the entry may go; it is recorded.")
@click.option("--scope", help="Only entries of this scope. [default: all]")
@region_option
@by_option
@click.pass_context
def remove(
    context: click.Context, phone: str, why: str, scope: str | None, region: str, by: str | None
) -> None:
    """Remove the entries of the owner of PHONE.

    What a regulator or a complaint put there goes only when a second person runs the same command
    (--by NAME). Use - to read the phone from standard input.
    """
    with open_workspace(context) as workspace:
        desk = open_desk(workspace, region, by)
        person = desk.person(phone_of(phone))
        removed = desk.unblock(person, why, scope)
        left = desk.registry.history(person.subject).entries
    documents = [
        {"scope": entry.scope, "reason": entry.reason.value, "result": outcome.value}
        for entry, outcome in removed
    ]
    waiting = [e for e in left if e.removal_by and not e.removed]

    def text() -> None:
        for document in documents:
            click.echo(f"{document['scope']:16} {document['reason']:12} {document['result']}")
        if waiting:
            click.echo("A second person has to run the same command before it takes effect.")

    emit(context, {"results": documents, "waiting_for_second_person": len(waiting)}, text)


@block.command()
@click.argument("phone")
@moment_option("--as-of", says="What was known at that moment.")
@region_option
@click.pass_context
def show(context: click.Context, phone: str, as_of: int | None, region: str) -> None:
    """Show the entries of the owner of PHONE; the look itself is recorded."""
    with open_workspace(context) as workspace:
        desk = open_desk(workspace, region)
        history = desk.show(desk.person(phone_of(phone)), as_of)
    entries = [_document(entry, desk.now) for entry in history.entries]
    emit(context, {"entries": entries}, lambda: _print(entries))


def _document(entry: SuppressionEntry, now: int) -> dict[str, object]:
    return {
        "scope": entry.scope,
        "reason": entry.reason.value,
        "since": rfc3339(entry.since * 1000),
        "until": None if entry.until == FOREVER else rfc3339(entry.until * 1000),
        "state": entry.state(now),
    }


def _print(entries: list[dict[str, object]]) -> None:
    if not entries:
        click.echo("No entry.")
    for entry in entries:
        click.echo(f"{entry['scope']:16} {entry['reason']:12} since {entry['since']}  {entry['state']}")
