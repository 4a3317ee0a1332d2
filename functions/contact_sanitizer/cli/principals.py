"""`principals`: who may call a stack, where, and as what."""

from __future__ import annotations

import click

from contact_sanitizer.access import Principal, Role, check_tenant, principal_name, principal_word
from contact_sanitizer.audit.events import Action, plain_word
from contact_sanitizer.cli.frame import Group, emit, options_of
from contact_sanitizer.cli.opening import open_workspace


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def principals(context: click.Context) -> None:
    """Show who may call the stack's API, in which tenant and as what."""
    if context.invoked_subcommand:
        return
    with open_workspace(context) as workspace:
        found = list(workspace.stack.directory.principals())
    documents = [
        {"name": one.name, "tenant": one.tenant, "roles": sorted(one.roles), "sender": one.sender}
        for one in found
    ]
    emit(context, {"principals": documents}, lambda: _print(found))


@principals.command()
@click.argument("name")
@click.option(
    "--role", "roles", type=click.Choice([role.value for role in Role]), multiple=True, required=True,
    help="Repeatable.",
)  # fmt: skip
@click.option("--sender", default="", metavar="SENDER", help="For whom a sender's calls are.")
@click.pass_context
def add(context: click.Context, name: str, roles: tuple[str, ...], sender: str) -> None:
    """Let NAME (the ARN of a role or user, or jwt:ISSUER#SUBJECT) call the API, in --tenant."""
    known, tenant = principal_name(name), check_tenant(options_of(context).tenant)
    entry = Principal(known, tenant, frozenset(Role(role) for role in roles), sender)
    with open_workspace(context) as workspace:
        counts = {role.value: 1 for role in entry.roles}
        scope = principal_word(known)
        workspace.record(
            Action.PRINCIPAL_ADMITTED, scope=scope, counts=counts, sender=plain_word(sender) or None
        )
        workspace.stack.directory.add(entry)
    emit(context, {"name": known, "tenant": tenant}, lambda: click.echo(f"{known} may call the API"))


@principals.command()
@click.argument("name")
@click.pass_context
def remove(context: click.Context, name: str) -> None:
    """Let NAME call nothing any more, at once, not even what its account may by default."""
    known = principal_name(name)
    with open_workspace(context) as workspace:
        workspace.record(Action.PRINCIPAL_REMOVED, scope=principal_word(known))
        workspace.stack.directory.remove(known)
    emit(context, {"name": known, "removed": True}, lambda: click.echo(f"{known} may call nothing"))


def _print(found: list[Principal]) -> None:
    if not found:
        click.echo("Nobody is written down: the stack's own account works in its default tenant.")
    for one in found:
        click.echo(f"{one.name}  {one.tenant}  {', '.join(sorted(one.roles))} {one.sender}".rstrip())
