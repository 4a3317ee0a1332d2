"""The command's families and its first page of help."""

from __future__ import annotations

import click

from contact_sanitizer import __version__
from contact_sanitizer.cli.frame import Group

_HERE = "contact_sanitizer.cli"
_MEMBERS = {
    "run": (f"{_HERE}.run:run", "Sanitize a contact list."),
    "upload": (f"{_HERE}.upload:upload", "Upload a list to a stack and wait for what becomes of it."),
    "consent": (f"{_HERE}.consents:consent", "Who agreed to what: import, record, withdraw, show."),
    "block": (f"{_HERE}.blocks:block", "Who must not be contacted: import, add, remove, show."),
    "optout": (f"{_HERE}.optouts:optout", "Read a reply (R, TD, 退订, STOP) and record the refusal."),
    "policy": (
        f"{_HERE}.policies:policy",
        "What a list may contain: check one, print an example, put one into a stack.",
    ),
    "senders": (f"{_HERE}.senders:senders", "Who may fetch lists: add, list, show, revoke."),
    "deliver": (f"{_HERE}.deliver:deliver", "Hand a list to a sender, screened again now."),
    "redeem": (f"{_HERE}.redeem:redeem", "Tokens to numbers, for a sender about to use them."),
    "recalls": (f"{_HERE}.recalls:recalls", "Who refused after a delivery; the sender's receipt."),
    "trace": (f"{_HERE}.trace:trace", "One person's story across all lists, for the reviewer."),
    "erase": (f"{_HERE}.erase:erase", "Forget a person; the audit still verifies."),
    "inspect": (f"{_HERE}.look:inspect", "What is seen in a file: format, encoding, header, columns."),
    "phone": (f"{_HERE}.look:phone", "What becomes of a cell, without a list."),
    "lists": (f"{_HERE}.lists:lists", "Which lists were made."),
    "principals": (f"{_HERE}.principals:principals", "Who may call a stack: list, add, remove."),
    "redrive": (f"{_HERE}.redrive:redrive", "What a stack could not do: look at it, try it again."),
    "keys": (f"{_HERE}.home:keys", "The keyring: list, rotate, destroy."),
    "audit": (f"{_HERE}.audit:audit", "The trail: show, verify, report, prove."),
    "init": (f"{_HERE}.home:init", "Make a home; other commands do so where it is missing."),
}

_HELP = """Turn a contact list into one that a sender may use.

Numbers are validated, people who refused or never agreed are dropped, and phone numbers are replaced
by tokens. Every row that is not kept is reported with its reason.

\b
Start here:
  contact-sanitizer policy example > policy.yaml
  contact-sanitizer consent import consents.csv
  contact-sanitizer block import blocklist.csv --reason opted_out
  contact-sanitizer run contacts.csv --policy policy.yaml --out out

'COMMAND --help' tells more. The options below may stand before or after a command.
"""


@click.command(
    cls=Group,
    members=_MEMBERS,
    at_root=True,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="contact-sanitizer")
def root() -> None:
    """All commands."""
