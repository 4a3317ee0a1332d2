"""`audit verify`: the whole log, and what lies beside it, with a public key alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from contact_sanitizer.audit.accounts import (
    Compared,
    Notes,
    Recorded,
    compare_deliveries,
    compare_kept_lists,
)
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.beside import Kept, Open, deliveries_in, lists_in
from contact_sanitizer.audit.notes import parse_verifiers
from contact_sanitizer.audit.reading import parse_entry
from contact_sanitizer.audit.verify import Expectations, Verified, verify_log
from contact_sanitizer.cli.auditfiles import FOLDER, PATH, content_of, keys_in, keys_of_copy, progress_bar
from contact_sanitizer.cli.auditshow import event_document, print_events
from contact_sanitizer.cli.frame import Command, emit
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.copies import objects_in, system_clock
from contact_sanitizer.errors import AuditError, KeyringError
from contact_sanitizer.listid import parse_list_id
from contact_sanitizer.outputs.manifest import rfc3339

if TYPE_CHECKING:  # see cli.opening
    from contact_sanitizer.delivery.deliveries import Delivery
    from contact_sanitizer.workspace import Workspace

_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be verified, and with what."""

    key_file: Path | None
    heartbeat: int | None
    lists: tuple[Path, ...]
    deliveries: tuple[Path, ...]
    log_only: bool
    known: Path | None
    proof: Path | None

    @property
    def expected(self) -> Expectations:
        """What the verifier knows beyond the log itself."""
        message = "the kept checkpoint cannot be read"
        known = content_of(self.known, "checkpoint_missing", message) if self.known else None
        if not self.heartbeat:
            return Expectations(known=known)
        return Expectations(self.heartbeat * 1000, system_clock(), known)


@dataclass(frozen=True, slots=True)
class Found:
    """What was verified: the log; lists as (agreed, elsewhere); deliveries; None: not compared."""

    log: Verified
    lists: tuple[int, int] | None = None
    deliveries: Compared | None = None


@click.command(cls=Command)
@click.argument("folder", type=PATH, required=False, metavar="[DIR]")
@click.option(
    "--public-key",
    "key_file",
    type=PATH,
    metavar="FILE",
    help="The log's verifier key, from a place you trust.",
)
@click.option("--heartbeat", type=click.IntRange(1), metavar="SECONDS", help="How often a seal is due.")
@click.option(
    "--lists",
    type=FOLDER,
    multiple=True,
    metavar="DIR",
    help="Lists to compare with their events; repeatable.",
)
@click.option(
    "--deliveries",
    type=FOLDER,
    multiple=True,
    metavar="DIR",
    help="Deliveries, or files of senders, likewise; repeatable.",
)
@click.option("--log-only", is_flag=True, help="Compare no lists and no deliveries.")
@click.option(
    "--checkpoint", "known", type=PATH, metavar="FILE", help="A checkpoint of this log that you kept."
)
@click.option("--proof", type=PATH, metavar="FILE", help="Check this proof of one event, and nothing else.")
@click.pass_context
def verify(context: click.Context, /, folder: Path | None, **options: Any) -> None:
    """Verify that nothing in the log was altered, removed, reordered or invented.

    DIR is a copy of the log, which with --public-key is all that is needed: no home, no account. Without
    DIR the log of the home or stack is verified, with the lists and deliveries that are there. The first
    thing that does not fit is named, and the exit status is 1.
    """
    wishes = Wishes(**options)
    if wishes.proof:
        _verify_proof(context, wishes.proof, wishes.key_file or (folder / "public-key" if folder else None))
        return
    if folder:
        found = _verify_folder(folder, wishes)
    else:
        with open_workspace(context) as workspace:
            found = _verify_world(workspace, wishes)
    if found.log.gaps:
        gap = found.log.gaps[0]
        raise AuditError(
            "heartbeat_missed",
            f"no seal came between {rfc3339(gap.start)} and {rfc3339(gap.end)}"
            f" (times this happened: {len(found.log.gaps)}); all else fits",
        )
    emit(context, _document(found), lambda: _print(found))


def _verify_folder(folder: Path, wishes: Wishes) -> Found:
    keys = keys_of_copy(folder, wishes.key_file)
    beside = _beside(wishes, None)
    with progress_bar() as progress:
        return _compared(verify_log(objects_in(folder), keys, wishes.expected, progress), beside)


def _verify_world(workspace: Workspace, wishes: Wishes) -> Found:
    """Verify this world's own log, what waits sealed first; that somebody did is an event of its own."""
    log = workspace.world.audit
    # Looked for first: what is there then was announced before the log is read.
    beside = _beside(wishes, workspace)
    log.conclude(workspace.clock())
    keys = keys_in(wishes.key_file) if wishes.key_file else parse_verifiers(log.public_keys())
    try:
        with progress_bar() as progress:
            found = _compared(verify_log(log.objects, keys, wishes.expected, progress), beside)
    except AuditError as error:
        workspace.record(Action.AUDIT_VERIFIED, outcome=Outcome.FAILURE, code=error.code)
        raise
    counts = {"events": found.log.newest.size, "checkpoints": found.log.checkpoints}
    workspace.record(Action.AUDIT_VERIFIED, outcome=Outcome.SUCCESS, counts=counts)
    return found


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is to be compared with the log; None: nothing of that kind."""

    lists: Sequence[Kept] | None
    deliveries: Sequence[Kept] | None
    recorded: Sequence[Recorded]
    notes: Notes | None = None


def _beside(wishes: Wishes, workspace: Workspace | None) -> _Beside:
    """What lies in the folders that were named, or else in the world that was opened."""
    if wishes.log_only:
        return _Beside(None, None, ())
    lists = _in_all(lists_in, wishes.lists) if wishes.lists else None
    deliveries = _placed(wishes.deliveries) if wishes.deliveries else None
    if workspace:
        lists = workspace.world.kept_lists(_places(workspace)) if lists is None else lists
        deliveries = workspace.world.kept_deliveries() if deliveries is None else deliveries
    return _Beside(
        None if lists is None else list(lists),
        None if deliveries is None else list(deliveries),
        _recorded(workspace) if workspace else [],
        _notes(workspace) if workspace and not wishes.deliveries else None,
    )


def _in_all(look: Callable[[Path], Iterator[Kept]], folders: Sequence[Path]) -> Iterator[Kept]:
    return chain.from_iterable(map(look, folders))


def _placed(folders: Sequence[Path]) -> Iterator[Kept]:
    """What is delivered in these folders; of several, each file's place says in which one it is."""
    for number, folder in enumerate(folders, 1):
        where = f"folder {number}, " if len(folders) > 1 else ""
        yield from (replace(kept, place=where + kept.place) for kept in deliveries_in(folder))


def _notes(workspace: Workspace) -> Notes:
    world = workspace.world
    return Notes(world.people_kept_since(workspace.clock()), world.kept_deliveries)


def _places(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """Where the tenant's lists were made: wherever `--out` said."""
    made = (entry for entry in workspace.catalogue.entries() if entry.state == "made")
    return ((entry.place, entry.list_id) for entry in made)


def _recorded(workspace: Workspace) -> list[Recorded]:
    from contact_sanitizer.delivery.deliveries import Deliveries  # noqa: PLC0415 - see cli.opening

    made = (one for one in Deliveries(workspace.world.records).all() if one.state == "delivered")
    return [
        Recorded(one.delivery_id, one.sha256, one.people, partial(_keyed, workspace, one)) for one in made
    ]


def _keyed(workspace: Workspace, delivery: Delivery, opened: Open) -> str:
    """The keyed digest of a delivery's file; empty where it is encrypted, or the keys are not ours to use."""
    from contact_sanitizer.delivery.content import content_digest, identity_of  # noqa: PLC0415 - as above

    if delivery.sealed:
        return ""
    about = (delivery.list_id, delivery.sender, delivery.use.rule.purpose, delivery.form, delivery.format)
    try:
        with opened() as file:
            return content_digest(
                file, workspace.keyring, identity_of((*about, None), delivery.as_of // 1000)
            )
    except (KeyringError, OSError):
        return ""


def _compared(log: Verified, beside: _Beside) -> Found:
    published = log.published
    return Found(
        log,
        None if beside.lists is None else compare_kept_lists(published, beside.lists),
        None
        if beside.deliveries is None
        else compare_deliveries(published, beside.deliveries, beside.recorded, beside.notes),
    )


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
        "event": event_document(event),
    }

    def say() -> None:
        click.echo(f"Proven: this is event {proven.index} of the log {proven.checkpoint.origin}.")
        print_events([event])

    emit(context, document, say)


def _document(found: Found) -> dict[str, Any]:
    log, lists, deliveries = found.log, found.lists, found.deliveries
    return {
        "verified": True,
        "log": log.newest.origin,
        "events": log.newest.size,
        "checkpoints": log.checkpoints,
        "from": rfc3339(log.since),
        "to": rfc3339(log.newest.time),
        "waiting": log.waiting,
        "keys": [key.encode() for key in log.keys],
        **({"lists": {"compared": lists[0], "elsewhere": lists[1]}} if lists else {}),
        **(
            {
                "deliveries": {
                    "compared": deliveries.agreed,
                    "elsewhere": deliveries.elsewhere,
                    "unproven": len(deliveries.uncompared),
                    "uncompared": list(deliveries.uncompared),
                    "unfinished": deliveries.unfinished,
                }
            }
            if deliveries
            else {}
        ),
    }


def _print(found: Found) -> None:
    log, newest, deliveries = found.log, found.log.newest, found.deliveries
    click.echo(f"Verified: {newest.size:,} events under {log.checkpoints:,} checkpoints of {newest.origin},")
    click.echo(f"from {rfc3339(log.since)} to {rfc3339(newest.time)}. Nothing was changed, removed or added.")
    if len(log.keys) > 1:
        click.echo(f"Its signing key changed {len(log.keys) - 1} times, each time as the log announced.")
        click.echo(f"The present one is {log.keys[-1].encode()}")
    if log.waiting:
        click.echo(f"{log.waiting:,} events are not sealed yet.")
    if found.lists:
        agreed, elsewhere = found.lists
        click.echo(f"Lists: {agreed:,} are as they were announced; {elsewhere:,} more are not there.")
    if deliveries:
        click.echo(
            f"Deliveries: {deliveries.agreed:,} are as they were announced;"
            f" {deliveries.elsewhere:,} more are not there (with their senders, or expired)."
        )
        if count := len(deliveries.uncompared):
            click.echo(
                f"{count:,} delivered files cannot be compared: you may not read them, or their digest, which"
                " would give bare numbers away, is not in the log."
            )
            for name in deliveries.uncompared[:_MOST_NAMED]:
                click.echo(f"  {name}{'' if parse_list_id(name) else ' (counted by name)'}")
            if count > _MOST_NAMED:
                click.echo(f"  and {count - _MOST_NAMED:,} more")
        if deliveries.unfinished:
            click.echo(f"{deliveries.unfinished:,} notes are of deliveries that were begun and never made.")
