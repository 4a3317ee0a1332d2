"""From columns of digits to numbers: `resolve.Resolver` on whole columns, where it can be certain.

The same readings in the same order. A row that none of the simple readings settles (an alias form, a
carrier code, two ways abroad) is not decided here; the per-row path is its definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from contact_sanitizer.phone.aliases import TRUNK_PREFIXES
from contact_sanitizer.phone.lanes import Flags, Indices, Lanes, Words
from contact_sanitizer.phone.plan import Plan
from contact_sanitizer.phone.walks import PlanWalk, States, TerritoryWalk, walk_of
from contact_sanitizer.reasons import Reason

LONGEST_E164 = 15
# As many digits as find room within E.164 behind any country code.
LONGEST_NATIONAL = 12
# National numbers of which `aliases.canonical` knows a second form: first digits and lengths (from, to).
_ALIASED = {"52": ("1", 11, 11), "54": ("", 12, 13)}
# What `aliases.without_carrier` may strip: first digits, and the lengths (from, to) of the whole.
_CARRIERS: dict[str, tuple[tuple[str, int, int], ...]] = {
    "CN": tuple((prefix, 0, 15) for prefix in ("179", "12593", "12583", "12520", "10193", "10180")),
    "BR": (("0", 13, 14), ("90", 14, 15)),
}
_HEADS = 1000
_SHORTEST_HEAD = 3


@dataclass(slots=True, repr=False)
class Readings:
    """What n digit strings are.

    Where `decided`: `states`, the plan's state (its verdict is the row's), and `digits`, the E.164 digits
    (meaningful where that verdict is a number).
    """

    digits: Lanes
    states: States
    decided: Flags

    def __repr__(self) -> str:
        return f"Readings({len(self.states)} rows)"

    def settle(self, rows: Indices, digits: Lanes, states: States) -> None:
        """Decide these rows."""
        self.place(rows, digits, states)
        self.decided[rows] = True

    def place(self, rows: Indices, digits: Lanes, states: States) -> None:
        """Set digits and states of these rows without deciding them."""
        self.digits.assign(rows, digits)
        self.states[rows] = states


class ColumnResolver:
    """Reads columns as `resolve.Resolver` reads one cell's digits (1 to 15 places)."""

    def __init__(self, plan: Plan, default_region: str) -> None:
        dialling = plan.region_info(default_region)
        self._walk = walk_of(plan)
        self._heads = _heads_of(plan)
        self._code = str(dialling.country_code)
        self._home = TerritoryWalk(plan, plan.start_of(dialling.country_code))
        short_start = plan.short_start_of(default_region)
        self._short = None if short_start is None else TerritoryWalk(plan, short_start)
        self._trunks = _trunks(plan, default_region)
        self._main_trunk = dialling.national_prefix
        self._idd = ("00", *(literal for literal in dialling.idd if literal != "00"))
        self._idd_heads = "".join(sorted({prefix[0] for prefix in self._idd}))
        self._carriers = _CARRIERS.get(default_region, ())
        self._code_stands_apart = self._code not in _ALIASED and not any(
            trunk != self._code and (trunk.startswith(self._code) or self._code.startswith(trunk))
            for trunk in self._trunks
        )

    def read_plain(self, digits: Lanes, plain: Flags, explicit: Flags) -> Readings:
        """The plain rows that are a number of the default region as `read` would first read them.

        `digits`: what stands alone in the cell, or after `+` and the default region's country code where
        `explicit`. Decides nothing else.
        """
        states = self._home.states(digits, LONGEST_NATIONAL)
        decided = self._walk.numbers.take(states, mode="clip")
        decided &= plain & (digits.lengths <= LONGEST_NATIONAL)
        found = Readings(digits.prefixed(self._code), states, decided)
        if self._code_stands_apart:
            rows = np.flatnonzero(plain & ~(decided | explicit) & digits.starts_with(self._code))
            self._read_after_code(found, rows, digits.rows(rows))
        return found

    def _read_after_code(self, found: Readings, rows: Indices, stated: Lanes) -> None:
        """Settle what is a number behind the country code, and none with it."""
        states = self._home.states(stated.without_first(len(self._code)))
        numbers = self._walk.numbers
        good = np.flatnonzero(numbers[states] & ~numbers[self._home.states(stated)])
        found.settle(rows[good], stated.rows(good), states[good])

    def read(self, digits: Lanes, explicit: Flags, readable: Flags) -> Readings:
        """The readable rows: digits after a `+` where `explicit`, else as the default region writes them.

        Takes the default region's country code off explicit digits, in place: such rows are read with
        the national ones.
        """
        rows = np.flatnonzero(explicit & readable)
        at_home = digits.starts_with(self._code)[rows]
        home, abroad = rows[at_home], rows[~at_home]
        digits.assign(home, digits.rows(home).without_first(len(self._code)))
        states = self._home.states(digits)
        found = Readings(digits.prefixed(self._code), states, self._walk.numbers[states])
        if len(abroad):
            foreign = digits.rows(abroad)
            found.place(abroad, foreign, self._walk.states(foreign))
            found.decided[abroad] = self._walk.numbers[found.states[abroad]]
        self._settle_open(found, digits, explicit, readable)
        if found.digits.longest() > LONGEST_E164:
            # A number that does not fit a block is not for columns.
            found.decided &= (found.digits.lengths <= LONGEST_E164) | ~self._walk.numbers[found.states]
        found.decided &= readable
        return found

    def _settle_open(self, found: Readings, digits: Lanes, explicit: Flags, readable: Flags) -> None:
        """Read in other ways what is no number as it stands."""
        rows = np.flatnonzero(readable & ~found.decided)
        stated = explicit[rows]
        international, national = rows[stated], rows[~stated]
        if len(international):
            doubt = self._heads.may_read_otherwise(found.digits.rows(international), self._walk)
            found.decided[international] = ~doubt
        if len(national):
            self._retry(found, national, digits.rows(national))

    def _anywhere(self, digits: Lanes) -> States:
        """The states of E.164 digits; those of the default region's country the quicker way."""
        at_home = digits.starts_with(self._code)
        if at_home.all():
            return self._home.states(digits.without_first(len(self._code)))
        states = np.empty(len(digits), dtype=np.int64)
        home, abroad = np.flatnonzero(at_home), np.flatnonzero(~at_home)
        states[home] = self._home.states(digits.rows(home).without_first(len(self._code)))
        states[abroad] = self._walk.states(digits.rows(abroad))
        return states

    def _retry(self, found: Readings, rows: Indices, digits: Lanes) -> None:
        """The other readings, in their order; a row leaves as soon as it is settled or in doubt."""
        national = found.states[rows]
        left = np.ones(len(rows), dtype=np.bool_)
        for trunk in self._trunks:
            self._try_form(found, rows, digits, left, trunk)
        left &= ~self._may_be_alias(digits)
        self._try_form(found, rows, digits, left, self._code)
        for prefix in (
            *(self._code + trunk for trunk in self._trunks),
            *(t + self._code for t in self._trunks),
        ):
            self._try_form(found, rows, digits, left, prefix)
        left &= ~self._may_be_carried(digits)
        self._try_abroad(found, rows, digits, left)
        self._refuse(found, rows, digits, left, national)

    def _try_form(self, found: Readings, rows: Indices, digits: Lanes, left: Flags, prefix: str) -> None:
        """Settle the rows that are a number of the default region after `prefix`."""
        chosen = np.flatnonzero(left & digits.starts_with(prefix))
        if not len(chosen):
            return
        rest = digits.rows(chosen).without_first(len(prefix))
        states = self._home.states(rest)
        numbers = np.flatnonzero(self._walk.numbers[states])
        found.settle(rows[chosen[numbers]], rest.rows(numbers).prefixed(self._code), states[numbers])
        left[chosen[numbers]] = False

    def _may_be_alias(self, digits: Lanes) -> Flags:
        doubt = np.zeros(len(digits), dtype=np.bool_)
        lead, shortest, longest = _ALIASED.get(self._code, ("", 1, 0))
        for prefix in ("", *self._trunks, self._code, *(self._code + trunk for trunk in self._trunks)):
            rest = digits.lengths - len(prefix)
            doubt |= (rest >= shortest) & (rest <= longest) & digits.starts_with((prefix + lead)[:8])
        return doubt

    def _may_be_carried(self, digits: Lanes) -> Flags:
        doubt = np.zeros(len(digits), dtype=np.bool_)
        for carrier, shortest, longest in self._carriers:
            fits = (digits.lengths >= shortest) & (digits.lengths <= longest)
            doubt |= fits & digits.starts_with(carrier)
        return doubt

    def _try_abroad(self, found: Readings, rows: Indices, digits: Lanes, left: Flags) -> None:
        """Settle what is a number after exactly one international prefix; other such rows are in doubt."""
        chosen = np.flatnonzero(left & digits.starts_with_any(self._idd_heads))
        if not len(chosen):
            return
        candidates = digits.rows(chosen)
        numbers = np.zeros(len(chosen), dtype=np.int64)
        touched, doubt = np.zeros(len(chosen), dtype=np.bool_), np.zeros(len(chosen), dtype=np.bool_)
        for prefix in self._idd:
            at = np.flatnonzero(candidates.starts_with(prefix))
            rest = candidates.rows(at).without_first(len(prefix))
            states = self._anywhere(rest)
            good = self._walk.numbers[states]
            found.place(rows[chosen[at[good]]], rest.rows(np.flatnonzero(good)), states[good])
            numbers[at] += good
            touched[at] = True
            doubt[at] |= ~good & self._heads.may_read_otherwise(rest, self._walk)
        found.decided[rows[chosen]] = (numbers == 1) & ~doubt
        left[chosen[touched]] = False

    def _refuse(self, found: Readings, rows: Indices, digits: Lanes, left: Flags, national: States) -> None:
        """Why the rows that are left are no number: a short code, or the reason of one reading."""
        chosen = np.flatnonzero(left)
        if not len(chosen):
            return
        refused, states = digits.rows(chosen), national[chosen]
        if self._main_trunk:
            after = np.flatnonzero(refused.starts_with(self._main_trunk))
            rest = refused.rows(after).without_first(len(self._main_trunk))
            states[after] = self._home.states(rest)
        reasons = self._walk.plan.reasons[national[chosen]]
        abroad = np.flatnonzero((reasons == Reason.TOO_LONG) & refused.starts_with(self._code))
        states[abroad] = self._anywhere(refused.rows(abroad))
        if self._short is not None:
            short = self._short.states(refused)
            states = np.where(self._walk.plan.reasons[short] == Reason.SHORT_CODE, short, states)
        found.states[rows[chosen]] = states
        found.decided[rows[chosen]] = True


class _Heads:
    """By the first three digits: the country code and the digits that allow another explicit reading."""

    def __init__(self, plan: Plan) -> None:
        self._code_bits = np.zeros(_HEADS, dtype=np.uint64)
        self._codes = np.zeros(_HEADS, dtype=np.uint64)
        self._masks = np.zeros(_HEADS, dtype=np.uint64)
        self._trunk_digits = np.zeros(_HEADS, dtype=np.int64)
        self._one_digit_trunks = np.ones(_HEADS, dtype=np.bool_)
        self._aliased = np.zeros(_HEADS, dtype=np.bool_)
        for country_code, region in plan.country_codes.items():
            self._fill(str(country_code), _trunks(plan, region))

    def _fill(self, code: str, trunks: Sequence[str]) -> None:
        """Set all heads that begin with a country code; none begins with two."""
        first = int(code.ljust(_SHORTEST_HEAD, "0"))
        heads = slice(first, first + 10 ** (_SHORTEST_HEAD - len(code)))
        self._code_bits[heads] = 8 * len(code)
        self._codes[heads] = int.from_bytes(code.encode(), "little")
        self._masks[heads] = (1 << 8 * len(code)) - 1
        self._aliased[heads] = code in _ALIASED
        for trunk in trunks:
            self._trunk_digits[heads] |= 1 << int(trunk[0])
            self._one_digit_trunks[heads] &= len(trunk) == 1

    def may_read_otherwise(self, digits: Lanes, walk: PlanWalk) -> Flags:
        """True where the per-row path may have a reading beside the digits themselves."""
        head = self._head_of(digits)
        rest = digits.low >> self._code_bits[head]
        # An empty rest reads as digit 0 here: a doubt more, never one less.
        trunk: Flags = ((self._trunk_digits[head] >> (rest & np.uint64(15)).astype(np.int64)) & 1) != 0
        zeros = (rest & np.uint64(0xFFFF)) == np.uint64(0x3030)
        doubt: Flags = zeros | digits.starts_with("0") | self._aliased[head]
        doubt |= trunk & ~self._one_digit_trunks[head]
        doubt |= digits.lengths <= _SHORTEST_HEAD
        again = self._again(rest, head) & ~doubt
        for length in (1, 2, 3):
            # `+86 86 138…` is read without its first code.
            rows = np.flatnonzero(again & (self._code_bits[head] == 8 * length))
            doubt[rows] = walk.numbers[walk.states(digits.rows(rows).without_first(length))]
        rows = np.flatnonzero(trunk & ~doubt)
        if len(rows):
            # Only what is a number without its trunk digit, or repeats its country code, reads otherwise.
            bare = self._without_trunk(digits.rows(rows), head[rows])
            doubt[rows] = walk.numbers[walk.states(bare)] | self._again(
                rest[rows] >> np.uint64(8), head[rows]
            )
        return doubt

    def _head_of(self, digits: Lanes) -> Indices:
        symbols = (digits.low & np.uint64(0x0F0F0F)).astype(np.int64)
        head: Indices = (symbols & 15) * 100 + ((symbols >> 8) & 15) * 10 + (symbols >> 16)
        return head

    def _again(self, rest: Words, head: Indices) -> Flags:
        """True where the country code stands again at the beginning of the rest."""
        again: Flags = (rest & self._masks[head]) == self._codes[head]
        return again

    def _without_trunk(self, digits: Lanes, head: Indices) -> Lanes:
        """The digits without the first one after the country code."""
        shorter = digits.without_first(1)
        mask = self._masks[head]
        return Lanes((shorter.low & ~mask) | (digits.low & mask), shorter.high, shorter.lengths)


def _trunks(plan: Plan, region: str) -> tuple[str, ...]:
    """As `resolve.Resolver` takes them: the metadata's prefix, then the others in use."""
    try:
        prefix = plan.region_info(region).national_prefix
    except KeyError:
        return ()
    return ((prefix,) if prefix else ()) + TRUNK_PREFIXES.get(region, ())


@cache
def _heads_of(plan: Plan) -> _Heads:
    return _Heads(plan)
