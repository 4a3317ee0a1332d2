"""From the global options to an open workspace."""

from __future__ import annotations

import click

from contact_sanitizer.cli.frame import options_of
from contact_sanitizer.workspace import Workspace


def open_workspace(context: click.Context, *, make: bool = False) -> Workspace:
    """The workspace that the global options name; a home is made where it is missing.

    A tenant of a stack is made with `make` alone: a mistyped name must not make one for everybody.
    """
    options = options_of(context)
    if options.stack is not None:
        return Workspace.open_stack(options.stack, options.tenant, make=make)
    return Workspace.open(options.home, options.tenant)
