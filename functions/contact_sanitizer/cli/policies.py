"""`policy`: check one, or print a commented example."""

from __future__ import annotations

from pathlib import Path

import click

from contact_sanitizer.cli.frame import Group, emit
from contact_sanitizer.policy import load_policy
from contact_sanitizer.policy_text import EXAMPLE_POLICY


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
@click.pass_context
def example(context: click.Context) -> None:
    """Print a policy with a comment on every key."""
    emit(context, {"policy": EXAMPLE_POLICY}, lambda: click.echo(EXAMPLE_POLICY, nl=False))
