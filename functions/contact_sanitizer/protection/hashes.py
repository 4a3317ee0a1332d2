"""Keyed hashes of numbers and of texts: HMAC-SHA-256 under the tenant's `hash` key, lower-case hex.

Promises: equal inputs hash alike within a tenant, over every rotation, in every column and list;
without the key nobody can try numbers. Does not promise: unlinkability between audiences. A hash
that two senders hold joins their lists: where that matters, hand out tokens.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from contact_sanitizer.protection.blocks import Blocks, block_texts
from contact_sanitizer.protection.keyring import Keyring

HASH_CHARS = 64


def hash_numbers(blocks: Blocks, keyring: Keyring) -> pa.StringArray:
    """The hash of each number's E.164 string (`+` and digits, ASCII), n strings of 64 characters."""
    return pa.array(_hmacs((b"+" + digits for digits in block_texts(blocks)), keyring), pa.string())


def hash_cells(cells: pa.StringArray, keyring: Keyring) -> pa.StringArray:
    """The hash of each cell's UTF-8 bytes in Unicode form NFC; an empty cell stays empty.

    NFC alone: case, spaces and width count. A cell `+8613812345678` hashes like that number.
    """
    distinct = pc.utf8_normalize(cells, form="NFC").dictionary_encode()
    texts = distinct.dictionary.cast(pa.binary()).to_pylist()
    hashes = [hashed if text else "" for text, hashed in zip(texts, _hmacs(texts, keyring), strict=True)]
    return pa.array(hashes, pa.string()).take(distinct.indices)


def hmac_sha256(key: bytes, message: bytes) -> str:
    """HMAC-SHA-256 (RFC 2104), lower-case hex."""
    return hmac.digest(key, message, "sha256").hex()


def _hmacs(messages: Iterable[bytes], keyring: Keyring) -> list[str]:
    keyed = hmac.new(keyring.lookup.hash, digestmod="sha256")
    hashes = []
    for message in messages:
        one = keyed.copy()  # the key schedule is paid once, not once a message
        one.update(message)
        hashes.append(one.hexdigest())
    return hashes
