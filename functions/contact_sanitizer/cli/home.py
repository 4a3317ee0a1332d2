"""`init` and `keys`: what a home is made of."""

from __future__ import annotations

import sys
from typing import Final

import click

from contact_sanitizer.cli.frame import Command, Group, emit, options_of
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.keyring import Keyring

_LOST: Final = """\
What a destroyed key protected can never be opened again:
  tokens made with it: no sender can redeem them
  lists made with it: none can be delivered, and one that is being made with it fails
  deliveries of such lists as hashes or numbers: who is recalled from them cannot be named
  encrypted cells, replies kept to be read, and the sealed copies of numbers on record
Consents and refusals on record go on counting. A backup that holds the key has to be destroyed too."""


@click.command(cls=Command)
@click.pass_context
def init(context: click.Context) -> None:
    """Make a home: keys, registry and audit log. Other commands do so where it is missing.

    With --stack: give the tenant its keys.
    """
    with open_workspace(context, make=True) as workspace:
        keys = _documents(workspace.keyring)
        workspace.registry.standing()  # a home whose registry is gone or damaged is not ready
    options = options_of(context)
    kind, name = ("stack", options.stack) if options.stack else ("home", str(options.home))
    document = {kind: name, "tenant": workspace.tenant, "keys": keys}
    emit(
        context,
        document,
        lambda: click.echo(
            f"{kind} {name} is ready for tenant {workspace.tenant}.\n"
            f"Back up {workspace.world.keys.where}: without it no token can ever be redeemed."
        ),
    )


@click.group(cls=Group)
def keys() -> None:
    """Look at the keyring, give it a new primary key, destroy an old one."""


@keys.command("list")
@click.pass_context
def list_keys(context: click.Context) -> None:
    """Show the keys: ids, state and age; never a key itself."""
    documents = _documents(open_workspace(context).keyring)
    emit(context, {"keys": documents}, lambda: _print(documents))


@keys.command()
@click.pass_context
def rotate(context: click.Context) -> None:
    """Make a new primary key. Tokens made before still open; new ones are made with the new key."""
    documents = _documents(open_workspace(context).rotate_keys())
    emit(context, {"keys": documents}, lambda: _print(documents))


@keys.command()
@click.argument("key", type=int)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.pass_context
def destroy(
    context: click.Context,
    key: int,
    yes: bool,  # noqa: FBT001 - a flag of the command line
) -> None:
    """Destroy the KEY of that id, which is not the primary one, and so all that it protects.

    This cannot be undone. What will be lost is said before. Destroying a key again changes nothing.
    """
    with open_workspace(context) as workspace:
        again = workspace.keyring.destroy(key) == workspace.keyring
        if not again:
            _confirm(context, yes=yes)
        documents = _documents(workspace.destroy_key(key))
    document = {"destroyed": key, "already_destroyed": again, "keys": documents}
    emit(context, document, lambda: _print(documents))


def _confirm(context: click.Context, *, yes: bool) -> None:
    """Say what will be lost and have it confirmed; `KeyringError` (`key_unconfirmed`) where nobody does."""
    asks = not yes and sys.stdin.isatty()
    if asks or not options_of(context).as_json:
        click.echo(_LOST, err=True)
    if not (yes or (asks and click.confirm("Destroy it?", err=True))):
        raise KeyringError("key_unconfirmed", "nothing was destroyed: confirm it, or say --yes")


def _documents(keyring: Keyring) -> list[dict[str, object]]:
    return [
        {
            "id": key.id,
            "status": key.status.value,
            "created_at": key.created_at.isoformat(),
            "index": key.id == keyring.index_key_id,
        }
        for key in keyring.keys
    ]


def _print(documents: list[dict[str, object]]) -> None:
    for key in documents:
        use = "  subjects and hashes" if key["index"] else ""
        click.echo(f"{key['id']:>10}  {key['status']:9}  {key['created_at']}{use}")
