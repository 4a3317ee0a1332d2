"""`init` and `keys`: what a home is made of."""

from __future__ import annotations

import click

from contact_sanitizer.cli.frame import Command, Group, emit, options_of
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.protection.keyring import Keyring


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
    """Look at the keyring, or give it a new primary key."""


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
