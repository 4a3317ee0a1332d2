"""Gives each test of functions a stack of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functiondesk import FunctionDesk, function_desk


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionDesk]:
    """A stack, and its functions as their callers reach them."""
    with function_desk(monkeypatch) as opened:
        yield opened
