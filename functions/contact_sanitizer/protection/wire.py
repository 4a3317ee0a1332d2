"""Tink's wire format for deterministic encryption: `0x01 ‖ key id (4 bytes, big endian) ‖ SIV ‖ ciphertext`.

The same 5-byte prefix stands before tokens, encrypted cells and sealed numbers, so that each says
which key opens it.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.protection.aes import BlockSiv
from contact_sanitizer.protection.blocks import BLOCK_BYTES, Blocks, are_blocks
from contact_sanitizer.protection.keyring import Keyring, KeyStatus, SubKey

PREFIX_BYTES = 5
SIV_BYTES = 16
WIRE_BYTES = PREFIX_BYTES + SIV_BYTES + BLOCK_BYTES
_VERSION = b"\x01"
_WIRE = np.dtype([("prefix", "V5"), ("sealed", "V32")])
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
        wires = np.empty(len(blocks), _WIRE)
        wires["prefix"] = self._prefix
        wires["sealed"] = self._siv.encrypt(blocks).view("V32").ravel()
        return wires.view(np.uint8).reshape(-1, WIRE_BYTES)


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
            key.id: BlockSiv(keyring.subkey(key.id, use), associated_data) for key in keyring.opening
        }
        self._destroyed = [key.id for key in keyring.keys if key.status is KeyStatus.DESTROYED]

    def open(self, wires: NDArray[np.uint8]) -> tuple[Blocks, NDArray[np.uint8]]:
        """The blocks (n, 16) of `wires` (n, 37), and for each its `Refusal` (n,).

        `TOKEN_MALFORMED`: another version; `TOKEN_REFUSED`: not sealed under that key for this use, or
        no block inside. A refused row is zeros.
        """
        blocks = np.zeros((len(wires), BLOCK_BYTES), np.uint8)
        refusals = np.full(len(wires), Refusal.KEY_UNKNOWN, np.uint8)
        wires = np.ascontiguousarray(wires)
        heads = np.ndarray(len(wires), "<u8", wires, 0, (WIRE_BYTES,)) & _HEAD
        sealed = wires.view(_WIRE).ravel()["sealed"].copy()
        refusals[heads & _FIRST != _VERSION[0]] = Refusal.TOKEN_MALFORMED
        for key_id in self._destroyed:
            refusals[heads == _head(key_id)] = Refusal.KEY_DESTROYED
        for key_id, siv in self._sivs.items():
            rows = np.flatnonzero(heads == _head(key_id))
            # NumPy moves whole items faster than rows of bytes.
            chosen = sealed if len(rows) == len(wires) else sealed[rows]
            opened, authentic = siv.decrypt(chosen.view(np.uint8).reshape(-1, WIRE_BYTES - PREFIX_BYTES))
            authentic &= are_blocks(opened)
            if len(rows) == len(wires) and authentic.all():
                return opened, np.zeros(len(wires), np.uint8)
            blocks[rows[authentic]] = opened[authentic]
            refusals[rows] = np.where(authentic, Refusal.NONE, Refusal.TOKEN_REFUSED)
        return blocks, refusals


def _head(key_id: int) -> np.uint64:
    """The first five bytes of that key's wire forms, as the little-endian number they are read as."""
    return np.uint64(int.from_bytes(wire_prefix(key_id), "little"))
