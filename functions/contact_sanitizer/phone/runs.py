"""The runs of digits in a cell, and what each run states.

A run is digits with the fillers that people put inside one number: spaces, hyphens, dots, brackets. It
is read as one number first; only where that fails may its groups be several numbers or an extension.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from contact_sanitizer.phone.notes import Gap, gap_after, gap_before, gap_between
from contact_sanitizer.phone.resolve import Resolution, Resolver
from contact_sanitizer.reasons import Reason

LONGEST_EXTENSION = 6
"""More digits than this after a number are no extension written without a word for it."""

LONGEST_MARKED_EXTENSION = 7
"""More digits than this after `ext.` and its like are another number."""

_RUN = re.compile(r"\+?(?:(?<=\+)[ (.)-]{0,4})?[0-9](?:[0-9 .()_•'-]*[0-9])?")
_GROUP = re.compile(r"[0-9]+")
_NOT_DIGITS = {ord(char): None for char in " .()_•'-+"}
_LONGEST_LEAD = 5
_LONGEST_JOIN = 24
_AREA_CODE = 5
_AREA_CODE_WITH_COUNTRY = 8
_LONG_GROUP = 5
_PAIR = 2
_NORTH_AMERICAN = [1, 3, 3, 4]


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """Some digits of a cell: as they stand, alone, and whether a `+` states the country."""

    text: str
    digits: str
    explicit: bool

    def resolve(self, resolver: Resolver) -> Resolution:
        """All digits read as one number."""
        return resolver.explicit(self.digits) if self.explicit else resolver.national(self.digits)


@dataclass(frozen=True, slots=True, repr=False)
class Stated:
    """What some digits state: the numbers in them, and why they are not only numbers (`NONE`: they are)."""

    numbers: tuple[Resolution, ...]
    flaw: Reason
    whole: Resolution


def run_of(text: str) -> Run:
    """One run, from its text."""
    digits = text.translate(_NOT_DIGITS)
    return Run(text, digits, text[0] == "+")


def find_runs(text: str, resolver: Resolver) -> tuple[list[Run], list[Gap]]:
    """The runs of a folded text and the gaps around them (one more than runs).

    A country code, or an international prefix, and a `+` after it are one run: `0086+138…`, `86+138…`.
    """
    runs: list[Run] = []
    gaps: list[Gap] = []
    end = 0
    for match in _RUN.finditer(text):
        gap = text[end : match.start()]
        run = run_of(match[0])
        if runs and run.explicit and gap.strip(" ()") == "" and _leads(runs[-1], run, resolver):
            runs[-1] = _joined([runs[-1], run])
        else:
            gaps.append(gap_between(gap) if runs else gap_before(gap))
            runs.append(run)
        end = match.end()
    gaps.append(gap_after(text[end:]))
    return runs, gaps


def states(run: Run, resolver: Resolver) -> Stated:
    """What one run states. Its groups matter only where the digits as a whole are too many or no number."""
    whole = run.resolve(resolver)
    if whole.verdict.is_number:
        return whole_number(run, whole, resolver)
    if len(run.text) == len(run.digits) or whole.verdict.reason is Reason.TOO_SHORT:
        return Stated((), whole.verdict.reason, whole)
    numbers, flaw = _partition(run, resolver)
    return Stated(numbers, flaw if numbers else whole.verdict.reason, whole)


def whole_number(run: Run, whole: Resolution, resolver: Resolver) -> Stated:
    """What a run states whose digits together are a number, where its groups may say something else.

    Groups decide against the plan in three forms: a last digit by itself behind what is a number already
    (`0160 1234567-8`); `1 (301) 234-5678` where 1 is not the country code; and the country code apart from
    one other group (`91-98123456`), which then is the number's country and not its beginning.
    """
    groups = _GROUP.findall(run.text)
    if len(groups) == 1:
        return Stated((whole,), Reason.NONE, whole)
    shorter = Run(run.digits[:-1], run.digits[:-1], run.explicit)
    if len(groups[-1]) == 1 and shorter.resolve(resolver).verdict.is_number:
        return Stated((whole,), Reason.EXTENSION, whole)
    if run.explicit:
        return Stated((whole,), Reason.NONE, whole)
    code = resolver.country_code
    if code != "1" and run.digits[0] == "1" and [len(group) for group in groups] == _NORTH_AMERICAN:
        return Stated((whole,), Reason.INVALID_RANGE, whole)
    if len(groups) == _PAIR and groups[0] == code and whole.digits == code + run.digits:
        abroad = resolver.explicit(run.digits)
        return Stated((abroad if abroad.verdict.is_number else whole,), abroad.verdict.reason, abroad)
    return Stated((whole,), Reason.NONE, whole)


def area_code_joined(runs: list[Run], gaps: list[Gap], resolver: Resolver) -> Resolution | None:
    """One number written with slashes (`0171/1234567`, `06/12/34/56/78`); None where that is not certain.

    Certain: nothing but slashes between, the first group too short for a number and none by itself, and
    together a number.
    """
    if len(runs) < _PAIR or any(gap is not Gap.SLASH for gap in gaps[1:-1]):
        return None
    first = runs[0]
    longest = _AREA_CODE_WITH_COUNTRY if first.explicit or first.digits.startswith("00") else _AREA_CODE
    if len(first.digits) > longest or first.resolve(resolver).verdict.is_number:
        return None
    if len(runs) > _PAIR and any(len(run.digits) > _LONG_GROUP for run in runs):
        return None
    if any(run.explicit for run in runs[1:]) or len(runs[-1].digits) < _PAIR:
        return None
    joined = _joined(runs).resolve(resolver)
    return joined if joined.verdict.is_number else None


def _leads(lead: Run, run: Run, resolver: Resolver) -> bool:
    """True where `lead` and the run with a plus after it are one number.

    Without `00` the plus could be meant: then only where it states no number, or the same one.
    """
    digits = lead.digits
    if len(digits) > _LONGEST_LEAD:
        return False
    if digits.startswith("00"):
        return True
    code = resolver.country_code
    if not lead.explicit and digits not in {code, "0" + code}:
        return False
    alone = run.resolve(resolver)
    return not alone.verdict.is_number or alone.digits == _joined([lead, run]).resolve(resolver).digits


def _joined(runs: list[Run]) -> Run:
    digits = "".join(run.digits for run in runs)
    first = runs[0]
    if first.digits == "00":
        return Run(digits, digits[2:], explicit=True)
    return Run(digits, digits, first.explicit)


def _partition(run: Run, resolver: Resolver) -> tuple[tuple[Resolution, ...], Reason]:
    """The numbers in a run's groups from the left, the longest first, and what the rest of them is."""
    groups = _GROUP.findall(run.text)
    numbers: list[Resolution] = []
    at = 0
    while at < len(groups):
        found, used = _longest(groups[at:], run.explicit and at == 0, resolver)
        if found is None:
            rest = sum(map(len, groups[at:]))
            return tuple(numbers), Reason.EXTENSION if rest <= LONGEST_EXTENSION else Reason.MULTIPLE_NUMBERS
        numbers.append(found)
        at += used
    return tuple(numbers), Reason.NONE


def _longest(groups: list[str], explicit: bool, resolver: Resolver) -> tuple[Resolution | None, int]:  # noqa: FBT001 - private
    digits = ""
    best: Resolution | None = None
    used = 0
    for count, group in enumerate(groups, start=1):
        digits += group
        if len(digits) > _LONGEST_JOIN:
            break
        found = Run(digits, digits, explicit).resolve(resolver)
        if found.verdict.is_number:
            best, used = found, count
    return best, used
