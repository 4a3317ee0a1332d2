"""Other spellings of a number than libphonenumber's preferred one, each with its source.

A person has one number; plans that once wrote it in two ways would otherwise make two people of it.
Nothing here makes a number valid: the plan judges every form that these functions return.
"""

from __future__ import annotations

import re

TRUNK_PREFIXES = {
    # libphonenumber BY: nationalPrefixForParsing 0|80?; the national format writes `8 0`.
    "BY": ("80", "0"),
    # libphonenumber LT: nationalPrefixForParsing [08]; 8 was the trunk prefix until 2024.
    "LT": ("8",),
    # IFT (Mexico): 01, 044 and 045 were dialled until August 2019. The bare 1 is left out:
    # without a country it cannot be told from +1.
    "MX": ("044", "045", "01"),
}
"""Prefixes of national numbers beside the metadata's preferred one, by region."""

_CN_CARRIER = re.compile(r"(?:179\d\d|12593|12583|12520|10193|10180)0?(\d+)")
# Anatel: 0 (or 90, reversed charges) + carrier + area code + number; the carriers as in libphonenumber.
_BR_CARRIER = re.compile(r"(?:0|90)(?:1[245]|2[1-35]|31|4[13]|[56]5|99)(\d{10,11})")
# ENACOM: Argentina's area codes have 2 (11), 3 (these) or 4 digits; area code and subscriber together ten.
_AR_DOMESTIC_MOBILE = re.compile(
    r"9?(11|2(?:2[013]|3[067]|49|6[01346]|80|9[147-9])|3(?:36|4[1-358]|5[138]|6[24]|7[069]|8[013578])|[23]\d{3})15(\d{6,8})"
)
_AR_NATIONAL_LENGTH = 10
_MX_OLD_MOBILE = re.compile(r"1(\d{10})")


def canonical(digits: str) -> str:
    """The form under which a number is known, for E.164 digits in an old or domestic form; '' for others.

    Mexico: `52 1` + ten digits without the 1 (IFT, August 2019). Argentina: `54`, perhaps 9, area code,
    15, subscriber as `54 9`, area code, subscriber.
    """
    country = digits[:2]
    if country == "52" and (old := _MX_OLD_MOBILE.fullmatch(digits, 2)):
        return country + old[1]
    if country == "54" and (mobile := _AR_DOMESTIC_MOBILE.fullmatch(digits, 2)):
        national = mobile[1] + mobile[2]
        return "549" + national if len(national) == _AR_NATIONAL_LENGTH else ""
    return ""


def without_carrier(digits: str, region: str) -> str:
    """The national number behind a carrier selection code as dialled within a region; '' where none leads.

    China: only the codes that subscribers used (179dd IP calls, 12593, 12583, 12520, 10193, 10180, and one
    0 after them); libphonenumber strips any 11xxx or 12xxx, which joins two columns to a stranger's number.
    Brazil: 0 or 90, a carrier, then ten or eleven digits.
    """
    if region == "CN" and (dialled := _CN_CARRIER.fullmatch(digits)):
        return dialled[1]
    if region == "BR" and (dialled := _BR_CARRIER.fullmatch(digits)):
        return dialled[1]
    return ""
