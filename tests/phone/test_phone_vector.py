from __future__ import annotations

import csv
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from contact_sanitizer.errors import PolicyError
from contact_sanitizer.phone.cells import CellReader
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.phone.vector import VectorReader, VectorResult
from contact_sanitizer.reasons import Reason

CELLS = Path(__file__).parent / "data" / "phone_cells.csv"
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
LARGE = ("CN", "US", "IN", "GB", "BR", "DE", "MX", "AR", "AU", "HK", "JP", "RU", "IT", "SG")
TYPES = (
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE,
)
FULL_WIDTH = str.maketrans("0123456789+-() ", "０１２３４５６７８９＋－（）　")
ODD_CHARACTERS = "  --..()+'\t\u00a0\u3000\u200e\ufeff/,;#x*年张aE\n٣①~="


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - reproducible test data, nothing secret


def rules_for(
    region: str, *, placeholders: bool = True, regions: frozenset[str] = frozenset()
) -> NumberRules:
    return NumberRules(region, frozenset({NumberKind.MOBILE, NumberKind.TOLL_FREE}), regions, placeholders)


# --- cells to read


@cache
def examples(*regions: str) -> list[phonenumbers.PhoneNumber]:
    found = [phonenumbers.example_number_for_type(region, kind) for region in regions for kind in TYPES]
    return [number for number in found if number is not None]


def varied(number: phonenumbers.PhoneNumber, rng: random.Random) -> phonenumbers.PhoneNumber:
    """The number with other last digits, mostly."""
    national = phonenumbers.national_significant_number(number)
    if rng.random() < 0.2:
        return number
    digits = national[:-4] + f"{rng.randrange(10_000):04d}"
    other = phonenumbers.PhoneNumber(country_code=number.country_code, national_number=int(digits))
    other.italian_leading_zero = number.italian_leading_zero
    other.number_of_leading_zeros = number.number_of_leading_zeros
    return other


def written(number: phonenumbers.PhoneNumber, region: str, rng: random.Random) -> str:
    """One of the ways in which people write a number in a list of some region."""
    code, national = str(number.country_code), phonenumbers.national_significant_number(number)
    dialling = load_plan().region_info(region)
    prefix = dialling.national_prefix or "0"
    ways: list[Callable[[], str]] = [
        lambda: national,
        lambda: prefix + national,
        lambda: code + national,
        lambda: "+" + code + national,
        lambda: "00" + code + national,
        lambda: rng.choice(dialling.idd) + code + national,
        lambda: phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
        lambda: phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
        lambda: phonenumbers.format_out_of_country_calling_number(number, region),
        lambda: f"+{code} ({prefix}) {national}",
        lambda: f"(+{code}) {national}",
        lambda: code + code + national,
        lambda: prefix + code + national,
        lambda: rng.choice(["17951", "12593", "015", "021"]) + national,
        lambda: "-".join(national[at : at + 3] for at in range(0, len(national), 3)),
        lambda: "".join(digit + rng.choice(["", "", "", " ", "-", ".", "("]) for digit in national),
    ]
    return rng.choice(ways)()


def worn(cell: str, rng: random.Random) -> str:  # noqa: PLR0911 - a table of accidents
    """The cell as it comes out of other programs, and what accidents make of it."""
    turn = rng.randrange(24)
    at = rng.randrange(len(cell) + 1)
    if turn == 0:
        return cell.translate(FULL_WIDTH)
    if turn == 1:
        return rng.choice([cell + ".0", cell + ".00", cell + ".5", cell + ".0 "])
    if turn == 2:
        return rng.choice(["'", "\t", " ", "\ufeff", "\u202d", "(", "-", "''", "' "]) + cell
    if turn == 3:
        return cell + rng.choice([" ", ")", "-", "\u202c", "+", ".", "\t", "'", "-1234", " 2", "(家)", "#12"])
    if turn in {4, 5}:
        return cell[:at]
    if turn == 6:
        return cell[:at] + str(rng.randrange(10 ** rng.randint(1, 6))) + cell[at:]
    if turn in {7, 8}:
        return cell[:at] + rng.choice(ODD_CHARACTERS) + cell[at:]
    if turn == 9:
        return cell.replace(" ", rng.choice(["\u00a0", "  ", "", "-", "\u2009"]))
    if turn == 10:
        return cell[: at // 2] + rng.choice("0123456789") * rng.randint(4, 12)
    return cell


def strange(rng: random.Random) -> str:
    """Cells that are no number, or look like one."""
    ways: list[Callable[[], str]] = [
        lambda: "",
        lambda: " " * rng.randrange(5) + "\t" * rng.randrange(2),
        lambda: rng.choice(
            ["-", "--", ".", "()", "+", "'", "无", "n/a", "0", "00", "000", "0000000", "...", "已退订"]
        ),
        lambda: str(rng.randrange(10 ** rng.randint(1, 20))),
        lambda: str(rng.randrange(1, 80_000)),
        lambda: rng.choice("-./ ").join(
            map(str, (rng.randint(1900, 2099), rng.randint(1, 13), rng.randint(1, 32)))
        ),
        lambda: f"{rng.randrange(100_000)}.{rng.randrange(1000)}",
        lambda: "11010119900307" + f"{rng.randrange(10_000):04d}",
        lambda: "110102" + f"{rng.randrange(510101, 991231)}" + "123",
        lambda: "0123456789012345"[rng.randrange(5) :][: rng.randint(5, 12)],
        lambda: "9876543210987654"[rng.randrange(5) :][: rng.randint(5, 12)],
        lambda: (
            rng.choice(["", "86", "+86", "0086", "1", "+1"]) + str(rng.randrange(10)) * rng.randint(1, 13)
        ),
        lambda: rng.choice(
            [
                "13800138000",
                "+8613800138000",
                "12345678910",
                "138-0013-8000",
                "13888888888",
                "+86 13888888888",
            ]
        ),
        lambda: "".join(rng.choices("0123456789 -.()+", k=rng.randint(1, 20))),
        lambda: (
            rng.choice(["106", "95", "400", "1064", "146", "149", "1349"])
            + str(rng.randrange(10 ** rng.randint(3, 10)))
        ),
    ]
    return rng.choice(ways)()


def drawn(region: str, rng: random.Random, count: int) -> list[str]:
    here, anywhere = examples(region) or examples("CN"), examples(*REGIONS)
    cells = []
    for _ in range(count):
        if rng.random() < 0.2:
            cells.append(strange(rng))
        else:
            number = varied(rng.choice(here if rng.random() < 0.7 else anywhere), rng)
            cells.append(worn(written(number, region, rng), rng))
    return cells


# --- comparing the two paths


@cache
def paths(rules: NumberRules) -> tuple[VectorReader, CellReader]:
    return VectorReader(load_plan(), rules), CellReader(load_plan(), rules)


def compare(cells: list[str], rules: NumberRules) -> int:
    """The number of cells decided by columns; fails at the first that differs."""
    plan = load_plan()
    columns, reader = paths(rules)
    result = columns.read(pa.array(cells, pa.string()))
    undecided = set(result.undecided.tolist())
    for row, cell in enumerate(cells):
        if row in undecided:
            assert said_nothing(result, row)
            continue
        reading = reader.read(cell)
        region = plan.regions[result.regions[row]]
        found = (int(result.reasons[row]), block(result, row), NumberKind(result.kinds[row]), region)
        expected = (reading.reason, reading.digits, reading.kind or NumberKind.NONE, reading.region or "")
        assert found == expected, ascii(cell)
    return len(cells) - len(undecided)


def block(result: VectorResult, row: int) -> str:
    return bytes(result.blocks[row]).rstrip(b"\0").decode()


def said_nothing(result: VectorResult, row: int) -> bool:
    return not (result.reasons[row] or result.kinds[row] or result.regions[row] or result.blocks[row].any())


def check(cells: int, seed: int) -> float:
    """Compare both paths on at least so many generated cells of all regions; the share decided by columns."""
    rng, decided, total = seeded(seed), 0, 0
    anywhere = [*REGIONS, *LARGE * 4]
    each = cells // len(anywhere) + 1
    for turn, region in enumerate(anywhere):
        regions = frozenset({region}) if turn % 5 == 0 else frozenset()
        rules = rules_for(region, placeholders=turn % 4 != 0, regions=regions)
        decided += compare(drawn(region, rng, each), rules)
        total += each
    return decided / total


# --- the tests


def test_generated_and_damaged_cells_of_all_regions_are_read_as_the_per_row_path_reads_them() -> None:
    assert check(50_000, seed=20_260_102) > 0.6


def test_every_cell_of_the_design_is_read_alike_or_left_alone() -> None:
    with CELLS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 50
    for row in rows:
        compare([row["cell"]], rules_for(row["default_region"]))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.lists(
        st.text(
            alphabet=st.sampled_from("0123456789" * 3 + " -.()+'\t\u00a0\u3000\uff11\u0661/x\n"), max_size=22
        )
    ),
    st.sampled_from(LARGE),
)
def test_any_text_is_read_alike_or_left_alone(cells: list[str], region: str) -> None:
    compare(cells, rules_for(region))


@pytest.mark.parametrize("region", ["CN", "US", "IN", "GB", "BR", "DE"])
def test_the_ordinary_spellings_of_a_large_country_are_decided_by_columns(region: str) -> None:
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    assert example is not None
    national = phonenumbers.national_significant_number(example)
    dialling = load_plan().region_info(region)
    code, prefix = str(dialling.country_code), dialling.national_prefix or ""
    half = len(national) // 2
    cells = [
        national,
        prefix + national,
        code + national,
        "+" + code + national,
        f"+{code} {national}",
        f"{national[:half]}-{national[half:]}",
        f"({national[:3]}) {national[3:]}",
        national.translate(FULL_WIDTH),
        f"\u202d{national}\u202c",
        national + ".0",
        "'" + national,
        national[:-2],
        "",
        "+14155550123",
    ]
    assert compare(cells, rules_for(region)) == len(cells)


@pytest.mark.parametrize("cell", ["006838888888", "+6838888888", "868888888", "0", "860", "86-13888888888"])
def test_a_number_that_nobody_has_is_found_in_every_spelling(cell: str) -> None:
    for region in ("CN", "US"):
        compare([cell] * 3, rules_for(region))
    assert VectorReader(load_plan(), rules_for("CN")).read(pa.array([cell])).reasons[0] == Reason.PLACEHOLDER


def test_slices_large_strings_and_empty_columns_are_read() -> None:
    reader = VectorReader(load_plan(), rules_for("CN"))
    cells = ["x", "13812345678", "+86 138-1234-5678", "13812345678.0"]
    for kind in (pa.string(), pa.large_string()):
        result = reader.read(pa.array(cells, kind).slice(1, 2))
        assert result.reasons.tolist() == [Reason.NONE, Reason.NONE]
        assert [block(result, row) for row in range(2)] == ["8613812345678"] * 2
        assert len(reader.read(pa.array([], kind)).undecided) == 0
        assert reader.read(pa.array(["", ""], kind)).reasons.tolist() == [Reason.EMPTY] * 2


def test_columns_longer_than_one_stretch_are_read_in_order() -> None:
    cells = ["13812345678", "", "张三", "1381234567"] * 20_000
    result = VectorReader(load_plan(), rules_for("CN")).read(pa.array(cells))
    assert result.undecided.tolist() == list(range(2, 80_000, 4))
    assert (result.reasons.reshape(-1, 4) == [Reason.NONE, Reason.EMPTY, 0, Reason.TOO_SHORT]).all()
    assert (result.blocks.reshape(-1, 4, 16).any(axis=2) == [True, False, False, False]).all()


def test_an_unknown_default_region_is_refused_by_the_policy_s_name() -> None:
    with pytest.raises(PolicyError) as caught:
        VectorReader(load_plan(), rules_for("XX"))
    assert caught.value.code == "policy_invalid"


def test_nothing_of_a_cell_is_in_a_repr() -> None:
    result = VectorReader(load_plan(), rules_for("CN")).read(pa.array(["13812345678"]))
    assert repr(result) == "VectorResult(1 rows, 0 undecided)"
