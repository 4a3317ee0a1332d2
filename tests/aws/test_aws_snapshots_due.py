from __future__ import annotations

import pytest

from contact_sanitizer.aws.snapshotmaking import is_due
from contact_sanitizer.screening.snapshot import most_behind


@pytest.mark.parametrize(
    ("change", "due"), [(0, 501), (2_000, 501), (100_000, 1_001), (1_000_000, 1_001), (10_000_000, 5_001)]
)
def test_a_snapshot_is_refreshed_before_a_list_has_to_read_many_people(change: int, due: int) -> None:
    assert not is_due(due - 1, change)
    assert is_due(due, change)


@pytest.mark.parametrize("change", [0, 999, 49_999, 1_000_000, 4_000_000, 100_000_000])
def test_a_snapshot_is_refreshed_long_before_it_no_longer_serves(change: int) -> None:
    assert is_due(most_behind(change) // 2 + 1, change)
