"""The numbering plan of the whole world as one deterministic automaton over E.164 digits.

It reads the digits after the `+` (country code, then national number); the state in which it stops says
whether they are a number, of which kind and region, and if not, why not. It is compiled from
libphonenumber's metadata (`contact_sanitizer.phone.compile`) and our few `overrides`; nothing else in
the package decides what is a number.

For digits that are no number the reason is the first of these that holds, where the national number is
what follows the country code:

1. no country code begins the digits: `INVALID_COUNTRY_CODE` (`TOO_SHORT` where one might still follow);
2. longer than the longest number of that country code: `TOO_LONG`;
3. shorter than the shortest: `TOO_SHORT`;
4. a shorter beginning is a number: `TOO_LONG`;
5. more digits could make it a number: `TOO_SHORT`;
6. else `INVALID_RANGE`.

An override's own length counts in rule 2 only for digits that begin like that override.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.errors import PlanError
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.reasons import Reason

ROOT = 0
SYMBOLS = 16
TABLE_PATH = Path(__file__).with_name("plan.bin")
MAGIC = b"CSPLAN1\n"
# Looking a member up costs a tenth of asking its class, and a plan has a thousand verdicts.
_KINDS = {int(kind): kind for kind in NumberKind}
_REASONS = {int(reason): reason for reason in Reason}
_REBUILD = "run python -m contact_sanitizer.phone.compile"


@dataclass(frozen=True, slots=True)
class PlanVerdict:
    """What the plan says about some digits: a number (`kind`, `region`) or exactly one `reason`.

    `region` is an ISO 3166-1 alpha-2 code, `001` for non-geographic numbers, '' for no number.
    """

    kind: NumberKind
    region: str
    reason: Reason

    @property
    def is_number(self) -> bool:
        """True where the digits are a valid number."""
        return self.reason is Reason.NONE


@dataclass(frozen=True, slots=True)
class RegionDialling:
    """How numbers are dialled within one region.

    `national_prefix`: the literal that precedes a national number (`0`), None where there is none.
    `idd`: the literals that lead abroad, longest first; ways through one chosen carrier that the
    metadata only describes by a wide pattern (CN `17909` + `00`) are left out.
    """

    country_code: int
    national_prefix: str | None
    idd: tuple[str, ...]


class Plan:
    """The automaton with its verdicts; immutable.

    `table`: uint16 (states * 16,), the next state by `state * 16 + symbol`; symbols 0-9 are the digits,
    10-15 stay in the same state (padding).
    `kinds`, `reasons`: uint8 (states,), `NumberKind` and `Reason` values. `region_indices`: uint16
    (states,), indices into `regions`; `regions[0]` is ''.
    """

    def __init__(self, payload: bytes) -> None:
        head, width = _head(payload)
        digits, labels = _arrays(payload, width, int(head["states"]))
        self.metadata_version: str = head["metadata_version"]
        self.regions: tuple[str, ...] = tuple(head["regions"])
        self.table = _padded(digits)
        self._verdicts = [_verdict(label, self.regions) for label in head["labels"]]
        self._verdict_of: list[PlanVerdict] = [self._verdicts[label] for label in labels.tolist()]
        self.kinds, self.reasons, self.region_indices = _columns(head["labels"], labels)
        self._steps = _walkable(self.table)
        self._starts = {int(code): int(state) for code, state in head["starts"].items()}
        self._short_starts: dict[str, int] = head["short_starts"]
        self._main_regions = {int(code): str(region) for code, region in head["main_regions"].items()}
        self._dialling = {region: _dialling(row) for region, row in head["dialling"].items()}

    def __repr__(self) -> str:
        return f"Plan({self.metadata_version}, {len(self.reasons)} states)"

    @property
    def country_codes(self) -> Mapping[int, str]:
        """The main region (`001`: non-geographic) of every country code."""
        return self._main_regions

    def region_index(self, region: str) -> int:
        """The index of a region in `regions`; ValueError where the plan has no such region."""
        return self.regions.index(region)

    def region_info(self, region: str) -> RegionDialling:
        """How one region dials; KeyError where the plan has no such region."""
        return self._dialling[region]

    def start_of(self, country_code: int) -> int:
        """The state after the digits of a country code; KeyError where there is no such code."""
        return self._starts[country_code]

    def state_after(self, digits: str, start: int = ROOT) -> int:
        """The state after reading ASCII digits from `start`; about 40 ns a digit. Checks nothing."""
        steps = self._steps
        at = start * SYMBOLS - 48
        for byte in digits.encode():
            at = steps[at + byte]
        return (at + 48) // SYMBOLS

    def verdict(self, state: int) -> PlanVerdict:
        """What is said of digits that end in `state`; the same object every time."""
        return self._verdict_of[state]

    def lookup(self, digits: str) -> PlanVerdict:
        """What is said of E.164 digits without `+` (ASCII digits only)."""
        return self._verdict_of[self.state_after(digits)]

    def country_code(self, digits: str) -> int:
        """The country code that begins the digits, 0 where none does."""
        for length in (1, 2, 3):
            if digits[:length].isdecimal() and (code := int(digits[:length])) in self._starts:
                return code if digits[0] != "0" else 0
        return 0

    def short_start_of(self, region: str) -> int | None:
        """The state from which a region's short codes are read, None where it has none.

        States reached from there say `SHORT_CODE` for a short code and `INVALID_RANGE` for anything else.
        """
        return self._short_starts.get(region)

    def is_short(self, region: str, digits: str) -> bool:
        """True for a valid short code of the region (libphonenumber: `is_valid_short_number_for_region`)."""
        start = self._short_starts.get(region)
        return start is not None and self.verdict(self.state_after(digits, start)).reason is Reason.SHORT_CODE


def read_plan(path: Path) -> Plan:
    """The plan stored in a table file; PlanError `plan_missing` or `plan_damaged`.

    Says nothing about which release of phonenumbers is installed; `load_plan` does.
    """
    return Plan(_payload(path))


def pack(payload: bytes) -> bytes:
    """The bytes of a table file: magic, SHA-256 of the rest, the payload compressed with zlib."""
    body = zlib.compress(payload, 9)
    return MAGIC + hashlib.sha256(body).digest() + body


@cache
def load_plan() -> Plan:
    """The plan of this package, read once.

    PlanError: `plan_missing`, `plan_damaged`, or `plan_mismatch` where the table was not built from the
    installed release of phonenumbers (the two could disagree about who has a number).
    """
    plan = read_plan(TABLE_PATH)
    if plan.metadata_version != _installed_version():
        raise PlanError(
            "plan_mismatch",
            f"the numbering plan was not built from the installed phonenumbers release; {_REBUILD}",
        )
    return plan


def region_info(region: str) -> RegionDialling:
    """How one region dials, from the package's plan; KeyError where there is no such region."""
    return load_plan().region_info(region)


def _installed_version() -> str:
    """The version that the package states, read without importing it; so does `phonenumberslite`."""
    found = importlib.util.find_spec("phonenumbers")
    if found is None or found.origin is None:
        return ""
    try:
        stated = re.search(rb'^__version__ = "([^"]+)"', Path(found.origin).read_bytes(), re.MULTILINE)
    except OSError:
        return ""
    return stated[1].decode("ascii", "replace") if stated else ""


def _payload(path: Path) -> bytes:
    try:
        stored = path.read_bytes()
    except OSError:
        raise PlanError("plan_missing", f"the numbering plan cannot be read; {_REBUILD}") from None
    start = len(MAGIC) + hashlib.sha256().digest_size
    body = stored[start:]
    if stored[:start] != MAGIC + hashlib.sha256(body).digest():
        raise PlanError("plan_damaged", f"the numbering plan is damaged; {_REBUILD}")
    return zlib.decompress(body)


def _head(payload: bytes) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(payload[:4], "big")
    head: dict[str, Any] = json.loads(payload[4 : 4 + length])
    return head, 4 + length


def _arrays(payload: bytes, start: int, states: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    numbers = np.frombuffer(payload, dtype="<u2", offset=start).astype(np.uint16)
    return numbers[: states * 10].reshape(states, 10), numbers[states * 10 :]


def _padded(digits: NDArray[np.uint16]) -> NDArray[np.uint16]:
    states = len(digits)
    table = np.empty((states, SYMBOLS), dtype=np.uint16)
    table[:, :10] = digits
    table[:, 10:] = np.arange(states, dtype=np.uint16)[:, None]
    flat = table.reshape(-1)
    flat.flags.writeable = False
    return flat


def _walkable(table: NDArray[np.uint16]) -> array[int]:
    """The table with next states as `state * 16 - ord('0')`: one addition and one look-up a digit."""
    return array("i", (table.astype(np.int32) * SYMBOLS - 48).tobytes())


def _verdict(label: tuple[int, int, int], regions: tuple[str, ...]) -> PlanVerdict:
    kind, region, reason = label
    return PlanVerdict(_KINDS[kind], regions[region], _REASONS[reason])


def _columns(
    labels: list[tuple[int, int, int]], of_states: NDArray[np.uint16]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint16]]:
    columns = np.array(labels, dtype=np.uint16)[of_states]
    kinds, reasons = columns[:, 0].astype(np.uint8), columns[:, 2].astype(np.uint8)
    regions = np.ascontiguousarray(columns[:, 1])
    for column in (kinds, reasons, regions):
        column.flags.writeable = False
    return kinds, reasons, regions


def _dialling(row: tuple[int, str | None, list[str]]) -> RegionDialling:
    country_code, national_prefix, idd = row
    return RegionDialling(country_code, national_prefix, tuple(idd))
