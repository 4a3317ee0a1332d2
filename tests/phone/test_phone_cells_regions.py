"""Every region's example numbers, as libphonenumber writes them, against libphonenumber itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import phonenumbers
import pytest
from phonenumbers import PhoneNumber, PhoneNumberFormat

from contact_sanitizer.phone.aliases import canonical
from contact_sanitizer.phone.cells import CellReader
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.phone.resolve import Resolver
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.reasons import Reason

ANY_KIND = frozenset(NumberKind) - {NumberKind.NONE}
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
FULL_WIDTH = {ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"}


@cache
def reader(region: str) -> CellReader:
    return CellReader(load_plan(), NumberRules(region, ANY_KIND, frozenset(), placeholders=False))


def examples(region: str) -> list[PhoneNumber]:
    numbers = [phonenumbers.example_number_for_type(region, kind) for kind in range(11)]
    return [number for number in numbers if number is not None]


def e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:]


def only_digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def standard_forms(number: PhoneNumber, region: str) -> list[str]:
    formats = (
        PhoneNumberFormat.NATIONAL,
        PhoneNumberFormat.INTERNATIONAL,
        PhoneNumberFormat.E164,
        PhoneNumberFormat.RFC3966,
    )
    forms = [phonenumbers.format_number(number, form) for form in formats]
    return [*forms, phonenumbers.format_out_of_country_calling_number(number, region)]


def spellings(number: PhoneNumber) -> Iterator[str]:
    digits, code = e164(number), str(number.country_code)
    nsn = digits[len(code) :]
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    abroad = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    yield from (
        f"00{digits}",
        f"00 {abroad[1:]}",
        f"00+{digits}",
        f"00{code}+{nsn}",
        f"({abroad})",
        f"+ {digits}",
    )
    yield from (
        f"'{national}",
        f"{national}\n",
        f" \t{national} ",
        f"\ufeff{national}",
        f"\u202d{national}\u202c",
    )
    yield from (
        f"tel: {national}",
        f"电话：{national}",
        f"{national}（家）",
        f"{national} (home)",
        f"John {national}",
    )
    yield from (
        only_digits(national),
        f"{only_digits(national)}.0",
        f'="{national}"',
        f"{national} / {abroad}",
    )
    yield from (national.translate(FULL_WIDTH), abroad.translate(FULL_WIDTH).replace("+", "＋"))
    yield from (national.replace(" ", "\u00a0"), national.replace("-", "\u2011"), abroad.replace(" ", "·"))
    if load_plan().region_info(load_plan().country_codes[int(code)]).national_prefix == "0":
        yield f"+{code} (0){nsn}"


def misread(region: str, cells: list[str], expected: str) -> list[str]:
    readings = [(cell, reader(region).read(cell)) for cell in cells]
    return [cell for cell, reading in readings if (reading.reason, reading.digits) != (Reason.NONE, expected)]


def test_every_example_number_of_every_region_reads_back_from_its_standard_forms() -> None:
    wrong = [
        (region, misread(region, standard_forms(number, region), e164(number)))
        for region in REGIONS
        for number in examples(region)
    ]
    assert len(wrong) > 1000
    assert [entry for entry in wrong if entry[1]] == []


def test_every_example_number_reads_back_from_abroad() -> None:
    for region in REGIONS:
        for number in examples(region)[:3]:
            form = phonenumbers.format_out_of_country_calling_number(number, "US")
            assert misread("US", [form], e164(number)) == [], region


@pytest.mark.parametrize("part", range(4))
def test_many_spellings_of_one_number_are_one_number_in_every_region(part: int) -> None:
    for region in REGIONS[part::4]:
        for number in examples(region)[:3]:
            cells = list(spellings(number))
            assert len(cells) >= 20
            assert misread(region, cells, e164(number)) == [], region


def test_a_country_code_written_twice_is_read_once_unless_that_is_a_number_by_itself() -> None:
    for region in REGIONS:
        for number in examples(region)[:2]:
            digits, code = e164(number), str(number.country_code)
            twice = code + digits
            expected = twice if load_plan().lookup(twice).is_number else digits
            assert misread(region, ["+" + twice], expected) == [], region


def test_argentine_mobiles_in_their_domestic_form_are_the_numbers_that_libphonenumber_reads() -> None:
    rng = random.Random(15)  # noqa: S311 - a fixed seed, no secret
    resolver = Resolver(load_plan(), "AR")
    compared = 0
    while compared < 400:
        area = rng.choice(["11", "220", "2202", "221", "341", "351", "3541", "2902", "376", "3757", "2477"])
        local = "".join(rng.choice("23456789") for _ in range(10 - len(area)))
        number = phonenumbers.parse(f"0{area}15{local}", "AR")
        if not phonenumbers.is_valid_number(number):
            continue
        compared += 1
        assert resolver.national(f"0{area}15{local}").digits == e164(number)
        assert canonical(f"54{area}15{local}") == e164(number)


def test_canonical_forms_are_made_only_from_old_and_domestic_ones() -> None:
    assert canonical("5215512345678") == "525512345678"
    assert [canonical(digits) for digits in ("525512345678", "5491123456789", "8613812345678", "")] == [
        ""
    ] * 4


def test_a_number_of_another_country_without_plus_is_not_guessed() -> None:
    for region, digits in (("CN", "447911123456"), ("US", "8613812345678"), ("GB", "919876543210")):
        assert reader(region).read(digits).reason in {Reason.TOO_LONG, Reason.INVALID_RANGE}
