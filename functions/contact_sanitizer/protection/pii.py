"""Phones, resident IDs, bank cards and e-mail addresses in one text.

What is looked for:

- phone: Chinese mobiles with or without `86`, `0` or separators; Chinese landlines with their area
  code; `+` or `00` and a country code; North American numbers with separators; 7 to 15 digits behind
  a word such as `电话` or `tel`;
- id: 18-digit resident IDs (GB 11643, real date), 15-digit ones (province and real date);
- card: 16 to 19 digits that pass Luhn's check (ISO/IEC 7812-1), in one piece or in groups of four and
  more, and do not begin with a date;
- email: `local@domain.tld`.

Digits count in every script and width, and zero-width characters and combining marks do not hide them.

The trade-off: where it is doubtful, the text is redacted. So one in ten order numbers of 16 to 19
digits goes (Luhn's check passes by chance), and 11-digit ones that read as a mobile or begin with
an area code go too. Left alone: shorter order numbers, prices, dates, times, postcodes, fractions.
Not found: numbers written in Chinese numerals or words, landlines without area code or label,
service numbers (400, 95xxx), names and addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise

from contact_sanitizer.protection.plain_text import plain_text


class PiiKind(StrEnum):
    """What was found; the word is the key of its count."""

    PHONE = "phone"
    ID = "id"
    CARD = "card"
    EMAIL = "email"

    @property
    def marker(self) -> str:
        """What stands in its place, e.g. `[phone]`."""
        return f"[{self.value}]"


Hit = tuple[PiiKind, int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of PII: characters `start` to `end` (exclusive) of the text."""

    kind: PiiKind
    start: int
    end: int


def redact_text(text: str) -> tuple[str, tuple[PiiKind, ...]]:
    """The text with a marker in the place of each finding, and the findings' kinds in order."""
    findings = find_pii(text)
    pieces = []
    done = 0
    for finding in findings:
        pieces += [text[done : finding.start], finding.kind.marker]
        done = finding.end
    return "".join([*pieces, text[done:]]), tuple(finding.kind for finding in findings)


def find_pii(text: str) -> list[Finding]:
    """What `text` holds, in order, without overlaps: where two findings meet, one covers both."""
    plain = plain_text(text)
    hits = [*_emails(plain.text), *_identities(plain.text), *_phones(plain.text)]
    found = [Finding(kind, *plain.span(start, end)) for kind, start, end in hits]
    merged: list[Finding] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if merged and one.start < merged[-1].end:
            before = merged.pop()
            merged.append(Finding(before.kind, before.start, max(before.end, one.end)))
        else:
            merged.append(one)
    return merged


# What may stand between two digits of one number. List separators, `:` (times), `*` (masked
# numbers) and `+` (the next number) may not. The scan's prefilter reads the same texts, so they hold
# neither lookarounds nor classes that RE2 reads more narrowly than `re` does.
_GAP = r"(?:[^\w:,;、@#*+]|_){0,3}"
_BREAK = r"(?:[^\w:,;、@#*+]|_){1,3}"
_TRUNK = rf"(?:(?:(?:\+|00){_GAP})?86{_GAP}|0|179[0-9][0-9]|125(?:20|83|93)|101(?:80|93))?"

CHINESE_MOBILE = rf"{_TRUNK}1{_GAP}[3-9](?:{_GAP}[0-9]){{9}}"
CHINESE_MOBILE_IN_GROUPS = r"1[3-9][0-9][^0-9]{1,3}[0-9]{4}[^0-9]{1,3}[0-9]{4}"
CHINESE_LANDLINE = rf"0(?:10|2[0-9]|[3-9][0-9][0-9]){_GAP}[2-9](?:{_GAP}[0-9]){{6,7}}"
CHINESE_LANDLINE_ABROAD = rf"86{_BREAK}0?(?:10|2[0-9]|[3-9][0-9][0-9]){_BREAK}[2-9](?:{_GAP}[0-9]){{6,7}}"
NORTH_AMERICAN = rf"(?:1{_BREAK})?[2-9][0-9][0-9]{_BREAK}[2-9][0-9][0-9]{_BREAK}[0-9]{{4}}"
INTERNATIONAL = rf"\+{_GAP}[1-9](?:{_GAP}[0-9]){{6,14}}"
INTERNATIONAL_BY_PREFIX = rf"00[1-9](?:{_GAP}[0-9]){{9,13}}"
PHONE_LABEL = r"(?i:电话|手机|座机|固话|联系方式|传真|tel|phone|mobile|cell|fax)"
PIECE_GAP = r"(?:[^\w:,;、@#*+/()]|_){0,2}"

_NOT_A_FRACTION = r"(?<!\b0\.)"
_SERVICE = r"(?!(?:1\D{1,3})?(?:400|800))"
_PHONES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![0-9]){_NOT_A_FRACTION}{CHINESE_MOBILE}(?![0-9])",
        rf"(?<![0-9]){CHINESE_MOBILE_IN_GROUPS}(?![0-9])",
        rf"(?<![0-9]){_NOT_A_FRACTION}{CHINESE_LANDLINE}(?![0-9])",
        rf"(?<![0-9]){CHINESE_LANDLINE_ABROAD}(?![0-9])",
        rf"(?<![0-9]){_SERVICE}{NORTH_AMERICAN}(?![0-9])",
        rf"{INTERNATIONAL}(?![0-9])",
        rf"(?<![0-9]){INTERNATIONAL_BY_PREFIX}(?![0-9])",
        rf"{PHONE_LABEL}[\s:.#()是为号码NOno-]{{0,8}}(?P<number>[0-9](?:{_GAP}[0-9]){{6,14}})(?![0-9])",
    )
)
# Lengths after RFC 5321, 4.5.3.1; bounded also so that a long text costs linear time.
_EMAIL = re.compile(r"[\w.+%'&=/!?^{|}~#$*`-]{1,64}\s?@\s?[\w-]{1,63}(?:[.。][\w-]{1,63}){1,8}")
_PIECES = re.compile(rf"[0-9](?:{PIECE_GAP}[0-9])*(?:{PIECE_GAP}[Xx](?![A-Za-z]))?")
_FRACTION_BEFORE = re.compile(r"(?<![0-9])0\.")
_SHORTEST_NUMBER = 15  # an old resident ID
_LONGEST_NUMBER = 19  # a card, ISO/IEC 7812-1
_CARD_LENGTHS = range(16, 20)
_DIGITS = frozenset("0123456789Xx")
_ID_LENGTH = 18
_DOUBLED = str.maketrans("0123456789", "0246813579")  # the digit sum of twice the digit
_PROVINCES = frozenset(
    str(code)
    for codes in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83))
    for code in range(codes[0], codes[1] + 1)
)


def _emails(text: str) -> Iterator[Hit]:
    if "@" in text:
        yield from ((PiiKind.EMAIL, *match.span()) for match in _EMAIL.finditer(text))


def _phones(text: str) -> Iterator[Hit]:
    for pattern in _PHONES:
        for match in pattern.finditer(text):
            yield PiiKind.PHONE, *match.span("number" if pattern.groups else 0)


def _identities(text: str) -> Iterator[Hit]:
    for run in _PIECES.finditer(text):
        places = [place for place in range(*run.span()) if text[place] in _DIGITS]
        if len(places) >= _SHORTEST_NUMBER:
            yield from _identities_of_run(text, places)


def _identities_of_run(text: str, places: list[int]) -> Iterator[Hit]:
    """IDs and cards that begin and end with a piece of the run; `places`: where its digits stand."""
    breaks = [place for place in range(1, len(places)) if places[place] != places[place - 1] + 1]
    bounds = [0, *breaks, len(places)]
    digits = "".join(text[place] for place in places)
    for first, start in enumerate(bounds[:-1]):
        fraction = _FRACTION_BEFORE.match(text, max(0, places[start] - 2)) is not None
        for last in range(first + 1, min(first + _LONGEST_NUMBER + 1, len(bounds))):
            end = bounds[last]
            if _SHORTEST_NUMBER <= end - start <= _LONGEST_NUMBER:
                pieces = [b - a for a, b in pairwise(bounds[first : last + 1])]
                kind = _identity(digits[start:end], pieces, fraction=fraction)
                if kind is not None:
                    yield kind, places[start], places[end - 1] + 1


def _identity(digits: str, pieces: list[int], *, fraction: bool) -> PiiKind | None:
    if is_resident_id(digits):
        return PiiKind.ID
    grouped = min(pieces[:-1], default=4) >= 4 or max(pieces) == 1
    if len(digits) in _CARD_LENGTHS and grouped and not fraction and is_card(digits):
        return PiiKind.CARD
    return None


def is_resident_id(digits: str) -> bool:
    """Whether 18 characters have a real date where GB 11643 puts it, or 15 a province and a real date.

    The check digit is not asked: an ID with a typing error is still somebody's, and of other numbers of
    18 digits fewer than one in a thousand has a date there.
    """
    if len(digits) == _ID_LENGTH and digits[:-1].isdecimal():
        return _is_date(digits[6:14])
    if len(digits) == _SHORTEST_NUMBER and digits.isdecimal():
        return digits[:2] in _PROVINCES and _is_date("19" + digits[6:12])
    return False


def is_card(digits: str) -> bool:
    """Whether the digits pass Luhn's check, are not all alike, and do not begin with a date."""
    if not digits.isdecimal() or len(set(digits)) == 1 or _is_date(digits[:8]):
        return False
    return sum(map(int, digits[::-2] + digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def _is_date(digits: str) -> bool:
    if digits[:2] not in {"18", "19", "20"}:
        return False
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return True
