"""Makes what tests share importable by its own name, and closes what a test left open."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _closed_workspaces() -> Iterator[None]:
    yield
    from desk import OPENED  # noqa: PLC0415 - the path is set above

    while OPENED:
        OPENED.pop().close()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their number: compressed ones hold the time, and all processes must agree."""
    return f"{len(val)}-bytes" if isinstance(val, bytes) else None
