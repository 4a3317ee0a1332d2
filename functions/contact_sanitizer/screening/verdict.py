"""Why a person is dropped: one bit a reason, and the reason that is reported first."""

from __future__ import annotations

from enum import IntFlag
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.reasons import Reason
from contact_sanitizer.screening.consent import Standing


class Drop(IntFlag):
    """The bits of a verdict (uint8); no bit: nothing speaks against the person."""

    SUPPRESSED = 1
    CONSENT_MISSING = 2
    CONSENT_WITHDRAWN = 4
    CONSENT_EXPIRED = 8
    CONSENT_OTHER = 16
    DUPLICATE = 32


#: The consent bits: exactly one of them is set where consent is not granted.
CONSENT_BITS: Final = np.uint8(30)

_REASONS: Final = {bit: Reason[bit.name or ""] for bit in Drop}


def _primary_table() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    for bits in range(1, 64):
        table[bits] = min(reason for bit, reason in _REASONS.items() if bits & bit)
    return table


_PRIMARY: Final = _primary_table()

#: uint8 (5,): the bit of each `Standing`, 0 for granted.
STANDING_BITS: Final = np.array(
    [0, *(Drop["CONSENT_" + standing.name] for standing in Standing if standing)], np.uint8
)


def standing_bits(standings: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`STANDING_BITS[standings]`, in a tenth of the time."""
    return np.left_shift(np.uint8(1), standings) & CONSENT_BITS


def primary_reasons(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The `Reason` of each verdict, the smallest that applies: uint8 like `bits`."""
    return _PRIMARY[bits]


def reasons_of(bits: int) -> list[Reason]:
    """All reasons of one verdict, in order of precedence."""
    return sorted(reason for bit, reason in _REASONS.items() if bits & bit)
