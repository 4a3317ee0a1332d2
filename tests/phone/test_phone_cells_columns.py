from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from contact_sanitizer.errors import PolicyError
from contact_sanitizer.phone.cells import CellReader
from contact_sanitizer.phone.foreign import looks_foreign
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.reasons import Reason

RULES = NumberRules("CN", frozenset({NumberKind.MOBILE}), frozenset(), placeholders=True)
CELLS = [
    "13812345678",
    "手机:139 1234 5679",
    "",
    "010-64812345",
    "13812345678(已退订)",
    "+852 9123 4567",
    "10657500001112345",
    "138****5678",
    "DNC 13912345679 / +1 415 555 2671",
]


def block(digits: str) -> bytes:
    return digits.encode().ljust(16, b"\0")


def test_a_column_says_for_every_cell_what_the_reader_of_cells_says() -> None:
    normalizer = Normalizer(RULES)
    numbers = normalizer.normalize(pa.array(CELLS))
    reader = CellReader(load_plan(), RULES)
    readings = [reader.read(cell) for cell in CELLS]
    assert numbers.reasons.tolist() == [reading.reason for reading in readings]
    assert [row.tobytes() for row in numbers.blocks] == [block(reading.digits) for reading in readings]
    assert numbers.kinds.tolist() == [reading.kind or 0 for reading in readings]
    assert [normalizer.regions[row] for row in numbers.regions] == [
        reading.region or "" for reading in readings
    ]


def test_a_column_has_fixed_types_and_gives_all_refused_numbers() -> None:
    numbers = Normalizer(RULES).normalize(pa.array(CELLS))
    columns = (numbers.reasons, numbers.blocks, numbers.kinds, numbers.regions)
    assert [column.dtype.name for column in columns] == ["uint8", "uint8", "uint8", "uint16"]
    assert numbers.blocks.shape == (len(CELLS), 16)
    refused = [row.tobytes() for row in numbers.refused]
    assert refused == [block("8613812345678"), block("8613912345679"), block("14155552671")]
    assert 0 < numbers.per_row < len(numbers)


def test_an_empty_column_and_one_without_refusals_have_empty_arrays_of_the_same_shapes() -> None:
    for cells in ([], ["13812345678"]):
        numbers = Normalizer(RULES).normalize(pa.array(cells, pa.string()))
        assert (len(numbers), numbers.blocks.shape) == (len(cells), (len(cells), 16))
        assert numbers.refused.shape == (0, 16)


def test_a_slice_and_a_large_string_column_are_read_as_they_stand() -> None:
    normalizer = Normalizer(RULES)
    whole = normalizer.normalize(pa.array(CELLS))
    part = normalizer.normalize(pa.array(CELLS).slice(1, 4))
    large = normalizer.normalize(pa.array(CELLS, pa.large_string()))
    assert part.blocks.tolist() == whole.blocks[1:5].tolist()
    assert large.reasons.tolist() == whole.reasons.tolist()


def test_columns_of_numbers_show_nothing_of_their_cells() -> None:
    numbers = Normalizer(RULES).normalize(pa.array(CELLS))
    assert f"{numbers!r} {numbers}" == "Numbers(9 cells) Numbers(9 cells)"


def test_an_unknown_default_region_is_refused() -> None:
    rules = NumberRules("ZZ", RULES.allow_kinds, frozenset(), placeholders=True)
    with pytest.raises(PolicyError, match="policy_invalid"):
        Normalizer(rules)


def mobiles(count: int) -> list[str]:
    rng = random.Random(86)  # noqa: S311 - a fixed seed, no secret
    heads = ["138", "139", "150", "158", "176", "186", "199"]
    return [rng.choice(heads) + "".join(rng.choices("0123456789", k=8)) for _ in range(count)]


def share_foreign(cells: list[str], region: str) -> float:
    rules = NumberRules(region, RULES.allow_kinds, frozenset(), placeholders=True)
    column = pa.array(cells)
    return looks_foreign(column, Normalizer(rules).normalize(column).reasons, region) / len(cells)


@pytest.mark.parametrize("region", ["US", "GB", "IN", "JP"])
def test_chinese_mobiles_in_another_countrys_list_look_foreign(region: str) -> None:
    assert share_foreign(mobiles(500), region) > 0.2


def test_a_countrys_own_numbers_do_not_look_foreign() -> None:
    assert share_foreign(["1" + str(4155550100 + number) for number in range(200)], "US") == 0
    assert share_foreign(mobiles(200), "CN") == 0
    assert looks_foreign(pa.array([], pa.string()), np.zeros(0, np.uint8), "US") == 0


def test_only_refused_cells_look_foreign() -> None:
    cells = pa.array(["13812345678", "15012345678"])
    assert looks_foreign(cells, np.array([Reason.INVALID_RANGE, 0], np.uint8), "US") == 1
