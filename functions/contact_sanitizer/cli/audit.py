"""`audit`: read the trail, verify it offline, prove one event, report."""

from __future__ import annotations

from pathlib import Path

import click

from contact_sanitizer.audit.notes import parse_verifiers
from contact_sanitizer.cli.auditfiles import PATH, write_out
from contact_sanitizer.cli.frame import Group, emit
from contact_sanitizer.cli.opening import open_workspace

_HERE = "contact_sanitizer.cli"
_MEMBERS = {
    "show": (f"{_HERE}.auditshow:show", "Show what happened, oldest first."),
    "verify": (f"{_HERE}.auditverify:verify", "Verify that nothing was altered, removed or invented."),
    "reconcile": (
        f"{_HERE}.auditreconcile:reconcile_reads",
        "Compare the reads that CloudTrail tells of with the log.",
    ),
    "report": (
        f"{_HERE}.auditreport:report",
        "Sum up a period for a reviewer or regulator, as a page or in figures.",
    ),
}


@click.group(cls=Group, members=_MEMBERS)
def audit() -> None:
    """The audit trail: what happened, and the proof that nothing of it was changed."""


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
    write_out(place, proof)
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


@audit.command("rotate-key")
@click.option("--to", default="", metavar="ARN", help="In a stack: the key of KMS that is to follow.")
@click.pass_context
def rotate_key(context: click.Context, to: str) -> None:
    """Have a new key sign the log from now on, as the log itself announces; the old one is let go of.

    Whoever has the old public key can still verify everything: it leads to the new one. In a stack this
    announces the key --to, and the seal hands over once the stack's NextSealKeyArns names it.
    """
    with open_workspace(context) as workspace:
        key = workspace.rotate_log_key(to)

    def say() -> None:
        click.echo("The log will be" if to else "The log is", nl=False)
        click.echo(" signed by another key. Hand this one to whoever verifies:")
        click.echo(key)

    emit(context, {"key": key, "handed_over": not to}, say)
