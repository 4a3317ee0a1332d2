"""Text of any encoding as strict UTF-8, with the encoding decided by what the bytes allow.

The rule: a byte-order mark, else strict UTF-8, else strict GB18030, decided at the first bytes that are
not ASCII; other encodings only by name. Nothing is guessed from statistics and nothing is replaced: a
byte that does not fit refuses the file with its offset.
"""

from __future__ import annotations

import codecs
import re

import numpy as np
import pyarrow as pa

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.raw import ByteStream
from contact_sanitizer.intake.sniff import HEAD_BYTES, looks_wide, refuse_binary

_DECIDING_BYTES = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NO_FILE_ENCODINGS = frozenset(
    {"utf-7", "idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"}
)
_HAN_SEQUENCE = re.compile(rb"[\xe1-\xef][\x80-\xbf]{2}")
_PROOF_OF_UTF8 = 2
_ARROW_STRING_BYTES = 1 << 31

Piece = bytes | memoryview


def known_encoding(name: str) -> str | None:
    """The usual spelling of an encoding that a policy may name, None where it names none."""
    try:
        "".encode(name)  # raises where the codec is none of text
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    if codec.incrementaldecoder is None or codec.name.replace("_", "-") in _NO_FILE_ENCODINGS:
        return None
    return codec.name


class TextStream:
    """Strict UTF-8 out of bytes in some encoding, cut only between characters; no byte-order mark.

    `encoding`: what is known so far, `ascii` until another byte was read. Raises: `encoding_invalid`
    with the offset of the byte that does not fit, `file_binary`.
    """

    def __init__(self, source: ByteStream, encoding: str | None, block_bytes: int) -> None:
        self._source = source
        self._block_bytes = block_bytes
        self._offset = 0
        self._pending = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ended = False
        self._peeked: Piece = b""
        self._ahead: Piece = b""
        first = self._fill(max(block_bytes, HEAD_BYTES))
        self.encoding = "ascii"
        self._start(first, None if encoding is None else known_encoding(encoding), named=encoding is not None)

    def read(self) -> Piece:
        """The next piece of text, at most about as long as asked for; empty at the end and only there."""
        if self._peeked:
            peeked, self._peeked = self._peeked, b""
            return peeked
        while True:
            block, self._ahead = self._ahead or self._fill(self._block_bytes), b""
            if not block and self._ended:
                return b""
            self._ended = not block
            if text := self._decode(block, final=self._ended):
                return text

    def peek(self) -> Piece:
        """The next block, which `read` will give again."""
        self._peeked = self._peeked or self.read()
        return self._peeked

    def _fill(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0 and (data := self._source.read(size)):
            parts.append(data)
            size -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _start(self, first: bytes, name: str | None, *, named: bool) -> None:
        if named and name is None:
            raise IntakeError("encoding_invalid", "the policy names an encoding that is not known")
        if name is None:
            refuse_binary(first[:HEAD_BYTES])
        mark, marked = next(((bom, codec) for bom, codec in _BOMS if first.startswith(bom)), (b"", None))
        if name in (None, marked, "utf-8") or name in ("utf-16", "utf-32"):
            name = marked or name
            first = first[len(mark) :]
            self._offset = len(mark)
        elif name == "utf-8-sig":
            name = "utf-8"
        if name is None and looks_wide(first[:HEAD_BYTES]):
            raise IntakeError(
                "encoding_invalid", "this looks like UTF-16 without a byte-order mark: name it in the policy"
            )
        if name is not None:
            self._settle(name)
        self._ahead = first

    def _settle(self, name: str) -> None:
        self.encoding = name
        if name not in ("utf-8", "ascii"):
            self._decoder = codecs.getincrementaldecoder(name)("strict")

    def _decode(self, block: Piece, *, final: bool) -> Piece:
        if self._decoder is not None:
            return self._transcode(self._decoder, block, final=final)
        if not self._pending and isinstance(block, bytes) and block.isascii():
            self._offset += len(block)
            return block
        if self.encoding == "ascii":
            return self._decide(bytes(block))
        return self._check_utf8(block, final=final)

    def _decide(self, block: bytes) -> Piece:
        if len(block) < _DECIDING_BYTES:
            block += self._fill(_DECIDING_BYTES - len(block))
        ended = len(block) < _DECIDING_BYTES
        fault = utf8_fault(block if ended else block[: _whole_characters(block)])
        if fault is None:
            self._settle("utf-8")
            return self._check_utf8(block, final=False)
        if len(_HAN_SEQUENCE.findall(block, 0, fault)) >= _PROOF_OF_UTF8:
            raise _invalid(self._offset + fault, "UTF-8")
        self._settle("gb18030")
        return self._decode(block, final=False)

    def _check_utf8(self, block: Piece, *, final: bool) -> Piece:
        if self._pending:
            # only the split character is joined: the rest of the block is not copied
            seam = _continuations(block)
            block, self._ahead = self._pending + block[:seam], memoryview(block)[seam:]
            final = final or len(self._ahead) > 0
        whole = len(block) if final else _whole_characters(block)
        sound = memoryview(block)[:whole]
        if (fault := utf8_fault(sound)) is not None:
            raise _invalid(self._offset + fault, "UTF-8")
        self._offset += whole
        self._pending = bytes(block[whole:])
        return sound

    def _transcode(self, decoder: codecs.IncrementalDecoder, block: Piece, *, final: bool) -> bytes:
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(bytes(block), final)
            if self._offset == 0:
                text = text.removeprefix("\ufeff")
            self._offset += len(block)
            return text.encode()
        except UnicodeDecodeError as error:
            offset = self._offset - held + error.start
        except UnicodeError:
            offset = self._offset - held
        raise _invalid(offset, self.encoding.upper())


def utf8_fault(text: Piece) -> int | None:
    """The offset of the first byte that is not strict UTF-8, None where all are."""
    if _is_utf8(text):
        return None
    try:
        bytes(text).decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def _is_utf8(text: Piece) -> bool:
    if len(text) >= _ARROW_STRING_BYTES:
        return False
    offsets = pa.py_buffer(np.array([0, len(text)], dtype=np.int32))
    try:
        pa.StringArray.from_buffers(1, offsets, pa.py_buffer(text)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _continuations(text: Piece) -> int:
    """How many bytes at the start belong to a character that began before."""
    return next((place for place, byte in enumerate(text[:3]) if byte & 0xC0 != 0x80), min(3, len(text)))


def _whole_characters(text: Piece) -> int:
    """The length without a last character of which the end may still come."""
    for back in range(1, min(3, len(text)) + 1):
        byte = text[-back]
        if byte >= 0xC0:
            needed = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(text) - back if needed > back else len(text)
        if byte < 0x80:
            break
    return len(text)


def _invalid(offset: int, encoding: str) -> IntakeError:
    return IntakeError(
        "encoding_invalid",
        f"the byte at offset {offset} does not fit {encoding}: name the encoding in the policy",
    )
