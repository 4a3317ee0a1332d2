"""A place with a list of ten people, and two senders."""

from __future__ import annotations

from pathlib import Path

import pytest

from counter import Counter, counter_at


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return counter_at(tmp_path)
