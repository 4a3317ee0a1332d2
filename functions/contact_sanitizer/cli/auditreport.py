"""`audit report`: a period summed up from the log alone, for a reviewer's eyes or for a regulator's form."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.notes import parse_verifiers
from contact_sanitizer.audit.verify import Expectations
from contact_sanitizer.cli.auditfiles import PATH, content_of, keys_in, keys_of_copy, progress_bar
from contact_sanitizer.cli.frame import Command, emit, options_of
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import moment_option
from contact_sanitizer.copies import objects_in, system_clock
from contact_sanitizer.errors import AuditError, OutputError
from contact_sanitizer.reporting.asking import asks_of
from contact_sanitizer.reporting.document import KeySource, Making, fault_document, report_document
from contact_sanitizer.reporting.period import Period, parse_period
from contact_sanitizer.reporting.report import Scope, make_report

if TYPE_CHECKING:  # see cli.opening
    from contact_sanitizer.ports import Objects
    from contact_sanitizer.workspace import Workspace

SEAL_SECONDS_IN_A_STACK = 60


class PeriodName(click.ParamType[Period]):
    """A year, quarter, month or day of UTC."""

    name = "period"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Period:
        """Read `2026`, `2026-Q4`, `2026-10` or `2026-10-31`."""
        if isinstance(value, Period):
            return value
        period = parse_period(str(value))
        if period is None:
            self.fail("is none: say a year, quarter, month or day such as 2026, 2026-Q4, 2026-10", param, ctx)
        return period


@dataclass(frozen=True, slots=True)
class Ledger:
    """A log that is to be reported on, and with what it is verified."""

    objects: Objects
    making: Making
    scope: Scope
    known: bytes | None = None


@click.command(cls=Command)
@click.argument("folder", type=PATH, required=False, metavar="[DIR]")
@click.option(
    "--public-key",
    "key_file",
    type=PATH,
    metavar="FILE",
    help="The log's verifier key, from a place you trust.",
)
@click.option("--html", "page", type=PATH, metavar="FILE", help="Write the report as one page to FILE.")
@click.option(
    "--period",
    type=PeriodName(),
    metavar="WHEN",
    help="A year, quarter, month or day of UTC, whole: 2026-10. [default: all]",
)
@moment_option("--from", "start", says="Events from then on.")
@moment_option("--to", "end", says="Events before then.", ends=True)
@click.option("--all-tenants", is_flag=True, help="Not of --tenant alone: of everybody in the log.")
@click.option(
    "--heartbeat",
    type=click.IntRange(1),
    metavar="SECONDS",
    help="How often a seal is due. [default: 60 in a stack, else not looked at]",
)
@click.option(
    "--checkpoint", "known", type=PATH, metavar="FILE", help="A checkpoint of this log that you kept."
)
@click.pass_context
def report(
    context: click.Context,
    /,
    folder: Path | None,
    key_file: Path | None,
    page: Path | None,
    period: Period | None,
    start: int | None,
    end: int | None,
    known: Path | None,
    **more: Any,
) -> None:
    """Sum up what the log tells of a period, once all of the log has verified: else nothing is told.

    Volumes, reasons, who fetched what, refusals, complaints and how long they took, unusual activity. DIR
    is a copy of the log, which with --public-key is all that is needed. Without DIR it is the home's or the
    stack's own log, and that a report was made is an event in it. Times are UTC; an end does not belong to
    its period, and without a period it is about the whole log.
    """
    kept = content_of(known, "checkpoint_missing", "the kept checkpoint cannot be read") if known else None
    tenant = None if more["all_tenants"] else options_of(context).tenant
    scope = Scope(_period(period, start, end), tenant)
    beat = more["heartbeat"] or (
        SEAL_SECONDS_IN_A_STACK if options_of(context).stack and not folder else None
    )
    heartbeat = beat * 1000 if beat else None
    if folder:
        source = KeySource.GIVEN if key_file else KeySource.FOLDER
        making = Making(system_clock(), keys_of_copy(folder, key_file), source, heartbeat=heartbeat)
        ledger = Ledger(objects_in(folder), replace(making, known=kept is not None), scope, kept)
        _emit(context, *_reported(ledger, page), page)
        return
    with open_workspace(context) as workspace:
        making = _own(workspace, key_file, heartbeat)
        ledger = Ledger(workspace.world.audit.objects, replace(making, known=kept is not None), scope, kept)
        _emit(context, *_reported(ledger, page, workspace), page)


def _period(period: Period | None, start: int | None, end: int | None) -> Period:
    if period and (start is not None or end is not None):
        raise click.BadParameter("names a period by itself: leave out --from and --to", param_hint="--period")
    if start is not None and end is not None and start >= end:
        raise click.BadParameter("is not after --from", param_hint="--to")
    if period:
        return period
    first, last = (None if moment is None else max(moment, 0) * 1000 for moment in (start, end))
    return Period(first, last)


def _own(workspace: Workspace, key_file: Path | None, heartbeat: int | None) -> Making:
    """A report on this world's own log, what waits sealed first where this world seals by itself."""
    log = workspace.world.audit
    log.conclude(workspace.clock())
    keys = keys_in(key_file) if key_file else parse_verifiers(log.public_keys())
    source = KeySource.GIVEN if key_file else KeySource.WORLD
    return Making(workspace.clock(), keys, source, workspace.principal, workspace.new_id(), heartbeat)


def _reported(
    ledger: Ledger, page: Path | None, workspace: Workspace | None = None
) -> tuple[dict[str, Any], AuditError | None]:
    """The document, and what did not fit; the page is written after the event, where there is one."""
    making, scope = ledger.making, ledger.scope
    expected = Expectations(making.heartbeat, making.at if making.heartbeat else None, ledger.known)
    fault: AuditError | None = None
    try:
        with progress_bar() as progress:
            found = make_report(ledger.objects, making.keys, scope, expected, progress)
        document = report_document(found, making)
        counts = {"events": document["verification"]["events"], "told": document["events"]["total"]}
    except AuditError as error:
        fault, document, counts = error, fault_document(error, scope, making), {}
    if workspace:
        outcome, code = (Outcome.FAILURE, fault.code) if fault else (Outcome.SUCCESS, None)
        workspace.record(
            Action.AUDIT_REPORTED, outcome=outcome, uid=making.event or "", code=code, counts=counts
        )
    if page:
        # Only now: whoever wants the figures alone needs no templates.
        from contact_sanitizer.reporting.page import render_page  # noqa: PLC0415 - as said above

        _write(page, render_page(document))
    return document, fault


def _write(place: Path, data: bytes) -> None:
    """Write a page whole or not at all; a device or a link is written to, and never replaced."""
    try:
        if place.is_symlink() or (place.exists() and not place.is_file()):
            place.write_bytes(data)
        else:
            _replace(place, data)
    except (OSError, ValueError):
        raise OutputError("out_unwritable", "the report cannot be written there") from None


def _replace(place: Path, data: bytes) -> None:
    draft = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(data)
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


def _emit(
    context: click.Context, document: dict[str, Any], fault: AuditError | None, page: Path | None
) -> None:
    if fault:
        raise fault
    emit(context, document, lambda: _print(document, page))


def _print(document: dict[str, Any], page: Path | None) -> None:
    verification, lists, fetches = document["verification"], document["lists"], document["fetches"]
    registry, recalls = document["registry"], document["recalls"]
    click.echo(
        f"Verified: {verification['events']:,} events under {verification['checkpoints']:,} checkpoints"
        f" of {verification['log']}, up to {verification['to']}."
    )
    for note in document["notes"]:
        click.echo(f"Note: {note}")
    complaints = registry["handling"]["complaints"]
    for name, value in (
        ("lists finished", lists["published"]),
        ("rows", lists["rows"]),
        ("  kept", lists["kept"]),
        ("  dropped", lists["dropped"]),
        ("  rejected", lists["rejected"]),
        ("deliveries", fetches["deliveries"]),
        ("  rows delivered", fetches["rows"]),
        ("  left out at the fetch", fetches["left_out"]),
        ("numbers redeemed", fetches["redeemed"]),
        ("  refused at redemption", fetches["refused"]),
        ("recalls found", recalls["found"]),
        ("  not acknowledged", recalls["pending"]),
        ("consents recorded", registry["consents_recorded"]),
        ("consents withdrawn", registry["consents_withdrawn"]),
        ("opt-outs", registry["opt_outs"]),
        ("complaints", complaints["count"] + registry["complaints_in_files"]),
    ):
        click.echo(f"{name:26} {value:>14,}")
    asks = list(asks_of(document))
    click.echo("\nTo look at:" if asks else "\nNothing asks for a look.")
    for ask in asks:
        click.echo(f"  {ask.what}: {ask.said}")
    if page:
        click.echo(f"\nThe report is in {page}")
