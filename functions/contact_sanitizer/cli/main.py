"""The command `contact-sanitizer`: its families, and the way in."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click

from contact_sanitizer import __version__
from contact_sanitizer.cli.frame import Group, run_command

_HERE = "contact_sanitizer.cli"
_MEMBERS = {
    "init": f"{_HERE}.home:init",
    "run": f"{_HERE}.run:run",
    "phone": f"{_HERE}.look:phone",
    "inspect": f"{_HERE}.look:inspect",
    "policy": f"{_HERE}.policies:policy",
    "consent": f"{_HERE}.consents:consent",
    "block": f"{_HERE}.blocks:block",
    "optout": f"{_HERE}.optouts:optout",
    "lists": f"{_HERE}.lists:lists",
    "keys": f"{_HERE}.home:keys",
}


@click.command(cls=Group, members=_MEMBERS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="contact-sanitizer")
def root() -> None:
    r"""Turn a contact list into one that a sender may use.

    Numbers are validated, people who refused or never agreed are dropped, and phone numbers are
    replaced by tokens. Every row that is not kept is reported with its reason.

    \b
    Start here:
      contact-sanitizer consent import consents.csv
      contact-sanitizer block import blocklist.csv --scope tenant --reason opted_out
      contact-sanitizer run contacts.csv --policy policy.yaml --out out
    """


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line of this process and exit with its status."""
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(run_command(root, sys.argv[1:]))


if __name__ == "__main__":
    main()
