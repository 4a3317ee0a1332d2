"""Columns of digits through the numbering plan's automaton, one step a column (or two digits) at a time."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.phone.lanes import Lanes
from contact_sanitizer.phone.plan import ROOT, SYMBOLS, Plan
from contact_sanitizer.reasons import Reason

States = NDArray[np.int64]

_PAIRS = SYMBOLS * SYMBOLS
_PAIR_BITS = _PAIRS.bit_length() - 1


class PlanWalk:
    """Steps columns of digits through the whole plan, from its root."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        # Next states already multiplied, in the type that NumPy indexes with: one addition and one look-up.
        self._steps = plan.table.astype(np.int64) * SYMBOLS
        self.numbers = plan.reasons == Reason.NONE

    def states(self, digits: Lanes) -> States:
        """int64 (n,): the state of every row after its digits."""
        at = np.full(len(digits), ROOT * SYMBOLS, dtype=np.int64)
        index = np.empty_like(at)
        symbols = digits.symbols()
        for column in range(digits.longest()):
            np.add(at, symbols[:, column], out=index)
            # Every index is in range; mode "clip" only spares the check and the copy that it needs.
            np.take(self._steps, index, out=at, mode="clip")
        return at // SYMBOLS


class TerritoryWalk:
    """Steps columns of digits from one state, two digits at a time."""

    def __init__(self, plan: Plan, start: int) -> None:
        table = plan.table.reshape(-1, SYMBOLS)
        self._states = _reachable(table, start)
        local = np.zeros(len(table), dtype=np.int64)
        local[self._states] = np.arange(len(self._states))
        single = local[table[self._states]]
        # By state, second symbol, first symbol: the order in which `Lanes.pairs` packs them.
        self._steps = single[single].transpose(0, 2, 1).reshape(-1) * _PAIRS
        self._start = int(local[start]) * _PAIRS

    def states(self, digits: Lanes, places: int | None = None) -> States:
        """int64 (n,): the plan's state of every row after its digits, or after the first `places` of them."""
        at = np.full(len(digits), self._start, dtype=np.int64)
        index = np.empty_like(at)
        for pair in digits.pairs()[: ((digits.longest() if places is None else places) + 1) // 2]:
            np.add(at, pair, out=index)
            np.take(self._steps, index, out=at, mode="clip")
        at >>= _PAIR_BITS
        return self._states.take(at, mode="clip")


def _reachable(table: NDArray[np.uint16], start: int) -> States:
    seen = np.zeros(len(table), dtype=np.bool_)
    seen[start] = True
    count = 0
    while count < (count := int(seen.sum())):
        seen[table[seen].reshape(-1)] = True
    return np.flatnonzero(seen)


@cache
def walk_of(plan: Plan) -> PlanWalk:
    """The walk of a plan, made once."""
    return PlanWalk(plan)
