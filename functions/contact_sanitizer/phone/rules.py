"""What a list wants of its numbers: the part of a policy that this step needs."""

from __future__ import annotations

from dataclasses import dataclass

from contact_sanitizer.errors import PolicyError
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.reasons import Reason


@dataclass(frozen=True, slots=True)
class NumberRules:
    """Which numbers a list allows, and in which region a number without country is read.

    `default_region`: ISO 3166-1 alpha-2. `allow_regions`: empty allows any. `placeholders`: true refuses
    numbers that nobody has (`13800138000`). PolicyError `policy_invalid` where `allow_kinds` lacks
    `MOBILE`: there is no reason with which a mobile number could be refused.
    """

    default_region: str
    allow_kinds: frozenset[NumberKind]
    allow_regions: frozenset[str]
    placeholders: bool

    def __post_init__(self) -> None:
        if NumberKind.MOBILE not in self.allow_kinds:
            raise PolicyError("policy_invalid", "allow_types must contain mobile")

    def allows(self, kind: NumberKind) -> bool:
        """True for a wanted kind; a number that may be either fixed or mobile is as wanted as either."""
        return kind in self.allow_kinds or kind is NumberKind.FIXED_LINE_OR_MOBILE

    def refusal(self, kind: NumberKind, region: str) -> Reason:
        """Why a valid number is not wanted; `NONE` where it is. The kind comes before the region."""
        if not self.allows(kind):
            return kind.refusal
        if self.allow_regions and region not in self.allow_regions:
            return Reason.REGION_NOT_ALLOWED
        return Reason.NONE
