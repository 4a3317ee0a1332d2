"""`consent`: who agreed to what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from contact_sanitizer.cli.frame import Group, emit
from contact_sanitizer.cli.importing import emit_report, results_option, row_results
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import (
    MOMENT,
    Decorated,
    by_option,
    moment_option,
    open_desk,
    phone_of,
    region_option,
)
from contact_sanitizer.intake.dates import end_of_date
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.registering.consentlists import ConsentDefaults
from contact_sanitizer.registering.desk import ConsentTerms
from contact_sanitizer.screening.consent import ConsentEvent
from contact_sanitizer.screening.recording import Outcome


@click.group(cls=Group)
def consent() -> None:
    """Record, import and show consents. Unknown is refused: no consent, no message."""


@consent.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--purpose", default="", help="For what, where a row does not say: e.g. marketing.")
@click.option("--channel", default="", help="How, where a row does not say: e.g. sms, call.")
@click.option("--sender", default="", help="For whom, where a row does not say; left out: all senders.")
@click.option("--source", default="", help="How it was given, where a row does not say: e.g. web-form.")
@click.option("--wording", default="", help="Version of the text shown, where a row does not say.")
@results_option
@region_option
@by_option
@click.pass_context
def import_(
    context: click.Context,
    /,
    file: Path,
    results: Path | None,
    region: str,
    by: str | None,
    **defaults: str,
) -> None:
    """Record the consents and withdrawals in FILE (CSV, XLSX, ...).

    Columns: phone, purpose, channel, sender, status (granted or withdrawn), effective_at, expires_at,
    source, reference, wording. Importing a file twice changes nothing; an interrupted import goes on
    where it stopped.
    """
    with open_workspace(context) as workspace, row_results(file, results) as rows:
        report = workspace.imports(region, rows, by).consents(file, ConsentDefaults(**defaults))
    emit_report(context, report, rows)


_GIVEN = moment_option("--effective-at", says="When it was said.", beside="[default: just now]")
_TAKEN_BACK = click.option(
    "--effective-at",
    type=MOMENT,
    metavar="DATE",
    help="When it was said; a date counts to its end (UTC), so that it outweighs a consent of that day."
    " [default: just now]",
)


def _terms(effective_at: Callable[[Any], Any], *, required: bool) -> Callable[[Decorated], Decorated]:
    """The options that say what a consent is for and how it was given."""
    # Click takes a default of None as an answer, so a required option must not have one.
    unsaid: dict[str, Any] = {"required": True} if required else {"default": ""}
    options = [
        click.option("--purpose", **unsaid, help="e.g. marketing."),
        click.option("--channel", **unsaid, help="e.g. sms, call."),
        click.option("--sender", default="", help="For whom; left out: all senders."),
        effective_at,
        moment_option("--expires-at", says="When it ends.", ends=True),
        click.option("--source", default="", help="How it was given, e.g. web-form, hotline."),
        click.option("--reference", default="", help="Where the evidence is, e.g. a form's id."),
        click.option("--wording", default="", help="Version of the text that was shown."),
    ]

    def add(command: Decorated) -> Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@consent.command()
@click.argument("phone")
@_terms(_GIVEN, required=True)
@region_option
@by_option
@click.pass_context
def record(context: click.Context, /, phone: str, region: str, by: str | None, **terms: Any) -> None:
    """Record that the owner of PHONE agreed. Use - to read the phone from standard input."""
    with open_workspace(context) as workspace:
        desk = open_desk(workspace, region, by)
        outcome = desk.grant(desk.person(phone_of(phone)), ConsentTerms(**terms))
    _say(context, outcome)


@consent.command()
@click.argument("phone")
@_terms(_TAKEN_BACK, required=False)
@region_option
@by_option
@click.pass_context
def withdraw(context: click.Context, /, phone: str, region: str, by: str | None, **terms: Any) -> None:
    """Record that the owner of PHONE takes consent back.

    Without --purpose, --channel or --sender everything is taken back. Use - to read the phone from
    standard input.
    """
    with open_workspace(context) as workspace:
        desk = open_desk(workspace, region, by)
        asked_at, said = terms["effective_at"], ConsentTerms(**terms)
        if asked_at is not None:
            said = replace(said, effective_at=end_of_date(asked_at))
        outcome = desk.withdraw(desk.person(phone_of(phone)), said, asked_at)
    _say(context, outcome)


@consent.command()
@click.argument("phone")
@moment_option("--as-of", says="What was known at that moment.")
@region_option
@click.pass_context
def show(context: click.Context, phone: str, as_of: int | None, region: str) -> None:
    """Show the consent history of the owner of PHONE, oldest first; the look itself is recorded."""
    with open_workspace(context) as workspace:
        desk = open_desk(workspace, region)
        history = desk.show(desk.person(phone_of(phone)), as_of)
    events = [_document(event) for event in history.consents]
    emit(context, {"consents": events}, lambda: _print(events))


def _say(context: click.Context, outcome: Outcome) -> None:
    emit(context, {"result": outcome.value}, lambda: click.echo(outcome.value))


def _when(moment: int | None) -> str | None:
    return None if moment is None else rfc3339(moment * 1000)


def _document(event: ConsentEvent) -> dict[str, object]:
    return {
        "status": event.status.name.lower(),
        "purpose": event.purpose,
        "channel": event.channel,
        "sender": event.sender,
        "effective_at": _when(event.effective_at),
        "expires_at": _when(event.expires_at),
        "recorded_at": _when(event.recorded_at),
        "source": event.source,
        "reference": event.reference,
        "wording": event.wording,
        "recorded_by": event.recorded_by,
    }


def _print(events: list[dict[str, object]]) -> None:
    if not events:
        click.echo("Nothing is recorded.")
    for event in events:
        scope = "/".join(str(event[name]) or "any" for name in ("purpose", "channel", "sender"))
        # An undated withdrawal counts from its recording.
        unsaid = event["recorded_at"] if event["status"] == "withdrawn" else "undated"
        since = event["effective_at"] or unsaid
        ends = f"  until {event['expires_at']}" if event["expires_at"] else ""
        click.echo(f"{since:24}  {event['status']:9}  {scope}{ends}  {event['source']}")
