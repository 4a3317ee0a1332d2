"""`erase`: a person is forgotten."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from contact_sanitizer.cli.frame import Command, emit, say_unfinished
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import open_desk, phone_of, region_option
from contact_sanitizer.erasing.erase import close_erasure
from contact_sanitizer.erasing.erase import erase as erase_person
from contact_sanitizer.errors import DeliveryError, OutputError
from contact_sanitizer.outputs.digesting import writing_errors

_REMOVED = {
    "consents": "consents and withdrawals on record",
    "suppressions": "acts on suppressions on record",
    "replies": "replies that were kept to be read",
    "lists": "lists that held the person",
    "rows": "rows whose decision named the person",
    "clean_rows": "rows of clean lists",
    "deliveries": "notes of deliveries",
    "redemptions": "records of redemptions",
}
_WHY = {
    "making": "is still being made",
    "failed": "was not finished and may be tried again, for a day",
    "gone": "is not where it was made. Put it back and run the same again, or, if it was deleted for good,"
    " say 'lists forget {name}' first",
    "damaged": "is not what was written; see 'audit verify'",
}

_UNREAD = {
    "gone": "the note of its people is gone; see 'audit verify'",
    "damaged": "the note of its people is not what was written, or cannot be read; see 'audit verify'",
    "expired": "the term of who was on it is over, and so it is for older ones to this sender",
}


@click.command(cls=Command)
@click.argument("phone")
@region_option
@click.option(
    "--receipt",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the receipt there, as JSON, for the person or a regulator.",
)
@click.option(
    "--leave-refusal",
    is_flag=True,
    help="Leave a bare refusal also where none is on record, so that no later list brings the person back.",
)
@click.pass_context
def erase(
    context: click.Context,
    phone: str,
    region: str,
    receipt: Path | None,
    leave_refusal: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Forget the owner of PHONE: what was recorded, their rows in lists, deliveries and redemptions.

    This cannot be undone. Of a refusal a bare one stays, so that the person is left alone. Stopped
    before the end, the same command goes on. Senders who may hold the person are named, where the note of
    a delivery's people is lost or damaged, and the exit status is 1. Use - to read the phone from standard
    input.
    """
    with open_workspace(context) as workspace:
        person, desk = open_desk(workspace, region).person(phone_of(phone)), workspace.erase_desk
        document = erase_person(person, desk, leave_refusal=leave_refusal).document()
        if receipt:
            _write(receipt, json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n")
        emit(context, document, lambda: _print(document, receipt))
        # Until here the same command gives the same receipt again.
        close_erasure(person, desk)
    if document["unfinished"]:
        message = "the person is not erased everywhere; run the same again later"
        say_unfinished(context, OutputError("erase_unfinished", message))
    if not document["complete"]:
        message = "of some deliveries nobody can tell whether the person was on them; their senders are named"
        say_unfinished(context, DeliveryError("recipients_untold", message))


def _write(place: Path, data: bytes) -> None:
    """A new file that only its owner may read; one that says the same stays."""
    if os.path.lexists(place):
        if place.is_file() and place.read_bytes() == data:
            return
        message = "another file is there already; say another name: the receipt is kept until it is written"
        raise OutputError("out_exists", message)
    try:
        with writing_errors():
            _create(place, data)
    except ValueError:
        raise OutputError("out_unwritable", "the receipt cannot be written there") from None


def _create(place: Path, data: bytes) -> None:
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _handed(each: dict[str, Any], word: str = "") -> str:
    return f"{each['sender']}{word}, as {each['form']}, delivery {each['delivery']} of {each['at']}"


def _print(document: dict[str, Any], receipt: Path | None) -> None:
    if not any(document["removed"].values()):
        known = "known" if document["complete"] else "found"
        click.echo(f"Nothing was {known} of this person: nothing was removed.")
    else:
        click.echo(f"Erased on {document['finished_at']}. Removed:")
    for kind, count in document["removed"].items():
        if count:
            click.echo(f"  {count:>9,}  {_REMOVED[kind]}")
    click.echo("\nWhat stays, and why:")
    for stays in document["stays"]:
        click.echo(f"  {stays['what']}: {stays['why']}")
    if document["recipients"]:
        click.echo("\nWho had been delivered the person, to be told of the erasure:")
    for each in document["recipients"]:
        click.echo(f"  {_handed(each)}")
    for each in document["may_hold"]:
        click.echo(f"\n{_handed(each, ' MAY HOLD the person')}: {_UNREAD[each['state']]}")
    for each in document["unfinished"]:
        click.echo(
            f"\nNOT erased from {each['thing']} {each['name']}: it {_WHY[each['state']].format_map(each)}"
        )
    click.echo(f"\nAudit event {document['audit']['event']}")
    if receipt:
        click.echo(f"Receipt in {receipt}")
