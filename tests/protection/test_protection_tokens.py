from __future__ import annotations

import base64
import hashlib
import string
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
import tink
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import daead, json_proto_keyset_format, secret_key_access

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.blocks import blocks_of, digits_of
from contact_sanitizer.protection.keyring import Keyring
from contact_sanitizer.protection.subjects import subjects
from contact_sanitizer.protection.tokens import (
    TokenMaker,
    TokenOpener,
    export_tink_keyset,
    token_associated_data,
)
from contact_sanitizer.protection.wire import Refusal

NUMBER = "8613812345678"
# Computed apart from this code: HKDF, AESSIV and base64 alone.
PINNED = "ct_AQECAwQ2wHl6ueg18Z2zD--DtpJtvtroPBQIyeAp2d1_uQmJuQ"
URL_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
modest = settings(derandomize=True, max_examples=60, deadline=None)
NUMBERS = st.lists(st.from_regex(r"\A[1-9][0-9]{6,14}\Z", fullmatch=True), min_size=1, max_size=20)


def numbers(count: int) -> list[str]:
    return [f"86138{number:08d}" for number in range(count)]


def tokens_of(keyring: Keyring, audience: str, count: int) -> list[str]:
    tokens: list[str] = TokenMaker(keyring, audience).tokens(blocks_of(numbers(count))).to_pylist()
    return tokens


def code_for(opener: TokenOpener, token: str) -> str:
    with pytest.raises(KeyringError) as error:
        opener.open(token)
    assert token not in str(error.value)
    return error.value.code


def wire(token: str) -> bytes:
    return base64.urlsafe_b64decode(token.removeprefix("ct_") + "==")


def written(wire_form: bytes) -> str:
    return "ct_" + base64.urlsafe_b64encode(wire_form).rstrip(b"=").decode()


@modest
@given(found=NUMBERS)
def test_a_token_opens_to_its_number(found: list[str]) -> None:
    keyring = Keyring.create("acme", 7, b"k" * 32, datetime.fromisoformat("2026-01-01T00:00:00Z"))
    tokens = TokenMaker(keyring, "shared").tokens(blocks_of(found))
    opener = TokenOpener(keyring, "shared")
    assert [opener.open(token) for token in tokens.to_pylist()] == found
    assert digits_of(opener.open_many(tokens).blocks) == found


def test_a_token_is_the_contracts_text(keyring: Keyring) -> None:
    tokens = tokens_of(keyring, "shared", 5000)
    for token in (tokens[0], tokens[4095], tokens[4096], tokens[-1]):
        assert len(token) == 53
        assert token.startswith("ct_")
        assert wire(token)[:5] == b"\x01\x01\x02\x03\x04"
        assert written(wire(token)) == token
    assert len(set(tokens)) == 5000


def test_a_token_stays_what_it_was_when_the_code_was_written(keyring: Keyring) -> None:
    token = TokenMaker(keyring, "shared").tokens(blocks_of([NUMBER]))[0].as_py()
    assert token == PINNED


def test_tokens_come_as_text_and_as_strings_alike(keyring: Keyring) -> None:
    maker, blocks = TokenMaker(keyring, "shared"), blocks_of(numbers(10))
    assert [bytes(row).decode() for row in maker.text(blocks)] == maker.tokens(blocks).to_pylist()
    assert len(maker.tokens(blocks_of([]))) == 0


def test_two_audiences_share_no_token_and_cannot_open_each_others(keyring: Keyring) -> None:
    ours, theirs = (tokens_of(keyring, audience, 20_000) for audience in ("brand-a", "brand-b"))
    assert not set(ours) & set(theirs)
    refusals = TokenOpener(keyring, "brand-b").open_many(ours).refusals
    assert (refusals == Refusal.TOKEN_REFUSED).all()


def test_two_tenants_and_two_keys_share_no_token(keyring: Keyring, now: datetime) -> None:
    tenant = Keyring.create("other", 0x01020304, bytes(range(32)), now)
    root = Keyring.create("acme", 0x01020304, b"r" * 32, now)
    sets = [set(tokens_of(ring, "shared", 5000)) for ring in (keyring, tenant, root)]
    assert len(set.union(*sets)) == 15_000
    assert code_for(TokenOpener(tenant, "shared"), min(sets[0])) == "token_refused"


@pytest.mark.parametrize("audience", ["", "a|b", "x\n", "x" * 129])
def test_an_audience_that_could_be_read_as_two_is_refused(audience: str, keyring: Keyring) -> None:
    for make in (TokenMaker, TokenOpener):
        with pytest.raises(KeyringError) as error:
            make(keyring, audience)
        assert error.value.code == "name_invalid"


def test_every_changed_character_is_refused(keyring: Keyring) -> None:
    token = tokens_of(keyring, "shared", 1)[0]
    opener = TokenOpener(keyring, "shared")
    changed = [
        token[:place] + char + token[place + 1 :]
        for place in range(len(token))
        for char in [*URL_ALPHABET, "+", "/", "=", " ", "\0", "\x7f"]
        if char != token[place]
    ]
    refusals = opener.open_many(changed).refusals
    assert len(changed) > 3000
    assert refusals.all()
    assert not opener.open_many(changed).blocks.any()
    assert set(refusals.tolist()) == {
        Refusal.TOKEN_MALFORMED,
        Refusal.KEY_UNKNOWN,
        Refusal.TOKEN_REFUSED,
    }


def test_unused_bits_that_are_set_make_no_token(keyring: Keyring) -> None:
    token = tokens_of(keyring, "shared", 1)[0]
    opener = TokenOpener(keyring, "shared")
    value = URL_ALPHABET.index(token[-1])
    assert value % 16 == 0
    for unused in range(1, 16):
        assert code_for(opener, token[:-1] + URL_ALPHABET[value + unused]) == "token_malformed"


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:0],
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token + "=",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token.removeprefix("ct_"),
        lambda token: "CT_" + token[3:],
        lambda token: "ce_" + token[3:],
        lambda token: token[:-1] + "\u00e9",
        lambda token: token[:-2] + "\u00e9",
        lambda token: token[:-1] + "\ud800",
        lambda token: "ct_" + "\uff21" + token[4:],
        lambda token: written(b"\x00" + wire(token)[1:]),
        lambda token: written(b"\x02" + wire(token)[1:]),
    ],
)
def test_what_the_maker_cannot_have_written_is_malformed(change: object, keyring: Keyring) -> None:
    assert callable(change)
    text = change(tokens_of(keyring, "shared", 1)[0])
    with pytest.raises(KeyringError) as error:
        TokenOpener(keyring, "shared").open(text)
    assert error.value.code == "token_malformed"


def test_one_bad_token_does_not_stop_the_others(keyring: Keyring) -> None:
    good = tokens_of(keyring, "shared", 3)
    opened = TokenOpener(keyring, "shared").open_many([good[0], "x", good[1], good[2][:-3] + "AAA", good[2]])
    assert [Refusal(code).code for code in opened.refusals] == [
        "",
        "token_malformed",
        "",
        "token_refused",
        "",
    ]
    assert digits_of(opened.blocks) == [numbers(3)[0], "", numbers(3)[1], "", numbers(3)[2]]
    assert len(TokenOpener(keyring, "shared").open_many([])) == 0


def test_a_slice_of_a_column_of_tokens_opens(keyring: Keyring) -> None:
    tokens = pa.array(["", *tokens_of(keyring, "shared", 6), "other"]).slice(2, 5)
    assert digits_of(TokenOpener(keyring, "shared").open_many(tokens).blocks) == numbers(6)[1:]


def test_five_rotations_open_everything_until_a_key_is_destroyed(keyring: Keyring, now: datetime) -> None:
    made: dict[int, list[str]] = {}
    for turn in range(6):
        if turn:
            keyring = keyring.rotate(turn, bytes([turn]) * 32, now)
        made[keyring.primary.id] = tokens_of(keyring, "shared", 2000)
    opener = TokenOpener(keyring, "shared")
    for tokens in made.values():
        assert digits_of(opener.open_many(tokens).blocks) == numbers(2000)
    assert len({token for tokens in made.values() for token in tokens}) == 12_000

    gone = {0x01020304, 3}
    for key_id in gone:
        keyring = keyring.destroy(key_id)
    opener = TokenOpener(keyring, "shared")
    for key_id, tokens in made.items():
        opened = opener.open_many(tokens)
        expected = Refusal.KEY_DESTROYED if key_id in gone else Refusal.NONE
        assert (opened.refusals == expected).all()
        assert opened.blocks.any() == (key_id not in gone)
    assert code_for(opener, made[3][0]) == "key_destroyed"


def test_a_token_of_a_key_that_was_never_here_is_said_to_be_so(keyring: Keyring, now: datetime) -> None:
    other = Keyring.create("acme", 99, b"o" * 32, now)
    assert code_for(TokenOpener(keyring, "shared"), tokens_of(other, "shared", 1)[0]) == "key_unknown"


def test_no_rendering_of_opened_tokens_shows_a_number(keyring: Keyring) -> None:
    opened = TokenOpener(keyring, "shared").open_many(tokens_of(keyring, "shared", 2))
    assert repr(opened) == str(opened) == f"{opened}" == "OpenedTokens(2 tokens, 0 refused)"


def tink_primitive(keyring: Keyring) -> daead.DeterministicAead:
    daead.register()
    handle = json_proto_keyset_format.parse(export_tink_keyset(keyring), secret_key_access.TOKEN)
    return handle.primitive(daead.DeterministicAead)


def test_tink_makes_the_same_tokens_and_opens_ours(keyring: Keyring, now: datetime) -> None:
    old = tokens_of(keyring, "shared", 20)
    keyring = keyring.rotate(5, b"5" * 32, now)
    primitive, data = tink_primitive(keyring), token_associated_data("acme", "shared")
    for number, before, token in zip(numbers(20), old, tokens_of(keyring, "shared", 20), strict=True):
        block = number.encode().ljust(16, b"\0")
        assert primitive.decrypt_deterministically(wire(token), data) == block
        assert primitive.decrypt_deterministically(wire(before), data) == block
        made = primitive.encrypt_deterministically(block, data)
        assert written(made) == token
        assert TokenOpener(keyring, "shared").open(written(made)) == number


def test_tink_refuses_tokens_of_another_audience_and_of_a_destroyed_key(
    keyring: Keyring, now: datetime
) -> None:
    old, data = tokens_of(keyring, "shared", 1)[0], token_associated_data("acme", "shared")
    with pytest.raises(tink.TinkError):
        tink_primitive(keyring).decrypt_deterministically(wire(old), token_associated_data("acme", "brand-a"))
    later = keyring.rotate(5, b"5" * 32, now).destroy(keyring.primary.id)
    with pytest.raises(tink.TinkError):
        tink_primitive(later).decrypt_deterministically(wire(old), data)


@pytest.mark.parametrize(
    "text", [b"8613812345678x\0\0", b"\0" * 16, b"86\x0013812345678", b"8613812345678901"]
)
def test_what_tink_seals_that_is_no_number_is_refused(text: bytes, keyring: Keyring) -> None:
    data = token_associated_data("acme", "shared")
    sealed = tink_primitive(keyring).encrypt_deterministically(text, data)
    if len(text) == 16:
        assert not TokenOpener(keyring, "shared").open_many([written(sealed)]).blocks.any()
        assert code_for(TokenOpener(keyring, "shared"), written(sealed)) == "token_refused"
    else:
        assert code_for(TokenOpener(keyring, "shared"), written(sealed)) == "token_malformed"


def test_who_has_no_key_finds_no_number_by_trying_them_all(keyring: Keyring, now: datetime) -> None:
    listed, guesses = blocks_of(numbers(1000)), blocks_of(numbers(20_000))
    bare = {hashlib.sha256(number.encode()).digest() for number in numbers(1000)}
    hits = sum(hashlib.sha256(number.encode()).digest() in bare for number in numbers(20_000))
    assert hits == 1000  # the control: without a key, trying finds every one

    wrong = [Keyring.create("acme", 0x01020304, bytes([guess]) * 32, now) for guess in range(3)]
    tokens = {bytes(row) for row in TokenMaker(keyring, "shared").text(listed)}
    people = {bytes(row) for row in subjects(listed, keyring)}
    for ring in wrong:
        assert tokens.isdisjoint(bytes(row) for row in TokenMaker(ring, "shared").text(guesses))
        assert people.isdisjoint(bytes(row) for row in subjects(guesses, ring))
    assert people.isdisjoint(hashlib.sha256(bytes(block)).digest()[:16] for block in guesses)
    assert len(people) == len(tokens) == 1000


def test_subjects_are_the_same_after_rotation_and_others_for_another_tenant(
    keyring: Keyring, now: datetime
) -> None:
    blocks = blocks_of(numbers(100))
    later = keyring.rotate(5, b"5" * 32, now).destroy(keyring.primary.id)
    other = Keyring.create("other", 0x01020304, bytes(range(32)), now)
    assert np.array_equal(subjects(blocks, later), subjects(blocks, keyring))
    assert not (subjects(blocks, other) == subjects(blocks, keyring)).all(axis=1).any()
    assert subjects(blocks_of([]), keyring).shape == (0, 16)
