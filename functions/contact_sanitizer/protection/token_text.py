"""The token as text: `ct_` and 50 characters of unpadded base64url (RFC 4648, 5), and nothing else.

296 bits in 50 characters: the last 4 bits are unused and zero. Text is made four pairs of characters
at a time: a pair stands for 12 bits, 4 pairs for 48 bits or 6 bytes, and each step below runs over a
whole slab of tokens. That is about twice as fast as one bulk call of `binascii`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.protection.wire import WIRE_BYTES

TOKEN_MARK = "ct_"  # noqa: S105  # the public mark of a token
TOKEN_CHARS = 53

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MARK = np.frombuffer(TOKEN_MARK.encode(), np.uint8)
_SLAB_ROWS = 4096
_SEXTETS = 6  # 6 times 6 bytes or 8 characters; 1 byte or 2 characters follow
_TEXT = np.dtype([("mark", "V3"), ("body", "V8", _SEXTETS), ("end", "V2")])
_WIRE = np.dtype([("body", "V6", _SEXTETS), ("end", "u1")])
_PADDED = np.dtype([("rest", "V2"), ("bytes", "V6")])
_NO_PAIR = 0xFFFF
_LOW_12, _LOW_24 = np.uint64(0x00000FFF00000FFF), np.uint64(0xFFFFFF)
_NOT_TWELVE = np.uint64(0xF000F000F000F000)


def write_tokens(wires: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The text of each wire form (n, 37), ASCII, shape (n, 53)."""
    text = np.empty(len(wires), _TEXT)
    text["mark"] = np.void(TOKEN_MARK.encode())
    wires = np.ascontiguousarray(wires)
    records = wires.view(_WIRE).ravel()
    for start in range(0, len(wires), _SLAB_ROWS):
        slab = slice(start, start + _SLAB_ROWS)
        text["body"][slab] = _encode(wires[slab])
        text["end"][slab] = _PAIRS.take(records["end"][slab].astype(np.intp) << 4).view("V2")
    return text.view(np.uint8).reshape(-1, TOKEN_CHARS)


def read_tokens(tokens: Sequence[str] | pa.StringArray) -> NDArray[np.uint8]:
    """The wire forms (n, 37) of `tokens`; zeros for any text that `write_tokens` cannot have written."""
    cells = tokens if isinstance(tokens, pa.StringArray) else _strings(tokens)
    rows = np.flatnonzero(np.diff(_offsets(cells)) == TOKEN_CHARS)
    if len(rows) == len(cells):
        return _read(_fixed_width(cells))
    wires = np.zeros((len(cells), WIRE_BYTES), np.uint8)
    wires[rows] = _read(_fixed_width(cells.take(pa.array(rows))))
    return wires


def _read(text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The wire forms of texts of the right length (n, 53), a slab at a time."""
    wires = np.empty(len(text), _WIRE)
    for start in range(0, len(text), _SLAB_ROWS):
        slab = slice(start, start + _SLAB_ROWS)
        _decode(text[slab], wires[slab])
    return wires.view(np.uint8).reshape(-1, WIRE_BYTES)


def _encode(wires: NDArray[np.uint8]) -> NDArray[np.void]:
    """The first 48 characters of each wire form (n, 37), in eights, shape (n, 6)."""
    rows = len(wires)
    bits = np.empty((rows, _SEXTETS), np.uint64)
    # Words of eight bytes whose last six are wanted; before the first six there is nothing to read.
    bits[:, 0] = np.ndarray(rows, ">u8", wires, 0, (WIRE_BYTES,)) >> np.uint64(16)
    bits[:, 1:] = np.ndarray((rows, _SEXTETS - 1), ">u8", wires, 4, (WIRE_BYTES, 6))
    lanes = _apart(_apart(bits, 24, 32, _LOW_24), 12, 16, _LOW_12)
    return _PAIRS.take(lanes.astype("<u8", copy=False).view("<u2"), mode="clip").view("V8")


def _apart(bits: NDArray[np.uint64], width: int, lane: int, low: np.uint64) -> NDArray[np.uint64]:
    """Two neighbours of `width` bits each moved to a lane of `lane` bits each, the first to the lower one.

    Little-endian memory then holds the first one first. `low`: the bits of the second neighbours.
    """
    lanes = (bits >> np.uint64(width)) & low
    lanes |= (bits & low) << np.uint64(lane)
    return lanes


def _decode(text: NDArray[np.uint8], wires: NDArray[np.void]) -> None:
    """Writes the wire forms of texts of the right length to `wires`; zeros where a character is wrong."""
    records = np.ascontiguousarray(text).view(_TEXT).ravel()
    lanes = _VALUES.take(np.ascontiguousarray(records["body"]).view("<u2"), mode="clip").view("<u8")
    end = _VALUES.take(np.ascontiguousarray(records["end"]).view("<u2"))
    # A wrong pair has its upper bits set, so `end & 0xF00F` also catches unused bits that are not zero.
    sound: NDArray[np.bool_] = end & 0xF00F == 0
    for column, char in enumerate(_MARK):
        sound &= text[:, column] == char
    wrong = lanes & _NOT_TWELVE
    if wrong.any():
        sound &= ~wrong.any(axis=1)
    _together(lanes, 12, 16, _LOW_12)
    _together(lanes, 24, 32, _LOW_24)
    wires["body"] = lanes.astype(">u8", copy=False).view(_PADDED)["bytes"]
    wires["end"] = end >> 4
    if not sound.all():
        wires.view(np.uint8).reshape(-1, WIRE_BYTES)[~sound] = 0


def _together(lanes: NDArray[np.uint64], width: int, lane: int, low: np.uint64) -> None:
    """The way back from `_apart`, in place; what stood above a lane's bits may stay in the uppermost ones."""
    second = lanes >> np.uint64(lane)
    second &= low
    lanes &= low
    lanes <<= np.uint64(width)
    lanes |= second


def _strings(tokens: Sequence[str]) -> pa.StringArray:
    """The tokens as an array; one that is not ASCII is no token, and may not even be encodable."""
    return pa.array([token if token.isascii() else "" for token in tokens], pa.string())


def _offsets(cells: pa.StringArray) -> NDArray[np.int32]:
    if not len(cells):
        return np.zeros(1, np.int32)
    return np.frombuffer(cells.buffers()[1], np.int32)[cells.offset : cells.offset + len(cells) + 1]


def _fixed_width(cells: pa.StringArray) -> NDArray[np.uint8]:
    if not len(cells):
        return np.empty((0, TOKEN_CHARS), np.uint8)
    offsets = _offsets(cells)
    return np.frombuffer(cells.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(-1, TOKEN_CHARS)


def _pairs() -> NDArray[np.uint16]:
    """For each 12-bit value its two characters, as a little-endian number."""
    chars = np.frombuffer(_ALPHABET, np.uint8).astype(np.uint16)
    return (chars[:, None] | chars << 8).ravel().astype("<u2")


def _values(pairs: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The way back from two characters; `_NO_PAIR` for all others."""
    values = np.full(1 << 16, _NO_PAIR, "<u2")
    values[pairs] = np.arange(len(pairs))
    return values


_PAIRS = _pairs()
_VALUES = _values(_PAIRS)
