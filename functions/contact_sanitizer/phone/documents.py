"""Cells that are something else than a phone number: identity papers, cards, dates, amounts, addresses.

All functions take folded text or ASCII digits and say what they recognise with certainty only; whatever
they do not recognise is left to the numbering plan.
"""

from __future__ import annotations

import datetime as dt
import re

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10x98765432"
_PROVINCE_CODES = """
    11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54
    61 62 63 64 65 71 81 82 83 91
"""
_PROVINCES = frozenset(_PROVINCE_CODES.split())
_RESIDENT_ID = 18
_LEGACY_ID = 15
_CARD_LENGTHS = range(16, 20)
_LAST_SERIAL = 73050
"""31 December 2099 as Excel counts days."""
_SERIAL_LENGTH = 5

_CLOCK = r"(?:[ t]?\d{1,2}[:时点]\d{1,2}(?:[:分]\d{1,2}(?:\.\d+)?秒?)?分?z?)?"
_YEAR_FIRST = re.compile(r"((?:19|20)\d\d)([-/.年])(\d{1,2})[-/.月](\d{1,2})日?" + _CLOCK)
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](?:(?:19|20)\d\d)" + _CLOCK)
_SHORT_YEAR = re.compile(r"(\d{1,2})/(\d{1,2})/\d\d" + _CLOCK)
_CLOCK_ONLY = re.compile(r"\d{1,2}:\d\d(?::\d\d)?(?: ?[ap]m)?")
_MONTH_NAMED = re.compile(
    r"(?:\d{1,2}[ .-]{0,2})?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
    r"[ .,-]{1,2}\d{1,4}(?:,? \d{4})?"
)
_FRACTION = re.compile(r"\d{4,}\.(?!0+$)\d{1,2}|\d{1,3}(?:,\d{3})*\.\d\d")
_ADDRESS = re.compile(r"[\w.+-]@[\w-]|https?:|www\.[a-z]|[a-z0-9]\.(?:com|cn|net|org)\b")


def is_resident_id(text: str) -> bool:
    """True for a Chinese resident identity number of 18 characters (GB 11643-1999: ISO 7064 MOD 11-2).

    The birth date must exist; the province must be one.
    """
    if len(text) != _RESIDENT_ID or not (text[:17].isdecimal() and text[:17].isascii()):
        return False
    if text[:2] not in _PROVINCES or not _is_date(text[6:10], text[10:12], text[12:14]):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, text, strict=False))
    return _ID_CHECKS[total % 11] == text[17]


def is_legacy_id(digits: str) -> bool:
    """True for a Chinese identity number of the 15-digit form issued until 1999: province and birth date."""
    if len(digits) != _LEGACY_ID or digits[:2] not in _PROVINCES:
        return False
    return _is_date("19" + digits[6:8], digits[8:10], digits[10:12])


def is_bank_card(digits: str) -> bool:
    """True for 16 to 19 digits that pass the Luhn check (ISO/IEC 7812-1)."""
    if len(digits) not in _CARD_LENGTHS:
        return False
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    total = sum(map(int, digits[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)
    return total % 10 == 0


def is_date_serial(digits: str) -> bool:
    """True for five digits alone that are a day of a spreadsheet's calendar, 1927 to 2099."""
    return (
        len(digits) == _SERIAL_LENGTH
        and digits.isdecimal()
        and digits[0] != "0"
        and int(digits) <= _LAST_SERIAL
    )


def is_date(text: str) -> bool:
    """True for a written date or time of day."""
    if full := _YEAR_FIRST.fullmatch(text):
        return _is_date(full[1], full[3], full[4])
    if full := _YEAR_LAST.fullmatch(text) or _SHORT_YEAR.fullmatch(text):
        return _is_date("2000", full[1], full[2]) or _is_date("2000", full[2], full[1])
    return bool(_CLOCK_ONLY.fullmatch(text) or _MONTH_NAMED.fullmatch(text))


def is_amount(text: str) -> bool:
    """True for a number with decimals that are not all zero, as `199.50`."""
    return bool(_FRACTION.fullmatch(text))


def is_address(text: str) -> bool:
    """True where the text holds an e-mail or web address."""
    return bool(_ADDRESS.search(text))


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        dt.date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True
