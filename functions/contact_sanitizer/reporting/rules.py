"""What counts as unusual: rules that a reader can check by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contact_sanitizer import errors
from contact_sanitizer.reporting.period import HOUR
from contact_sanitizer.reporting.recalled import LATE

USUAL_DAYS: Final = 28
KNOWN_DAYS: Final = 7
TIMES_USUAL: Final = 3
MARGIN: Final = 1_000
BURST: Final = 10
LOOKS_A_DAY: Final = 20
REMOVALS_A_DAY: Final = 20
JUNK_A_DAY: Final = 100
FOREIGN_A_DAY: Final = 10
STALE_A_DAY: Final = 100


_OURS: Final = (
    errors.KeyringError,
    errors.RegistryError,
    errors.CatalogueError,
    errors.DeliveryError,
    errors.HomeError,
    errors.OutputError,
    errors.AuditError,
    errors.PlanError,
)
DAMAGES: Final = frozenset(
    code for kind in _OURS for code in kind.CODES if code.endswith("_damaged") or code == "people_missing"
)
"""Codes that say that something of ours is not what it was; a damaged upload is its sender's."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its stable word, a title, and what exactly it looks for, as a sentence."""

    word: str
    title: str
    looks_for: str


FAULTS: Final = Rule(
    "verification_failed",
    "Verifications and comparisons that failed",
    "Somebody verified the log, reported on it or compared it with CloudTrail, and something did not fit.",
)
DAMAGE: Final = Rule(
    "damage_met",
    "Damage that somebody's work met",
    "What was to be read was not what had been written, or was gone: a list, the note of a delivery's people,"
    " registry, catalogue, keys or home. By an accident, or because somebody changed it.",
)
BURSTS: Final = Rule(
    "refusals_in_bursts",
    "Refused requests in bursts",
    f"One principal was refused {BURST} times or more within one hour of the clock.",
)
REDEEMED: Final = Rule(
    "redeemed_above_usual",
    "Redemptions far above usual",
    f"On one day a sender redeemed more than {TIMES_USUAL} times its usual, and {MARGIN:,} more than that."
    f" Usual is the median of its active days, {KNOWN_DAYS} at least, among the {USUAL_DAYS} days before.",
)
FETCHED: Final = Rule(
    "fetched_above_usual",
    "Deliveries far above usual",
    f"On one day a sender was delivered more than {TIMES_USUAL} times its usual rows, and {MARGIN:,} more"
    " than that; usual is meant as above.",
)
HOURS: Final = Rule(
    "outside_usual_hours",
    "Fetches outside usual hours",
    "A sender fetched or redeemed in an hour (UTC) in which it did not, nor in the hour before or after,"
    f" on any of its active days, {KNOWN_DAYS} at least, among the {USUAL_DAYS} days before.",
)
JUNK: Final = Rule(
    "junk_tokens",
    "Junk tokens",
    f"On one day {JUNK_A_DAY} or more of a sender's tokens, and 5 of 100 or more, could not be its own:"
    " altered, cut off, made up, for another purpose or of a key that is gone.",
)
FOREIGN: Final = Rule(
    "tokens_of_others",
    "Tokens of another sender",
    f"On one day a sender tried {FOREIGN_A_DAY} or more tokens that were made for somebody else.",
)
STALE: Final = Rule(
    "stale_lists",
    "Many refusals at redemption",
    f"On one day {STALE_A_DAY} or more of a sender's tokens, and 20 of 100 or more, belonged to people who"
    " had refused: it works with an old list.",
)
QUOTAS: Final = Rule("quotas_reached", "Quotas reached", "A sender asked for more than its quota allows.")
RECALLS: Final = Rule(
    "recalls_late",
    "Recalls acknowledged late, or not at all",
    f"A recall was not acknowledged within {LATE // HOUR} hours from when it was found.",
)
LOOKED: Final = Rule(
    "many_looks",
    "Many looks at people by one person",
    f"One principal traced or showed people {LOOKS_A_DAY} times or more on one day.",
)
REMOVED: Final = Rule(
    "many_removals",
    "Many blocks removed by one person",
    f"On one day one principal removed, or asked to remove, {REMOVALS_A_DAY} blocklist entries or more.",
)
NEWCOMERS: Final = Rule(
    "new_principals",
    "New principals",
    f"Somebody acted for the first time in a log that had been kept for {KNOWN_DAYS} days or longer.",
)
RULES: Final = (
    FAULTS,
    DAMAGE,
    BURSTS,
    REDEEMED,
    FETCHED,
    HOURS,
    JUNK,
    FOREIGN,
    STALE,
    QUOTAS,
    RECALLS,
    LOOKED,
    REMOVED,
    NEWCOMERS,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a rule was met: when (a day, an hour or a moment, in UTC), by whom, and the figures."""

    rule: Rule
    when: str
    who: str
    said: str
