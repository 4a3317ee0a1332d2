"""`policy`: check one, print a commented example, put one into a stack."""

from __future__ import annotations

from pathlib import Path

import click

from contact_sanitizer.audit.events import Action
from contact_sanitizer.cli.frame import Group, emit
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.policy import load_policy
from contact_sanitizer.policy_text import EXAMPLE_POLICY
from contact_sanitizer.policyshelf import DEFAULT


@click.group(cls=Group)
def policy() -> None:
    """Check a policy, or print an example to start from."""


@policy.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def check(context: click.Context, file: Path) -> None:
    """Say whether the policy FILE can be used, or name the key and line that is wrong."""
    checked = load_policy(file)
    document = {"name": checked.name, "sha256": checked.sha256, "valid": True}
    emit(context, document, lambda: click.echo(f"policy {checked.name} is valid\nsha256 {checked.sha256}"))


@policy.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--as", "name", default=DEFAULT, show_default=True, metavar="NAME", help="What uploads call it."
)
@click.pass_context
def put(context: click.Context, file: Path, name: str) -> None:
    """Put the policy FILE into a stack, for uploads made from now on."""
    checked = load_policy(file)
    with open_workspace(context) as workspace:
        shelf = workspace.stack.policies
        workspace.record(Action.POLICY_CHANGED, policy=checked.sha256)
        shelf.put(name, file.read_bytes())
    document = {"name": name, "sha256": checked.sha256}
    emit(context, document, lambda: click.echo(f"policy {name} is in the stack\nsha256 {checked.sha256}"))


@policy.command()
@click.pass_context
def example(context: click.Context) -> None:
    """Print a policy with a comment on every key."""
    emit(context, {"policy": EXAMPLE_POLICY}, lambda: click.echo(EXAMPLE_POLICY, nl=False))
