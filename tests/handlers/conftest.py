"""Gives each test of functions a stack of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from functiondesk import FunctionDesk, function_desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionDesk]:
    """A stack, and its functions as their callers reach them."""
    with function_desk(tmp_path, monkeypatch) as opened:
        yield opened
