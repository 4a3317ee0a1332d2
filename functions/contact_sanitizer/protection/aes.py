"""AES-CMAC and AES-SIV of one 16-byte block a row, each AES stage one bulk call over many rows.

Promises: the bytes that `cryptography`'s `CMAC(AES)` (NIST SP 800-38B) and `AESSIV` (RFC 5297 with one
associated-data string) give for the same key and block; vectors and properties hold it to that.
Does not promise: hiding that two equal blocks are equal. Both constructions are deterministic, and
that is what they are used for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from numpy.typing import NDArray

from contact_sanitizer.protection.blocks import BLOCK_BYTES, Blocks

_SEALED = np.dtype([("siv", "V16"), ("ciphertext", "V16")])
_SLAB_ROWS = 8192  # 128 KiB a buffer: the stages of one slab stay in the second-level cache
# RFC 5297, 2.6: two bits of the counter are cleared so that 32-bit and 64-bit counters agree.
_COUNTER_MASK = bytes.fromhex("ffffffffffffffff7fffffff7fffffff")


class BlockCmac:
    """AES-CMAC of exactly one full block a row, under a 16-, 24- or 32-byte key."""

    __slots__ = ("_aes", "_mask")

    def __init__(self, key: bytes) -> None:
        self._aes = _Aes(key)
        self._mask = _full_block_mask(self._aes)

    def tags(self, blocks: Blocks) -> Blocks:
        """The CMAC of each block, shape (n, 16)."""
        tags = np.empty((len(blocks), BLOCK_BYTES), np.uint8)
        words = _words(blocks)
        mask = _repeated(self._mask, len(blocks))
        for rows in _slabs(len(blocks)):
            tags[rows] = self._aes.encrypt(words[rows] ^ mask[: len(words[rows])])
        return tags


class BlockSiv:
    """AES-SIV (RFC 5297) of one block a row, with one associated-data string for all rows.

    `key`: 64 bytes (AES-256: the first half authenticates, the second encrypts), or 48 or 32.
    """

    __slots__ = ("_counter_aes", "_mac_aes", "_mask")

    def __init__(self, key: bytes, associated_data: bytes) -> None:
        half = len(key) // 2
        self._mac_aes = _Aes(key[:half])
        self._counter_aes = _Aes(key[half:])
        # For a last string of at least one block, S2V (RFC 5297, 2.4) xors it with D, which here
        # depends on key and associated data alone; CMAC adds its own constant to a full block.
        zero = _cmac(key[:half], bytes(BLOCK_BYTES))
        prefix = _xor_bytes(_double(zero), _cmac(key[:half], associated_data))
        self._mask = _xor_bytes(prefix, _full_block_mask(self._mac_aes))

    def encrypt(self, blocks: Blocks) -> NDArray[np.uint8]:
        """SIV (16 bytes) and ciphertext (16 bytes) of each block, shape (n, 32)."""
        sealed = np.empty(len(blocks), _SEALED)
        words = _words(blocks)
        mask, counter_mask = (_repeated(block, len(blocks)) for block in (self._mask, _COUNTER_MASK))
        for rows in _slabs(len(blocks)):
            slab = words[rows]
            siv = self._mac_aes.encrypt(slab ^ mask[: len(slab)])
            stream = self._counter_aes.encrypt(_words(siv) & counter_mask[: len(slab)])
            sealed["siv"][rows] = _items(siv)
            sealed["ciphertext"][rows] = _items(_words(stream) ^ slab)
        return sealed.view(np.uint8).reshape(-1, 2 * BLOCK_BYTES)

    def decrypt(self, sealed: NDArray[np.uint8]) -> tuple[Blocks, NDArray[np.bool_]]:
        """The blocks (n, 16) of `sealed` (n, 32), and for each whether it is authentic (n,).

        A row that is not authentic comes back as zeros.
        """
        blocks = np.empty((len(sealed), BLOCK_BYTES), np.uint8)
        authentic = np.empty(len(sealed), np.bool_)
        parts = np.ascontiguousarray(sealed).view(_SEALED).ravel()
        mask, counter_mask = (_repeated(block, len(sealed)) for block in (self._mask, _COUNTER_MASK))
        for rows in _slabs(len(sealed)):
            siv = parts["siv"][rows].copy().view(np.uint64).reshape(-1, 2)
            ciphertext = parts["ciphertext"][rows].copy().view(np.uint64).reshape(-1, 2)
            opened = ciphertext ^ _words(self._counter_aes.encrypt(siv & counter_mask[: len(siv)]))
            differs = siv ^ _words(self._mac_aes.encrypt(opened ^ mask[: len(siv)]))
            authentic[rows] = (differs[:, 0] | differs[:, 1]) == 0
            blocks[rows] = opened.view(np.uint8)
        blocks[~authentic] = 0
        return blocks, authentic


class _Aes:
    """The bare AES permutation over many blocks; ECB is the name of that, and it stays in this module."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305  # a building block of CMAC and SIV

    def encrypt(self, words: NDArray[np.uint64]) -> Blocks:
        size = words.nbytes
        out = np.empty(size + BLOCK_BYTES - 1, np.uint8)  # update_into asks for the slack
        if size:
            self._cipher.encryptor().update_into(words.view(np.uint8).reshape(-1).data, out.data)
        return out[:size].reshape(-1, BLOCK_BYTES)


def _slabs(rows: int) -> Iterator[slice]:
    return (slice(start, start + _SLAB_ROWS) for start in range(0, rows, _SLAB_ROWS))


def _words(blocks: Blocks) -> NDArray[np.uint64]:
    return np.ascontiguousarray(blocks).view(np.uint64)


def _items(blocks: NDArray[np.uint8] | NDArray[np.uint64]) -> NDArray[np.void]:
    """The blocks as one item each: NumPy moves 16-byte items faster than rows of 16 bytes."""
    return blocks.view("V16").ravel()


def _repeated(block: bytes, rows: int) -> NDArray[np.uint64]:
    """`block` once a row of a slab: broadcasting along so short an axis costs ten times the operation."""
    return np.tile(np.frombuffer(block, np.uint64), (min(rows, _SLAB_ROWS), 1))


def _xor_bytes(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(BLOCK_BYTES, "big")


def _double(block: bytes) -> bytes:
    """Multiply by x in GF(2^128) (RFC 5297, 2.3)."""
    value = int.from_bytes(block, "big") << 1
    if value >> 128:
        value ^= (1 << 128) | 0x87
    return value.to_bytes(BLOCK_BYTES, "big")


def _full_block_mask(aes: _Aes) -> bytes:
    """CMAC's K1 (NIST SP 800-38B, 6.1)."""
    return _double(aes.encrypt(np.zeros((1, 2), np.uint64)).tobytes())


def _cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()
