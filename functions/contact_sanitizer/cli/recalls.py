"""`recalls`: who refused after a delivery, and the sender's receipt."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

import click

from contact_sanitizer.cli.frame import Group, emit, options_of, say_unfinished
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.delivery.notices import noticed_recalls
from contact_sanitizer.delivery.recalls import (
    DAMAGED,
    GONE,
    Pending,
    Untold,
    acknowledge,
    pending_recalls,
    show_recalls,
)
from contact_sanitizer.errors import DeliveryError
from contact_sanitizer.outputs.manifest import rfc3339

_HOUR = 3_600_000
_STATES = {GONE: "gone", DAMAGED: "damaged"}
_WHY = {
    "gone": "the note of its people is gone",
    "damaged": "the note of its people is not what was written, or cannot be read",
}


class _DeliveryOrCommand(Group):
    """`recalls DELIVERY` shows a delivery; no id is like a command's name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with, or nearly; else they begin with a delivery: `show`."""
        said = args[0] if args else "-"
        if not said.startswith("-") and not get_close_matches(said, self.list_commands(ctx)):
            return "show", self.get_command(ctx, "show"), args
        return super().resolve_command(ctx, args)


@click.group(cls=_DeliveryOrCommand)
def recalls() -> None:
    """Show who has refused since a delivery: 'recalls DELIVERY'.

    In the sender's own words: tokens, hashes or numbers, as its file holds them. It must not use them any
    more, and acknowledges that it knows.
    """


@recalls.command()
@click.argument("delivery")
@click.option("--after", type=click.IntRange(0), default=0, help="Only what comes after this cursor.")
@click.pass_context
def show(context: click.Context, delivery: str, after: int) -> None:
    """Show a delivery's recalls as JSON lines; the cursor is said on standard error."""
    with open_workspace(context) as workspace:
        found = show_recalls(delivery, workspace.delivery_desk(), after)
    lines = list(found.lines())
    document = {
        "delivery": found.delivery.delivery_id,
        "recalls": lines,
        "cursor": found.cursor,
        "acknowledged": found.acknowledged,
    }

    def text() -> None:
        for line in lines:
            click.echo(json.dumps(line))

    emit(context, document, text)
    if not options_of(context).as_json:
        click.echo(f"{len(found):,} recalled; cursor {found.cursor}", err=True)


@recalls.command()
@click.argument("delivery")
@click.option("--cursor", type=click.IntRange(0), help="Up to here. [default: all found so far]")
@click.pass_context
def ack(context: click.Context, delivery: str, cursor: int | None) -> None:
    """Acknowledge a delivery's recalls: the sender knows of them and uses them no more."""
    with open_workspace(context) as workspace:
        receipt = acknowledge(delivery, workspace.delivery_desk(), cursor)
    document = {**asdict(receipt), "at": rfc3339(receipt.at)}
    emit(context, document, lambda: click.echo(f"receipt {receipt.receipt}: up to cursor {receipt.cursor}"))


@recalls.command()
@click.option(
    "--hours", type=click.FloatRange(0), default=24, show_default=True, help="Overdue after so many hours."
)
@click.pass_context
def pending(context: click.Context, hours: float) -> None:
    """Show recalls that no sender has acknowledged, for the security reviewer.

    At home the registry is asked now; of a stack that is told what its own last look found, some minutes ago.
    A delivery whose people cannot be read is named: its new recalls cannot be told, and the exit status is 1.
    """
    with open_workspace(context) as workspace:
        now = workspace.clock()
        kept_since = workspace.world.people_kept_since(now)
        if options_of(context).stack is not None:
            waiting = list(noticed_recalls(workspace.world.records, kept_since))
        else:
            waiting = list(pending_recalls(workspace.delivery_desk(), kept_since))
    late = now - int(hours * _HOUR)
    found = [_document(each, late) for each in waiting if isinstance(each, Pending)]
    untold = [_untold(each) for each in waiting if isinstance(each, Untold)]
    emit(context, {"pending": found, "untold": untold}, _printer(found, untold))
    if untold:
        message = f"who refused since cannot be told of some deliveries: {len(untold):,}"
        say_unfinished(context, DeliveryError("recalls_untold", message))


def _document(pending: Pending, late: int) -> dict[str, Any]:
    overdue = pending.since <= late
    return {
        "delivery": pending.delivery_id,
        "sender": pending.sender,
        "unacknowledged": pending.unacknowledged,
        "since": rfc3339(pending.since),
        "overdue": overdue,
    }


def _untold(untold: Untold) -> dict[str, Any]:
    return {"delivery": untold.delivery_id, "sender": untold.sender, "state": _STATES[untold.why]}


def _printer(found: list[dict[str, Any]], untold: list[dict[str, Any]]) -> Callable[[], None]:
    def text() -> None:
        if not found:
            of = " that could be looked for" if untold else ""
            click.echo(f"Every recall{of} was acknowledged.")
        for each in found:
            mark = "OVERDUE" if each["overdue"] else ""
            click.echo(
                f"{each['delivery']}  {each['sender']:20} {each['unacknowledged']:>9,}"
                f"  since {each['since']}  {mark}"
            )
        for each in untold:
            click.echo(
                f"NOT looked into: delivery {each['delivery']} to {each['sender']}: {_WHY[each['state']]}"
            )

    return text
