"""From the global options to an open workspace."""

from __future__ import annotations

import click

from contact_sanitizer.cli.frame import options_of
from contact_sanitizer.errors import HomeError
from contact_sanitizer.workspace import Workspace


def open_workspace(context: click.Context) -> Workspace:
    """The workspace that the global options name; a home is made where it is missing."""
    options = options_of(context)
    if options.stack is not None:
        raise HomeError("stack_unavailable", "this version works on a home folder only, not on a stack")
    return Workspace.open(options.home, options.tenant)
