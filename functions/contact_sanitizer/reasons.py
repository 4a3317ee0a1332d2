"""Why a row is not kept: one closed list, in order of precedence.

The words and their order are public (they stand in `rejects.csv` and in manifests). A lower value
takes precedence over a higher one, so the primary reason of a row is the smallest that applies.
"""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """One reason for one row; `NONE` means that nothing speaks against it."""

    NONE = 0
    # the cell
    MALFORMED_ROW = 1
    CELL_TOO_LONG = 2
    EMPTY = 3
    OPT_OUT_NOTE = 4
    FORMULA = 5
    PLACEHOLDER = 6
    MASKED = 7
    EXCEL_OVERFLOW = 8
    SCI_NOTATION_LOSSY = 9
    NATIONAL_ID = 10
    BANK_CARD = 11
    MULTIPLE_NUMBERS = 12
    EXTENSION = 13
    INVALID_CHARS = 14
    NOT_A_PHONE = 15
    TOO_SHORT = 16
    TOO_LONG = 17
    INVALID_RANGE = 18
    INVALID_COUNTRY_CODE = 19
    # the number
    IOT_NUMBER = 20
    SATELLITE = 21
    SERVICE_PORT = 22
    SHORT_CODE = 23
    SERVICE_NUMBER = 24
    FIXED_LINE = 25
    TOLL_FREE = 26
    PREMIUM_RATE = 27
    SHARED_COST = 28
    PERSONAL_NUMBER = 29
    VOIP = 30
    PAGER = 31
    UAN = 32
    VOICEMAIL = 33
    REGION_NOT_ALLOWED = 34
    # the person
    SUPPRESSED = 35
    CONSENT_MISSING = 36
    CONSENT_WITHDRAWN = 37
    CONSENT_EXPIRED = 38
    CONSENT_OTHER = 39
    DUPLICATE = 40

    @property
    def word(self) -> str:
        """The public spelling, e.g. `too_short`."""
        return self.name.lower()

    @property
    def drops(self) -> bool:
        """True where the row counts as dropped (the person), false where it counts as rejected (the cell)."""
        return self >= Reason.SUPPRESSED or self is Reason.OPT_OUT_NOTE
