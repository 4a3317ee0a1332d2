"""`upload`: a list to a stack, and what becomes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from contact_sanitizer.cli.frame import Command, emit, options_of
from contact_sanitizer.cli.opening import API_URL
from contact_sanitizer.cli.run import progress_bar
from contact_sanitizer.errors import RequestError
from contact_sanitizer.policyshelf import DEFAULT
from contact_sanitizer.uploading import UploadService, UploadState
from contact_sanitizer.workspace import uploads_of

_PAUSES = (0.5, 1.0, 2.0, 3.0, 5.0)


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--policy", default=DEFAULT, show_default=True, metavar="NAME", help="A policy that the operator has put."
)
@click.option(
    "--wait",
    type=click.IntRange(0, 86_400),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the list; 0 returns once the file is sent.",
)
@click.pass_context
def upload(context: click.Context, file: Path, policy: str, wait: int) -> None:
    """Upload the contact list FILE to a stack, by a form that only this file fits, and wait for its list."""
    stack = options_of(context).stack
    if stack is None:
        raise RequestError(
            "request_invalid", "say --stack NAME; at home 'run' makes a list without uploading"
        )
    uploads = uploads_of(stack, os.environ.get(API_URL, ""))
    upload_id, form = uploads.request(policy)
    with progress_bar(file) as progress:
        uploads.send(form, file, progress)
    shown = _wait(uploads, upload_id, wait)
    emit(context, shown, lambda: _print(shown))


def _wait(uploads: UploadService, upload_id: str, seconds: int) -> Mapping[str, Any]:
    """What became of the upload; `RequestError` where it was refused, or nothing yet has."""
    until, asked = time.monotonic() + seconds, 0
    while True:
        shown = uploads.show(upload_id)
        state = shown.get("state")
        if state == UploadState.REFUSED:
            raise RequestError("upload_refused", f"the upload was refused: {shown.get('code')}")
        if state == UploadState.MADE or not seconds:
            return shown
        pause = _PAUSES[min(asked, len(_PAUSES) - 1)]
        if time.monotonic() + pause > until:
            why = f" ({shown.get('code')})" if shown.get("code") else ""
            sentence = f"the upload {upload_id} is {state}{why}; it goes on without you"
            raise RequestError("upload_pending", sentence)
        time.sleep(pause)
        asked += 1


def _print(shown: Mapping[str, Any]) -> None:
    if shown["state"] != UploadState.MADE:
        click.echo(f"upload {shown['upload_id']} is {shown['state']}")
        return
    counts = shown.get("counts") or {}
    rows = max(counts.get("rows", 0), 1)
    for word in ("kept", "dropped", "rejected", "rows"):
        count = counts.get(word, 0)
        click.echo(f"{'all rows' if word == 'rows' else word:10} {count:>11,} {count / rows:>7.1%}")
    click.echo(f"\nlist {shown['list_id']}")
    if shown.get("rejects_url"):
        click.echo(f"Every row that was not kept, with its reason (for 5 minutes):\n{shown['rejects_url']}")
