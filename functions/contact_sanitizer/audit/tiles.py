"""Where the log's files lie and how they are written: C2SP tlog-tiles, as pure functions.

Tiles of 256 hashes at `tile/LEVEL/INDEX`, bundles of 256 entries at `tile/entries/INDEX`; those at the right
edge of a tree are partial, and named for their width. Besides, in the same manner, every checkpoint that was
ever signed at `checkpoints/NUMBER`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contact_sanitizer.audit.merkle import HASH_BYTES

WIDTH: Final = 256
LONGEST_ENTRY: Final = (1 << 16) - 1
CHECKPOINT: Final = "checkpoint"
_PREFIX: Final = struct.Struct(">H")
"""An entry's length, before it."""
_PATH = re.compile(r"tile/(entries|0|[1-9]\d?)/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?\Z")
_KEPT = re.compile(r"checkpoints/((?:x\d{3}/)*\d{3})\Z")


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile or, where `level` is None, one bundle of entries. `width`: 1 to 256."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def key(self) -> str:
        """Its path."""
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{index_path(self.index)}{partial}"


def index_path(index: int) -> str:
    """A number as path elements of three digits, all but the last marked with `x`: `x001/x234/067`."""
    elements = [f"{index % 1000:03}"]
    while index := index // 1000:
        elements.append(f"x{index % 1000:03}")
    return "/".join(reversed(elements))


def kept_checkpoint_key(number: int) -> str:
    """Where the checkpoint of that number is kept."""
    return f"checkpoints/{index_path(number)}"


def parse_tile(key: str) -> Tile | None:
    """The tile that lies at `key`, or None where that is no tile's place."""
    found = _PATH.match(key)
    if not found:
        return None
    level, index, width = found.groups()
    tile = Tile(None if level == "entries" else int(level), _index(index), int(width or WIDTH))
    return tile if tile.key == key and tile.width <= WIDTH and (tile.level or 0) < 64 else None


def parse_kept_checkpoint(key: str) -> int | None:
    """The number of the checkpoint that is kept at `key`, or None."""
    found = _KEPT.match(key)
    number = _index(found.group(1)) if found else -1
    return number if number >= 0 and kept_checkpoint_key(number) == key else None


def _index(path: str) -> int:
    return int(path.replace("x", "").replace("/", ""))


def width_of(level: int, index: int, size: int) -> int:
    """How wide that tile is in a tree of `size` entries: 0 where it has none, 256 where it is full."""
    return max(0, min(WIDTH, (size >> (8 * level)) - index * WIDTH))


def edge(size: int) -> list[Tile]:
    """The last tile of each level in a tree of that size, lowest level first; empty ones are left out."""
    tiles, level = [], 0
    while at_level := size >> (8 * level):
        if width := at_level % WIDTH:
            tiles.append(Tile(level, at_level // WIDTH, width))
        level += 1
    return tiles


def join_hashes(hashes: Sequence[bytes]) -> bytes:
    """A tile's bytes."""
    return b"".join(hashes)


def split_hashes(data: bytes) -> list[bytes]:
    """The hashes of a tile; `ValueError` where the bytes are no whole number of them."""
    if len(data) % HASH_BYTES:
        raise ValueError("a tile is made of whole hashes")
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]


def join_entries(entries: Sequence[bytes]) -> bytes:
    """A bundle's bytes: each entry after its length (two bytes, big endian)."""
    return b"".join([len(entry).to_bytes(2) + entry for entry in entries])


def split_entries(data: bytes) -> list[bytes]:
    """The entries of a bundle; `ValueError` where the bytes end within one."""
    entries, start, size = [], _PREFIX.size, len(data)
    while start <= size:
        end = start + _PREFIX.unpack_from(data, start - _PREFIX.size)[0]
        entries.append(data[start:end])
        start = end + _PREFIX.size
    if start != size + _PREFIX.size:
        raise ValueError("a bundle is made of whole entries")
    return entries
