"""`audit show`: what happened, as it stands in the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.reading import Filter, Seen, all_events
from contact_sanitizer.cli.frame import Command, emit
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import moment_option
from contact_sanitizer.outputs.manifest import rfc3339

#: Of most events, in text: a line has to be readable.
_UNSHOWN = frozenset({"digests", "policy_sha256", "key_ids", "registry_change"})


@click.command(cls=Command)
@moment_option("--since", says="Events from then on.")
@moment_option("--until", says="Events before then.", ends=True)
@click.option("--principal", metavar="NAME", help="Who did it.")
@click.option("--action", metavar="WORD", help="What was done: 'list.published', or 'list' for all of lists.")
@click.option("--list", "list_id", metavar="LIST", help="Events about one list.")
@click.option("--outcome", type=click.Choice([outcome.value for outcome in Outcome]), help="How it ended.")
@click.pass_context
def show(
    context: click.Context,
    since: int | None,
    until: int | None,
    principal: str | None,
    action: str | None,
    list_id: str | None,
    outcome: str | None,
) -> None:
    """Show what happened, oldest first. Nothing is verified: see 'audit verify'."""
    if action and action not in {word for known in Action for word in (known, known.partition(".")[0])}:
        raise click.BadParameter("is none: see 'audit show' for those that happened", param_hint="--action")
    with open_workspace(context) as workspace:
        wanted = Filter(
            workspace.tenant,
            since * 1000 if since is not None else None,
            until * 1000 if until is not None else None,
            principal,
            action,
            list_id,
            Outcome(outcome) if outcome else None,
        )
        events = [event for event in all_events(workspace.world.audit.objects) if wanted.takes(event)]
    emit(context, {"events": [event_document(event) for event in events]}, lambda: print_events(events))


def event_document(event: Seen) -> dict[str, Any]:
    """An event as JSON."""
    return {
        "index": event.index,
        "id": event.uid,
        "time": rfc3339(event.at),
        "action": event.action,
        "outcome": event.outcome.value,
        "principal": event.principal,
        "command": event.correlation,
        **event.particulars,
    }


def print_events(events: list[Seen]) -> None:
    """Events, a line each."""
    if not events:
        click.echo("Nothing of that kind happened.")
    for event in events:
        number = "-" if event.index is None else f"{event.index}"
        outcome = "" if event.outcome is Outcome.BEGUN else event.outcome.value
        said = " ".join(_words(event))
        row = f"{number:>7}  {rfc3339(event.at)}  {event.principal:12} {event.action:21} {outcome:8} {said}"
        click.echo(row.rstrip())


def _words(event: Seen) -> Iterator[str]:
    for name, value in event.particulars.items():
        if name == "key_ids" and event.action.startswith("key."):
            yield from (f"key={key}" for key in value)
        elif name in _UNSHOWN and (name != "digests" or event.action != Action.AUDIT_REKEYED):
            continue
        elif isinstance(value, bool):
            yield f"{name}={'yes' if value else 'no'}"
        elif isinstance(value, dict):
            yield from (f"{word}={count}" for word, count in value.items())
        else:
            yield f"{name.removesuffix('_id')}={value}"
