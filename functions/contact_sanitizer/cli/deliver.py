"""`deliver`: hand a list to a sender, screened again now."""

from __future__ import annotations

from pathlib import Path

import click

from contact_sanitizer.cli.frame import Command, emit
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import text_of
from contact_sanitizer.delivery.deliver import FORMATS, Delivered, DeliveryRequest
from contact_sanitizer.delivery.deliver import deliver as deliver_list
from contact_sanitizer.delivery.rendering import Form


@click.command(cls=Command)
@click.argument("list_id", metavar="LIST")
@click.option("--to", "sender", required=True, metavar="SENDER", help="Who gets it; see 'senders add'.")
@click.option("--purpose", required=True, help="For what; the list's policy names the same.")
@click.option(
    "--as",
    "form",
    type=click.Choice([form.value for form in Form]),
    default=Form.TOKEN.value,
    show_default=True,
    help="What stands for a person.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="csv",
    show_default=True,
    help="How the file is written.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where the file goes."
)
@click.pass_context
def deliver(
    context: click.Context, list_id: str, sender: str, purpose: str, form: str, format_name: str, out: Path
) -> None:
    """Deliver LIST to a sender.

    Everybody on it is asked for in the registry now: who has refused since the list was made is left out.
    Who refuses after this moment is in the delivery's recalls; see 'recalls'.
    """
    request = DeliveryRequest(list_id, text_of(sender), text_of(purpose), Form(form), format_name)
    with open_workspace(context) as workspace:
        made = deliver_list(request, workspace.delivery_desk(str(out)), workspace.shelf_of)
    document = {**made.delivery.shown(), "file": made.place, "made_before": made.again}
    emit(context, document, lambda: _print(made, str(document["as_of"])))


def _print(made: Delivered, as_of: str) -> None:
    delivery = made.delivery
    click.echo(f"delivered {delivery.rows:,} rows to {delivery.sender}, as of {as_of}")
    for reason, count in delivery.refused.items():
        click.echo(f"  left out {count:,}: {reason}")
    sealed = ", encrypted to its key" if delivery.sealed else ""
    click.echo(f"delivery {delivery.delivery_id} in {made.place}{sealed}")
    if made.again:
        click.echo("The same delivery had been made today already.")
