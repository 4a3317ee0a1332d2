"""A sealed tree, read from its tiles: any subtree's hash, any entry, and what a longer tree adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contact_sanitizer.audit.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of, split
from contact_sanitizer.audit.tiles import (
    WIDTH,
    Tile,
    edge,
    join_entries,
    join_hashes,
    split_entries,
    split_hashes,
    width_of,
)
from contact_sanitizer.errors import AuditError

if TYPE_CHECKING:  # a seal function carries neither NumPy nor Arrow, which the other ports name
    from contact_sanitizer.ports import Objects


@dataclass
class Tree:
    """The tree of the first `size` entries. Does not promise that the tiles are right: compare `root()`."""

    objects: Objects
    size: int
    _hashes: dict[tuple[int, int], list[bytes]] = field(default_factory=dict)

    def root(self) -> bytes:
        """The root, from the tiles."""
        return self.subtree(0, self.size) if self.size else EMPTY_ROOT

    def subtree(self, start: int, end: int) -> bytes:
        """The hash of the leaves `start` to `end`, which is `merkle.SubtreeHash`."""
        size = end - start
        if size & (size - 1) == 0 and start % size == 0:
            return self._full(start, size.bit_length() - 1)
        middle = start + split(size)
        return node_hash(self.subtree(start, middle), self.subtree(middle, end))

    def _full(self, start: int, height: int) -> bytes:
        """The hash of the full subtree of that height that begins at leaf `start`."""
        level = min(height // 8, 63)
        first, count = start >> (8 * level), 1 << (height - 8 * level)
        index, offset = divmod(first, WIDTH)
        return root_of(self.hashes(level, index)[offset : offset + count])

    def hashes(self, level: int, index: int) -> list[bytes]:
        """The hashes of one tile, as wide as it is in this tree."""
        if (level, index) not in self._hashes:
            self._hashes[level, index] = split_hashes(self._bytes(level, index))
        return self._hashes[level, index]

    def entries(self, index: int) -> list[bytes]:
        """The entries of one bundle, as many as there are in this tree."""
        try:
            entries = split_entries(self._bytes(None, index))
        except ValueError:
            raise AuditError("audit_damaged", "a bundle of audit events is damaged") from None
        return entries[: width_of(0, index, self.size)]

    def entries_from(self, first: int) -> Iterator[tuple[int, bytes]]:
        """The entries from number `first` on, each with its number."""
        for index in range(first // WIDTH, -(-self.size // WIDTH)):
            for offset, entry in enumerate(self.entries(index)):
                if index * WIDTH + offset >= first:
                    yield index * WIDTH + offset, entry

    def _bytes(self, level: int | None, index: int) -> bytes:
        """A tile's bytes; a partial one may have grown full since, and holds the same in front."""
        width = width_of(level or 0, index, self.size)
        data = self.objects.get(Tile(level, index, width).key)
        if data is None and width < WIDTH:
            data = self.objects.get(Tile(level, index).key)
        if data is None:
            raise AuditError("audit_damaged", "a tile of the audit log is missing")
        return data if level is None else data[: width * 32]

    def extended(self, entries: Sequence[bytes]) -> tuple[Tree, dict[str, bytes]]:
        """The tree with `entries` after its own, and the files that it adds, by key.

        The new root rests on this tree's edge alone, so it is consistent with this tree's root.
        """
        known = {
            (tile.level or 0, tile.index): self.hashes(tile.level or 0, tile.index)
            for tile in edge(self.size)
        }
        first = self.size // WIDTH
        bundle = self.entries(first) if self.size % WIDTH else []
        bundles = _cut(first, [*bundle, *entries])
        files = {Tile(None, index, len(part)).key: join_entries(part) for index, part in bundles}
        hashes, level = [leaf_hash(entry) for entry in entries], 0
        while hashes:
            first = self.size >> (8 * (level + 1))
            tiles = _cut(first, [*known.get((level, first), []), *hashes])
            known.update({(level, index): part for index, part in tiles})
            files.update({Tile(level, index, len(part)).key: join_hashes(part) for index, part in tiles})
            hashes = [root_of(part) for _, part in tiles if len(part) == WIDTH]
            level += 1
        return Tree(self.objects, self.size + len(entries), known), files


def _cut(first: int, row: list[bytes]) -> list[tuple[int, list[bytes]]]:
    """A row of hashes or entries in tiles, each with its index; the last one may be partial."""
    return [(first + at // WIDTH, row[at : at + WIDTH]) for at in range(0, len(row), WIDTH)]
