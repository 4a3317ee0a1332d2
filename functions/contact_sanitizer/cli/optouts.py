"""`optout`: a reply, read as a person would."""

from __future__ import annotations

import click

from contact_sanitizer.cli.frame import Command, emit
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import (
    asked_at_option,
    by_option,
    open_desk,
    phone_of,
    region_option,
    text_of,
)

_TEXTS = {
    "opt_out": "opt-out recorded",
    "complaint": "opt-out and complaint recorded",
    "unrecognised": "not understood as a refusal; kept for a person to read",
}


@click.command(cls=Command)
@click.argument("message")
@click.option("--from", "phone", required=True, metavar="PHONE", help="Who replied; - reads standard input.")
@click.option(
    "--to", "sender", default="", metavar="SENDER", help="Whose message was answered. [default: any]"
)
@asked_at_option
@region_option
@by_option
@click.pass_context
def optout(
    context: click.Context,
    message: str,
    phone: str,
    sender: str,
    asked_at: int | None,
    region: str,
    by: str | None,
) -> None:
    """Read the reply MESSAGE (R, TD, 退订, STOP, ...) and record the refusal that it states."""
    with open_workspace(context) as workspace:
        desk = open_desk(workspace, region, by)
        person = desk.person(phone_of(phone))
        reading = desk.reply(person, text_of(message), sender, workspace.registry, asked_at)
    kind = reading.kind.value
    emit(context, {"result": kind, "recorded": reading.refuses}, lambda: click.echo(_TEXTS[kind]))
