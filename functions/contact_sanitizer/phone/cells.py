"""One cell, read as a person would read it: one number of the world's plan, or one reason.

Promises: a cell that does not state exactly one number is refused, not repaired; a word of refusal
anywhere in it outweighs everything else; digits given back are a number of the plan. This path defines
the answers; a faster path may only copy them.

What a faster path must leave to this one: cells with letters or unusual characters; more than one plus;
dates; a number followed by more digits after a space or hyphen (an extension, or a second number); five
digits (spreadsheet days), 15 to 19 digits (papers and cards) and alias forms that are not numbers of
the plan at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from contact_sanitizer.phone import documents
from contact_sanitizer.phone.characters import BROKEN, fold
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.notes import Gap, without_enumerated_labels
from contact_sanitizer.phone.placeholders import is_placeholder_number, is_placeholder_text
from contact_sanitizer.phone.plan import Plan
from contact_sanitizer.phone.refusals import states_refusal
from contact_sanitizer.phone.resolve import Resolution, Resolver
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.phone.runs import (
    LONGEST_EXTENSION,
    LONGEST_MARKED_EXTENSION,
    Run,
    area_code_joined,
    find_runs,
    run_of,
    states,
)
from contact_sanitizer.reasons import Reason

LONGEST_NUMBER = 15
"""Digits of an E.164 number at most (ITU-T E.164, 6.1)."""

_SIMPLE = re.compile(r"\+?[0-9]+")
_DIGIT = re.compile(r"[0-9]")
_ODD = re.compile(r"[^0-9 +().-]")
_WORD = re.compile(r"[^\W\d_]")
_TEXT_TRICK = re.compile(r'="([^"]*)"')
_FORMULA = re.compile(r"[=@]|[+-][^\W\d_]")
_MASK = re.compile(
    r"\*|[0-9][ -]{0,3}[x×#?_•●○■□▪█某]{2}|[x×#?_•●○■□▪█某]{2}[ -]{0,3}[0-9]|[0-9] ?\?|\.{3}|-{4}"
)
_MASK_ALONE = re.compile(r"[ _x-]*(?:[*×•●○■□▪█某][ _x-]*){2,}")
_SCIENTIFIC = re.compile(r"([+-]?)(\d+)(?:[.,](\d*))?e\+?(\d{1,3})")
_WHOLE_FLOAT = re.compile(r"(\+?\d+)\.0+")
_GROUPED = re.compile(r"\+?\d{1,3}(?:,\d{3}){2,}(?:\.0+)?|\d{1,2}(?:,\d\d){2,},\d{3}(?:\.0+)?")
_CHAT_LINK = re.compile(
    r"(?:https?://)?(?:wa\.me/|(?:api|web)\.whatsapp\.com/send/?\?phone=)(?:\+|%2b)?(\d+)/?"
)
_RESIDENT_ID = re.compile(r"\d{6} ?\d{8} ?\d{3}x")
_NUMERALS = re.compile(r"[〇零一二三四五六七八九十两幺壹贰叁肆伍陆柒捌玖拾 -]{7,}")
_FEW_DIGITS = 7
_LONGEST_NOTE = 256
"""Characters of a cell that is read for one number; a longer one is prose, or made to cost time."""

_TIED = frozenset({Gap.EXTENSION, Gap.COMMA, Gap.SLASH})
_NO_NUMBER = frozenset(
    {Reason.TOO_SHORT, Reason.TOO_LONG, Reason.INVALID_RANGE, Reason.INVALID_COUNTRY_CODE, Reason.NOT_A_PHONE}
)


@dataclass(frozen=True, slots=True, repr=False)
class Reading:
    """What one cell states.

    `digits`: E.164 without `+`, set for a good number and for one that is refused for what it is, '' else
    and where it has more than 15 digits. `refused`: E.164 digits of every number in a cell with a note of
    refusal, whatever their kind. Redacts itself.
    """

    reason: Reason
    digits: str = ""
    kind: NumberKind | None = None
    region: str | None = None
    refused: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Reading({self.reason.word})"


_REFUSED_CELL: dict[Reason, Reading] = {
    reason: Reading(reason) for reason in Reason if reason is not Reason.NONE
}


class CellReader:
    """Reads cells by one plan and one set of rules. PolicyError where the plan lacks the default region."""

    def __init__(self, plan: Plan, rules: NumberRules) -> None:
        self._plan = plan
        self._rules = rules
        self._resolver = Resolver(plan, rules.default_region)

    def read(self, cell: str) -> Reading:
        """What the cell states; never raises, whatever the text."""
        if _SIMPLE.fullmatch(cell):
            return self._single(run_of(cell))
        text = fold(cell)
        if not _ODD.search(text):
            return self._digits_only(text)
        if states_refusal(text):
            return Reading(Reason.OPT_OUT_NOTE, refused=self._all_numbers(text))
        if trick := _TEXT_TRICK.fullmatch(text):
            text = trick[1]
        text = text.strip("'\" ")
        if _FORMULA.match(text):
            return _REFUSED_CELL[Reason.FORMULA]
        if not _DIGIT.search(text):
            return _REFUSED_CELL[_without_digits(text)]
        return self._with_words(text)

    def stated(self, cell: str) -> tuple[str, ...]:
        """The E.164 digits of every number that the cell states, however many, of whatever kind."""
        return self._all_numbers(fold(cell))

    def _digits_only(self, text: str) -> Reading:
        """A text of digits, spaces, hyphens, dots, brackets and plus signs."""
        if not _DIGIT.search(text):
            return _REFUSED_CELL[_without_digits(text)]
        if "..." in text or "----" in text:
            return _REFUSED_CELL[Reason.MASKED]
        if whole := _WHOLE_FLOAT.fullmatch(text):
            return self._single(run_of(whole[1]))
        if len(text) > _LONGEST_NOTE or documents.is_date(text) or documents.is_amount(text):
            return _REFUSED_CELL[Reason.NOT_A_PHONE]
        return self._read_runs(text)

    def _with_words(self, text: str) -> Reading:
        """A text with digits and something else than fillers."""
        if link := _CHAT_LINK.fullmatch(text):
            return self._single(run_of("+" + link[1]))
        if float_text := _SCIENTIFIC.fullmatch(text):
            return self._scientific(float_text)
        if _GROUPED.fullmatch(text):
            return self._digits_only(text.replace(",", ""))
        reason = _recognised(text)
        return _REFUSED_CELL[reason] if reason else self._read_runs(without_enumerated_labels(text))

    def _scientific(self, float_text: re.Match[str]) -> Reading:
        """All digits of the number are there only where the fraction is as long as the exponent."""
        sign, whole, fraction, exponent = float_text.groups(default="")
        if sign == "-" or len(whole) != 1 or not fraction or len(fraction) != int(exponent):
            return _REFUSED_CELL[Reason.SCI_NOTATION_LOSSY]
        return self._single(run_of(sign + whole + fraction))

    def _read_runs(self, text: str) -> Reading:
        runs, gaps = find_runs(text, self._resolver)
        if Gap.MASK in gaps:
            return _REFUSED_CELL[Reason.MASKED]
        if Gap.BROKEN in gaps:
            return _REFUSED_CELL[Reason.INVALID_CHARS]
        phones, between = _phones(runs, gaps)
        if not phones:
            return _REFUSED_CELL[_paper(runs)]
        reading = self._runs(phones, between)
        if reading.reason in _NO_NUMBER and Gap.UNKNOWN in gaps:
            return _REFUSED_CELL[Reason.INVALID_CHARS]
        if reading.reason in _NO_NUMBER and _WORD.search(text) and _few_digits(runs):
            return _REFUSED_CELL[Reason.NOT_A_PHONE]
        return reading

    def _runs(self, runs: list[Run], gaps: list[Gap]) -> Reading:
        if len(runs) == 1:
            return self._single(runs[0])
        if joined := area_code_joined(runs, gaps, self._resolver):
            return self._judge(joined)
        return self._several(runs, gaps)

    def _several(self, runs: list[Run], gaps: list[Gap]) -> Reading:
        stated = [states(run, self._resolver) for run in runs]
        for left, gap, right in zip(stated, gaps[1:], runs[1:], strict=False):
            longest = LONGEST_MARKED_EXTENSION if gap is Gap.EXTENSION else LONGEST_EXTENSION
            pause = gap is Gap.COMMA and left.flaw is Reason.NONE
            if (gap is Gap.EXTENSION or pause) and len(right.digits) <= longest:
                return _REFUSED_CELL[Reason.EXTENSION]
        numbers = [number for part in stated for number in part.numbers]
        if not numbers and _few_digits(runs):
            return _REFUSED_CELL[Reason.NOT_A_PHONE]
        if any(part.flaw is not Reason.NONE for part in stated):
            return _REFUSED_CELL[Reason.MULTIPLE_NUMBERS]
        return self._one_of(numbers)

    def _single(self, run: Run) -> Reading:
        stated = states(run, self._resolver)
        if stated.flaw is Reason.NONE:
            return self._one_of(list(stated.numbers))
        if stated.numbers:
            return _REFUSED_CELL[stated.flaw]
        return _REFUSED_CELL[self._explain(run, stated.whole)]

    def _one_of(self, numbers: list[Resolution]) -> Reading:
        """The one number among some, or the one of an allowed kind."""
        distinct = list({number.digits: number for number in numbers}.values())
        if len(distinct) > 1:
            distinct = [number for number in distinct if self._rules.allows(number.verdict.kind)]
        if len(distinct) != 1:
            return _REFUSED_CELL[Reason.MULTIPLE_NUMBERS]
        return self._judge(distinct[0])

    def _judge(self, number: Resolution) -> Reading:
        digits, verdict = number.digits, number.verdict
        if self._rules.placeholders and is_placeholder_number(self._national(digits)):
            return _REFUSED_CELL[Reason.PLACEHOLDER]
        reason = self._rules.refusal(verdict.kind, verdict.region)
        if len(digits) > LONGEST_NUMBER:
            digits = ""
        return Reading(reason, digits, verdict.kind, verdict.region)

    def _explain(self, run: Run, whole: Resolution) -> Reason:
        """Why digits that are no number are none."""
        reason = whole.verdict.reason
        if reason is Reason.SHORT_CODE:
            return reason
        if self._rules.placeholders and self._is_nobodys(run):
            return Reason.PLACEHOLDER
        if run.explicit:
            return reason
        if documents.is_date_serial(run.text):
            return Reason.NOT_A_PHONE
        paper = _paper([run])
        return reason if paper is Reason.NOT_A_PHONE else paper

    def _is_nobodys(self, run: Run) -> bool:
        digits, code = run.digits, self._resolver.country_code
        if run.explicit:
            return is_placeholder_number(self._national(digits))
        return is_placeholder_number(digits) or (
            digits.startswith(code) and is_placeholder_number(digits[len(code) :])
        )

    def _national(self, digits: str) -> str:
        code = self._plan.country_code(digits)
        return digits[len(str(code)) :] if code else digits

    def _all_numbers(self, text: str) -> tuple[str, ...]:
        """Every number that a text states, in order, each once."""
        runs, gaps = find_runs(_CHAT_LINK.sub(r"+\1 ", text), self._resolver)
        if joined := area_code_joined(runs, gaps, self._resolver):
            return (joined.digits,)
        found = [number.digits for run in runs for number in states(run, self._resolver).numbers]
        return tuple(dict.fromkeys(digits for digits in found if len(digits) <= LONGEST_NUMBER))


def _phones(runs: list[Run], gaps: list[Gap]) -> tuple[list[Run], list[Gap]]:
    """The runs that are not said to be something else, and the gaps around them."""
    if Gap.OTHER_THING not in gaps:
        return runs, gaps
    kept = [at for at, gap in enumerate(gaps[:-1]) if gap is not Gap.OTHER_THING]
    if gaps[-1] is Gap.OTHER_THING and kept[-1:] == [len(runs) - 1] and gaps[-2] not in _TIED:
        kept.pop()
    return [runs[at] for at in kept], [*(gaps[at] for at in kept), Gap.NOTE]


def _paper(runs: list[Run]) -> Reason:
    """Which paper some digits are the number of; `NOT_A_PHONE` where none is known."""
    for run in runs:
        if documents.is_resident_id(run.digits) or documents.is_legacy_id(run.digits):
            return Reason.NATIONAL_ID
        if documents.is_bank_card(run.digits):
            return Reason.BANK_CARD
    return Reason.NOT_A_PHONE


def _few_digits(runs: list[Run]) -> bool:
    return all(len(run.digits) < _FEW_DIGITS for run in runs)


def _recognised(text: str) -> Reason:
    """What a text with digits and other characters is, if it is no phone number at first sight."""
    if text[0] == "#" and is_placeholder_text(text):
        return Reason.PLACEHOLDER
    if _MASK.search(text):
        return Reason.MASKED
    if _RESIDENT_ID.fullmatch(text) and documents.is_resident_id(text.replace(" ", "")):
        return Reason.NATIONAL_ID
    if len(text) > _LONGEST_NOTE or documents.is_date(text):
        return Reason.NOT_A_PHONE
    return Reason.NOT_A_PHONE if documents.is_amount(text) or documents.is_address(text) else Reason.NONE


def _without_digits(text: str) -> Reason:
    """What a text without any digit is."""
    if not text:
        return Reason.EMPTY
    if len(text) > 1 and not text.strip("# "):
        return Reason.EXCEL_OVERFLOW
    if _MASK_ALONE.fullmatch(text):
        return Reason.MASKED
    if is_placeholder_text(text):
        return Reason.PLACEHOLDER
    return Reason.INVALID_CHARS if BROKEN in text or _NUMERALS.fullmatch(text) else Reason.NOT_A_PHONE
