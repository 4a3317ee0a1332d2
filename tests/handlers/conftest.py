"""Makes what the tests of functions share importable by its own name, and gives each a stack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from functiondesk import FunctionDesk, function_desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionDesk]:
    """A stack, and its functions as their callers reach them."""
    with function_desk(tmp_path, monkeypatch) as opened:
        yield opened
