"""Whole columns of cells to numbers: what `cells.CellReader` says, for the cells that need no judgement.

Promises: what is decided here is exactly what the per-row path says; everything else is listed as
undecided, for that path. Does not promise which cells it decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.phone.documents import is_date_serial
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.lanes import Flags, Indices, Lanes, Words
from contact_sanitizer.phone.placeholders import EQUAL_TAIL, NATIONAL_NUMBERS, is_placeholder_number
from contact_sanitizer.phone.plan import Plan
from contact_sanitizer.phone.readings import ColumnResolver, Readings
from contact_sanitizer.phone.resolve import Resolver
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.phone.spelling import Spelled, spell
from contact_sanitizer.reasons import Reason

# What is said of a row, in one word: the reason, then the kind, then the region's index.
Sayings = NDArray[np.uint32]
_KIND = np.uint32(0xFF00)
_KIND_SHIFT, _REGION_SHIFT = np.uint32(8), np.uint32(16)
# Rows at once: their words and states stay in a core's cache.
_ROWS = 32_768
_SERIAL_LENGTH = 5
_PAPER_LENGTH = 15
# A country code and three zeros: shorter placeholders do not show in their last four digits.
_FEW = 6
# A country code and the longest number that only all its digits together make a placeholder.
_FEW_EQUAL = 3 + EQUAL_TAIL - 1


@dataclass(frozen=True, slots=True, repr=False)
class VectorResult:
    """What n cells are.

    `reasons`: uint8 (n,). `blocks`: uint8 (n, 16), zeros where there is no number. `kinds`: uint8 (n,),
    `regions`: uint16 (n,), indices into the plan's `regions`; 0 where there is no number. `undecided`:
    int64, ascending, the rows about which nothing is said (their values are 0).
    """

    reasons: NDArray[np.uint8]
    blocks: NDArray[np.uint8]
    kinds: NDArray[np.uint8]
    regions: NDArray[np.uint16]
    undecided: Indices

    def __repr__(self) -> str:
        return f"VectorResult({len(self.reasons)} rows, {len(self.undecided)} undecided)"


class VectorReader:
    """Reads columns of cells by one plan and one set of rules; may be used again and again.

    PolicyError `policy_invalid` where the plan lacks the default region.
    """

    def __init__(self, plan: Plan, rules: NumberRules) -> None:
        self._plan = plan
        self._placeholders = rules.placeholders
        self._code = Resolver(plan, rules.default_region).country_code
        self._resolver = ColumnResolver(plan, rules.default_region)
        self._sayings = _sayings(plan, rules)

    def read(self, cells: pa.Array) -> VectorResult:
        """What n cells (string or large_string, no nulls) are, as far as it is certain."""
        size = len(cells)
        result = VectorResult(
            np.zeros(size, dtype=np.uint8),
            np.zeros((size, 16), dtype=np.uint8),
            np.zeros(size, dtype=np.uint8),
            np.zeros(size, dtype=np.uint16),
            np.empty(0, dtype=np.int64),
        )
        undecided = [self._read_rows(cells, start, result) for start in range(0, size, _ROWS)]
        if not undecided:
            return result
        rows = np.concatenate(undecided)
        return VectorResult(result.reasons, result.blocks, result.kinds, result.regions, rows)

    def _read_rows(self, cells: pa.Array, start: int, result: VectorResult) -> Indices:
        """Fill the rows from `start` on; the rows that stay undecided."""
        spelled = spell(cells.slice(start, _ROWS))
        readings = self._resolver.read(spelled.digits, spelled.explicit, spelled.readable)
        loose = np.flatnonzero(spelled.loose & readings.decided)
        readings.decided[loose[self._may_be_grouped_otherwise(spelled, readings, loose)]] = False
        said = self._sayings[readings.states]
        self._explain(spelled, readings, said)
        said *= readings.decided
        said[spelled.empty] = Reason.EMPTY
        _fill(result, slice(start, start + len(said)), readings.digits, said)
        return np.flatnonzero(~(readings.decided | spelled.empty)) + start

    def _may_be_grouped_otherwise(self, spelled: Spelled, readings: Readings, rows: Indices) -> Flags:
        """Which of these rows' groups may speak against reading all their digits as one number.

        The forms of `runs.whole_number`, seen from afar; the per-row path looks closely.
        """
        first, plain = spelled.first_group[rows], ~spelled.explicit[rows]
        digits = spelled.digits.rows(rows)
        code_apart = plain & (first == len(self._code)) & digits.starts_with(self._code)
        as_national = readings.digits.lengths[rows] == digits.lengths + len(self._code)
        doubt: Flags = spelled.lone_last[rows] | (code_apart & as_national)
        if self._code != "1":
            doubt |= plain & (first == 1) & digits.starts_with("1")
        return doubt

    def _explain(self, spelled: Spelled, readings: Readings, said: Sayings) -> None:
        """What is to say of numbers that nobody has, and of digits that are no number."""
        others = np.flatnonzero(readings.decided & (said & _KIND == 0) & (said != 0))
        if len(others):
            loose, explicit = spelled.loose[others], spelled.explicit[others]
            lengths = spelled.digits.lengths[others]
            readings.decided[others] = _is_explained(lengths, said[others], loose, explicit)
        if self._placeholders:
            nobodys = self._nobodys(spelled, readings, said)
            said[nobodys] = Reason.PLACEHOLDER
        if len(others):
            _mark_serials(spelled, others, said)

    def _nobodys(self, spelled: Spelled, readings: Readings, said: Sayings) -> Indices:
        """The decided rows whose number, or whose digits where they are none, nobody has."""
        suspect = (
            _suspects(spelled.digits, readings.digits.lengths)
            & readings.decided
            & (said != Reason.SHORT_CODE)
        )
        suspects = np.flatnonzero(suspect)
        if not len(suspects):
            return suspects
        numbers = _texts(readings.digits.rows(suspects))
        valid = (said[suspects] & _KIND).tolist()
        stated = _texts(spelled.digits.rows(suspects))
        explicit = spelled.explicit[suspects].tolist()
        found = [
            is_placeholder_number(self._national(number)) if good or plus else self._is_nobodys(text)
            for number, good, text, plus in zip(numbers, valid, stated, explicit, strict=True)
        ]
        return suspects[np.array(found, dtype=np.bool_)]

    def _is_nobodys(self, digits: str) -> bool:
        return is_placeholder_number(digits) or (
            digits.startswith(self._code) and is_placeholder_number(digits[len(self._code) :])
        )

    def _national(self, digits: str) -> str:
        code = self._plan.country_code(digits)
        return digits[len(str(code)) :] if code else digits


def _fill(result: VectorResult, rows: slice, digits: Lanes, said: Sayings) -> None:
    """Set consecutive rows."""
    parts = said.astype("<u4", copy=False).view(np.uint8).reshape(-1, 4)
    result.reasons[rows] = parts[:, 0]
    result.kinds[rows] = parts[:, 1]
    result.regions[rows] = parts.view("<u2")[:, 1]
    numbers = result.kinds[rows] != 0
    words = result.blocks.view("<u8")[rows]
    words[:, 0] = digits.low * numbers
    words[:, 1] = digits.high * numbers


def _sayings(plan: Plan, rules: NumberRules) -> Sayings:
    """uint32 (states,): what each of the plan's states means under these rules, see `Sayings`."""
    refusals = [[rules.refusal(kind, region) for region in plan.regions] for kind in NumberKind]
    judged = np.array(refusals, dtype=np.uint32)[plan.kinds, plan.region_indices]
    reasons = np.where(plan.reasons == Reason.NONE, judged, plan.reasons.astype(np.uint32))
    kinds, regions = plan.kinds.astype(np.uint32), plan.region_indices.astype(np.uint32)
    sayings: Sayings = reasons | kinds << _KIND_SHIFT | regions << _REGION_SHIFT
    return sayings


def _is_explained(lengths: Indices, said: Sayings, loose: Flags, explicit: Flags) -> Flags:
    """True where the plan's reason is all there is to say of digits that are no number."""
    # Groups of digits that are too many or in no range may be several numbers, or an extension.
    explained: Flags = ~loose | (said == Reason.TOO_SHORT)
    # Identity papers; and spreadsheet days, which are written without anything between.
    plain = (lengths < _PAPER_LENGTH) & (~loose | (lengths > _SERIAL_LENGTH))
    return explained & (explicit | plain)


def _mark_serials(spelled: Spelled, others: Indices, said: Sayings) -> None:
    open_to_it = ~spelled.explicit[others] & (spelled.digits.lengths[others] == _SERIAL_LENGTH)
    open_to_it &= (said[others] != Reason.SHORT_CODE) & (said[others] != Reason.PLACEHOLDER)
    rows = others[open_to_it]
    if len(rows):
        serial = [is_date_serial(text) for text in _texts(spelled.digits.rows(rows))]
        said[rows[np.array(serial)]] = Reason.NOT_A_PHONE


def _texts(digits: Lanes) -> list[str]:
    return [text.decode() for text in digits.blocks().view("S16")[:, 0].tolist()]


# Byte shifts, by length, that bring the last eight and then the last four bytes to the front.
_TO_EIGHT = np.array([8 * max(length - 8, 0) for length in range(17)], dtype=np.uint64)
_TO_FOUR = np.array([8 * max(min(length, 8) - 4, 0) for length in range(17)], dtype=np.uint64)


def _last_eight(digits: Lanes) -> Words:
    """The last eight bytes of every row, all of a shorter one."""
    shift = _TO_EIGHT[digits.lengths]
    # In two steps, because for no shift at all the other word must vanish.
    return (digits.low >> shift) | (digits.high << np.uint64(1) << (np.uint64(63) - shift))


def _suspects(digits: Lanes, resolved_lengths: Indices) -> Flags:
    """True for all rows that end as placeholders do, or are short, and few others.

    `resolved_lengths`: int64 (n,), the lengths of the rows' E.164 digits.
    """
    # Four digits, as nibbles in sixteen bits, tell most rows apart; eight tell nearly all.
    words = (_last_eight(digits) >> _TO_FOUR[digits.lengths]) & np.uint64(0x0F0F0F0F)
    words = (words | words >> np.uint64(4)) & np.uint64(0x00FF00FF)
    tails = ((words | words >> np.uint64(8)) & np.uint64(0xFFFF)).astype(np.int64)
    suspect: Flags = _SUSPECT_TAILS[tails] | (digits.lengths <= _FEW)
    rows = np.flatnonzero(suspect)
    chosen = digits.rows(rows)
    short = np.minimum(chosen.lengths, resolved_lengths[rows]) <= _FEW_EQUAL
    suspect[rows] = np.isin(_last_eight(chosen), _SUSPECT_ENDS) | short
    return suspect


def _placeholder_ends() -> set[str]:
    """The last eight digits of every placeholder that has as many."""
    counting = (
        count[at : at + EQUAL_TAIL] for count in ("0123456789" * 2, "9876543210" * 2) for at in range(10)
    )
    return {
        *counting,
        *(str(digit) * EQUAL_TAIL for digit in range(10)),
        *(n[-EQUAL_TAIL:] for n in NATIONAL_NUMBERS),
    }


def _suspect_tails() -> Flags:
    suspect = np.zeros(1 << 16, dtype=np.bool_)
    suspect[[int(end[:-5:-1], 16) for end in _placeholder_ends()]] = True
    return suspect


_SUSPECT_ENDS = np.array(
    [int.from_bytes(end.encode(), "little") for end in _placeholder_ends()], dtype=np.uint64
)
_SUSPECT_TAILS = _suspect_tails()
