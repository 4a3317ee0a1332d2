"""The token as text: `ct_` and 50 characters of unpadded base64url (RFC 4648, 5), and nothing else.

296 bits in 50 characters: the last 4 bits are unused and zero. `ct_` is of the same alphabet, so with one
character before and two behind it the text of a token is 56 characters that stand for 42 bytes: 3 that are
the same in every token, the 37 of the wire form, and 2 zeros. A slab of tokens is one call of a library.
"""

from __future__ import annotations

import base64
import binascii
import string
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pybase64
from numpy.typing import NDArray

from contact_sanitizer.protection.slabs import SLAB_ROWS, items, slabs
from contact_sanitizer.protection.wire import WIRE_BYTES

TOKEN_MARK = "ct_"  # noqa: S105  # the public mark of a token
TOKEN_CHARS = 53

Tokens: TypeAlias = Sequence[str] | pa.StringArray | NDArray[np.uint8]
"""n strings, or their ASCII as (n, 53), whose rows may stand apart in a larger matrix."""

_OTHERS = b"-_"
_ALPHABET = (string.ascii_letters + string.digits).encode() + _OTHERS
_BEFORE, _BEHIND = b"A", b"AA"
_TEXT = np.dtype([("before", "V1"), ("text", f"V{TOKEN_CHARS}"), ("behind", "V2")])
_MARK = base64.urlsafe_b64decode(_BEFORE + TOKEN_MARK.encode())
_WIRE = np.dtype([("mark", "V3"), ("wire", f"V{WIRE_BYTES}"), ("behind", "V2")])
_MARK_WORD, _MARK_BITS = np.uint32(int.from_bytes(_MARK, "little")), np.uint32(0xFFFFFF)
_WRONG = bytes(byte not in _ALPHABET for byte in range(256))


class TokenWriter:
    """Writes one batch of wire forms as text, a slab at a time. For one thread."""

    __slots__ = ("_frames",)

    def __init__(self, rows: int) -> None:
        self._frames = np.zeros(min(rows, SLAB_ROWS), _WIRE)
        self._frames["mark"] = np.void(_MARK)

    def wires(self, rows: int) -> NDArray[np.uint8]:
        """Where so many wire forms belong before `write`: (n, 37), rows that stand apart."""
        return _bytes_of(self._frames[:rows])[:, len(_MARK) : len(_MARK) + WIRE_BYTES]

    def write(self, text: NDArray[np.uint8]) -> None:
        """Write the text of the first n of `wires` to `text` (n, 53), whose rows may stand apart."""
        frames = self._frames[: len(text)]
        items(text)[:] = np.frombuffer(pybase64.b64encode(frames, _OTHERS), _TEXT)["text"]


def write_tokens(wires: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The text of each wire form (n, 37), ASCII, shape (n, 53)."""
    text = np.empty((len(wires), TOKEN_CHARS), np.uint8)
    writer = TokenWriter(len(wires))
    for rows in slabs(len(wires)):
        slab = wires[rows]
        items(writer.wires(len(slab)))[:] = items(slab)
        writer.write(text[rows])
    return text


def read_slabs(text: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The wire forms of `text` (n, 53), whose rows may stand apart, for one of its `slabs` after the other.

    Each (n, 37), rows that stand apart; zeros for any text that `write_tokens` cannot have written.
    """
    frames = np.empty(min(len(text), SLAB_ROWS), _TEXT)
    frames["before"], frames["behind"] = np.void(_BEFORE), np.void(_BEHIND)
    for rows in slabs(len(text)):
        slab = frames[: rows.stop - rows.start]
        slab["text"] = items(text[rows])
        yield _wires_of(slab)


def _wires_of(text: NDArray[np.void]) -> NDArray[np.uint8]:
    """The wire forms of framed text, in which a text with a wrong character is overwritten."""
    try:
        frames = _decoded(text)
    except binascii.Error:
        wrong = np.frombuffer(text.tobytes().translate(_WRONG), np.bool_)
        text["text"][np.flatnonzero(wrong) // _TEXT.itemsize] = np.void(_BEFORE * TOKEN_CHARS)
        frames = _decoded(text)
    wires = _bytes_of(frames)[:, len(_MARK) : len(_MARK) + WIRE_BYTES]
    odd = (items(_bytes_of(frames)[:, :4]).view("<u4") & _MARK_BITS) ^ _MARK_WORD
    odd |= frames["behind"].view("<u2")  # holds the unused bits
    if odd.any():
        wires[odd != 0] = 0
    return wires


def _decoded(text: NDArray[np.void]) -> NDArray[np.void]:
    """`binascii.Error` where any character is wrong; with `ignorechars`, `+` and `/` are wrong as well."""
    return np.frombuffer(pybase64.b64decode_as_bytearray(text, _OTHERS, True, ignorechars=b""), _WIRE)


def token_matrix(tokens: Tokens) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Those of the tokens that have the right length as text (n, 53), and their places; None for all."""
    if isinstance(tokens, np.ndarray):
        if tokens.dtype != np.uint8 or tokens.ndim != 2 or tokens.shape[1] != TOKEN_CHARS:
            raise AssertionError("tokens as text are bytes of shape (n, 53)")
        return tokens, None
    cells = tokens if isinstance(tokens, pa.StringArray) else _strings(tokens)
    offsets = _offsets(cells)
    right = offsets[1:] - offsets[:-1] == TOKEN_CHARS
    if right.all():
        return _fixed_width(cells), None
    rows = np.flatnonzero(right)
    return _fixed_width(cells.take(pa.array(rows))), rows


def _strings(tokens: Sequence[str]) -> pa.StringArray:
    """The tokens as an array; one that is not ASCII is no token, and may not even be encodable."""
    if not "".join(tokens).isascii():
        tokens = [token if token.isascii() else "" for token in tokens]
    return pa.array(tokens, pa.string())


def _offsets(cells: pa.StringArray) -> NDArray[np.int32]:
    if not len(cells):
        return np.zeros(1, np.int32)
    return np.frombuffer(cells.buffers()[1], np.int32)[cells.offset : cells.offset + len(cells) + 1]


def _fixed_width(cells: pa.StringArray) -> NDArray[np.uint8]:
    if not len(cells):
        return np.empty((0, TOKEN_CHARS), np.uint8)
    offsets = _offsets(cells)
    return np.frombuffer(cells.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(-1, TOKEN_CHARS)


def _bytes_of(frames: NDArray[np.void]) -> NDArray[np.uint8]:
    """The bytes of items (n,), shape (n, width)."""
    return frames.view(np.uint8).reshape(-1, frames.itemsize)
