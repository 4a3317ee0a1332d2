"""`redeem`: tokens to numbers, for a sender that is about to use them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import click

from contact_sanitizer.cli.frame import REFUSED, Command, options_of
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import text_of
from contact_sanitizer.delivery.redeem import MOST_TOKENS, Redeemed
from contact_sanitizer.delivery.redeem import redeem as redeem_tokens
from contact_sanitizer.errors import ContactSanitizerError, IntakeError
from contact_sanitizer.intake.raw import LocalFile

_LONGEST_LINE = 4096

Answer = dict[str, str]
"""What is said of one token."""


@click.command(cls=Command)
@click.option("--as", "sender", required=True, metavar="SENDER", help="Who redeems; see 'senders add'.")
@click.option("--purpose", required=True, help="For what the numbers are used.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.pass_context
def redeem(context: click.Context, sender: str, purpose: str, file: Path | None) -> None:
    """Redeem the tokens in FILE or on standard input, one a line; JSON lines come out in the same order.

    Each person is asked for in the registry at this moment: {"token": ..., "phone": ...}, or {"token": ...,
    "refused": REASON} where REASON is 'refused' for a person who may not be contacted, and 'not_redeemable'
    for what is not a token of this sender and purpose. With --json one document comes at the end, with all
    of these as 'results'. Numbers are personal data: pipe them to where they are used.
    """
    show = _show_at_end if options_of(context).as_json else _show_at_once
    with open_workspace(context) as workspace, _lines_of(file) as lines:
        desk = workspace.delivery_desk()

        def some(tokens: list[str]) -> list[Answer]:
            redeemed = redeem_tokens(tokens, text_of(sender), text_of(purpose), desk)
            return list(_answers(tokens, redeemed))

        show(context, map(some, iter(lambda: list(islice(lines, MOST_TOKENS)), [])))


def _show_at_once(_context: click.Context, redeemed: Iterator[list[Answer]]) -> None:
    refused = 0
    for answers in redeemed:
        refused += sum("refused" in answer for answer in answers)
        # ASCII: what is no token may be any text, and comes back as it was given.
        click.echo("\n".join(map(json.dumps, answers)))
    if refused:
        click.echo(f"refused: {refused:,}", err=True)


def _show_at_end(context: click.Context, redeemed: Iterator[list[Answer]]) -> None:
    """One document; what was redeemed before a failure is in it, for it was counted."""
    results: list[Answer] = []
    failed: dict[str, Any] = {}
    try:
        for answers in redeemed:
            results += answers
    except ContactSanitizerError as error:
        if not results:
            raise
        failed = {"error": {"code": error.code, "message": error.message}}
    refused = sum("refused" in answer for answer in results)
    click.echo(json.dumps({"results": results, "refused": refused, **failed}))
    if failed:
        click.echo(json.dumps(failed), err=True)
        context.exit(REFUSED)


def _answers(tokens: list[str], redeemed: Redeemed) -> Iterator[Answer]:
    for token, phone, refused in zip(tokens, redeemed.phones, redeemed.refusals, strict=True):
        yield {"token": token, **({"phone": phone} if phone else {"refused": str(refused)})}


@contextmanager
def _lines_of(file: Path | None) -> Iterator[Iterator[str]]:
    """The lines of a file or of standard input; a longer one than any token is cut, and is none."""
    if file is None:
        yield _texts(sys.stdin.buffer)
        return
    with LocalFile(file).open() as opened, open(opened.fileno(), "rb", closefd=False) as buffered:
        yield _texts(buffered)


def _texts(stream: BinaryIO) -> Iterator[str]:
    try:
        while line := stream.readline(_LONGEST_LINE):
            whole = line
            while not whole.endswith(b"\n") and len(whole) == _LONGEST_LINE:
                whole = stream.readline(_LONGEST_LINE)
            yield line.decode("utf-8", "replace").strip()
    except OSError:
        raise IntakeError("file_unreadable", "the tokens cannot be read") from None
