from collections.abc import Iterator

import pytest

from cloudworld import CloudWorld, cloud


@pytest.fixture
def world() -> Iterator[CloudWorld]:
    with cloud() as made:
        yield made
