"""`audit`: read the trail, verify it offline, prove one event, report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from contact_sanitizer.audit.accounts import compare_lists
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.notes import Verifier, parse_verifiers
from contact_sanitizer.audit.reading import Filter, Seen, all_events, parse_entry
from contact_sanitizer.audit.verify import Expectations, Progress, Verified, no_progress, verify_log
from contact_sanitizer.cli.frame import Group, emit, options_of
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import MOMENT
from contact_sanitizer.errors import AuditError, OutputError
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.workspace import Workspace, objects_in, system_clock

SHOW_AFTER_SECONDS = 1.0
LARGEST_FILE = 1 << 20

PATH = click.Path(path_type=Path)


_MEMBERS = {
    "report": (
        "contact_sanitizer.cli.auditreport:report",
        "Sum up a period for a reviewer or regulator, as a page or in figures.",
    )
}


@click.group(cls=Group, members=_MEMBERS)
def audit() -> None:
    """The audit trail: what happened, and the proof that nothing of it was changed."""


@audit.command()
@click.option("--since", type=MOMENT, metavar="DATE", help="Events from then on.")
@click.option("--until", type=MOMENT, metavar="DATE", help="Events before then.")
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
    emit(context, {"events": [_document(event) for event in events]}, lambda: _print(events))


def _document(event: Seen) -> dict[str, Any]:
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


def _print(events: list[Seen]) -> None:
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
        if name in {"digests", "policy_sha256", "key_ids", "registry_change"}:
            continue
        if isinstance(value, dict):
            yield from (f"{word}={count}" for word, count in value.items())
        else:
            yield f"{name.removesuffix('_id')}={value}"


@audit.command()
@click.argument("folder", type=PATH, required=False, metavar="[DIR]")
@click.option(
    "--public-key",
    "key_file",
    type=PATH,
    metavar="FILE",
    help="The log's verifier key, from a place you trust.",
)
@click.option("--heartbeat", type=click.IntRange(1), metavar="SECONDS", help="How often a seal is due.")
@click.option("--lists", "lists_folder", type=PATH, metavar="DIR", help="Lists to compare with their events.")
@click.option(
    "--checkpoint", "known", type=PATH, metavar="FILE", help="A checkpoint of this log that you kept."
)
@click.option("--proof", type=PATH, metavar="FILE", help="Check this proof of one event, and nothing else.")
@click.pass_context
def verify(
    context: click.Context,
    folder: Path | None,
    key_file: Path | None,
    heartbeat: int | None,
    lists_folder: Path | None,
    known: Path | None,
    proof: Path | None,
) -> None:
    """Verify that nothing in the log was altered, removed, reordered or invented.

    DIR is a copy of the log, which with --public-key is all that is needed: no home, no account. Without
    DIR the home's own log is verified. The first thing that does not fit is named, and the exit status is 1.
    """
    if proof:
        _verify_proof(context, proof, key_file or (folder / "public-key" if folder else None))
        return
    kept = content_of(known, "checkpoint_missing", "the kept checkpoint cannot be read") if known else None
    expected = Expectations(
        heartbeat * 1000 if heartbeat else None, system_clock() if heartbeat else None, kept
    )
    if folder:
        found = _verify_folder(folder, key_file, expected)
        lists = compare_lists(found.published, lists_folder) if lists_folder else None
    else:
        with open_workspace(context) as workspace:
            if lists_folder is None and options_of(context).stack is None:
                lists_folder = Path(workspace.world.shelf(None).place)
            found, lists = _verify_home(workspace, key_file, expected, lists_folder)
    if found.gaps:
        gap = found.gaps[0]
        raise AuditError(
            "heartbeat_missed",
            f"no seal came between {rfc3339(gap.start)} and {rfc3339(gap.end)}"
            f" (times this happened: {len(found.gaps)}); all else fits",
        )
    emit(context, _found(found, lists), lambda: _print_found(found, lists))


def _verify_folder(folder: Path, key_file: Path | None, expected: Expectations) -> Verified:
    if not folder.is_dir():
        raise AuditError("audit_missing", "there is no such folder")
    if key_file is None:
        click.echo(
            "warning: the public key was taken from the folder itself; whoever changed the log could have"
            " changed it too. Give --public-key.",
            err=True,
        )
    with progress_bar() as progress:
        return verify_log(objects_in(folder), keys_in(key_file or folder / "public-key"), expected, progress)


def _verify_home(
    workspace: Workspace, key_file: Path | None, expected: Expectations, lists_folder: Path | None
) -> tuple[Verified, tuple[int, int] | None]:
    """Verify this world's own log, what waits sealed first; that somebody did is an event of its own."""
    log = workspace.world.audit
    log.conclude(workspace.clock())
    keys = keys_in(key_file) if key_file else parse_verifiers(log.public_keys())
    try:
        with progress_bar() as progress:
            found = verify_log(log.objects, keys, expected, progress)
        lists = compare_lists(found.published, lists_folder) if lists_folder else None
    except AuditError as error:
        workspace.record(Action.AUDIT_VERIFIED, outcome=Outcome.FAILURE, code=error.code)
        raise
    counts = {"events": found.newest.size, "checkpoints": found.checkpoints}
    workspace.record(Action.AUDIT_VERIFIED, outcome=Outcome.SUCCESS, counts=counts)
    return found, lists


def _verify_proof(context: click.Context, proof: Path, key_file: Path | None) -> None:
    from contact_sanitizer.audit.prove import check_proof  # noqa: PLC0415 - for proofs only

    data = content_of(proof, "proof_malformed", "the proof cannot be read")
    if key_file:
        keys = keys_in(key_file)
    else:
        with open_workspace(context) as workspace:
            keys = parse_verifiers(workspace.world.audit.public_keys())
    proven = check_proof(data, keys)
    event = parse_entry(proven.entry, proven.index)
    document = {
        "proven": True,
        "log": proven.checkpoint.origin,
        "sealed": rfc3339(proven.checkpoint.time),
        "event": _document(event),
    }

    def say() -> None:
        click.echo(f"Proven: this is event {proven.index} of the log {proven.checkpoint.origin}.")
        _print([event])

    emit(context, document, say)


@audit.command()
@click.argument("event")
@click.option("--out", type=PATH, metavar="FILE", help="Where the proof goes. [default: EVENT.tlog-proof]")
@click.pass_context
def prove(context: click.Context, event: str, out: Path | None) -> None:
    """Write a proof that EVENT (an id, or a number) is in the log; 'audit verify --proof' checks it alone."""
    from contact_sanitizer.audit.prove import prove as proof_of  # noqa: PLC0415 - for proofs only

    with open_workspace(context) as workspace:
        log = workspace.world.audit
        log.conclude(workspace.clock())
        proof = proof_of(log.objects, event, parse_verifiers(log.public_keys()))
    place = out or Path(f"{event}.tlog-proof")
    _write(place, proof)
    emit(context, {"proof": str(place)}, lambda: click.echo(f"Proof of event {event} in {place}"))


@audit.command()
@click.option("--heartbeat", is_flag=True, help="Sign also where nothing happened since.")
@click.pass_context
def seal(context: click.Context, heartbeat: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Seal what waits; every other command does so when it ends. For a heartbeat, run it by the clock."""
    with open_workspace(context) as workspace:
        workspace.world.audit.conclude(workspace.clock(), heartbeat=heartbeat)
    emit(context, {"sealed": True}, lambda: click.echo("Sealed."))


@audit.command("key")
@click.pass_context
def public_key(context: click.Context) -> None:
    """Print the log's public key, to hand to whoever verifies."""
    with open_workspace(context) as workspace:
        keys = workspace.world.audit.public_keys()
    emit(context, {"keys": keys.splitlines()}, lambda: click.echo(keys, nl=False))


def keys_in(path: Path) -> list[Verifier]:
    """The verifier keys in a file; `AuditError` (`public_key_invalid`) where they are none."""
    data = content_of(path, "public_key_invalid", "the public key cannot be read")
    try:
        return parse_verifiers(data.decode("ascii"))
    except UnicodeDecodeError:
        raise AuditError(
            "public_key_invalid", "the public key is no verifier key: NAME+KEYID+BASE64"
        ) from None


def content_of(path: Path, code: str, message: str) -> bytes:
    """What a small file holds; an `AuditError` of that code and message where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE)
    except (OSError, ValueError):
        raise AuditError(code, message) from None


def _write(place: Path, data: bytes) -> None:
    try:
        place.write_bytes(data)
    except (OSError, ValueError):
        raise OutputError("out_unwritable", "the result cannot be written there") from None


def _found(found: Verified, lists: tuple[int, int] | None) -> dict[str, Any]:
    return {
        "verified": True,
        "log": found.newest.origin,
        "events": found.newest.size,
        "checkpoints": found.checkpoints,
        "from": rfc3339(found.since),
        "to": rfc3339(found.newest.time),
        "waiting": found.waiting,
        **({"lists": {"compared": lists[0], "elsewhere": lists[1]}} if lists else {}),
    }


def _print_found(found: Verified, lists: tuple[int, int] | None) -> None:
    newest = found.newest
    click.echo(
        f"Verified: {newest.size:,} events under {found.checkpoints:,} checkpoints of {newest.origin},"
    )
    click.echo(
        f"from {rfc3339(found.since)} to {rfc3339(newest.time)}. Nothing was changed, removed or added."
    )
    if found.waiting:
        click.echo(f"{found.waiting:,} events are not sealed yet.")
    if lists:
        click.echo(
            f"{lists[0]:,} lists are as they were announced; {lists[1]:,} more are not in that folder."
        )


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on a terminal's standard error, shown once the work takes over a second; else nothing."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    from time import monotonic  # noqa: PLC0415 - only for a terminal

    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress("verifying", *columns, console=Console(stderr=True), transient=True)
    task, started, shown = bar.add_task("verifying"), monotonic(), False

    def tell(done: int, whole: int) -> None:
        nonlocal shown
        bar.update(task, completed=done, total=whole)
        if not shown and monotonic() - started > SHOW_AFTER_SECONDS:
            bar.start()
            shown = True

    try:
        yield tell
    finally:
        bar.stop()
