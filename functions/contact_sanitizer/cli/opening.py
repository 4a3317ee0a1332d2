"""From the global options to an open workspace."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from contact_sanitizer.cli.frame import options_of

if TYPE_CHECKING:  # it loads everything, which whoever verifies a copy of the log does not need
    from contact_sanitizer.workspace import Workspace

API_URL = "CONTACT_SANITIZER_API_URL"
"""The environment's word on where a stack's API is, before that of the stack."""


def open_workspace(context: click.Context, *, make: bool = False) -> Workspace:
    """The workspace that the global options name; a home is made where it is missing.

    However the command ends, its events are sealed then. A tenant of a stack is made with `make` alone: a
    mistyped name must not make one for everybody.
    """
    from contact_sanitizer.workspace import Workspace  # noqa: PLC0415 - as said above

    options = options_of(context)
    if options.stack is not None:
        workspace = Workspace.open_stack(options.stack, options.tenant, make=make)
    else:
        workspace = Workspace.open(options.home, options.tenant)
    context.find_root().call_on_close(lambda: _close(workspace))
    return workspace


def _close(workspace: Workspace) -> None:
    error = sys.exception()
    workspace.__exit__(type(error) if error else None, error, None)
