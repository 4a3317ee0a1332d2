from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import phonenumbers
import pytest
from phonenumbers import PhoneNumber, PhoneNumberType
from phonenumbers.phonemetadata import PhoneMetadata, PhoneNumberDesc

from contact_sanitizer.errors import PlanError
from contact_sanitizer.phone import plan as plan_module
from contact_sanitizer.phone.compile import Territory, build_payload, territories
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.overrides import OVERRIDES
from contact_sanitizer.phone.pattern import Choice, Digit, Pattern, Repeat, Sequence, parse_pattern
from contact_sanitizer.phone.plan import (
    MAGIC,
    ROOT,
    SYMBOLS,
    TABLE_PATH,
    Plan,
    PlanVerdict,
    load_plan,
    pack,
    read_plan,
    region_info,
)
from contact_sanitizer.reasons import Reason

SMALL_NUMBERS = 200_000
DESCS = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)


@cache
def fresh_payload() -> bytes:
    return build_payload()


# --- the oracle: phonenumbers itself, with the overrides tried one by one as regular expressions


def as_number(country_code: int, national: str) -> PhoneNumber:
    zeros = len(national[:-1]) - len(national[:-1].lstrip("0"))
    return PhoneNumber(
        country_code=country_code,
        national_number=int(national),
        italian_leading_zero=True if zeros else None,
        number_of_leading_zeros=zeros or None,
    )


def said_by_phonenumbers(country_code: int, national: str) -> tuple[str, str] | None:
    if not national:
        return None
    number = as_number(country_code, national)
    region = phonenumbers.region_code_for_number(number)
    kind = phonenumbers.number_type(number)
    if int(national) % 8 == 0:
        # The same work over again for phonenumbers, and as much time as all the rest.
        valid = region is not None and kind != PhoneNumberType.UNKNOWN
        assert phonenumbers.is_valid_number(number) == valid
    if region is None or kind == PhoneNumberType.UNKNOWN:
        return None
    return PhoneNumberType.to_string(kind), region


def expected_number(country_code: int, national: str) -> tuple[str, str] | None:
    found = said_by_phonenumbers(country_code, national)
    for override in OVERRIDES:
        if override.reclassifies and found is None:
            continue
        if re.fullmatch(override.pattern, f"{country_code}{national}"):
            return override.kind.name, override.region
    return found


def expected_reason(territory: Territory, national: str) -> Reason | None:
    """The reason for digits that are no number; None where rules 5 and 6 have to tell."""
    code = territory.country_code
    lengths = territory.lengths()
    in_override = any(live_in_override(override.pattern, f"{code}{national}") for override in OVERRIDES)
    if len(national) > max(lengths) and not in_override:
        return Reason.TOO_LONG
    if len(national) < min(lengths):
        return Reason.TOO_SHORT
    if any(expected_number(code, national[:end]) for end in range(min(lengths), len(national))):
        return Reason.TOO_LONG
    return None


def live_in_override(pattern: str, digits: str) -> bool:
    """True where zeros or some one digit can complete the digits to a string of the override."""
    fills = (fill * count for fill in "0123456789" for count in range(22 - len(digits)))
    return any(re.fullmatch(pattern, digits + fill) for fill in fills)


def witness(plan: Plan, state: int) -> str | None:
    """The shortest digits that lead from a state to a number."""
    paths = {state: ""}
    queue = [state]
    for at in queue:
        if plan.verdict(at).is_number:
            return paths[at]
        for digit in range(10):
            after = int(plan.table[at * SYMBOLS + digit])
            if after not in paths:
                paths[after] = paths[at] + str(digit)
                queue.append(after)
    return None


# --- digit strings to ask about


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - reproducible test data, nothing secret


def sample(pattern: Pattern, rng: random.Random) -> str:
    match pattern:
        case Digit(digits):
            return str(rng.choice(sorted(digits)))
        case Choice(options):
            return sample(rng.choice(options), rng)
        case Repeat(inner, least, most):
            return "".join(sample(inner, rng) for _ in range(rng.randint(least, most)))
        case Sequence(parts):
            return "".join(sample(part, rng) for part in parts)


def patterns_of(territory: Territory) -> list[Pattern]:
    descs = [
        getattr(metadata, name) for _, metadata in territory.regions for name in ("general_desc", *DESCS)
    ]
    return [parse_pattern(desc.national_number_pattern) for desc in descs if desc is not None]


def mutated(digits: str, rng: random.Random) -> str:
    turn = rng.randrange(6)
    if turn == 0:
        return digits[: rng.randrange(len(digits) + 1)]
    if turn == 1:
        return digits + "".join(rng.choices("0123456789", k=rng.randint(1, 4)))
    if turn == 2:
        at = rng.randrange(len(digits))
        return digits[:at] + rng.choice("0123456789") + digits[at + 1 :]
    if turn == 3:
        return "".join(rng.choices("0123456789", k=rng.randint(0, 18)))
    return digits


def nationals(territory: Territory, count: int, rng: random.Random) -> Iterator[str]:
    patterns = patterns_of(territory)
    for _ in range(count):
        yield mutated(sample(rng.choice(patterns), rng), rng)


def check(numbers: int, reasons: int, seed: int) -> None:
    """Compare the plan with phonenumbers on at least `numbers` digit strings, a part also for the reason."""
    plan, rng = load_plan(), seeded(seed)
    all_territories = list(territories())
    each = numbers // len(all_territories) + 1
    with_reason = reasons // len(all_territories) + 1
    for territory in all_territories:
        for turn, national in enumerate(nationals(territory, each, rng)):
            verdict = plan.lookup(f"{territory.country_code}{national}")
            assert said(verdict) == expected_number(territory.country_code, national)
            if turn < with_reason and not verdict.is_number:
                check_reason(plan, territory, national, verdict.reason)


def check_reason(plan: Plan, territory: Territory, national: str, reason: Reason) -> None:
    expected = expected_reason(territory, national)
    if expected is not None:
        assert reason is expected
        return
    completion = witness(plan, plan.state_after(national, plan.start_of(territory.country_code)))
    assert reason is (Reason.INVALID_RANGE if completion is None else Reason.TOO_SHORT)
    if completion is not None:
        assert expected_number(territory.country_code, national + completion) is not None


def said(verdict: PlanVerdict) -> tuple[str, str] | None:
    return (verdict.kind.name, verdict.region) if verdict.is_number else None


# --- the tests


def example_numbers() -> Iterator[tuple[int, str]]:
    for territory in territories():
        for _, metadata in territory.regions:
            for name in DESCS:
                desc: PhoneNumberDesc | None = getattr(metadata, name)
                if desc is not None and desc.example_number:
                    yield territory.country_code, desc.example_number


def test_every_example_number_of_the_metadata_is_read_as_phonenumbers_reads_it() -> None:
    plan, seen = load_plan(), 0
    for country_code, national in example_numbers():
        assert said(plan.lookup(f"{country_code}{national}")) == expected_number(country_code, national)
        seen += 1
    assert seen > 1000


def test_generated_and_mutated_digits_of_all_country_codes_get_the_verdict_of_phonenumbers() -> None:
    check(SMALL_NUMBERS, 5_000, seed=20_260_101)


def test_no_beginning_of_a_valid_number_is_called_an_invalid_range() -> None:
    plan, rng = load_plan(), seeded(7)
    for territory in territories():
        for national in nationals(territory, 60, rng):
            code = str(territory.country_code)
            if plan.lookup(code + national).is_number:
                beginnings = {plan.lookup(code + national[:end]).reason for end in range(len(national))}
                assert beginnings <= {Reason.NONE, Reason.TOO_SHORT, Reason.TOO_LONG}


def test_every_short_string_of_digits_is_judged_by_its_country_code() -> None:
    plan = load_plan()
    codes = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}
    for digits in (format(number, f"0{width}") for width in (1, 2, 3) for number in range(10**width)):
        reason = plan.lookup(digits).reason
        if any(digits.startswith(code) for code in codes):
            assert reason is Reason.TOO_SHORT
            assert plan.country_code(digits) in map(int, codes)
        elif any(code.startswith(digits) for code in codes):
            assert reason is Reason.TOO_SHORT
            assert plan.country_code(digits) == 0
        else:
            assert reason is Reason.INVALID_COUNTRY_CODE
            assert plan.country_code(digits) == 0
    assert plan.lookup("").reason is Reason.TOO_SHORT


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("8613812345678", "MOBILE"),
        ("8614912345678", "MOBILE"),
        ("8613491234567", "SATELLITE"),
        ("8617400123456", "SATELLITE"),
        ("8617491234567", "SATELLITE"),
        ("8614812345678", "IOT"),
        ("8614612345678", "IOT"),
        ("861440012345678", "IOT"),
        ("861064812345678", "IOT"),
        ("861064812345", "FIXED_LINE"),
        ("86106575000011", "SERVICE_PORT"),
        ("8610657500", "SERVICE_PORT"),
        ("8610657500001234567890", "SERVICE_PORT"),
        ("869501312345", "SERVICE_NUMBER"),
        ("864006695210", "SERVICE_NUMBER"),
        ("861096123", "SERVICE_NUMBER"),
        ("86108001234567", "TOLL_FREE"),
        ("911600123456", "SERVICE_NUMBER"),
        ("919876543210", "MOBILE"),
        ("447012345678", "PERSONAL_NUMBER"),
        ("80012345678", "TOLL_FREE"),
    ],
)
def test_a_number_has_the_kind_that_design_and_overrides_give_it(digits: str, expected: str) -> None:
    assert load_plan().lookup(digits).kind.name == expected


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("86138123456789", Reason.TOO_LONG),
        ("861234513812345678", Reason.TOO_LONG),
        ("8615412345678", Reason.INVALID_RANGE),
        ("861381234567", Reason.TOO_SHORT),
        ("86106575000012345678901", Reason.TOO_LONG),
        ("14155552", Reason.TOO_SHORT),
        ("144155526711", Reason.TOO_LONG),
        ("2101234567", Reason.INVALID_COUNTRY_CODE),
        ("0123456789", Reason.INVALID_COUNTRY_CODE),
    ],
)
def test_digits_that_are_no_number_have_the_first_reason_that_holds(digits: str, expected: Reason) -> None:
    assert load_plan().lookup(digits) == PlanVerdict(NumberKind.NONE, "", expected)


def test_every_override_changes_something_and_names_its_source() -> None:
    plan, rng = load_plan(), seeded(3)
    for override in OVERRIDES:
        assert len(override.source) > 20
        drawn = {sample(parse_pattern(override.pattern), rng) for _ in range(300)}
        differing = 0
        for digits in drawn:
            code = plan.country_code(digits)
            before = said_by_phonenumbers(code, digits.removeprefix(str(code)))
            if before is None and override.reclassifies:
                assert not plan.lookup(digits).is_number
            else:
                found = said(plan.lookup(digits))
                assert found == expected_number(code, digits.removeprefix(str(code)))
                differing += before != found == (override.kind.name, override.region)
        assert differing > 0


def test_short_codes_are_those_of_phonenumbers_for_every_region() -> None:
    plan, rng = load_plan(), seeded(11)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        code = phonenumbers.country_code_for_region(region)
        for digits in short_digits(region, rng):
            number = as_number(code, digits)
            expected = phonenumbers.is_valid_short_number_for_region(number, region)
            assert plan.is_short(region, digits) == expected


def short_digits(region: str, rng: random.Random) -> Iterator[str]:
    metadata = PhoneMetadata.short_metadata_for_region(region)
    if metadata is not None and metadata.short_code is not None:
        pattern = metadata.short_code.national_number_pattern
        if pattern is not None:
            yield from (mutated(sample(parse_pattern(pattern), rng), rng) or "1" for _ in range(60))
    yield from ("".join(rng.choices("0123456789", k=rng.randint(1, 8))) for _ in range(20))


def test_a_region_without_short_codes_has_none() -> None:
    assert load_plan().short_start_of("TK") is None
    assert not load_plan().is_short("TK", "911")


def test_dialling_of_a_region_is_that_of_the_metadata() -> None:
    plan = load_plan()
    for region in phonenumbers.SUPPORTED_REGIONS:
        metadata = PhoneMetadata.metadata_for_region(region)
        assert metadata is not None
        dialling = plan.region_info(region)
        assert dialling.country_code == phonenumbers.country_code_for_region(region)
        assert dialling.national_prefix == metadata.national_prefix
        assert metadata.international_prefix is not None
        assert dialling.idd
        assert all(re.fullmatch(metadata.international_prefix, prefix) for prefix in dialling.idd)
    assert region_info("CN").idd == ("00",)
    assert region_info("US").idd == ("011",)
    assert region_info("RU").idd == ("810",)
    assert "0011" in region_info("AU").idd


def test_every_country_code_has_its_main_region_and_a_start() -> None:
    plan = load_plan()
    assert set(plan.country_codes) == set(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    for code, region in plan.country_codes.items():
        assert region == phonenumbers.region_code_for_country_code(code)
        assert plan.start_of(code) == plan.state_after(str(code))


def test_the_columns_of_a_state_say_what_its_verdict_says() -> None:
    plan = load_plan()
    for state in range(len(plan.reasons)):
        verdict = plan.verdict(state)
        assert verdict.kind == plan.kinds[state]
        assert verdict.reason == plan.reasons[state]
        assert verdict.region == plan.regions[plan.region_indices[state]]


def test_padding_symbols_stay_and_all_states_can_be_numbered_in_sixteen_bits() -> None:
    plan = load_plan()
    rows = plan.table.reshape(-1, SYMBOLS)
    assert len(rows) < 2**16
    assert (rows[:, 10:] == np.arange(len(rows))[:, None]).all()
    assert (rows < len(rows)).all()
    assert plan.state_after("", ROOT) == ROOT


def test_the_committed_table_is_what_the_installed_metadata_compiles_to() -> None:
    stored = TABLE_PATH.read_bytes()
    assert pack(fresh_payload()) == stored


def test_a_missing_table_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(tmp_path / "plan.bin")
    assert caught.value.code == "plan_missing"


@pytest.mark.parametrize("at", [0, len(MAGIC), len(MAGIC) + 40, -1])
def test_a_table_with_one_changed_byte_is_refused(at: int, tmp_path: Path) -> None:
    stored = bytearray(TABLE_PATH.read_bytes())
    stored[at] ^= 1
    (tmp_path / "plan.bin").write_bytes(stored)
    with pytest.raises(PlanError) as caught:
        read_plan(tmp_path / "plan.bin")
    assert caught.value.code == "plan_damaged"


def test_a_truncated_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.bin").write_bytes(TABLE_PATH.read_bytes()[:20])
    with pytest.raises(PlanError) as caught:
        read_plan(tmp_path / "plan.bin")
    assert caught.value.code == "plan_damaged"


def test_a_table_of_another_release_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = load_plan().metadata_version.encode()
    other = version[:-1] + (b"0" if version[-1:] != b"0" else b"1")
    path = tmp_path / "plan.bin"
    path.write_bytes(pack(fresh_payload().replace(b'"' + version + b'"', b'"' + other + b'"', 1)))
    assert read_plan(path).metadata_version == other.decode()
    monkeypatch.setattr(plan_module, "TABLE_PATH", path)
    load_plan.cache_clear()
    with pytest.raises(PlanError) as caught:
        load_plan()
    assert caught.value.code == "plan_mismatch"
    monkeypatch.undo()
    load_plan.cache_clear()


def test_the_plan_does_not_import_phonenumbers() -> None:
    source = Path(plan_module.__file__).read_text()
    assert "import phonenumbers" not in source
    assert "from phonenumbers" not in source
