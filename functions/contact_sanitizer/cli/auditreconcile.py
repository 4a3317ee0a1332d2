"""`audit reconcile`: CloudTrail's reads of S3 against what the log announced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import click

from contact_sanitizer.access import principal_name, principal_word
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.reading import all_entries
from contact_sanitizer.audit.verify import verify_log
from contact_sanitizer.cli.auditfiles import FOLDER, PATH, keys_in, progress_bar
from contact_sanitizer.cli.frame import Command, emit, options_of
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import moment_option
from contact_sanitizer.cli.usage import Unsaid
from contact_sanitizer.copies import objects_in
from contact_sanitizer.errors import AuditError
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.reconciling.reconcile import Circle, Finding, Flag, Reconciled, Span, reconcile
from contact_sanitizer.reconciling.told import Announcements
from contact_sanitizer.reconciling.trail import Buckets, OpenFile, Read, files_in, reads_in
from contact_sanitizer.workspace import Workspace

MEANINGS: Final = {
    Flag.READ_UNANNOUNCED: "read, and no event tells of it",
    Flag.READ_FOREIGN: "read from another account",
    Flag.LINK_UNANNOUNCED: "read by a link of which no event tells",
    Flag.DELIVERY_UNFETCHED: "delivered, and its link was never used",
    Flag.DELIVERY_UNSEEN: "delivered, and the trail knows of no read of its list: it has a hole",
}
MOST_PRINTED: Final = 20
FLAGGED: Final = "reads_flagged"
"""The code of a comparison in which something was found."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is compared with what."""

    log: Path | None
    key_file: Path | None
    uploads: str | None
    clean: str | None
    account: str
    roles: tuple[str, ...]
    since: int | None
    until: int | None
    window: int

    @property
    def span(self) -> Span:
        """Which reads count."""
        since, until = (None if at is None else at * 1000 for at in (self.since, self.until))
        return Span(since, until, self.window * 60_000)

    @property
    def buckets(self) -> Buckets:
        """The buckets that were named."""
        if not self.uploads or not self.clean:
            raise Unsaid("With --log say which buckets: --uploads and --clean.")
        return Buckets(self.uploads, self.clean)

    @property
    def circle(self) -> Circle:
        """The roles that were named."""
        return Circle(self.account, frozenset(principal_word(principal_name(role)) for role in self.roles))


@click.command(cls=Command)
@click.argument("trail", metavar="TRAIL")
@click.option("--log", type=FOLDER, metavar="DIR", help="A copy of the log, instead of --stack.")
@click.option("--public-key", "key_file", type=PATH, metavar="FILE", help="The log's key, with --log.")
@click.option("--uploads", metavar="BUCKET", help="The stack's bucket of uploads, with --log.")
@click.option("--clean", metavar="BUCKET", help="The stack's bucket of clean lists, with --log.")
@click.option("--account", default="", metavar="ID", help="The stack's account, with --log.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ARN",
    help="A role of one of the stack's functions, with --log; repeatable.",
)
@moment_option("--since", says="Reads from then on.")
@moment_option("--until", says="Reads before then.", ends=True)
@click.option(
    "--window",
    type=click.IntRange(1, 1440),
    default=15,
    show_default=True,
    metavar="MINUTES",
    help="How far a read may be from its event.",
)
@click.pass_context
def reconcile_reads(context: click.Context, /, trail: str, **options: Any) -> None:
    """Compare the reads that CloudTrail tells of with the log.

    TRAIL is a folder of CloudTrail's files (data events of S3) or, with --stack, s3://BUCKET/PREFIX. Flagged
    is what was read without an event, from another account, or delivered and never fetched; then the exit
    status is 1. With --stack that somebody compared is an event.
    """
    wishes = Wishes(**options)
    if wishes.log:
        click.echo("note: with --log there is no log to write to that this was done", err=True)
        found = _in_copy(wishes.log, trail, wishes)
    elif options_of(context).stack is None:
        raise Unsaid("Say whose reads: --stack NAME, or --log DIR with its buckets and roles.")
    else:
        with open_workspace(context) as workspace:
            found = _in_stack(workspace, trail, wishes)
    emit(context, _document(found), lambda: _print(found))
    if found.flagged:
        click.echo(f"error: {FLAGGED}: {found.flagged:,} things were read or missed that ought not", err=True)
        context.exit(1)


def _in_copy(log: Path, trail: str, wishes: Wishes) -> Reconciled:
    """Against a copy of a log, which is verified first."""
    if wishes.key_file is None:
        raise Unsaid("With --log give --public-key.")
    objects = objects_in(log)
    with progress_bar() as progress:
        verify_log(objects, keys_in(wishes.key_file), progress=progress)
    told = Announcements.of(all_entries(objects))
    return reconcile(_reads(_files(trail), wishes.buckets), told, wishes.circle, wishes.span)


def _in_stack(workspace: Workspace, trail: str, wishes: Wishes) -> Reconciled:
    """Against a stack's own log; its outcome is an event before anybody sees it."""
    stack = workspace.stack
    buckets = Buckets(stack.settings.uploads, stack.settings.clean)
    bucket, _, prefix = trail.removeprefix("s3://").partition("/")
    files = stack.trail_files(bucket, prefix) if trail.startswith("s3://") else _files(trail)
    circle = Circle(stack.account, stack.function_roles())
    try:
        told = Announcements.of(all_entries(workspace.world.audit.objects))
        found = reconcile(_reads(files, buckets), told, circle, wishes.span)
    except AuditError as error:
        workspace.record(Action.AUDIT_RECONCILED, outcome=Outcome.FAILURE, code=error.code)
        raise
    outcome = Outcome.FAILURE if found.flagged else Outcome.SUCCESS
    code = FLAGGED if found.flagged else None
    workspace.record(Action.AUDIT_RECONCILED, outcome=outcome, code=code, counts=found.counts)
    return found


def _files(trail: str) -> Iterator[OpenFile]:
    folder = Path(trail)
    if not folder.is_dir():
        raise AuditError("trail_missing", "there is no such folder of a trail")
    return files_in(folder)


def _reads(files: Iterator[OpenFile], buckets: Buckets) -> Iterator[Read]:
    numbers = count(1)
    for opened in files:
        yield from reads_in(opened, next(numbers), buckets)
    if next(numbers) == 1:
        raise AuditError("trail_missing", "there are no files of CloudTrail's records there")


def _document(found: Reconciled) -> dict[str, Any]:
    start, end = (None if at is None else rfc3339(at) for at in (found.start, found.end))
    findings = [_finding(finding) for finding in found.findings]
    return {"from": start, "to": end, "counts": found.counts, "flagged": found.flagged, "findings": findings}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "flag": finding.flag.value,
        "kind": finding.thing.kind,
        "id": finding.thing.name,
        "part": finding.thing.part,
        "principal": finding.principal,
        "times": finding.times,
        "first": rfc3339(finding.first),
        "last": rfc3339(finding.last),
    }


def _print(found: Reconciled) -> None:
    counts = found.counts
    when = f", from {rfc3339(found.start)} to {rfc3339(found.end)}" if found.start and found.end else ""
    click.echo(f"{counts.get('reads', 0):,} reads of uploads, lists and deliveries{when}")
    for word, said in (
        ("accounted", "accounted for by events"),
        ("refused", "attempts that S3 refused"),
        ("other", "reads of other objects in these buckets (keyrings, policies, work): not compared"),
        ("outside", "reads outside of the time asked for"),
    ):
        if counts.get(word):
            click.echo(f"  {counts[word]:>9,}  {said}")
    for flag, said in MEANINGS.items():
        if counts.get(flag):
            click.echo(f"{counts[flag]:,} {said}:")
            _print_findings([finding for finding in found.findings if finding.flag is flag])
    if not found.flagged:
        click.echo("Every read was announced, and every announced delivery was fetched.")


def _print_findings(findings: Sequence[Finding]) -> None:
    for finding in findings[:MOST_PRINTED]:
        thing, times = finding.thing, "" if finding.times == 1 else f", {finding.times:,} times"
        what = " ".join(word for word in (thing.kind, thing.name, thing.part) if word)
        click.echo(f"  {rfc3339(finding.first)}  {what}  by {finding.principal}{times}")
    if len(findings) > MOST_PRINTED:
        click.echo("  ... and more: see --json")
