"""Where tiles lie and what they hold: the specification's examples, and trees grown in all manners."""

from __future__ import annotations

import random

import pytest

from contact_sanitizer.audit.merkle import EMPTY_ROOT, leaf_hash, root_of
from contact_sanitizer.audit.recompute import Peaks, TileNodes
from contact_sanitizer.audit.tiles import (
    Tile,
    edge,
    index_path,
    join_entries,
    kept_checkpoint_key,
    parse_kept_checkpoint,
    parse_tile,
    split_entries,
    split_hashes,
    width_of,
)
from contact_sanitizer.audit.tree import Tree
from contact_sanitizer.errors import AuditError
from logworld import MemoryObjects


def test_the_examples_of_the_specification_hold() -> None:
    assert index_path(1234067) == "x001/x234/067"
    assert Tile(0, 0).key == "tile/0/000"
    assert Tile(None, 273, 112).key == "tile/entries/273.p/112"
    assert [(tile.level, tile.index, tile.width) for tile in edge(70_000)] == [
        (0, 273, 112),
        (1, 1, 17),
        (2, 0, 1),
    ]
    assert [(tile.level, tile.index, tile.width) for tile in edge(256)] == [(1, 0, 1)]
    assert width_of(0, 273, 70_000) == 112
    assert width_of(1, 0, 70_000) == 256
    assert width_of(1, 2, 70_000) == 0


@pytest.mark.parametrize("number", [0, 7, 255, 256, 999, 1000, 999_999, 1_000_000, 1_234_067])
def test_a_path_leads_back_to_its_number(number: int) -> None:
    for tile in (Tile(0, number), Tile(None, number, 9), Tile(63, number, 255)):
        assert parse_tile(tile.key) == tile
    assert parse_kept_checkpoint(kept_checkpoint_key(number)) == number


@pytest.mark.parametrize(
    "key",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/x000/000",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/data/000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "checkpoint",
    ],
)
def test_what_is_not_quite_a_tiles_path_is_none(key: str) -> None:
    assert parse_tile(key) is None
    assert parse_kept_checkpoint(key.replace("tile/0", "checkpoints")) in {None, *range(3)}


def test_entries_come_out_of_a_bundle_as_they_went_in() -> None:
    entries = [b"", b"a", b"\0" * 65_535, b"{}"]
    assert split_entries(join_entries(entries)) == entries
    assert split_entries(b"") == []
    for data in (b"\0", b"\0\2a", join_entries(entries)[:-1]):
        with pytest.raises(ValueError, match="whole"):
            split_entries(data)
    with pytest.raises(ValueError, match="whole"):
        split_hashes(b"\0" * 33)


def grown(steps: list[int]) -> Tree:
    """A tree that grew by these steps, its files in memory; outgrown partial tiles stay or go by chance."""
    objects, tree = MemoryObjects(), Tree(MemoryObjects(), 0)
    tree = Tree(objects, 0)
    chance = random.Random(sum(steps))  # noqa: S311 - which files stay, not secrets
    for step in steps:
        entries = [b"%d" % (tree.size + number) for number in range(step)]
        tree, files = tree.extended(entries)
        for key, data in files.items():
            assert objects.put(key, data, absent=True)
        now = {tile.key for tile in edge(tree.size)} | {
            f"tile/entries/{tile.key[7:]}" for tile in edge(tree.size)[:1]
        }
        for key in [key for key in objects.data if ".p/" in key and key not in now and chance.random() < 0.5]:
            if chance.random() < 0.5:
                objects.delete(key)
    return Tree(objects, tree.size)


STEPS = [
    [1],
    [255],
    [256],
    [257],
    [1] * 300,
    [100, 156, 1, 255, 256, 600],
    [65_535, 1, 1],
    [65_537],
    [70_000, 300],
]


@pytest.mark.parametrize("steps", STEPS, ids=lambda steps: f"{sum(steps)}-in-{len(steps)}")
def test_a_tree_that_grew_has_the_root_of_its_entries(steps: list[int]) -> None:
    tree = grown(steps)
    hashes = [leaf_hash(b"%d" % number) for number in range(tree.size)]
    assert tree.root() == root_of(hashes)
    sample = range(0, tree.size, max(1, tree.size // 5))
    for index in sample:
        assert next(tree.entries_from(index)) == (index, b"%d" % index)
        assert tree.subtree(index, tree.size) == root_of(hashes[index:]) or index % 2


def test_peaks_give_the_root_of_every_size() -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(600)]
    peaks = Peaks()
    for first in range(0, 600, 256):
        nodes = TileNodes(hashes[first : first + 256])
        for width in range(1, len(hashes[first : first + 256]) + 1):
            assert peaks.root(nodes.peaks(width)) == root_of(hashes[: first + width])
        if first + 256 <= 600:
            peaks.add(8, nodes.peaks(256)[0])
    assert Peaks().root() == EMPTY_ROOT


def test_a_missing_tile_is_damage_and_no_shorter_tree() -> None:
    tree = grown([300])
    assert isinstance(tree.objects, MemoryObjects)
    tree.objects.delete("tile/0/001.p/44")
    with pytest.raises(AuditError, match="audit_damaged"):
        tree.root()
