"""The block: one E.164 number as 16 bytes, and the way back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 16
_MOST_DIGITS = 15  # ITU-T E.164, 6.2.1
_ZERO, _NINE = np.uint8(ord("0")), np.uint8(ord("9"))
_WRAPPED_NUL = 256 - ord("0")

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
    # As UTF-32, NumPy makes the strings itself, and ends each before its padding.
    texts: list[str] = blocks.astype(np.uint32, "C").view(f"U{BLOCK_BYTES}")[:, 0].tolist()
    return texts


def block_texts(blocks: Blocks) -> list[bytes]:
    """The digits of each block as bytes, without padding."""
    texts: list[bytes] = np.ascontiguousarray(blocks).view(f"S{BLOCK_BYTES}").ravel().tolist()
    return texts


def are_blocks(blocks: Blocks) -> NDArray[np.bool_]:
    """For each row (n,) whether it is a block: 1 to 15 digits, then NULs to the end."""
    blocks = np.ascontiguousarray(blocks)
    above = blocks - _ZERO
    digit = above < np.uint8(10)
    # What is neither NUL nor a digit lies above the digits, or wraps to what is above a wrapped NUL.
    if len(blocks) and np.max(blocks) <= _NINE and np.max(above) <= _WRAPPED_NUL and _are_in_order(digit):
        return np.ones(len(blocks), np.bool_)
    empty = blocks == 0
    begins_again = (digit[:, 1:] > digit[:, :-1]).any(axis=1)
    sound: NDArray[np.bool_] = digit[:, 0] & empty[:, -1] & (digit | empty).all(axis=1) & ~begins_again
    return sound


def _are_in_order(digit: NDArray[np.bool_]) -> bool:
    """Whether every row (n, 16) begins with digits, ends without one, and has none behind a gap.

    Read as one string, they have digits begin behind a gap at every edge of two rows, and nowhere else.
    """
    string = digit.ravel()
    begins = string[1:] > string[:-1]
    at_edges = begins[BLOCK_BYTES - 1 :: BLOCK_BYTES]
    return bool(
        string[0]
        and not string[-1]
        and at_edges.all()
        and np.count_nonzero(begins) == np.count_nonzero(at_edges)
    )
