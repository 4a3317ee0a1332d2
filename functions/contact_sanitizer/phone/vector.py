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
from contact_sanitizer.phone.spelling import LONGEST_DIGITS, CellColumn, Spelled
from contact_sanitizer.reasons import Reason

# What is said of a row, in one word: the reason, then the kind, then the region's index.
Sayings = NDArray[np.uint32]
_KIND = np.uint32(0xFF00)
_KIND_SHIFT, _REGION_SHIFT = np.uint32(8), np.uint32(16)
# Rows at once: of plain numbers, which take few steps, as many as stay in a core's cache; of the others
# more, because each of their many steps costs something however few rows take it.
_PLAIN_ROWS = 16_384
_ROWS = 65_536
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
        self._plus_code = f"+{self._code}"
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
        if not size:
            return result
        column = CellColumn(cells)
        starts = range(0, size, _PLAIN_ROWS)
        left = [self._read_plain(column, start, result) for start in starts]
        rest, digits = np.concatenate([rows for rows, _ in left]), Lanes.joined([part for _, part in left])
        undecided = [rest[:0]]
        for start in range(0, len(rest), _ROWS):
            part = slice(start, start + _ROWS)
            undecided.append(self._read_rows(column, rest[part], digits.part(part), result))
        rows = np.concatenate(undecided)
        return VectorResult(result.reasons, result.blocks, result.kinds, result.regions, rows)

    def _read_plain(self, column: CellColumn, start: int, result: VectorResult) -> tuple[Indices, Lanes]:
        """Fill in the rows from `start` on that are just the digits of a number of the default region.

        All the others, with their first bytes. Most cells of most lists go no further, and need few steps.
        """
        rows = slice(start, start + _PLAIN_ROWS)
        cells, plain = column.first_bytes(rows)
        digits, explicit = cells.without(self._plus_code)
        plain &= digits.all_digits() & (digits.lengths > 0) & (digits.lengths <= LONGEST_DIGITS)
        found = self._resolver.read_plain(digits, plain, explicit)
        said = self._sayings.take(found.states, mode="clip")
        said *= found.decided
        if self._placeholders:
            said[self._nobodys(digits, explicit, found, said)] = Reason.PLACEHOLDER
        _fill(result, rows, found.digits, said)
        left = np.flatnonzero(~found.decided)
        return left + start, cells.rows(left)

    def _read_rows(self, column: CellColumn, rows: Indices, digits: Lanes, result: VectorResult) -> Indices:
        """Fill these rows, of which the first bytes are known; the rows that stay undecided."""
        spelled = column.spell(rows, digits)
        readings = self._resolver.read(spelled.digits, spelled.explicit, spelled.readable)
        loose = np.flatnonzero(spelled.loose & readings.decided)
        readings.decided[loose[self._may_be_grouped_otherwise(spelled, readings, loose)]] = False
        said = self._sayings.take(readings.states, mode="clip")
        self._explain(spelled, readings, said)
        said *= readings.decided
        said[spelled.empty] = Reason.EMPTY
        _fill(result, rows, readings.digits, said)
        return rows[np.flatnonzero(~(readings.decided | spelled.empty))]

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
            nobodys = self._nobodys(spelled.digits, spelled.explicit, readings, said)
            said[nobodys] = Reason.PLACEHOLDER
        if len(others):
            _mark_serials(spelled, others, said)

    def _nobodys(self, stated: Lanes, explicit: Flags, readings: Readings, said: Sayings) -> Indices:
        """The decided rows whose number, or whose stated digits where they are none, nobody has."""
        suspect = _suspects(stated, readings.digits.lengths) & readings.decided & (said != Reason.SHORT_CODE)
        suspects = np.flatnonzero(suspect)
        if not len(suspects):
            return suspects
        numbers = _texts(readings.digits.rows(suspects))
        valid = (said[suspects] & _KIND).tolist()
        texts = _texts(stated.rows(suspects))
        pluses = explicit[suspects].tolist()
        found = [
            is_placeholder_number(self._national(number)) if good or plus else self._is_nobodys(text)
            for number, good, text, plus in zip(numbers, valid, texts, pluses, strict=True)
        ]
        return suspects[np.array(found, dtype=np.bool_)]

    def _is_nobodys(self, digits: str) -> bool:
        return is_placeholder_number(digits) or (
            digits.startswith(self._code) and is_placeholder_number(digits[len(self._code) :])
        )

    def _national(self, digits: str) -> str:
        code = self._plan.country_code(digits)
        return digits[len(str(code)) :] if code else digits


def _fill(result: VectorResult, rows: slice | Indices, digits: Lanes, said: Sayings) -> None:
    """Set these rows."""
    parts = said.astype("<u4", copy=False).view(np.uint8).reshape(-1, 4)
    result.reasons[rows] = parts[:, 0]
    result.kinds[rows] = parts[:, 1]
    result.regions[rows] = parts.view("<u2")[:, 1]
    numbers = parts[:, 1] != 0
    words = np.empty((len(said), 2), "<u8")
    np.multiply(digits.low, numbers, out=words[:, 0])
    np.multiply(digits.high, numbers, out=words[:, 1])
    # NumPy moves 16-byte items faster than rows of 16 bytes.
    result.blocks.view("V16").ravel()[rows] = words.view("V16").ravel()


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
_ALL_BITS = np.uint64(64)
_TO_FOUR = np.array([8 * max(min(length, 8) - 4, 0) for length in range(17)], dtype=np.uint64)


def _last_eight(digits: Lanes) -> Words:
    """The last eight bytes of every row, all of a shorter one."""
    shift = _TO_EIGHT.take(digits.lengths, mode="clip")
    # NumPy shifts by 64 bits to 0, so for no shift at all the other word vanishes.
    return (digits.low >> shift) | (digits.high << (_ALL_BITS - shift))


def _suspects(digits: Lanes, resolved_lengths: Indices) -> Flags:
    """True for all rows that end as placeholders do, or are short, and few others.

    `resolved_lengths`: int64 (n,), the lengths of the rows' E.164 digits.
    """
    # Four digits, as nibbles in sixteen bits, tell most rows apart; eight tell nearly all.
    ends = _last_eight(digits)
    words = (ends >> _TO_FOUR.take(digits.lengths, mode="clip")) & np.uint64(0x0F0F0F0F)
    words = (words | words >> np.uint64(4)) & np.uint64(0x00FF00FF)
    tails = ((words | words >> np.uint64(8)) & np.uint64(0xFFFF)).view(np.int64)
    suspect: Flags = _SUSPECT_TAILS.take(tails, mode="clip") | (digits.lengths <= _FEW)
    rows = np.flatnonzero(suspect)
    short = np.minimum(digits.lengths[rows], resolved_lengths[rows]) <= _FEW_EQUAL
    suspect[rows] = _are_suspect_ends(ends[rows]) | short
    return suspect


def _are_suspect_ends(ends: Words) -> Flags:
    """True for the last eight digits of placeholders."""
    places = _SUSPECT_ENDS.searchsorted(ends)
    found: Flags = _SUSPECT_ENDS.take(places, mode="clip") == ends
    return found


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
    sorted(int.from_bytes(end.encode(), "little") for end in _placeholder_ends()), dtype=np.uint64
)
_SUSPECT_TAILS = _suspect_tails()
