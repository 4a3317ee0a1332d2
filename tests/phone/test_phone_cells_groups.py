"""What the groups of a cell say counts, also against digits that together are a number."""

from __future__ import annotations

import pytest

from contact_sanitizer.phone.cells import CellReader
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.phone.rules import NumberRules


def read(cell: str, region: str) -> str:
    rules = NumberRules(region, frozenset({NumberKind.MOBILE}), frozenset(), placeholders=True)
    reading = CellReader(load_plan(), rules).read(cell)
    return reading.reason.word if reading.reason else f"+{reading.digits}"


@pytest.mark.parametrize(
    ("cell", "region", "expected"),
    [
        ("1 (301) 234-5678", "CN", "invalid_range"),
        ("1-301-234-5678", "CN", "invalid_range"),
        ("1.310.555.1234", "CN", "invalid_range"),
        ("+1 (301) 234-5678", "CN", "+13012345678"),
        ("1-415-555-2671", "US", "+14155552671"),
        ("138 1234 5678", "CN", "+8613812345678"),
        ("0160 1234567-8", "DE", "extension"),
        ("+49 160 1234567-8", "DE", "extension"),
        ("0160 1234567 1", "DE", "extension"),
        ("0160 12345678", "DE", "+4916012345678"),
        ("91-98123456", "IN", "too_short"),
        ("(91) 98123456", "IN", "too_short"),
        ("91-9812345678", "IN", "+919812345678"),
        ("98123 45678", "IN", "+919812345678"),
        ("39 12345678", "IT", "invalid_range"),
        ("47 12 34 56", "NO", "+4747123456"),
        ("138 1234 5678（空号）", "CN", "opt_out_note"),
        ("错号 13812345678", "CN", "opt_out_note"),
        ("wrong number 13812345678", "CN", "opt_out_note"),
    ],
)
def test_a_number_is_not_made_of_groups_that_say_otherwise(cell: str, region: str, expected: str) -> None:
    assert read(cell, region) == expected
