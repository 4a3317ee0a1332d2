"""`senders`: who may fetch lists, for what, with which qualification."""

from __future__ import annotations

from typing import Any

import click

from contact_sanitizer.cli.frame import Group, emit
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import MOMENT, text_of
from contact_sanitizer.delivery.senders import Quotas, Right, Sender
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.screening.rule import DAY

RIGHT = click.Choice([right.value for right in Right])


@click.group(cls=Group)
def senders() -> None:
    """Register, show and revoke those who may fetch lists and redeem tokens."""


@senders.command()
@click.argument("name")
@click.option("--licence", required=True, metavar="ID", help="Its licence or filing id.")
@click.option(
    "--until",
    type=MOMENT,
    required=True,
    metavar="DATE",
    help="When the licence ends; a date counts to its end (UTC), a time to the second.",
)
@click.option("--purpose", "purposes", multiple=True, required=True, help="For what it may fetch.")
@click.option(
    "--right",
    "rights",
    type=RIGHT,
    multiple=True,
    default=[Right.TOKENS.value],
    show_default=True,
    help="What it may be handed; tokens can be redeemed.",
)
@click.option("--audience", "audiences", multiple=True, help="Whose tokens it may redeem beside its own.")
@click.option("--rows-a-day", type=click.IntRange(0), help="How many rows at most. [default: no limit]")
@click.option("--redemptions-a-minute", type=click.IntRange(0), help="How many tokens. [default: no limit]")
@click.option("--redemptions-a-day", type=click.IntRange(0), help="How many tokens. [default: no limit]")
@click.option("--seal-to", metavar="AGE1...", help="An age public key; its files are encrypted to it.")
@click.option("--principal", "principals", multiple=True, metavar="ARN", help="Who calls in its name on AWS.")
@click.option("--replace", is_flag=True, help="Replace what is registered under that name.")
@click.pass_context
def add(
    context: click.Context,
    name: str,
    licence: str,
    until: int,
    purposes: tuple[str, ...],
    rights: tuple[str, ...],
    audiences: tuple[str, ...],
    rows_a_day: int | None,
    redemptions_a_minute: int | None,
    redemptions_a_day: int | None,
    seal_to: str | None,
    principals: tuple[str, ...],
    replace: bool,  # noqa: FBT001 - a flag on the command line
) -> None:
    """Register NAME as a sender."""
    with open_workspace(context) as workspace:
        sender = Sender(
            text_of(name),
            text_of(licence),
            until if until % DAY else until + DAY,
            tuple(text_of(purpose) for purpose in purposes),
            tuple(Right(right) for right in rights),
            tuple(text_of(audience) for audience in audiences),
            Quotas(rows_a_day, redemptions_a_minute, redemptions_a_day),
            seal_to,
            principals,
            workspace.clock() // 1000,
            workspace.principal,
        )
        workspace.senders.register(sender, again=replace)
        document = _document(sender, workspace.clock() // 1000)
    emit(context, document, lambda: click.echo(f"{sender.name} may fetch until {document['until']}"))


@senders.command("list")
@click.pass_context
def list_(context: click.Context) -> None:
    """Show all senders."""
    with open_workspace(context) as workspace:
        now = workspace.clock() // 1000
        documents = [_document(sender, now) for sender in workspace.senders.all()]
    emit(context, {"senders": documents}, lambda: _print(documents))


@senders.command()
@click.argument("name")
@click.pass_context
def show(context: click.Context, name: str) -> None:
    """Show all that is registered of one sender."""
    with open_workspace(context) as workspace:
        document = _document(workspace.senders.find(name), workspace.clock() // 1000)

    def text() -> None:
        for word, value in document.items():
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            click.echo(f"{word:22} {'-' if shown in (None, '') else shown}")

    emit(context, document, text)


@senders.command()
@click.argument("name")
@click.pass_context
def revoke(context: click.Context, name: str) -> None:
    """Take all rights from a sender, at once: it fetches and redeems nothing any more."""
    with open_workspace(context) as workspace:
        sender = workspace.senders.revoke(name, workspace.clock() // 1000)
        document = _document(sender, workspace.clock() // 1000)
    emit(context, document, lambda: click.echo(f"{sender.name} revoked"))


def _document(sender: Sender, now: int) -> dict[str, Any]:
    stated = sender.document()
    stated |= stated.pop("quotas")
    # The last moment that counts: a date reads as it was typed.
    stated["until"] = rfc3339(sender.until * 1000 - 1)
    for moment in ("registered_at", "revoked_at"):
        if stated[moment] is not None:
            stated[moment] = rfc3339(stated[moment] * 1000)
    return {"name": stated.pop("name"), "state": sender.state(now), **stated}


def _print(documents: list[dict[str, Any]]) -> None:
    if not documents:
        click.echo("No sender is registered yet: see 'senders add --help'.")
    for document in documents:
        rights, purposes = ",".join(document["rights"]), ",".join(document["purposes"])
        click.echo(
            f"{document['name']:20} {document['state']:8} until {document['until']}  {rights}  {purposes}"
        )
