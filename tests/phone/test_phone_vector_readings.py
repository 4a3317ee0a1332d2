from __future__ import annotations

import random

import numpy as np
import phonenumbers
import pytest

from contact_sanitizer.phone.lanes import ByteColumn, Lanes
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.phone.readings import ColumnResolver, Readings
from contact_sanitizer.phone.resolve import Resolution, Resolver

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def column(strings: list[str]) -> Lanes:
    lengths = np.array([len(string) for string in strings], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    return ByteColumn(np.frombuffer("".join(strings).encode(), dtype=np.uint8)).lanes(starts, lengths)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - reproducible test data, nothing secret


def drawn_digits(region: str, rng: random.Random, count: int) -> list[str]:
    """Digits as people of a region may type them: examples of here and elsewhere, prefixed and damaged."""
    dialling = load_plan().region_info(region)
    code, prefix = str(dialling.country_code), dialling.national_prefix or ""
    found = []
    for _ in range(count):
        digits = national_example(region if rng.random() < 0.7 else rng.choice(REGIONS), rng)
        lead = rng.choice(
            ["", "", code, prefix, code + prefix, prefix + code, "00" + code, rng.choice(dialling.idd), "0"]
        )
        found.append(damaged(lead + digits, rng)[:15] or "1")
    return found


def national_example(region: str, rng: random.Random) -> str:
    kind = rng.choice([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE])
    example = phonenumbers.example_number_for_type(region, kind)
    if example is None:
        return str(rng.randrange(10**8))
    digits = phonenumbers.national_significant_number(example)
    return digits[:-3] + f"{rng.randrange(1000):03d}" if rng.random() < 0.5 else digits


def damaged(digits: str, rng: random.Random) -> str:
    turn = rng.randrange(8)
    at = rng.randrange(len(digits))
    if turn == 0:
        return digits[:at]
    if turn == 1:
        return digits + str(rng.randrange(100))
    if turn == 2:
        return digits[:at] + str(rng.randrange(10)) + digits[at + 1 :]
    if turn == 3:
        return str(rng.randrange(10 ** rng.randint(1, 15)))
    return digits


def read(columns: ColumnResolver, digits: list[str], *, explicit: bool) -> Readings:
    stated = np.full(len(digits), explicit)
    return columns.read(column(digits), stated, np.ones(len(digits), dtype=np.bool_))


def agreed(readings: Readings, expected: list[Resolution]) -> int:
    """The number of decided rows; fails where one differs from the per-row resolver."""
    plan = load_plan()
    blocks = readings.digits.blocks()
    decided = np.flatnonzero(readings.decided).tolist()
    for row in decided:
        verdict = plan.verdict(int(readings.states[row]))
        assert verdict == expected[row].verdict
        if verdict.is_number:
            assert bytes(blocks[row]).rstrip(b"\0").decode() == expected[row].digits
    return len(decided)


@pytest.mark.parametrize("share", range(4))
def test_columns_of_digits_are_read_as_single_ones_in_every_region(share: int) -> None:
    plan, rng = load_plan(), seeded(share)
    decided, total = 0, 0
    for region in REGIONS[share::4]:
        digits = drawn_digits(region, rng, 60)
        resolver, columns = Resolver(plan, region), ColumnResolver(plan, region)
        decided += agreed(read(columns, digits, explicit=False), [resolver.national(each) for each in digits])
        decided += agreed(read(columns, digits, explicit=True), [resolver.explicit(each) for each in digits])
        total += 2 * len(digits)
    assert decided > total * 0.6


def test_ordinary_numbers_of_large_countries_are_all_decided() -> None:
    plan = load_plan()
    for region in ("CN", "US", "IN", "GB", "BR", "DE", "FR", "MX", "ID"):
        dialling = plan.region_info(region)
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        assert example is not None
        national = phonenumbers.national_significant_number(example)
        code, prefix = str(dialling.country_code), dialling.national_prefix or ""
        written = [national, prefix + national, code + national, "00" + code + national, national[:-2]]
        readings = read(ColumnResolver(plan, region), written, explicit=False)
        assert readings.decided.all(), region
        explicit = read(ColumnResolver(plan, region), [code + national], explicit=True)
        assert explicit.decided.all()


def test_lanes_say_what_strings_say() -> None:
    strings = ["", "1", "12345678", "123456789", "1234567890123456", "12a", "1234567890123:", "\u00e9"]
    lanes = ByteColumn(np.frombuffer("".join(strings).encode(), dtype=np.uint8)).lanes(
        np.cumsum([0, *(len(each.encode()) for each in strings[:-1])]),
        np.array([len(each.encode()) for each in strings]),
    )
    assert lanes.all_digits().tolist() == [
        each.isascii() and (each.isdigit() or not each) for each in strings
    ]
    assert lanes.starts_with("12").tolist() == [each.startswith("12") for each in strings]
    texts = [bytes(block).rstrip(b"\0") for block in lanes.prefixed("00").blocks()]
    assert texts == [("00" + each).encode()[:16] for each in strings]
    long = column(["123456789012", "98765432109876"])
    for count in range(9):
        rest = [bytes(block).rstrip(b"\0").decode() for block in long.without_first(count).blocks()]
        assert rest == ["123456789012"[count:], "98765432109876"[count:]]
    assert long.symbols()[0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 12, 12, 12, 12]
