"""The block: one E.164 number as 16 bytes, and the way back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 16
_MOST_DIGITS = 15  # ITU-T E.164, 6.2.1

_EVERY_BYTE = np.uint64(0x0101010101010101)

Blocks = NDArray[np.uint8]
"""Shape (n, 16): E.164 digits without `+`, ASCII, NUL-padded."""


def blocks_of(numbers: Sequence[str]) -> Blocks:
    """The blocks of `numbers` (E.164 digits without `+`), shape (n, 16).

    A number that is not 1 to 15 ASCII digits is a fault of the caller: `AssertionError`.
    """
    if not all(
        0 < len(digits) <= _MOST_DIGITS and digits.isascii() and digits.isdigit() for digits in numbers
    ):
        raise AssertionError("a block holds 1 to 15 ASCII digits")
    packed = b"".join(digits.encode().ljust(BLOCK_BYTES, b"\0") for digits in numbers)
    return np.frombuffer(packed, np.uint8).reshape(-1, BLOCK_BYTES)


def digits_of(blocks: Blocks) -> list[str]:
    """The digits of each block, without `+`; '' for an empty block."""
    return [digits.decode("ascii") for digits in block_texts(blocks)]


def block_texts(blocks: Blocks) -> list[bytes]:
    """The digits of each block as bytes, without padding."""
    texts: list[bytes] = np.ascontiguousarray(blocks).view(f"S{BLOCK_BYTES}").ravel().tolist()
    return texts


def are_blocks(blocks: Blocks) -> NDArray[np.bool_]:
    """For each row (n,) whether it is a block: 1 to 15 digits, then NULs to the end."""
    blocks = np.ascontiguousarray(blocks)
    digit = ((blocks - np.uint8(ord("0"))) < np.uint8(10)).view("<u8")
    empty = (blocks == 0).view("<u8")
    wrong = (digit | empty) ^ _EVERY_BYTE
    first, second = np.ascontiguousarray(digit.T) * np.uint64(0xFF)
    # Read little-endian, digits that begin at the first byte and have no gap are all ones from bit 0 up.
    gap = first & (first + np.uint64(1)) | second & (second + np.uint64(1))
    gap |= wrong[:, 0] | wrong[:, 1]
    # Digits in the second half want a full first one.
    full = (first == ~np.uint64(0)) | (second == 0)
    sound: NDArray[np.bool_] = (gap == 0) & (first != 0) & full & (second >> np.uint64(56) == 0)
    return sound
