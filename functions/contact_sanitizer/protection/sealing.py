"""Sealed copies of numbers: what the registry keeps so that a person can be found or re-indexed later.

Promises: only the keyring opens a sealed number; one sealed for another tenant or use is refused.
Does not promise: hiding that two sealed numbers are equal; opening after the key was destroyed: seal
anew under the primary key before that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.associated import Use, associated_data
from contact_sanitizer.protection.blocks import Blocks
from contact_sanitizer.protection.keyring import Keyring, SubKey
from contact_sanitizer.protection.wire import WIRE_BYTES, BlockOpener, BlockSealer, Refusal

SEALED_BYTES = WIRE_BYTES


def seal_numbers(blocks: Blocks, keyring: Keyring) -> NDArray[np.uint8]:
    """The sealed form of each block (n, 16) under the primary key, shape (n, 37)."""
    return BlockSealer(keyring, SubKey.COLUMN, _seal_data(keyring)).seal(blocks)


def open_sealed(sealed: NDArray[np.uint8], keyring: Keyring) -> Blocks:
    """The blocks (n, 16) of `sealed` (n, 37), sealed under any key that is not destroyed.

    Raises `KeyringError` for the first that does not open: `token_malformed`, `key_unknown`,
    `key_destroyed`, `token_refused`.
    """
    blocks, refusals = BlockOpener(keyring, SubKey.COLUMN, _seal_data(keyring)).open(sealed)
    if refusals.any():
        position = int(np.flatnonzero(refusals)[0])
        raise KeyringError(
            Refusal(refusals[position]).code, f"sealed number {position} of this batch does not open"
        )
    return blocks


def _seal_data(keyring: Keyring) -> bytes:
    return associated_data(Use.SEAL, keyring.tenant)
