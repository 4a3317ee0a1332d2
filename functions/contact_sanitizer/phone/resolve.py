"""From digits to one number of the world's plan: which country, which national number.

A `+` or an international dialling prefix states the country; it is never replaced by the default
region. Digits without it are the default region's, in the first of the fixed order of readings that the
plan accepts. No reading is a repair: each is a way in which people of that country write numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contact_sanitizer.errors import PolicyError
from contact_sanitizer.phone.aliases import TRUNK_PREFIXES, canonical, without_carrier
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.plan import Plan, PlanVerdict
from contact_sanitizer.reasons import Reason

_SHORT = PlanVerdict(NumberKind.NONE, "", Reason.SHORT_CODE)
_AMBIGUOUS = PlanVerdict(NumberKind.NONE, "", Reason.INVALID_COUNTRY_CODE)


@dataclass(frozen=True, slots=True, repr=False)
class Resolution:
    """What some digits are: the E.164 digits that were judged, and the plan's verdict of them.

    `digits` is a number only where `verdict.is_number`.
    """

    digits: str
    verdict: PlanVerdict

    def __repr__(self) -> str:
        return f"Resolution({self.verdict.reason.word})"


class Resolver:
    """Reads digits as people of one region write them. PolicyError where the plan has no such region."""

    def __init__(self, plan: Plan, default_region: str) -> None:
        try:
            dialling = plan.region_info(default_region)
        except KeyError:
            raise PolicyError("policy_invalid", "default_region is no region of the numbering plan") from None
        self._plan = plan
        self._region = default_region
        self._code = str(dialling.country_code)
        self._start = plan.start_of(dialling.country_code)
        self._prefix = dialling.national_prefix or ""
        self._trunks = _trunks(plan, default_region)
        self._idd = ("00", *(literal for literal in dialling.idd if literal != "00"))

    @property
    def country_code(self) -> str:
        """The default region's country code, as digits."""
        return self._code

    def explicit(self, digits: str) -> Resolution:
        """The number that digits after a `+` state, whatever the default region.

        Accepted in this order: the digits themselves, their canonical form, without a national prefix
        (`+44 (0)7911…`), without a country code written twice. Otherwise the verdict of the digits.
        """
        digits = digits.removeprefix("00")
        verdict = self._plan.lookup(digits)
        if verdict.is_number:
            return Resolution(digits, verdict)
        return self._first(self._international_forms(digits)) or Resolution(digits, verdict)

    def national(self, digits: str) -> Resolution:
        """The number that digits without `+` state in the default region.

        Accepted in this order: as a national number; after the national prefix; in an alias form; after
        the country code; after country code and national prefix; after national prefix and country code
        (`086…`); after a carrier code; after an international dialling prefix. A short code is said
        before any other refusal.
        """
        plan = self._plan
        verdict = plan.verdict(plan.state_after(digits, self._start))
        if verdict.is_number:
            return Resolution(self._code + digits, verdict)
        return self._first(self._domestic_forms(digits)) or self._from_abroad(digits, verdict)

    def _first(self, forms: Iterator[str]) -> Resolution | None:
        lookup = self._plan.lookup
        for form in forms:
            verdict = lookup(form)
            if verdict.is_number:
                return Resolution(form, verdict)
        return None

    def _domestic_forms(self, digits: str) -> Iterator[str]:
        code = self._code
        trunks = [trunk for trunk in self._trunks if digits.startswith(trunk)]
        for trunk in trunks:
            yield code + digits[len(trunk) :]
        for trunk in ("", *trunks):
            yield canonical(code + digits[len(trunk) :])
        if digits.startswith(code):
            yield digits
            yield canonical(digits)
            yield from self._without_trunk(code, digits[len(code) :], self._trunks)
        for trunk in trunks:
            if digits.startswith(code, len(trunk)):
                yield digits[len(trunk) :]
        if carried := without_carrier(digits, self._region):
            yield code + carried

    def _international_forms(self, digits: str) -> Iterator[str]:
        yield canonical(digits)
        code = self._plan.country_code(digits)
        if not code:
            return
        text = str(code)
        rest = digits[len(text) :]
        trunks = _trunks(self._plan, self._plan.country_codes[code])
        yield from self._without_trunk(text, rest, trunks)
        for again in (text, "00" + text, *(trunk + text for trunk in trunks)):
            if rest.startswith(again):
                yield text + rest[len(again) :]

    def _without_trunk(self, code: str, rest: str, trunks: tuple[str, ...]) -> Iterator[str]:
        for trunk in trunks:
            if rest.startswith(trunk):
                yield code + rest[len(trunk) :]
                yield canonical(code + rest[len(trunk) :])

    def _from_abroad(self, digits: str, verdict: PlanVerdict) -> Resolution:
        readings = [self.explicit(digits[len(idd) :]) for idd in self._idd if digits.startswith(idd)]
        accepted = {reading.digits: reading for reading in readings if reading.verdict.is_number}
        if len(accepted) > 1:
            return Resolution(digits, _AMBIGUOUS)
        if accepted:
            return next(iter(accepted.values()))
        if self._plan.is_short(self._region, digits):
            return Resolution(digits, _SHORT)
        return readings[0] if readings else self._refusal(digits, verdict)

    def _refusal(self, digits: str, verdict: PlanVerdict) -> Resolution:
        if verdict.reason is Reason.TOO_LONG and digits.startswith(self._code):
            return Resolution(digits, self._plan.lookup(digits))
        if self._prefix and digits.startswith(self._prefix):
            form = self._code + digits[len(self._prefix) :]
            return Resolution(form, self._plan.lookup(form))
        return Resolution(self._code + digits, verdict)


def _trunks(plan: Plan, region: str) -> tuple[str, ...]:
    try:
        prefix = plan.region_info(region).national_prefix
    except KeyError:
        return ()
    return ((prefix,) if prefix else ()) + TRUNK_PREFIXES.get(region, ())
