"""What sort of number a number is: one closed list, and why a list may not want it.

The first twelve are libphonenumber's `PhoneNumberType`; the last four are ours, for ranges that its
metadata calls mobile, shared cost or invalid (see the plan's overrides, each with its source).
"""

from __future__ import annotations

from enum import IntEnum

from contact_sanitizer.reasons import Reason


class NumberKind(IntEnum):
    """The kind of one valid number; `NONE` where there is no number. Values fit in uint8 and are stable."""

    NONE = 0
    MOBILE = 1
    FIXED_LINE_OR_MOBILE = 2
    FIXED_LINE = 3
    TOLL_FREE = 4
    PREMIUM_RATE = 5
    SHARED_COST = 6
    VOIP = 7
    PERSONAL_NUMBER = 8
    PAGER = 9
    UAN = 10
    VOICEMAIL = 11
    IOT = 12
    SATELLITE = 13
    SERVICE_PORT = 14
    SERVICE_NUMBER = 15

    @property
    def word(self) -> str:
        """The public spelling, as a policy's `allow_types` writes it, e.g. `mobile`."""
        return self.name.lower()

    @property
    def refusal(self) -> Reason:
        """The reason for a valid number of this kind that a list does not allow.

        `NONE` for `NONE` and for `MOBILE`: contracts name no reason against a mobile number, so
        rules that do not allow `MOBILE` cannot be made.
        """
        return _REFUSALS[self]


_REFUSALS = {
    NumberKind.NONE: Reason.NONE,
    NumberKind.MOBILE: Reason.NONE,
    # Where a plan does not tell the two apart, the part of it that is unwanted is the fixed line.
    NumberKind.FIXED_LINE_OR_MOBILE: Reason.FIXED_LINE,
    NumberKind.FIXED_LINE: Reason.FIXED_LINE,
    NumberKind.TOLL_FREE: Reason.TOLL_FREE,
    NumberKind.PREMIUM_RATE: Reason.PREMIUM_RATE,
    NumberKind.SHARED_COST: Reason.SHARED_COST,
    NumberKind.VOIP: Reason.VOIP,
    NumberKind.PERSONAL_NUMBER: Reason.PERSONAL_NUMBER,
    NumberKind.PAGER: Reason.PAGER,
    NumberKind.UAN: Reason.UAN,
    NumberKind.VOICEMAIL: Reason.VOICEMAIL,
    NumberKind.IOT: Reason.IOT_NUMBER,
    NumberKind.SATELLITE: Reason.SATELLITE,
    NumberKind.SERVICE_PORT: Reason.SERVICE_PORT,
    NumberKind.SERVICE_NUMBER: Reason.SERVICE_NUMBER,
}
