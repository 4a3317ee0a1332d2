from __future__ import annotations

import base64
import binascii
import string
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contact_sanitizer.protection.blocks import are_blocks, blocks_of, digits_of
from contact_sanitizer.protection.keyring import Keyring
from contact_sanitizer.protection.slabs import SLAB_ROWS
from contact_sanitizer.protection.token_text import read_slabs, write_tokens
from contact_sanitizer.protection.tokens import TokenMaker, TokenOpener
from contact_sanitizer.protection.wire import Refusal

URL_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
BORDERS = [0, 1, SLAB_ROWS - 1, SLAB_ROWS, SLAB_ROWS + 1, 2 * SLAB_ROWS + 3]
modest = settings(derandomize=True, max_examples=60, deadline=None)
WIRES = st.lists(st.binary(min_size=37, max_size=37), max_size=12)


def matrix(rows: list[bytes], width: int) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, width)


def made(rows: int) -> NDArray[np.uint8]:
    return np.random.default_rng(rows).integers(0, 256, (rows, 37), np.uint8)


def text_of(wire: bytes) -> bytes:
    return b"ct_" + base64.urlsafe_b64encode(wire).rstrip(b"=")


def wire_of(text: bytes) -> bytes:
    """What the text stands for, with the standard library alone; zeros for what `text_of` never gives."""
    try:
        wire = base64.urlsafe_b64decode(text[3:] + b"==")
    except binascii.Error:
        return bytes(37)
    return wire if len(wire) == 37 and text_of(wire) == text else bytes(37)


def read(text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([np.empty((0, 37), np.uint8), *(slab.copy() for slab in read_slabs(text))])


def blocks(rows: int) -> NDArray[np.uint8]:
    return blocks_of([f"86138{number:08d}" if number % 3 else f"1{number:06d}" for number in range(rows)])


@modest
@given(wires=WIRES)
def test_text_is_that_of_the_standard_library_and_reads_back(wires: list[bytes]) -> None:
    text = write_tokens(matrix(wires, 37))
    assert [row.tobytes() for row in text] == [text_of(wire) for wire in wires]
    assert [row.tobytes() for row in read(text)] == wires


@modest
@given(
    wires=st.lists(st.binary(min_size=37, max_size=37), min_size=1, max_size=6),
    changes=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 52), st.integers(0, 255)), min_size=1, max_size=4
    ),
)
def test_changed_text_reads_as_the_standard_library_has_it(
    wires: list[bytes], changes: list[tuple[int, int, int]]
) -> None:
    text = write_tokens(matrix(wires, 37))
    for row, place, byte in changes:
        text[row % len(text), place] = byte
    assert [row.tobytes() for row in read(text)] == [wire_of(row.tobytes()) for row in text]


def test_every_byte_at_every_place_is_read_or_refused_as_the_standard_library_has_it() -> None:
    token = text_of(made(1)[0].tobytes())
    texts = [token[:place] + bytes([byte]) + token[place + 1 :] for place in range(53) for byte in range(256)]
    expected = [wire_of(text) for text in texts]
    assert [row.tobytes() for row in read(matrix(texts, 53))] == expected
    assert sum(wire != bytes(37) for wire in expected) == 49 * 64 + 3 + 4


@pytest.mark.parametrize("wrong", [b"+", b"/", b"=", b"A=", b"==", b" ", b"\n", b"\0", b"\x80", b"\xff"])
def test_one_wrong_character_refuses_its_own_row_alone(wrong: bytes) -> None:
    wires = made(3)
    good = write_tokens(wires)
    for place in range(54 - len(wrong)):
        for row in range(3):
            text = good.copy()
            text[row, place : place + len(wrong)] = np.frombuffer(wrong, np.uint8)
            found = read(text)
            assert not found[row].any()
            assert (np.delete(found, row, 0) == np.delete(wires, row, 0)).all()


def test_a_token_in_the_standard_alphabet_is_refused(keyring: Keyring) -> None:
    texts = TokenMaker(keyring, "shared").tokens(blocks(2000)).to_pylist()
    opener = TokenOpener(keyring, "shared")
    for ours, theirs in ("-+", "_/"):
        having = [text for text in texts if ours in text[3:]]
        changed = [text[:3] + text[3:].replace(ours, theirs) for text in having]
        assert len(having) > 500
        assert (opener.open_many(changed).refusals == Refusal.TOKEN_MALFORMED).all()
        assert (opener.open_many([changed[0], having[1]]).refusals == [Refusal.TOKEN_MALFORMED, 0]).all()


def test_the_unused_bits_and_the_mark_are_looked_at_where_every_character_is_right() -> None:
    text = write_tokens(made(4))
    text[1, 52] = ord(URL_ALPHABET[URL_ALPHABET.index(chr(text[1, 52])) + 1])
    text[2, 0] = ord("b")
    found = read(text)
    assert found.any(axis=1).tolist() == [True, False, False, True]


@pytest.mark.parametrize("rows", BORDERS)
def test_text_of_several_slabs_is_that_of_single_tokens(rows: int, keyring: Keyring) -> None:
    wires = made(rows)
    text = write_tokens(wires)
    assert text.shape == (rows, 53)
    assert (read(text) == wires).all()
    for row in {0, rows // 2, min(SLAB_ROWS, rows) - 1, rows - 1} - {-1}:
        if row < rows:
            assert text[row].tobytes() == text_of(wires[row].tobytes())
    maker, people = TokenMaker(keyring, "shared"), blocks(rows)
    ours, theirs = maker.wires_and_text(people)
    assert (ours == maker.wires(people)).all()
    assert (theirs == maker.text(people)).all()
    assert (theirs == write_tokens(ours)).all()
    assert (TokenOpener(keyring, "shared").open_many(theirs).blocks == people).all()


@pytest.mark.parametrize("rows", BORDERS[1:])
def test_the_first_and_the_last_row_of_each_slab_are_refused_alone(rows: int, keyring: Keyring) -> None:
    people = blocks(rows)
    text = TokenMaker(keyring, "shared").text(people)
    wrong = sorted({0, min(SLAB_ROWS, rows) - 1, min(SLAB_ROWS, rows - 1), rows - 1})
    text[wrong[0], 20] = ord("+")
    text[wrong[1:], 20] ^= 1 << 2  # often another character of the alphabet, always another token
    opened = TokenOpener(keyring, "shared").open_many(text)
    assert np.flatnonzero(opened.refusals).tolist() == wrong
    assert opened.refusals[0] == Refusal.TOKEN_MALFORMED
    assert not opened.blocks[wrong].any()
    assert (np.delete(opened.blocks, wrong, 0) == np.delete(people, wrong, 0)).all()


def test_tokens_are_opened_where_they_stand_in_lines(keyring: Keyring) -> None:
    people = blocks(300)
    lines = np.full((300, 90), ord(","), np.uint8)
    lines[:, 7:60] = TokenMaker(keyring, "shared").text(people)
    lines.flags.writeable = False
    opener = TokenOpener(keyring, "shared")
    for rows in (slice(None), slice(None, None, 2), slice(None, None, -1), slice(5, 5)):
        opened = opener.open_many(lines[rows, 7:60])
        assert not opened.refusals.any()
        assert (opened.blocks == people[rows]).all()
    assert (opener.open_many(lines[:, 6:59]).refusals == Refusal.TOKEN_MALFORMED).all()


@pytest.mark.parametrize("shape", [(2, 52), (2, 54), (53,), (1, 2, 53)])
def test_a_matrix_of_another_width_is_a_fault_of_the_caller(shape: tuple[int, ...], keyring: Keyring) -> None:
    with pytest.raises(AssertionError):
        TokenOpener(keyring, "shared").open_many(np.zeros(shape, np.uint8))


def test_texts_of_any_length_and_script_open_alike_as_strings_and_as_an_array(keyring: Keyring) -> None:
    good = TokenMaker(keyring, "shared").tokens(blocks(3)).to_pylist()
    texts = [good[0], "", good[1][:-1], good[1] + "A", "\u00e9" * 26 + "x", "\u4e00" * 53, good[2], "ct_"]
    opener = TokenOpener(keyring, "shared")
    opened, as_array = opener.open_many(texts), opener.open_many(pa.array(texts, pa.string()))
    assert np.flatnonzero(opened.refusals == 0).tolist() == [0, 6]
    assert set(opened.refusals.tolist()) == {Refusal.NONE, Refusal.TOKEN_MALFORMED}
    assert (opened.blocks == as_array.blocks).all()
    assert (opened.refusals == as_array.refusals).all()


@pytest.mark.parametrize("together", [True, False])
def test_tokens_of_many_keys_open_in_one_batch(together: bool, keyring: Keyring, now: datetime) -> None:  # noqa: FBT001 - a case, no flag
    second = keyring.rotate(5, b"5" * 32, now)
    third = second.rotate(6, b"6" * 32, now)
    stranger = Keyring.create("acme", 9, b"9" * 32, now)
    rows, people = 3 * SLAB_ROWS + 40, blocks(3 * SLAB_ROWS + 40)
    rings = [keyring, second, third, stranger]
    turns = np.arange(rows) * 4 // rows if together else np.arange(rows) % 4
    text = np.empty((rows, 53), np.uint8)
    for turn, ring in enumerate(rings):
        text[turns == turn] = TokenMaker(ring, "shared").text(people[turns == turn])
    opened = TokenOpener(third.destroy(5), "shared").open_many(text)
    words = np.array([Refusal.NONE, Refusal.KEY_DESTROYED, Refusal.NONE, Refusal.KEY_UNKNOWN], np.uint8)
    assert (opened.refusals == words[turns]).all()
    assert (opened.blocks == np.where((words[turns] == 0)[:, None], people, 0)).all()


def is_block(row: bytes) -> bool:
    digits = row.rstrip(b"\0")
    return 0 < len(digits) < 16 and digits.isdigit()


def test_every_byte_at_every_place_of_a_block_is_judged_among_sound_ones() -> None:
    sound = blocks_of(["8613812345678", "12025550123", "442079460000123", "7"])
    for row in range(4):
        for place in range(16):
            for byte in range(256):
                changed = sound.copy()
                changed[row, place] = byte
                expected = [is_block(one.tobytes()) for one in changed]
                assert are_blocks(changed).tolist() == expected


@modest
@given(
    rows=st.lists(
        st.lists(st.sampled_from(b"059\0\0"), min_size=16, max_size=16).map(bytes)
        | st.from_regex(r"\A[0-9]{1,15}\Z", fullmatch=True).map(
            lambda digits: digits.encode().ljust(16, b"\0")
        ),
        max_size=6,
    )
)
def test_rows_are_judged_each_for_itself(rows: list[bytes]) -> None:
    assert are_blocks(matrix(rows, 16)).tolist() == [is_block(row) for row in rows]


def test_a_whole_row_of_digits_or_none_at_an_edge_is_no_block() -> None:
    sound = b"8613812345678\0\0\0"
    for odd in (b"8" * 16, b"\0" * 16, b"\0" + b"8" * 14 + b"\0", b"8" + b"\0" * 14 + b"8"):
        for rows in ([odd], [odd, sound], [sound, odd], [sound, odd, sound], [odd, odd]):
            assert are_blocks(matrix(rows, 16)).tolist() == [row == sound for row in rows]
    assert are_blocks(np.empty((0, 16), np.uint8)).shape == (0,)


def test_digits_are_those_of_each_block_and_none_of_an_empty_one() -> None:
    numbers = ["8613812345678", "1", "442079460000123"]
    some = np.concatenate([blocks_of(numbers), np.zeros((2, 16), np.uint8)])
    assert digits_of(some) == [*numbers, "", ""]
    assert digits_of(some[::-2]) == ["", "442079460000123", "8613812345678"]
    assert digits_of(np.asfortranarray(some)) == [*numbers, "", ""]
    assert digits_of(some[:0]) == []
    assert all(type(digits) is str for digits in digits_of(some))
