"""AES-CMAC and AES-SIV of one 16-byte block a row, each AES stage one bulk call over a slab of rows.

Promises: the bytes that `cryptography`'s `CMAC(AES)` (NIST SP 800-38B) and `AESSIV` (RFC 5297 with one
associated-data string) give for the same key and block; vectors and properties hold it to that.
Does not promise: hiding that two equal blocks are equal. Both constructions are deterministic, and
that is what they are used for.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from numpy.typing import NDArray

from contact_sanitizer.protection.blocks import BLOCK_BYTES, Blocks
from contact_sanitizer.protection.slabs import SLAB_ROWS, items, slabs

_SEALED_BYTES = 2 * BLOCK_BYTES
_SLACK_BYTES = BLOCK_BYTES - 1  # `update_into` asks for it and leaves it as it is
# RFC 5297, 2.6: two bits of the counter are cleared so that 32-bit and 64-bit counters agree.
_COUNTER_MASK = bytes.fromhex("ffffffffffffffff7fffffff7fffffff")


class BlockCmac:
    """AES-CMAC of exactly one full block a row, under a 16-, 24- or 32-byte key."""

    __slots__ = ("_cipher", "_mask")

    def __init__(self, key: bytes) -> None:
        self._cipher = _cipher(key)
        self._mask = _full_block_mask(self._cipher)

    def tags(self, blocks: Blocks) -> Blocks:
        """The CMAC of each block, shape (n, 16)."""
        words = _words(blocks)
        tags = np.empty(len(blocks) * BLOCK_BYTES + _SLACK_BYTES, np.uint8)
        aes, mask = _Aes(self._cipher), _repeated(self._mask, len(blocks))
        for rows in slabs(len(blocks)):
            slab = words[rows]
            aes.encrypt_into(slab ^ mask[: len(slab)], tags[rows.start * BLOCK_BYTES :])
        return tags[: len(blocks) * BLOCK_BYTES].reshape(-1, BLOCK_BYTES)


class BlockSiv:
    """AES-SIV (RFC 5297) of one block a row, with one associated-data string for all rows.

    `key`: 64 bytes (AES-256: the first half authenticates, the second encrypts), or 48 or 32.
    """

    __slots__ = ("_counter_cipher", "_mac_cipher", "_mask")

    def __init__(self, key: bytes, associated_data: bytes) -> None:
        half = len(key) // 2
        self._mac_cipher = _cipher(key[:half])
        self._counter_cipher = _cipher(key[half:])
        # For a last string of at least one block, S2V (RFC 5297, 2.4) xors it with D, which here
        # depends on key and associated data alone; CMAC adds its own constant to a full block.
        zero = _cmac(key[:half], bytes(BLOCK_BYTES))
        prefix = _xor_bytes(_double(zero), _cmac(key[:half], associated_data))
        self._mask = _xor_bytes(prefix, _full_block_mask(self._mac_cipher))

    def encrypt(self, blocks: Blocks) -> NDArray[np.uint8]:
        """SIV (16 bytes) and ciphertext (16 bytes) of each block, shape (n, 32)."""
        sealed = np.empty((len(blocks), _SEALED_BYTES), np.uint8)
        run = self.run(len(blocks))
        for rows in slabs(len(blocks)):
            run.encrypt(blocks[rows], sealed[rows])
        return sealed

    def decrypt(self, sealed: NDArray[np.uint8]) -> tuple[Blocks, NDArray[np.bool_]]:
        """The blocks (n, 16) of `sealed` (n, 32), and for each whether it is authentic (n,).

        A row that is not authentic comes back as zeros.
        """
        blocks = np.empty((len(sealed), BLOCK_BYTES), np.uint8)
        authentic = np.empty(len(sealed), np.bool_)
        run = self.run(len(sealed))
        for rows in slabs(len(sealed)):
            authentic[rows] = run.decrypt(sealed[rows], blocks[rows])
        return blocks, authentic

    def run(self, rows: int) -> SivRun:
        """What works through a batch of so many rows, a slab at a time."""
        return SivRun(_Aes(self._mac_cipher), _Aes(self._counter_cipher), self._mask, rows)


class SivRun:
    """AES-SIV over one batch, a slab at a time: it keeps what is made once a batch. For one thread."""

    __slots__ = ("_counter_aes", "_counter_mask", "_mac_aes", "_mask")

    def __init__(self, mac_aes: _Aes, counter_aes: _Aes, mask: bytes, rows: int) -> None:
        self._mac_aes, self._counter_aes = mac_aes, counter_aes
        self._mask, self._counter_mask = _repeated(mask, rows), _repeated(_COUNTER_MASK, rows)

    def encrypt(self, blocks: Blocks, sealed: NDArray[np.uint8]) -> None:
        """Write SIV and ciphertext of a slab of `blocks` (n, 16) to `sealed` (n, 32).

        Rows of `sealed` may stand apart.
        """
        words = _words(blocks)
        siv = self._mac_aes.encrypt(words ^ self._mask[: len(words)])
        stream = self._counter_aes.encrypt(siv & self._counter_mask[: len(words)])
        stream ^= words
        items(sealed[:, :BLOCK_BYTES])[:] = _items(siv)
        items(sealed[:, BLOCK_BYTES:])[:] = _items(stream)

    def decrypt(self, sealed: NDArray[np.uint8], blocks: Blocks) -> NDArray[np.bool_]:
        """Write the blocks of a slab `sealed` (n, 32), whose rows may stand apart, to `blocks` (n, 16).

        For each whether it is authentic (n,); one that is not becomes zeros.
        """
        siv = items(sealed[:, :BLOCK_BYTES]).copy().view(np.uint64).reshape(-1, 2)
        ciphertext = items(sealed[:, BLOCK_BYTES:]).copy().view(np.uint64).reshape(-1, 2)
        stream = self._counter_aes.encrypt(siv & self._counter_mask[: len(siv)])
        opened = np.bitwise_xor(stream, ciphertext, out=blocks.view(np.uint64))
        same = siv == self._mac_aes.encrypt(opened ^ self._mask[: len(siv)])
        if same.all():
            return np.ones(len(siv), np.bool_)
        authentic: NDArray[np.bool_] = same.all(axis=1)
        blocks[~authentic] = 0
        return authentic


class _Aes:
    """The bare AES permutation over many blocks; ECB is the name of that, and it stays in this module."""

    __slots__ = ("_encryptor",)

    def __init__(self, cipher: Cipher[modes.ECB]) -> None:
        self._encryptor = cipher.encryptor()

    def encrypt(self, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Of blocks as pairs of words (n, 2)."""
        out = np.empty(words.nbytes + _SLACK_BYTES, np.uint8)
        self.encrypt_into(words, out)
        return out[: words.nbytes].view(np.uint64).reshape(-1, 2)

    def encrypt_into(self, words: NDArray[np.uint64], out: NDArray[np.uint8]) -> None:
        if words.size:
            self._encryptor.update_into(words.view(np.uint8).reshape(-1).data, out.data)


def _cipher(key: bytes) -> Cipher[modes.ECB]:
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305  # a building block of CMAC and SIV


def _words(blocks: Blocks) -> NDArray[np.uint64]:
    return np.ascontiguousarray(blocks).view(np.uint64)


def _items(words: NDArray[np.uint64]) -> NDArray[np.void]:
    """Pairs of words (n, 2), contiguous, as one item each."""
    return words.view(f"V{BLOCK_BYTES}")[:, 0]


def _repeated(block: bytes, rows: int) -> NDArray[np.uint64]:
    """`block` once a row of a slab: broadcasting along so short an axis costs ten times the operation."""
    return np.full(min(rows, SLAB_ROWS), np.void(block)).view(np.uint64).reshape(-1, 2)


def _xor_bytes(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(BLOCK_BYTES, "big")


def _double(block: bytes) -> bytes:
    """Multiply by x in GF(2^128) (RFC 5297, 2.3)."""
    value = int.from_bytes(block, "big") << 1
    if value >> 128:
        value ^= (1 << 128) | 0x87
    return value.to_bytes(BLOCK_BYTES, "big")


def _full_block_mask(cipher: Cipher[modes.ECB]) -> bytes:
    """CMAC's K1 (NIST SP 800-38B, 6.1)."""
    return _double(cipher.encryptor().update(bytes(BLOCK_BYTES)))


def _cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()
