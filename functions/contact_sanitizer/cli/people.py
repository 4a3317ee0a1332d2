"""What the commands about one person share: the phone, moments, and who acts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contact_sanitizer.errors import IntakeError, RegistryError
from contact_sanitizer.intake.dates import parse_moment
from contact_sanitizer.policy_words import REGIONS

if TYPE_CHECKING:  # see cli.opening
    from contact_sanitizer.registering.desk import Desk
    from contact_sanitizer.workspace import Workspace

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

LONGEST_PHONE = 256
LONGEST_INPUT = 1 << 20


class Moment(click.ParamType[int]):
    """A date or time on the command line, as Unix seconds."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read ISO 8601, `2026/1/31` or `2026年1月31日`; a date alone is its midnight, UTC."""
        if isinstance(value, int):
            return value
        moment = parse_moment(str(value), 0)
        if moment is None:
            self.fail("is not a date such as 2026-01-31 or 2026-01-31T08:00:00Z", param, ctx)
        return moment


class Region(click.ParamType[str]):
    """A region code, in capitals."""

    name = "region"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read a region whose numbering plan is known."""
        region = str(value).upper()
        if region not in REGIONS:
            self.fail("is not a region code such as CN or US", param, ctx)
        return region


MOMENT = Moment()
REGION = Region()

region_option = click.option(
    "--region",
    type=REGION,
    default="CN",
    show_default=True,
    metavar="CODE",
    help="Where a number without + belongs.",
)


def moment_option(
    *names: str, says: str, beside: str = "", ends: bool = False
) -> Callable[[Decorated], Decorated]:
    """An option that takes a date or a time; its help says what a date alone means, then `beside`.

    `ends`: something ends then.
    """
    meaning = "A date alone means 00:00 UTC" + (": that day is not part of it." if ends else ".")
    said = " ".join(part for part in (says, meaning, beside) if part)
    return click.option(*names, type=MOMENT, metavar="DATE", help=said)


asked_at_option = moment_option(
    "--asked-at", says="When the person asked for it; the reports tell how long it took."
)
by_option = click.option("--by", metavar="NAME", help="Who acts, for the record. [default: your login name]")


def open_desk(workspace: Workspace, region: str, by: str | None = None) -> Desk:
    """The desk for acts on one person."""
    return workspace.desk(region, by)


def phone_of(argument: str) -> str:
    """A phone argument; `-` reads it from standard input, which keeps it out of the shell's history.

    `RegistryError` `number_refused` where more than one line stands there: none may be passed over.
    """
    phones = phones_of(argument)
    if len(phones) != 1:
        raise RegistryError("number_refused", "standard input must hold exactly one phone, on one line")
    return phones[0]


def phones_of(argument: str) -> list[str]:
    """A phone argument; `-` reads phones from standard input, one a line, or one line from a terminal.

    `RegistryError` `number_refused` where none stands there: whoever asked must not take it for done.
    """
    if argument != "-":
        return [text_of(argument)]
    if sys.stdin.isatty():
        click.echo("The phone, then Enter:", err=True)
        lines = [sys.stdin.buffer.readline(LONGEST_PHONE)]
    else:
        lines = sys.stdin.buffer.read(LONGEST_INPUT).splitlines()
    try:
        phones = [phone for line in lines if (phone := line.decode().strip())]
    except UnicodeDecodeError:
        raise IntakeError("encoding_invalid", "standard input is not UTF-8") from None
    if not phones:
        raise RegistryError("number_refused", "standard input holds no phone")
    return phones


def text_of(argument: str) -> str:
    """An argument that is text; the system hands over bytes, and those need not be."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise IntakeError("encoding_invalid", "an argument is not UTF-8") from None
    return argument
