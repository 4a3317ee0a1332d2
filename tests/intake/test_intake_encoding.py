"""Encodings: what the bytes allow, strictly, at every block size."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.encoding import TextStream, known_encoding, utf8_fault
from contact_sanitizer.intake.listfile import ColumnWish, ReadOptions, Role
from contact_sanitizer.intake.sniff import HEAD_BYTES

Read = Callable[..., Any]

WISHES = (ColumnWish("phone", Role.PHONE), ColumnWish("name"))
TEXT = "phone,name\n13812345678,张三\n13812345679,欧阳锋\n13812345670,𠮷田\n"
PHONES = ["13812345678", "13812345679", "13812345670"]
NAMES = ["张三", "欧阳锋", "𠮷田"]
FIRST = "x" * HEAD_BYTES
"""As much as the first block holds at least: what follows comes in blocks of the size asked for."""

LARGE = "".join(f"138{number:08d},张三\n" for number in range(60_000))


def text_of(content: bytes, encoding: str | None = None, block_bytes: int = 1 << 20) -> bytes:
    stream = TextStream(io.BytesIO(content), encoding, block_bytes)
    return b"".join(iter(stream.read, b""))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (codecs.BOM_UTF8 + TEXT.encode(), "utf-8"),
        (TEXT.encode("gb18030"), "gb18030"),
        (TEXT.encode("utf-16"), "utf-16-le"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16-be"),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), "utf-32-le"),
    ],
)
@pytest.mark.parametrize("size", [5, 1 << 20])
def test_the_bytes_decide_the_encoding(read: Read, content: bytes, encoding: str, size: int) -> None:
    outcome = read(content, WISHES, ReadOptions(batch_bytes=size))
    assert outcome.description.encoding == encoding
    assert outcome.cells == {"phone": PHONES, "name": NAMES}


@pytest.mark.parametrize(
    ("name", "canonical"), [("big5", "big5"), ("utf-16le", "utf-16-le"), ("windows-1252", "cp1252")]
)
def test_an_encoding_that_the_policy_names_is_used(read: Read, name: str, canonical: str) -> None:
    text = "phone,name\n13812345678,{}\n".format("ñ" if name.startswith("win") else "張三")
    outcome = read(text.encode(name), WISHES, ReadOptions(encoding=name))
    assert outcome.description.encoding == canonical
    assert outcome.cells["name"] == [text[-2] if name.startswith("win") else "張三"]


def test_names_that_are_no_encoding_of_files_are_refused(read: Read) -> None:
    for name in ("nonsense", "hex", "idna", "utf-7", "unicode_escape", "\0"):
        assert known_encoding(name) is None
        with pytest.raises(IntakeError, match="encoding_invalid"):
            read(TEXT.encode(), options=ReadOptions(encoding=name))


def test_ascii_alone_is_called_so(read: Read) -> None:
    assert read(b"phone\n13812345678\n").description.encoding == "ascii"


def test_the_encoding_is_decided_where_ascii_ends(read: Read) -> None:
    body = "phone,name\n" + "13812345678,Li\n" * 5_000 + "13812345679,张三\n"
    for encoding in ("utf-8", "gb18030"):
        outcome = read(body.encode(encoding), WISHES, ReadOptions(batch_bytes=4_096))
        assert outcome.description.encoding == encoding
        assert outcome.cells["name"][-1] == "张三"


def test_damaged_utf8_is_refused_with_its_offset_and_not_read_as_gb18030(read: Read) -> None:
    content = bytearray(("phone,name\n" + LARGE).encode())
    place = content.index("三".encode(), 700_000)
    content[place + 1] = 0x41
    for size in (4_096, 1 << 20):
        with pytest.raises(IntakeError, match=rf"encoding_invalid: the byte at offset {place} "):
            read(bytes(content), WISHES, ReadOptions(batch_bytes=size))


def test_bytes_that_fit_no_rule_are_refused_with_their_offset(read: Read) -> None:
    content = ("phone,name\n" + LARGE).encode("gb18030")
    place = content.index(b"\xc8\xfd\n", 700_000)
    broken = content[:place] + b"\xff" + content[place + 1 :]
    for size in (4_096, 1 << 20):
        with pytest.raises(
            IntakeError, match=rf"encoding_invalid: the byte at offset {place} does not fit GB18030"
        ):
            read(broken, WISHES, ReadOptions(batch_bytes=size))


def test_a_foreign_encoding_in_the_middle_of_utf8_is_refused(read: Read) -> None:
    content = ("phone,name\n" + LARGE).encode() + "13812345678,李四\n".encode("gb18030") + LARGE.encode()
    with pytest.raises(IntakeError, match="encoding_invalid"):
        read(content, WISHES)


def test_text_that_ends_inside_a_character_is_refused(read: Read) -> None:
    for content in (TEXT.encode()[:-2], TEXT.encode("utf-16")[:-1], ("phone,name\n" + LARGE).encode()[:-2]):
        with pytest.raises(IntakeError, match="encoding_invalid"):
            read(content, WISHES)


def test_utf16_without_a_mark_is_refused_unless_named(read: Read) -> None:
    content = TEXT.encode("utf-16-le")
    with pytest.raises(IntakeError, match="encoding_invalid: this looks like UTF-16"):
        read(content, WISHES)
    assert read(content, WISHES, ReadOptions(encoding="utf-16le")).phones == PHONES


def test_lone_surrogates_are_refused(read: Read) -> None:
    for content in (
        b"phone,name\n1,\xed\xa0\x80\n",
        codecs.BOM_UTF16_LE + "phone,name\n1,".encode("utf-16-le") + b"\x00\xd8\n\x00",
    ):
        with pytest.raises(IntakeError, match="encoding_invalid"):
            read(content, WISHES)


TEXTS = st.text(alphabet=st.sampled_from("a1\n张é𠮷，\ufeff"), max_size=60)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    text=TEXTS,
    size=st.integers(1, 9),
    encoding=st.sampled_from(["utf-8", "gb18030", "utf-16-le", "utf-32-be"]),
)
def test_every_named_encoding_gives_the_text_back_at_every_block_size(
    text: str, size: int, encoding: str
) -> None:
    expected = text.removeprefix("\ufeff").encode()
    assert text_of(text.encode(encoding), encoding, size) == expected
    assert text_of((FIRST + text).encode(encoding), encoding, size) == (FIRST + text).encode()


@settings(derandomize=True, max_examples=200, deadline=None)
@given(content=st.binary(max_size=40) | TEXTS.map(str.encode), size=st.integers(1, 9))
def test_utf8_is_strict_and_the_offset_is_that_of_the_first_fault(content: bytes, size: int) -> None:
    try:
        content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        offset = error.start + (len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0)
        assert utf8_fault(content) == offset
        with pytest.raises(IntakeError, match=f"offset {offset} "):
            text_of(content, "utf-8", size)
    else:
        assert text_of(content, "utf-8", size) == content.removeprefix(codecs.BOM_UTF8)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(content=st.binary(max_size=12) | TEXTS.map(str.encode), size=st.integers(1, 9))
def test_utf8_is_as_strict_where_blocks_split_its_characters(content: bytes, size: int) -> None:
    whole = FIRST.encode() + content
    fault = utf8_fault(whole)
    if fault is None:
        assert text_of(whole, "utf-8", size) == whole
    else:
        with pytest.raises(IntakeError, match=r"encoding_invalid: .* offset \d+ "):
            text_of(whole, "utf-8", size)
