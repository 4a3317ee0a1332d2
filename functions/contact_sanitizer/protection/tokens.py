"""The token: what a sender sees instead of a number.

Promises: within a tenant, an audience and a key, equal numbers have equal tokens; without the key a
token says nothing about its number, and tokens of two audiences cannot be joined; a token that was
altered, or made for another audience, is refused.
Does not promise: hiding, within one audience, that two tokens are the same person; equal tokens
before and after a rotation.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.associated import Use, associated_data, checked_name
from contact_sanitizer.protection.blocks import BLOCK_BYTES, Blocks, digits_of
from contact_sanitizer.protection.keyring import Keyring, SubKey
from contact_sanitizer.protection.slabs import items, slabs
from contact_sanitizer.protection.token_text import (
    TOKEN_CHARS,
    Tokens,
    TokenWriter,
    read_slabs,
    token_matrix,
)
from contact_sanitizer.protection.wire import WIRE_BYTES, BlockOpener, BlockSealer, Refusal

_SENTENCES = {
    Refusal.TOKEN_MALFORMED: "that is not a token",
    Refusal.KEY_UNKNOWN: "the token's key is not in this keyring",
    Refusal.KEY_DESTROYED: "the token's key has been destroyed",
    Refusal.TOKEN_REFUSED: "the token was altered, or made for another audience or tenant",
}


class TokenMaker:
    """Makes the tokens of one audience under the primary key.

    Raises `KeyringError` `name_invalid` for an audience that cannot be bound in.
    """

    __slots__ = ("_sealer",)

    def __init__(self, keyring: Keyring, audience: str) -> None:
        self._sealer = BlockSealer(keyring, SubKey.TOKEN, token_associated_data(keyring.tenant, audience))

    def text(self, blocks: Blocks) -> NDArray[np.uint8]:
        """The tokens of `blocks` (n, 16) as ASCII, shape (n, 53)."""
        text = np.empty((len(blocks), TOKEN_CHARS), np.uint8)
        self._write(blocks, text, None)
        return text

    def wires(self, blocks: Blocks) -> NDArray[np.uint8]:
        """The tokens of `blocks` (n, 16) before they are written as text, shape (n, 37)."""
        return self._sealer.seal(blocks)

    def wires_and_text(self, blocks: Blocks) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Both `wires` and `text` of `blocks` (n, 16)."""
        wires = np.empty((len(blocks), WIRE_BYTES), np.uint8)
        text = np.empty((len(blocks), TOKEN_CHARS), np.uint8)
        self._write(blocks, text, wires)
        return wires, text

    def tokens(self, blocks: Blocks) -> pa.StringArray:
        """The tokens of `blocks` (n, 16), n strings over the bytes of `text`; at most 40 million at once."""
        text = self.text(blocks)
        offsets = np.arange(len(text) + 1, dtype=np.int32) * np.int32(TOKEN_CHARS)
        return pa.StringArray.from_buffers(len(text), pa.py_buffer(offsets), pa.py_buffer(text))

    def _write(self, blocks: Blocks, text: NDArray[np.uint8], wires: NDArray[np.uint8] | None) -> None:
        run, writer = self._sealer.run(len(blocks)), TokenWriter(len(blocks))
        for rows in slabs(len(blocks)):
            slab = writer.wires(rows.stop - rows.start)
            run.seal(blocks[rows], slab)
            writer.write(text[rows])
            if wires is not None:
                items(wires[rows])[:] = items(slab)


@dataclass(frozen=True, slots=True, repr=False)
class OpenedTokens:
    """What n tokens stand for, in their order.

    `blocks` (n, 16): the numbers, zeros where refused. `refusals` (n,): 0, or the `Refusal` of the token.
    """

    blocks: Blocks
    refusals: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.refusals)

    def __repr__(self) -> str:
        return f"OpenedTokens({len(self)} tokens, {np.count_nonzero(self.refusals)} refused)"


class TokenOpener:
    """Opens the tokens of one audience under every key that is not destroyed."""

    __slots__ = ("_opener",)

    def __init__(self, keyring: Keyring, audience: str) -> None:
        self._opener = BlockOpener(keyring, SubKey.TOKEN, token_associated_data(keyring.tenant, audience))

    def open(self, token: str) -> str:
        """The E.164 digits (without `+`) that `token` stands for.

        Raises `KeyringError`: `token_malformed`, `key_unknown`, `key_destroyed`, `token_refused`.
        """
        opened = self.open_many([token])
        refusal = Refusal(opened.refusals[0])
        if refusal:
            raise KeyringError(refusal.code, _SENTENCES[refusal])
        return digits_of(opened.blocks)[0]

    def open_many(self, tokens: Tokens) -> OpenedTokens:
        """What each token stands for, or why it is refused; one bad token does not stop the others."""
        text, places = token_matrix(tokens)
        opened = self._open(text)
        if places is None:
            return opened
        blocks = np.zeros((len(tokens), BLOCK_BYTES), np.uint8)
        refusals = np.full(len(tokens), Refusal.TOKEN_MALFORMED, np.uint8)
        blocks[places], refusals[places] = opened.blocks, opened.refusals
        return OpenedTokens(blocks, refusals)

    def _open(self, text: NDArray[np.uint8]) -> OpenedTokens:
        blocks = np.empty((len(text), BLOCK_BYTES), np.uint8)
        refusals = np.empty(len(text), np.uint8)
        run = self._opener.run(len(text))
        for rows, wires in zip(slabs(len(text)), read_slabs(text), strict=True):
            refusals[rows] = run.open(wires, blocks[rows])
        return OpenedTokens(blocks, refusals)


def token_associated_data(tenant: str, audience: str) -> bytes:
    """What a token is bound to: `contact-sanitizer/token/v1|TENANT|AUDIENCE`."""
    return associated_data(Use.TOKEN, checked_name(tenant), checked_name(audience))


def export_tink_keyset(keyring: Keyring) -> str:
    """A cleartext Tink keyset (JSON) whose `DeterministicAead` opens and makes this keyring's tokens.

    Pass `token_associated_data(tenant, audience)` to Tink as associated data, and the 37 bytes behind `ct_`
    as ciphertext. The text holds the `token` sub-keys of all keys that open, in the clear: it opens every
    audience's tokens, and neither subjects, hashes, cells nor sealed numbers.
    """
    keys = [
        {
            "keyData": {
                "typeUrl": "type.googleapis.com/google.crypto.tink.AesSivKey",
                "value": base64.b64encode(_aes_siv_key_proto(keyring.subkey(key.id, SubKey.TOKEN))).decode(),
                "keyMaterialType": "SYMMETRIC",
            },
            "status": "ENABLED",
            "keyId": key.id,
            "outputPrefixType": "TINK",
        }
        for key in keyring.opening
    ]
    return json.dumps({"primaryKeyId": keyring.primary.id, "key": keys})


def _aes_siv_key_proto(key: bytes) -> bytes:
    """`AesSivKey { uint32 version = 1; bytes key_value = 2; }`, version 0 left out as proto3 does."""
    return b"\x12" + bytes([len(key)]) + key
