"""`trace`: one person's story across all lists."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import click

from contact_sanitizer.cli.frame import Command, emit, options_of, say_unfinished
from contact_sanitizer.cli.opening import API_URL, open_workspace
from contact_sanitizer.cli.people import open_desk, phone_of, region_option
from contact_sanitizer.errors import RequestError
from contact_sanitizer.tracing.document import trace_document
from contact_sanitizer.tracing.trace import trace as trace_person
from contact_sanitizer.workspace import traces_of

_INDENT = " " * 26
_NOT_READ = {
    "making": "not finished yet; look again later",
    "failed": "was not finished, nothing of it was handed out",
    "gone": "no longer there; what it said of anybody cannot be told",
    "forgotten": "given up: its maker was killed, or its files are gone for good",
    "damaged": "not the file that was written; see 'audit verify --lists'",
}
_NOT_READ_OF_DELIVERIES = _NOT_READ | {
    "damaged": "the note of its people is not what was written, or cannot be read; see 'audit verify'"
}
_RECALL = {
    "found": "the sender has not acknowledged it",
    "acknowledged": "the sender has acknowledged it",
}


@click.command(cls=Command)
@click.argument("phone")
@region_option
@click.pass_context
def trace(context: click.Context, phone: str, region: str) -> None:
    """Tell the story of the owner of PHONE: verdicts with their reasons, consents, deliveries, redemptions.

    Across all lists of the tenant, oldest first; the look itself is recorded. For the security reviewer, who
    asks a stack's API: it alone opens keys and reads lists. Use - to read the phone from standard input.
    Where something is damaged, or a note is gone from a home, the rest is told, and the exit status is 1.
    """
    stack = options_of(context).stack
    if stack is not None:
        document = dict(traces_of(stack, os.environ.get(API_URL, "")).tell(phone_of(phone), region))
    else:
        with open_workspace(context) as workspace:
            person = open_desk(workspace, region).person(phone_of(phone))
            found = trace_person(person, workspace.delivery_desk(), workspace.shelf_of)
        document = trace_document(found)
    emit(context, document, lambda: _print(document))
    if lost := _lost(document, at_home=stack is None):
        message = f"lists and deliveries that are lost or damaged, and were not looked into: {lost:,}"
        say_unfinished(context, RequestError("trace_incomplete", message))


def _lost(document: dict[str, Any], *, at_home: bool) -> int:
    """How many things were not looked into that should be there: in a stack notes of people expire."""
    lists = [each["state"] for each in document["unread"]]
    deliveries = [each["state"] for each in document["unread_deliveries"]]
    return (lists + deliveries).count("damaged") + at_home * deliveries.count("gone")


def _print(document: dict[str, Any]) -> None:
    if not any(document[name] for name in ("lists", "deliveries", "redemptions")) and not any(
        document["recorded"].values()
    ):
        click.echo("Nothing is known of this person: on no list, in no delivery, nothing on record.")
    for _, lines in sorted(_story(document), key=lambda told: told[0]):
        click.echo("\n".join(lines))
    _print_present(document)
    click.echo(f"\nLists looked into: {document['lists_read']:,}.")
    for each in document["unread"]:
        why = _NOT_READ[each["state"]]
        click.echo(f"NOT looked into: list {each['list_id']} of {each['started_at']}: {why}")
    for each in document["unread_deliveries"]:
        why = _NOT_READ_OF_DELIVERIES[each["state"]]
        click.echo(f"NOT looked into: delivery {each['delivery']} of {each['as_of']}: {why}")


def _print_present(document: dict[str, Any]) -> None:
    recorded = document["recorded"]
    if recorded["entries"]:
        click.echo("\nSuppressions as they are now:")
    for entry in recorded["entries"]:
        click.echo(f"  {entry['scope']:16} {entry['reason']:12} since {entry['since']}  {entry['state']}")
    due = [each for each in document["deliveries"] if each["recall"] == "due"]
    for each in due:
        click.echo(
            f"\nRecall due: {each['sender']} was delivered {each['delivery']}, the person refuses since,"
        )
        click.echo("and nobody has looked for that delivery's recalls yet: see 'recalls DELIVERY'.")


Told = tuple[tuple[str, int], list[str]]


def _story(document: dict[str, Any]) -> Iterator[Told]:
    """Each thing that happened: what it is sorted by, and its lines."""
    recorded = document["recorded"]
    for event in recorded["consents"]:
        yield _told(event["recorded_at"], 0, "consent", _consent(event) + _by(event))
    for event in recorded["suppressions"]:
        text = f"{event['act']} {event['scope']} {event['reason']}{_by(event)}"
        yield _told(event["recorded_at"], 1, "block", text)
    for listed in document["lists"]:
        yield _told(listed["started_at"], 2, "list", *_list_lines(listed))
    for each in document["deliveries"]:
        text = f"to {each['sender']} for {each['purpose']} as {each['form']}, from list {each['list_id']}"
        unseen = "" if each["state"] == "delivered" else "(not completed)"
        yield _told(each["as_of"], 3, "delivered", text, f"delivery {each['delivery']} {unseen}".rstrip())
        if each["recalled_at"]:
            text = f"from {each['sender']}, delivery {each['delivery']}"
            yield _told(each["recalled_at"], 5, "recalled", text, _RECALL[each["recall"]])
    for each in document["redemptions"]:
        yield _told(each["at"], 4, "redeemed", f"by {each['sender']}: it was given the number")


def _told(moment: str, order: int, word: str, text: str, *more: str) -> Told:
    lines = [f"{moment}  {word:10}  {text}", *(f"{_INDENT}{' ' * 12}{line}" for line in more)]
    return (moment, order), lines


def _list_lines(listed: dict[str, Any]) -> Iterator[str]:
    yield f"{listed['list_id']} under policy {listed['policy']}"
    for row in listed["rows"]:
        reasons = f": {', '.join(row['reasons'])}" if row["reasons"] else ""
        yield f"row {row['row']:,} {row['verdict']}{reasons}"
    if left := listed["row_count"] - len(listed["rows"]):
        yield f"and {left:,} more rows"
    yield from (f"known then: {fact}" for fact in _known(listed["known"]))


def _known(known: dict[str, Any]) -> list[str]:
    facts = [_consent(event) for event in known["consents"]]
    facts += [f"block {entry['scope']} {entry['reason']} {entry['state']}" for entry in known["entries"]]
    return facts or ["nothing"]


def _consent(event: dict[str, Any]) -> str:
    scope = "/".join(event[name] or "any" for name in ("purpose", "channel", "sender"))
    return f"{event['status']} {scope}{_dated(event)}"


def _dated(event: dict[str, Any]) -> str:
    # An undated withdrawal counts from its recording.
    moment = event["effective_at"] or (event["recorded_at"] if event["status"] == "withdrawn" else None)
    since = f" as of {moment}" if moment else ", undated"
    return since + (f" until {event['expires_at']}" if event["expires_at"] else "")


def _by(event: dict[str, Any]) -> str:
    source = f", source {event['source']}" if event["source"] else ""
    return source + (f", recorded by {event['recorded_by']}" if event["recorded_by"] else "")
