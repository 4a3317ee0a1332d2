"""From the global options to an open workspace."""

from __future__ import annotations

import sys

import click

from contact_sanitizer.cli.frame import options_of
from contact_sanitizer.errors import HomeError
from contact_sanitizer.workspace import Workspace


def open_workspace(context: click.Context) -> Workspace:
    """The workspace that the global options name; a home is made where it is missing.

    However the command ends, its events are sealed then.
    """
    options = options_of(context)
    if options.stack is not None:
        raise HomeError("stack_unavailable", "this version works on a home folder only, not on a stack")
    workspace = Workspace.open(options.home, options.tenant)
    context.find_root().call_on_close(lambda: _close(workspace))
    return workspace


def _close(workspace: Workspace) -> None:
    error = sys.exception()
    workspace.__exit__(type(error) if error else None, error, None)
