from __future__ import annotations

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.protection.aes import BlockCmac, BlockSiv
from contact_sanitizer.protection.blocks import are_blocks, blocks_of, digits_of

BLOCKS = st.lists(st.binary(min_size=16, max_size=16), max_size=20)
modest = settings(derandomize=True, max_examples=60, deadline=None)


def matrix(blocks: list[bytes]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(blocks), np.uint8).reshape(-1, 16)


def cmac(key: bytes, block: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(block)
    return mac.finalize()


@modest
@given(key=st.binary(min_size=32, max_size=32), blocks=BLOCKS)
def test_tags_are_those_of_the_cryptography_package(key: bytes, blocks: list[bytes]) -> None:
    tags = BlockCmac(key).tags(matrix(blocks))
    assert [tag.tobytes() for tag in tags] == [cmac(key, block) for block in blocks]


@modest
@given(key=st.binary(min_size=64, max_size=64), data=st.binary(max_size=70), blocks=BLOCKS)
def test_sealed_blocks_are_those_of_the_cryptography_package(
    key: bytes, data: bytes, blocks: list[bytes]
) -> None:
    sealed = BlockSiv(key, data).encrypt(matrix(blocks))
    assert [one.tobytes() for one in sealed] == [AESSIV(key).encrypt(block, [data]) for block in blocks]


@modest
@given(key=st.binary(min_size=64, max_size=64), data=st.binary(max_size=40), blocks=BLOCKS)
def test_opening_gives_the_blocks_back(key: bytes, data: bytes, blocks: list[bytes]) -> None:
    siv = BlockSiv(key, data)
    opened, authentic = siv.decrypt(siv.encrypt(matrix(blocks)))
    assert authentic.all()
    assert [one.tobytes() for one in opened] == blocks


@modest
@given(bit=st.integers(0, 255), block=st.binary(min_size=16, max_size=16))
def test_one_flipped_bit_is_refused_and_gives_nothing_away(bit: int, block: bytes) -> None:
    key = bytes(range(64))
    siv = BlockSiv(key, b"data")
    sealed = siv.encrypt(matrix([block, block]))
    sealed[1, bit // 8] ^= 1 << bit % 8
    opened, authentic = siv.decrypt(sealed)
    assert authentic.tolist() == [True, False]
    assert not opened[1].any()
    with pytest.raises(InvalidTag):
        AESSIV(key).decrypt(sealed[1].tobytes(), [b"data"])


@pytest.mark.parametrize("rows", [8191, 8192, 8193, 20_000])
def test_batches_of_several_slabs_are_what_single_blocks_are(rows: int) -> None:
    blocks = np.random.default_rng(rows).integers(0, 256, (rows, 16), np.uint8)
    siv, mac = BlockSiv(bytes(range(64)), b"data"), BlockCmac(bytes(range(32)))
    sealed, tags = siv.encrypt(blocks), mac.tags(blocks)
    for row in (0, 8190, rows // 2, rows - 1):
        assert sealed[row].tobytes() == siv.encrypt(blocks[row : row + 1]).tobytes()
        assert tags[row].tobytes() == mac.tags(blocks[row : row + 1]).tobytes()
    assert (siv.decrypt(sealed)[0] == blocks).all()


def test_every_second_row_of_a_larger_array_is_sealed_like_a_copy_of_it() -> None:
    blocks = np.random.default_rng(1).integers(0, 256, (40, 16), np.uint8)
    siv = BlockSiv(bytes(range(64)), b"data")
    assert (siv.encrypt(blocks[::2]) == siv.encrypt(blocks[::2].copy())).all()
    sealed = siv.encrypt(blocks)
    assert (siv.decrypt(sealed[::2])[0] == blocks[::2]).all()


@modest
@given(numbers=st.lists(st.from_regex(r"\A[0-9]{1,15}\Z", fullmatch=True), max_size=8))
def test_blocks_give_their_digits_back(numbers: list[str]) -> None:
    blocks = blocks_of(numbers)
    assert digits_of(blocks) == numbers
    assert are_blocks(blocks).all()


@pytest.mark.parametrize("digits", ["", "1234567890123456", "+8613812345678", "１３８", "12 3"])
def test_what_is_not_1_to_15_ascii_digits_makes_no_block(digits: str) -> None:
    with pytest.raises(AssertionError):
        blocks_of([digits])


@modest
@given(block=st.lists(st.sampled_from(b"0159\0\0\0/:\x80\xb1"), min_size=16, max_size=16).map(bytes))
def test_only_digits_and_then_nuls_are_a_block(block: bytes) -> None:
    text = block.rstrip(b"\0")
    expected = 0 < len(text) < 16 and text.isdigit()
    assert are_blocks(matrix([block])).tolist() == [expected]
