"""Builds the numbering plan's table from the metadata of the installed phonenumbers release.

`python -m contact_sanitizer.phone.compile` writes it beside this module. Used at build time only; the
engine reads the table through `contact_sanitizer.phone.plan` and does not import phonenumbers for it.
The same release gives the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata, PhoneNumberDesc

from contact_sanitizer.phone.automaton import DEAD, NO_LABEL, Automata
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.overrides import OVERRIDES, Override
from contact_sanitizer.phone.pattern import (
    Choice,
    literals,
    parse_pattern,
)
from contact_sanitizer.phone.plan import TABLE_PATH, pack
from contact_sanitizer.reasons import Reason

WORLD = "001"
# libphonenumber tests these before fixed line and mobile, in this order (`_number_type_helper`).
_SPECIAL_KINDS = (
    (NumberKind.PREMIUM_RATE, "premium_rate"),
    (NumberKind.TOLL_FREE, "toll_free"),
    (NumberKind.SHARED_COST, "shared_cost"),
    (NumberKind.VOIP, "voip"),
    (NumberKind.PERSONAL_NUMBER, "personal_number"),
    (NumberKind.PAGER, "pager"),
    (NumberKind.UAN, "uan"),
    (NumberKind.VOICEMAIL, "voicemail"),
)
_LONGEST = 24
_KIND_SPAN = 16
_MOST_PREFIXES = 100


@dataclass(frozen=True, slots=True)
class Territory:
    """The regions that share one country code, in libphonenumber's order (the main one first)."""

    country_code: int
    regions: tuple[tuple[str, PhoneMetadata], ...]

    def lengths(self) -> frozenset[int]:
        """All lengths that a national number may have."""
        return frozenset(
            length
            for _, metadata in self.regions
            for length in _general(metadata).possible_length
            if length > 0
        )


def territories() -> Iterator[Territory]:
    """Every country code, ascending."""
    for code, names in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()):
        regions = ((name, PhoneMetadata.metadata_for_region_or_calling_code(code, name)) for name in names)
        yield Territory(code, tuple((name, found) for name, found in regions if found is not None))


def _general(metadata: PhoneMetadata) -> PhoneNumberDesc:
    if metadata.general_desc is None:
        raise ValueError("a region without a general description")
    return metadata.general_desc


class Compiler:
    """Turns territories into one automaton whose labels are verdicts."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        self._automata = Automata()
        self._regions = {region: index for index, region in enumerate(regions)}
        self._sinks = {reason: self._automata.sink(_reason_label(reason)) for reason in Reason}

    def world(self) -> tuple[int, dict[int, int]]:
        """The root, and the state after each country code."""
        starts = {each.country_code: self._territory(each) for each in territories()}
        return self._codes("", starts), starts

    def short_codes(self, region: str) -> int | None:
        """The automaton of a region's short codes, None where the metadata has none."""
        metadata = PhoneMetadata.short_metadata_for_region(region)
        if metadata is None:
            return None
        language = self._automata.choose(
            self._described(metadata.general_desc), self._described(metadata.short_code), DEAD
        )
        return self._completed_short(language, {})

    def export(self, roots: list[int]) -> tuple[list[int], list[int], dict[int, int]]:
        """Labels and successors (ten a state) of all states in use, and their new numbers; roots first."""
        numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
        queue = list(numbers)
        for state in queue:
            for successor in self._automata.successors(state):
                if successor not in numbers:
                    numbers[successor] = len(numbers)
                    queue.append(successor)
        labels = [self._automata.label(state) for state in queue]
        successors = [numbers[after] for state in queue for after in self._automata.successors(state)]
        return labels, successors, numbers

    def _territory(self, territory: Territory) -> int:
        verdicts = self._overridden(territory.country_code, self._metadata_verdicts(territory))
        lengths = territory.lengths()
        return _Completion(self._automata, self._sinks, min(lengths), max(lengths)).completed(verdicts)

    def _metadata_verdicts(self, territory: Territory) -> int:
        """Which region a number belongs to, as `region_code_for_number` finds it, and its kind there."""
        verdicts = DEAD
        alone = len(territory.regions) == 1
        for region, metadata in reversed(territory.regions):
            of_region = self._region(region, metadata)
            if metadata.leading_digits is None or alone:
                verdicts = self._automata.overlay(of_region, verdicts)
            else:
                # The first region whose leading digits match has the number, valid or not.
                verdicts = self._automata.choose(self._prefix(metadata.leading_digits), of_region, verdicts)
        return verdicts

    def _region(self, region: str, metadata: PhoneMetadata) -> int:
        kinds = [self._labelled(kind, region, getattr(metadata, name)) for kind, name in _SPECIAL_KINDS]
        verdicts = self._automata.overlaid([*kinds, self._subscriber(region, metadata)])
        return self._automata.choose(self._described(metadata.general_desc), verdicts, DEAD)

    def _subscriber(self, region: str, metadata: PhoneMetadata) -> int:
        fixed = self._described(metadata.fixed_line)
        either = self._automata.relabelled(fixed, self._number_label(NumberKind.FIXED_LINE_OR_MOBILE, region))
        if metadata.same_mobile_and_fixed_line_pattern:
            return either
        fixed_only = self._automata.relabelled(fixed, self._number_label(NumberKind.FIXED_LINE, region))
        mobile = self._labelled(NumberKind.MOBILE, region, metadata.mobile)
        return self._automata.overlay(self._automata.choose(mobile, either, fixed_only), mobile)

    def _labelled(self, kind: NumberKind, region: str, desc: PhoneNumberDesc | None) -> int:
        return self._automata.relabelled(self._described(desc), self._number_label(kind, region))

    def _described(self, desc: PhoneNumberDesc | None) -> int:
        """The strings that `_is_number_matching_desc` accepts."""
        if desc is None or not desc.national_number_pattern:
            return DEAD
        language = self._automata.language(parse_pattern(desc.national_number_pattern))
        if not desc.possible_length:
            return language
        return self._automata.of_lengths(language, frozenset(desc.possible_length))

    def _prefix(self, pattern: str) -> int:
        return self._automata.followed(parse_pattern(pattern), self._automata.anything(_LONGEST))

    def _overridden(self, country_code: int, verdicts: int) -> int:
        for override in reversed(OVERRIDES):
            numbers = self._override(country_code, override)
            if override.reclassifies:
                numbers = self._automata.choose(verdicts, numbers, DEAD)
            verdicts = self._automata.overlay(numbers, verdicts)
        return verdicts

    def _override(self, country_code: int, override: Override) -> int:
        state = self._automata.language(parse_pattern(override.pattern))
        for digit in str(country_code):
            state = self._automata.successors(state)[int(digit)]
        return self._automata.relabelled(state, self._number_label(override.kind, override.region))

    def _number_label(self, kind: NumberKind, region: str) -> int:
        return kind + _KIND_SPAN * self._regions[region]

    def _codes(self, prefix: str, starts: dict[int, int]) -> int:
        if prefix and prefix[0] != "0" and int(prefix) in starts:
            return starts[int(prefix)]
        if not any(str(code).startswith(prefix) for code in starts):
            return self._sinks[Reason.INVALID_COUNTRY_CODE]
        successors = tuple(self._codes(prefix + str(digit), starts) for digit in range(10))
        return self._automata.state(_reason_label(Reason.TOO_SHORT), successors)

    def _completed_short(self, state: int, known: dict[int, int]) -> int:
        if state == DEAD:
            return self._sinks[Reason.INVALID_RANGE]
        if state not in known:
            reason = Reason.SHORT_CODE if self._automata.label(state) else Reason.INVALID_RANGE
            successors = tuple(self._completed_short(s, known) for s in self._automata.successors(state))
            known[state] = self._automata.state(_reason_label(reason), successors)
        return known[state]


class _Completion:
    """Gives every string that is no number its reason, by the rules 2 to 6 of the plan."""

    def __init__(self, automata: Automata, sinks: dict[Reason, int], shortest: int, longest: int) -> None:
        self._automata = automata
        self._sinks = sinks
        self._shortest = shortest
        self._longest = longest
        self._known: dict[tuple[int, int, bool], int] = {}

    def completed(self, state: int, length: int = 0, *, after_number: bool = False) -> int:
        if state == DEAD and (after_number or length > self._longest):
            return self._sinks[Reason.TOO_LONG]
        key = (state, length, after_number)
        if key not in self._known:
            label = self._automata.label(state)
            seen = after_number or label != NO_LABEL
            successors = tuple(
                [self.completed(s, length + 1, after_number=seen) for s in self._automata.successors(state)]
            )
            label = label or _reason_label(self._reason(state, length, after_number=after_number))
            self._known[key] = self._automata.state(label, successors)
        return self._known[key]

    def _reason(self, state: int, length: int, *, after_number: bool) -> Reason:
        if length < self._shortest:
            return Reason.TOO_SHORT
        if after_number:
            return Reason.TOO_LONG
        return Reason.INVALID_RANGE if state == DEAD else Reason.TOO_SHORT


def _reason_label(reason: Reason) -> int:
    # Below zero: numbers' labels are above, and zero is no label.
    return -reason - 1


def _split_label(label: int) -> tuple[int, int, int]:
    """(kind, region index, reason)."""
    if label < 0:
        return NumberKind.NONE, 0, -label - 1
    return label % _KIND_SPAN, label // _KIND_SPAN, Reason.NONE


def _dialling(metadata: PhoneMetadata) -> tuple[int | None, str | None, list[str]]:
    return metadata.country_code, metadata.national_prefix, _idd_literals(metadata)


def _idd_literals(metadata: PhoneMetadata) -> list[str]:
    if not metadata.international_prefix:
        return []
    pattern = parse_pattern(metadata.international_prefix)
    options = pattern.options if isinstance(pattern, Choice) else (pattern,)
    found = {prefix for option in options for prefix in literals(option, _MOST_PREFIXES) or ()}
    return sorted(found, key=lambda prefix: (-len(prefix), prefix))


def build_payload() -> bytes:
    """The table of the installed release: a JSON head, then successors and labels as little-endian uint16."""
    geographic = sorted(phonenumbers.SUPPORTED_REGIONS)
    compiler = Compiler(("", WORLD, *geographic))
    root, starts = compiler.world()
    shorts = {region: compiler.short_codes(region) for region in geographic}
    used = {region: state for region, state in shorts.items() if state is not None}
    labels, successors, numbers = compiler.export([root, *starts.values(), *used.values()])
    distinct = sorted(set(labels))
    index = {label: position for position, label in enumerate(distinct)}
    head = {
        "metadata_version": phonenumbers.__version__,
        "states": len(labels),
        "regions": ["", WORLD, *geographic],
        "labels": [_split_label(label) for label in distinct],
        "starts": {code: numbers[state] for code, state in starts.items()},
        "short_starts": {region: numbers[state] for region, state in used.items()},
        "main_regions": {each.country_code: each.regions[0][0] for each in territories()},
        "dialling": {region: _dialling(_metadata(region)) for region in geographic},
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    table = np.array(successors + [index[label] for label in labels], dtype="<u2")
    return len(text).to_bytes(4, "big") + text + table.tobytes()


def _metadata(region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        raise ValueError("a supported region without metadata")
    return metadata


def main() -> None:
    """Write the table file of this package."""
    packed = pack(build_payload())
    TABLE_PATH.write_bytes(packed)
    sys.stdout.write(f"{TABLE_PATH.name}: {len(packed)} bytes from phonenumbers {phonenumbers.__version__}\n")


if __name__ == "__main__":
    main()
