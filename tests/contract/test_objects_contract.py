"""What all stores of small objects promise; a new one is one more entry of `STORES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudworld import AUDIT, cloud
from contact_sanitizer.aws.objects import S3Objects
from contact_sanitizer.embedded.objectfolder import ObjectFolder
from contact_sanitizer.ports import Objects
from logworld import MemoryObjects
from memorycloud import MemoryCloud, memory_world


def _folder(root: Path) -> Iterator[Objects]:
    yield ObjectFolder(root)


def _memory(_root: Path) -> Iterator[Objects]:
    yield MemoryObjects()


def _bucket(_root: Path) -> Iterator[Objects]:
    with cloud() as world:
        yield S3Objects(world.clients.s3, AUDIT, "log/", world.data_key)


def _memory_bucket(_root: Path) -> Iterator[Objects]:
    world = memory_world(MemoryCloud())
    yield S3Objects(world.clients.s3, AUDIT, "log/", world.data_key)


STORES: dict[str, Callable[[Path], Iterator[Objects]]] = {
    "folder": _folder,
    "memory": _memory,
    "bucket": _bucket,
    "bucket in memory": _memory_bucket,
}


@pytest.fixture(params=STORES)
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Objects]:
    yield from STORES[request.param](tmp_path)


def test_what_was_put_is_there_as_it_was(objects: Objects) -> None:
    for data in (b"", b"\0" * 5, b"x" * 100_000):
        assert objects.put("a/b", data, absent=False)
        assert objects.get("a/b") == data
    assert objects.get("a/c") is None
    assert objects.get("a") is None


def test_of_two_that_put_where_nothing_is_the_second_is_told(objects: Objects) -> None:
    assert objects.put("a", b"1", absent=True)
    assert not objects.put("a", b"2", absent=True)
    assert objects.get("a") == b"1"
    assert objects.put("a", b"3", absent=False)
    assert objects.get("a") == b"3"


def test_of_many_at_once_exactly_one_is_first(objects: Objects) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: objects.put("place", b"%d" % n, absent=True), range(32)))
    assert sum(won) == 1
    assert objects.get("place") == b"%d" % won.index(True)


KEYS = [
    "b",
    "a/x001/x000/000",
    "a/x001/002",
    "a/000.p/7",
    "a/000.p/17",
    "a/000",
    "checkpoint",
    "a/x001/001",
    "ab",
]


def test_keys_come_in_order_below_a_prefix_and_after_a_key(objects: Objects) -> None:
    for key in KEYS:
        objects.put(key, b"", absent=True)
    assert list(objects.keys()) == sorted(KEYS)
    for prefix in ("", "a", "a/", "a/000", "a/000.p/", "a/x001/", "c", "none"):
        for after in ("", *KEYS, "a/0", "a/x", "a/x001/001/", "z"):
            expected = [key for key in sorted(KEYS) if key.startswith(prefix) and key > after]
            assert list(objects.keys(prefix, after)) == expected, (prefix, after)


def test_a_deleted_object_is_gone_and_its_place_is_free(objects: Objects) -> None:
    objects.put("a/b", b"1", absent=True)
    objects.delete("a/b")
    objects.delete("a/b")
    objects.delete("never/there")
    assert objects.get("a/b") is None
    assert list(objects.keys()) == []
    assert objects.put("a/b", b"2", absent=True)


ACTS = st.lists(
    st.tuples(st.sampled_from("pPd"), st.sampled_from(["a", "b/c", "b/d", "e.p/1"]), st.binary(max_size=3))
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(acts=ACTS)
def test_a_folder_does_what_a_dictionary_does(
    acts: list[tuple[str, str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    stores: list[Objects] = [ObjectFolder(tmp_path_factory.mktemp("objects")), MemoryObjects()]
    for act, key, data in acts:
        if act == "d":
            for store in stores:
                store.delete(key)
        else:
            first, second = (store.put(key, data, absent=act == "p") for store in stores)
            assert first == second
    folder, memory = ({key: store.get(key) for key in list(store.keys())} for store in stores)
    assert folder == memory
