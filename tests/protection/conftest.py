from __future__ import annotations

from datetime import UTC, datetime

import pytest

from contact_sanitizer.protection.keyring import Keyring


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def keyring(now: datetime) -> Keyring:
    return Keyring.create("acme", 0x01020304, bytes(range(32)), now)
