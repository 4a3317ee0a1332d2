from __future__ import annotations

import base64
from datetime import datetime

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.policy_words import Action
from contact_sanitizer.protection.columns import (
    ColumnContext,
    decrypt_column,
    protect_column,
)
from contact_sanitizer.protection.hashes import hash_cells
from contact_sanitizer.protection.keyring import Keyring, SubKey

CELLS = st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=12)
modest = settings(derandomize=True, max_examples=60, deadline=None)
TEXTS = ["王小明", "", "Zoë", "A", "王小明", "long " * 200, "\0", "😀😀"]


@pytest.fixture
def context(keyring: Keyring) -> ColumnContext:
    return ColumnContext(keyring, "shared", "name")


def strings(cells: list[str]) -> pa.StringArray:
    return pa.array(cells, pa.string())


def protected(cells: list[str], action: Action, context: ColumnContext) -> list[str]:
    column, counts = protect_column(strings(cells), action, context)
    assert column.type == pa.string()
    assert action is Action.KEEP or not counts
    texts: list[str] = column.to_pylist()
    return texts


def test_a_masked_cell_keeps_its_first_character_and_hides_its_length(context: ColumnContext) -> None:
    cells = ["王小明", "张三", "A", "", "Alexandra", "😀😀", " x"]
    expected = ["王**", "张**", "**", "", "A**", "😀**", " **"]
    assert protected(cells, Action.MASK, context) == expected


@modest
@given(cells=CELLS)
def test_masking_says_the_same_of_all_longer_cells_with_one_beginning(cells: list[str]) -> None:
    ring = Keyring.create("acme", 7, b"k" * 32, datetime.fromisoformat("2026-01-01T00:00:00Z"))
    context = ColumnContext(ring, "shared", "name")
    masked = protected(cells, Action.MASK, context)
    assert masked == [cell and (cell[0] if len(cell) > 1 else "") + "**" for cell in cells]


def test_a_kept_column_is_scanned_and_counted(context: ColumnContext) -> None:
    cells = strings(["北京", "打13812345678", "a@example.com, 13812345678", "打13812345678"])
    column, counts = protect_column(cells, Action.KEEP, context)
    assert column.to_pylist() == ["北京", "打[phone]", "[email], [phone]", "打[phone]"]
    assert counts == {"phone": 3, "email": 1}


def test_a_clean_kept_column_is_handed_on_as_it_is(context: ColumnContext) -> None:
    cells = strings(["北京", "", "Room 12"])
    column, counts = protect_column(cells, Action.KEEP, context)
    assert column is cells
    assert counts == {}


def test_a_hashed_column_is_the_keyed_hash(context: ColumnContext) -> None:
    cells = strings(TEXTS)
    assert protect_column(cells, Action.HASH, context)[0] == hash_cells(cells, context.keyring)


def test_a_dropped_column_is_not_asked_for(context: ColumnContext) -> None:
    with pytest.raises(AssertionError):
        protect_column(strings(["x"]), Action.DROP, context)


def test_an_encrypted_cell_is_the_wire_form_of_aes_siv(context: ColumnContext) -> None:
    cell = protected(["王小明"], Action.ENCRYPT, context)[0]
    assert cell.startswith("ce_")
    wire = base64.urlsafe_b64decode(cell[3:] + "=" * (-len(cell[3:]) % 4))
    assert wire[:5] == b"\x01\x01\x02\x03\x04"
    key = context.keyring.subkey(0x01020304, SubKey.COLUMN)
    bound_to = [b"contact-sanitizer/column/v1|acme|shared|name"]
    assert AESSIV(key).decrypt(wire[5:], bound_to).decode() == "王小明"


def test_encrypted_cells_open_after_rotation_and_not_after_destruction(
    context: ColumnContext, now: datetime
) -> None:
    column, _ = protect_column(strings(TEXTS), Action.ENCRYPT, context)
    later = context.keyring.rotate(5, b"5" * 32, now)
    assert decrypt_column(column, ColumnContext(later, "shared", "name")).to_pylist() == TEXTS
    gone = ColumnContext(later.destroy(0x01020304), "shared", "name")
    with pytest.raises(KeyringError) as error:
        decrypt_column(column, gone)
    assert error.value.code == "key_destroyed"


@modest
@given(cells=CELLS)
def test_encryption_gives_every_cell_back_and_leaves_empty_ones_empty(cells: list[str]) -> None:
    ring = Keyring.create("acme", 7, b"k" * 32, datetime.fromisoformat("2026-01-01T00:00:00Z"))
    context = ColumnContext(ring, "shared", "name")
    column, _ = protect_column(strings(cells), Action.ENCRYPT, context)
    assert decrypt_column(column, context).to_pylist() == cells
    assert [not cell for cell in column.to_pylist()] == [not cell for cell in cells]


def test_equal_cells_encrypt_alike_in_one_column_and_otherwise_in_another(context: ColumnContext) -> None:
    others = [
        ColumnContext(context.keyring, "brand-a", "name"),
        ColumnContext(context.keyring, "shared", "city"),
    ]
    here = protected(["王小明", "王小明"], Action.ENCRYPT, context)
    assert here[0] == here[1]
    for other in others:
        assert protected(["王小明"], Action.ENCRYPT, other)[0] != here[0]
        with pytest.raises(KeyringError) as error:
            decrypt_column(strings(here), other)
        assert error.value.code == "token_refused"
        assert "王" not in str(error.value)


def test_an_audience_cannot_swallow_a_part_of_the_column_name(keyring: Keyring) -> None:
    with pytest.raises(KeyringError):
        protected(["x"], Action.ENCRYPT, ColumnContext(keyring, "shared|a", "b"))
    assert protected(["x"], Action.ENCRYPT, ColumnContext(keyring, "shared", "a|b"))


@pytest.mark.parametrize(
    "text", ["王小明", "ce_", "ce_AQ", "ce_AQECAwQ", "ct_AQECAwQ", "ce_!!!!", "ce_" + "AAAA" * 9]
)
def test_what_is_no_encrypted_cell_is_malformed(text: str, context: ColumnContext) -> None:
    with pytest.raises(KeyringError) as error:
        decrypt_column(strings([text]), context)
    assert error.value.code == "token_malformed"
    assert text not in str(error.value)


@pytest.mark.parametrize("text", ["王小明", "A", "AB"])
def test_every_changed_character_of_an_encrypted_cell_is_refused(text: str, context: ColumnContext) -> None:
    cell = protected([text], Action.ENCRYPT, context)[0]
    with pytest.raises(KeyringError):
        decrypt_column(strings([cell.removeprefix("ce_")]), context)
    for place in range(len(cell)):
        for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=":
            changed = cell[:place] + char + cell[place + 1 :]
            if changed != cell:
                with pytest.raises(KeyringError):
                    decrypt_column(strings([changed]), context)


def test_a_column_context_shows_no_key_and_no_name(context: ColumnContext) -> None:
    assert repr(context) == "ColumnContext()"
