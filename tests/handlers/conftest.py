"""Gives each test of functions a stack of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from faultdesk import FaultDesk, prepared
from functiondesk import FunctionDesk, function_desk
from memorycloud import MemoryCloud, memory_world
from struckcalls import Calls, struck


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionDesk]:
    """A stack, and its functions as their callers reach them."""
    with function_desk(monkeypatch) as opened:
        yield opened


@pytest.fixture
def account() -> MemoryCloud:
    """An account in memory."""
    return MemoryCloud()


@pytest.fixture
def quick(account: MemoryCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultDesk]:
    """A stack in that account, whose calls may be struck."""
    calls = Calls()
    account.gate = calls.meet
    with (
        function_desk(monkeypatch, nullcontext(memory_world(account))) as opened,
        prepared(opened, calls, monkeypatch) as faults,
    ):
        yield faults


@pytest.fixture
def stubbed(desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultDesk]:
    """A stack in moto, whose calls may be struck on their way through botocore."""
    with struck() as calls, prepared(desk, calls, monkeypatch) as faults:
        yield faults


@pytest.fixture(params=["quick", "stubbed"])
def faults(request: pytest.FixtureRequest) -> FaultDesk:
    """Either of them."""
    opened: FaultDesk = request.getfixturevalue(request.param)
    return opened
