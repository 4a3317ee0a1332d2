"""The subject: 16 bytes that stand for a person inside the boundary."""

from __future__ import annotations

from contact_sanitizer.protection.aes import BlockCmac
from contact_sanitizer.protection.blocks import Blocks
from contact_sanitizer.protection.keyring import Keyring


def subjects(blocks: Blocks, keyring: Keyring) -> Blocks:
    """AES-256-CMAC (NIST SP 800-38B) of each block (n, 16) under the `index` key, shape (n, 16).

    Promises: equal numbers have equal subjects within a tenant, over every rotation; without the key
    a subject says nothing about its number. Does not promise: hiding that two rows are the same
    person. A subject never leaves the boundary.
    """
    return BlockCmac(keyring.lookup.index).tags(blocks)
