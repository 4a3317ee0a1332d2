"""`redeem`: tokens to numbers, for a sender that is about to use them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click

from contact_sanitizer.cli.frame import Command, options_of
from contact_sanitizer.cli.opening import open_workspace
from contact_sanitizer.cli.people import text_of
from contact_sanitizer.delivery.redeem import MOST_TOKENS, Redeemed
from contact_sanitizer.delivery.redeem import redeem as redeem_tokens
from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.raw import LocalFile

_LONGEST_LINE = 4096


@click.command(cls=Command)
@click.option("--as", "sender", required=True, metavar="SENDER", help="Who redeems; see 'senders add'.")
@click.option("--purpose", required=True, help="For what the numbers are used.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.pass_context
def redeem(context: click.Context, sender: str, purpose: str, file: Path | None) -> None:
    """Redeem the tokens in FILE or on standard input, one a line; JSON lines come out in the same order.

    Each person is asked for in the registry at this moment: {"token": ..., "phone": ...}, or {"token": ...,
    "refused": REASON} where REASON is 'refused' for a person who may not be contacted, and 'not_redeemable'
    for what is not a token of this sender and purpose. Lines come with --json, too. Numbers are personal
    data: pipe them to where they are used.
    """
    refused = 0
    with open_workspace(context) as workspace, _lines_of(file) as lines:
        desk = workspace.delivery_desk()
        while tokens := list(islice(lines, MOST_TOKENS)):
            redeemed = redeem_tokens(tokens, text_of(sender), text_of(purpose), desk)
            refused += sum(word is not None for word in redeemed.refusals)
            click.echo("\n".join(_answers(tokens, redeemed)))
    if refused and not options_of(context).as_json:
        click.echo(f"refused: {refused:,}", err=True)


def _answers(tokens: list[str], redeemed: Redeemed) -> Iterator[str]:
    for token, phone, refused in zip(tokens, redeemed.phones, redeemed.refusals, strict=True):
        answer = {"phone": phone} if phone else {"refused": str(refused)}
        # ASCII: what is no token may be any text, and comes back as it was given.
        yield json.dumps({"token": token, **answer})


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
