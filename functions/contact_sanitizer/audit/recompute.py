"""Recomputing the tree from the entries: every hash, every tile, the root of every checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from contact_sanitizer.audit.checkpoint import Checkpoint
from contact_sanitizer.audit.merkle import EMPTY_ROOT, node_hash, root_of
from contact_sanitizer.audit.tiles import (
    WIDTH,
    Tile,
    join_hashes,
    parse_tile,
    split_entries,
    width_of,
)
from contact_sanitizer.errors import AuditError

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects


class Peaks:
    """The roots of the full subtrees that a growing tree is made of, largest first."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, height: int, root: bytes) -> None:
        """The next full subtree, of 2 to the power of `height` leaves."""
        while self._peaks and self._peaks[-1][0] == height:
            root = node_hash(self._peaks.pop()[1], root)
            height += 1
        self._peaks.append((height, root))

    def root(self, rest: Iterable[bytes] = ()) -> bytes:
        """The tree's root, with the peaks `rest` of what follows, largest first."""
        whole = [root for _, root in self._peaks] + list(rest)
        if not whole:
            return EMPTY_ROOT
        root = whole[-1]
        for peak in reversed(whole[:-1]):
            root = node_hash(peak, root)
        return root


class TileNodes:
    """The inner nodes of one tile, from its hashes."""

    def __init__(self, hashes: list[bytes]) -> None:
        self._levels = [hashes]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            pairs = zip(below[::2], below[1::2], strict=False)
            self._levels.append([sha256(b"\1" + left + right).digest() for left, right in pairs])

    def peaks(self, width: int) -> list[bytes]:
        """The peaks of the first `width` hashes, largest first."""
        heights = [height for height in range(width.bit_length()) if width >> height & 1]
        return [self._levels[height][(width >> height) - 1] for height in reversed(heights)]


@dataclass
class Recomputation:
    """One walk over all entries of a log whose newest checkpoint says `size`."""

    objects: Objects
    checkpoints: list[Checkpoint]
    keys: Iterable[str]
    _stored: dict[tuple[int | None, int], set[int]] = field(default_factory=dict)
    _rows: dict[int, list[bytes]] = field(default_factory=dict)
    _peaks: Peaks = field(default_factory=Peaks)
    _done: int = 0

    def __post_init__(self) -> None:
        self._size = self.checkpoints[-1].size
        for key in self.keys:
            if tile := parse_tile(key):
                self._stored.setdefault((tile.level, tile.index), set()).add(tile.width)

    def walk(self, advance: Callable[[int], None]) -> Iterator[tuple[int, list[bytes], list[bytes]]]:
        """Bundle by bundle: the number of its first entry, its entries, their hashes, once they fit.

        `AuditError` names the first thing that does not: `entries_missing`, `entries_damaged`,
        `tile_missing`, `tile_altered`, `event_altered`, `checkpoint_inconsistent`.
        """
        self._compare_roots(0, None)
        for index in range(-(-self._size // WIDTH)):
            data, entries = self._entries(index)
            hashes = [sha256(b"\0" + entry).digest() for entry in entries]
            self._compare_leaves(index, hashes)
            self._compare_partials(None, index, data, len(entries))
            nodes = TileNodes(hashes)
            self._compare_roots(index * WIDTH, nodes)
            yield index * WIDTH, entries, hashes
            if len(hashes) == WIDTH:
                root = nodes.peaks(WIDTH)[0]
                self._peaks.add(8, root)
                self._rise(1, index, root)
            advance(len(entries))
        for level, row in sorted(self._rows.items()):
            if row:
                self._compare_tile(level, self._size >> (8 * (level + 1)), row)

    def beyond(self) -> list[str]:
        """The keys of tiles and bundles that reach beyond the newest checkpoint."""
        found = [
            Tile(level, index, width)
            for (level, index), widths in self._stored.items()
            for width in widths
            if index * WIDTH + width > self._size >> (8 * (level or 0))
        ]
        return sorted(tile.key for tile in found)

    def _entries(self, index: int) -> tuple[bytes, list[bytes]]:
        """A bundle as it is stored, and those of its entries that are in this tree."""
        width = width_of(0, index, self._size)
        first, last = index * WIDTH, index * WIDTH + width - 1
        data = self._bytes(None, index, width)
        if data is None:
            raise AuditError("entries_missing", f"the events {first} to {last} are missing")
        try:
            entries = split_entries(data)
        except ValueError:
            entries = []
        if len(entries) != (WIDTH if width not in self._stored[None, index] else width):
            raise AuditError("entries_damaged", f"the bundle of the events {first} to {last} is damaged")
        return data, entries[:width]

    def _compare_leaves(self, index: int, hashes: list[bytes]) -> None:
        """Compare with the stored tile; where they differ, the tree above knows which of the two is right."""
        stored = self._tile(0, index, len(hashes))
        if stored == join_hashes(hashes):
            self._compare_partials(0, index, stored, len(hashes))
            return
        at = next(n for n, value in enumerate(hashes) if stored[32 * n : 32 * n + 32] != value)
        if self._is_signed(index, hashes):
            key = Tile(0, index, len(hashes)).key
            raise AuditError("tile_altered", f"the tile {key} is not that of its events")
        raise AuditError("event_altered", f"event {index * WIDTH + at} is not the one that was sealed")

    def _is_signed(self, index: int, hashes: list[bytes]) -> bool:
        """Whether these hashes are those that the tree above rests on."""
        if len(hashes) < WIDTH:
            return self._peaks.root(TileNodes(hashes).peaks(len(hashes))) == self.checkpoints[-1].root
        above, offset = divmod(index, WIDTH)
        row = self._bytes(1, above, width_of(1, above, self._size)) or b""
        return row[32 * offset : 32 * offset + 32] == root_of(hashes)

    def _compare_roots(self, first: int, nodes: TileNodes | None) -> None:
        """Compare the roots of the checkpoints whose trees end in this tile."""
        while self._done < len(self.checkpoints):
            checkpoint = self.checkpoints[self._done]
            width = checkpoint.size - first
            if width > (WIDTH if nodes else 0):
                return
            if self._peaks.root(nodes.peaks(width) if nodes and width else ()) != checkpoint.root:
                before = self.checkpoints[self._done - 1].size if self._done else 0
                raise AuditError(
                    "checkpoint_inconsistent",
                    f"checkpoint {checkpoint.number} is not of these events:"
                    f" one of the events {before} to {checkpoint.size - 1} was not so when it was signed",
                )
            self._done += 1

    def _rise(self, level: int, position: int, root: bytes) -> None:
        """The root of the full tile number `position` goes into the tile above, at `level`."""
        row = self._rows.setdefault(level, [])
        row.append(root)
        if len(row) == WIDTH:
            above = position // WIDTH
            self._compare_tile(level, above, row)
            self._rows[level] = []
            self._rise(level + 1, above, root_of(row))

    def _compare_tile(self, level: int, index: int, row: list[bytes]) -> None:
        if self._tile(level, index, len(row)) != join_hashes(row):
            key = Tile(level, index, len(row)).key
            raise AuditError("tile_altered", f"the tile {key} is not that of the tiles below it")
        self._compare_partials(level, index, join_hashes(row), len(row))

    def _compare_partials(self, level: int | None, index: int, whole: bytes, count: int) -> None:
        """Compare the narrower copies that earlier seals left with what the tile of `count` became."""
        for width in sorted(self._stored[level, index]):
            if width >= min(count + 1, WIDTH):
                continue  # itself, or one that lies beyond the newest checkpoint
            key = Tile(level, index, width).key
            partial = self.objects.get(key) or b""
            fits = _holds(partial, width) if level is None else len(partial) == 32 * width
            if not fits or not whole.startswith(partial):
                code = "entries_damaged" if level is None else "tile_altered"
                raise AuditError(code, f"{key} is not what it was")

    def _tile(self, level: int, index: int, width: int) -> bytes:
        """The stored tile, so far as it reaches in this tree."""
        data = self._bytes(level, index, width)
        key = Tile(level, index, width).key
        if data is None:
            raise AuditError("tile_missing", f"the tile {key} is missing")
        if len(data) != 32 * width:
            raise AuditError("tile_altered", f"the tile {key} is not {width} hashes long")
        return data

    def _bytes(self, level: int | None, index: int, width: int) -> bytes | None:
        """What is stored of a tile: as wide as it is in this tree, or full where that came later."""
        for candidate in (width, WIDTH):
            if candidate in self._stored.get((level, index), ()):
                data = self.objects.get(Tile(level, index, candidate).key) or b""
                cut = candidate > width and level is not None
                return data[: 32 * width] if cut else data
        return None


def _holds(partial: bytes, width: int) -> bool:
    try:
        return len(split_entries(partial)) == width
    except ValueError:
        return False
