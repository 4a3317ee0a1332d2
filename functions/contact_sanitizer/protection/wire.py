"""Tink's wire format for deterministic encryption: `0x01 ‖ key id (4 bytes, big endian) ‖ SIV ‖ ciphertext`.

The same 5-byte prefix stands before tokens, encrypted cells and sealed numbers, so that each says
which key opens it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.protection.aes import BlockSiv, SivRun
from contact_sanitizer.protection.blocks import BLOCK_BYTES, Blocks, are_blocks
from contact_sanitizer.protection.keyring import Keyring, KeyStatus, SubKey
from contact_sanitizer.protection.slabs import items, slabs

PREFIX_BYTES = 5
SIV_BYTES = 16
WIRE_BYTES = PREFIX_BYTES + SIV_BYTES + BLOCK_BYTES
_VERSION = b"\x01"
_FIRST, _HEAD = np.uint64(0xFF), np.uint64(0xFFFFFFFFFF)


def wire_prefix(key_id: int) -> bytes:
    """The 5 bytes before what that key protects."""
    return _VERSION + key_id.to_bytes(4, "big")


def key_id_of(wire: bytes) -> int | None:
    """The key id that a wire form names; None where it has not this version's prefix."""
    if len(wire) < PREFIX_BYTES or wire[:1] != _VERSION:
        return None
    return int.from_bytes(wire[1:PREFIX_BYTES], "big")


class BlockSealer:
    """Seals blocks under the primary key, bound to one associated-data string."""

    __slots__ = ("_prefix", "_siv")

    def __init__(self, keyring: Keyring, use: SubKey, associated_data: bytes) -> None:
        key_id = keyring.primary.id
        self._siv = BlockSiv(keyring.subkey(key_id, use), associated_data)
        self._prefix = np.void(wire_prefix(key_id))

    def seal(self, blocks: Blocks) -> NDArray[np.uint8]:
        """The wire form of each block, shape (n, 37)."""
        wires = np.empty((len(blocks), WIRE_BYTES), np.uint8)
        run = self.run(len(blocks))
        for rows in slabs(len(blocks)):
            run.seal(blocks[rows], wires[rows])
        return wires

    def run(self, rows: int) -> SealingRun:
        """What seals a batch of so many blocks, a slab at a time."""
        return SealingRun(self._prefix, self._siv.run(rows))


class SealingRun:
    """Seals one batch. For one thread."""

    __slots__ = ("_prefix", "_siv")

    def __init__(self, prefix: np.void, siv: SivRun) -> None:
        self._prefix = prefix
        self._siv = siv

    def seal(self, blocks: Blocks, wires: NDArray[np.uint8]) -> None:
        """Write the wire form of each block of a slab to `wires` (n, 37), whose rows may stand apart."""
        items(wires[:, :PREFIX_BYTES])[:] = self._prefix
        self._siv.encrypt(blocks, wires[:, PREFIX_BYTES:])


class Refusal(IntEnum):
    """Why something sealed does not open; the word is the `KeyringError` code."""

    NONE = 0
    TOKEN_MALFORMED = 1
    KEY_UNKNOWN = 2
    KEY_DESTROYED = 3
    TOKEN_REFUSED = 4

    @property
    def code(self) -> str:
        """The code of the `KeyringError`, e.g. `key_destroyed`; '' for `NONE`."""
        return self.name.lower() if self else ""


class BlockOpener:
    """Opens what any key of the ring sealed, as long as that key is not destroyed."""

    __slots__ = ("_destroyed", "_sivs")

    def __init__(self, keyring: Keyring, use: SubKey, associated_data: bytes) -> None:
        self._sivs = {
            _head(key.id): BlockSiv(keyring.subkey(key.id, use), associated_data) for key in keyring.opening
        }
        self._destroyed = [_head(key.id) for key in keyring.keys if key.status is KeyStatus.DESTROYED]

    def open(self, wires: NDArray[np.uint8]) -> tuple[Blocks, NDArray[np.uint8]]:
        """The blocks (n, 16) of `wires` (n, 37), and for each its `Refusal` (n,).

        `TOKEN_MALFORMED`: another version; `TOKEN_REFUSED`: not sealed under that key for this use, or
        no block inside. A refused row is zeros.
        """
        blocks = np.empty((len(wires), BLOCK_BYTES), np.uint8)
        refusals = np.empty(len(wires), np.uint8)
        run = self.run(len(wires))
        for rows in slabs(len(wires)):
            refusals[rows] = run.open(wires[rows], blocks[rows])
        return blocks, refusals

    def run(self, rows: int) -> OpeningRun:
        """What opens a batch of so many wire forms, a slab at a time."""
        return OpeningRun(self._sivs, self._destroyed, rows)


class OpeningRun:
    """Opens one batch. For one thread."""

    __slots__ = ("_destroyed", "_rows", "_runs", "_sivs")

    def __init__(self, sivs: Mapping[int, BlockSiv], destroyed: Sequence[int], rows: int) -> None:
        self._sivs = sivs
        self._destroyed = destroyed
        self._rows = rows
        self._runs: dict[int, SivRun] = {}

    def open(self, wires: NDArray[np.uint8], blocks: Blocks) -> NDArray[np.uint8]:
        """Write the blocks of a slab of `wires` (n, 37) to `blocks` (n, 16); for each its `Refusal` (n,).

        As `BlockOpener.open`; rows of `wires` may stand apart.
        """
        heads = items(wires[:, : _HEAD.itemsize]).view("<u8") & _HEAD
        sealed = wires[:, PREFIX_BYTES:]
        first = int(heads[0])
        if first in self._sivs and (heads == first).all():
            return self._under(first, sealed, blocks)
        refusals = np.full(len(wires), Refusal.KEY_UNKNOWN, np.uint8)
        refusals[heads & _FIRST != _VERSION[0]] = Refusal.TOKEN_MALFORMED
        for head in self._destroyed:
            refusals[heads == head] = Refusal.KEY_DESTROYED
        blocks[:] = 0
        for head in self._sivs:
            rows = np.flatnonzero(heads == head)
            if len(rows):
                opened = np.empty((len(rows), BLOCK_BYTES), np.uint8)
                chosen = items(sealed)[rows].view(np.uint8).reshape(len(rows), -1)
                refusals[rows] = self._under(head, chosen, opened)
                items(blocks)[rows] = items(opened)
        return refusals

    def _under(self, head: int, sealed: NDArray[np.uint8], blocks: Blocks) -> NDArray[np.uint8]:
        """As `open`, of what names one key."""
        if head not in self._runs:
            self._runs[head] = self._sivs[head].run(self._rows)
        authentic = self._runs[head].decrypt(sealed, blocks)
        authentic &= are_blocks(blocks)
        if authentic.all():
            return np.zeros(len(blocks), np.uint8)
        blocks[~authentic] = 0
        return np.where(authentic, Refusal.NONE, Refusal.TOKEN_REFUSED).astype(np.uint8)


def _head(key_id: int) -> int:
    """The first five bytes of that key's wire forms, as the little-endian number they are read as."""
    return int.from_bytes(wire_prefix(key_id), "little")
