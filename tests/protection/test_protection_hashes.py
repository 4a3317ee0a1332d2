from __future__ import annotations

import hmac
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.blocks import blocks_of
from contact_sanitizer.protection.digests import UploadDigest
from contact_sanitizer.protection.hashes import hash_cells, hash_numbers
from contact_sanitizer.protection.keyring import Keyring
from contact_sanitizer.protection.sealing import open_sealed, seal_numbers

NUMBERS = ["8613812345678", "12125550123", "8613812345678"]


def keyed(keyring: Keyring, text: str) -> str:
    return hmac.new(keyring.lookup.hash, text.encode(), "sha256").hexdigest()


def test_a_number_hashes_as_its_e164_string(keyring: Keyring) -> None:
    hashes = hash_numbers(blocks_of(NUMBERS), keyring)
    assert hashes.to_pylist() == [keyed(keyring, "+" + number) for number in NUMBERS]


def test_a_cell_hashes_as_its_nfc_bytes_and_an_empty_one_stays_empty(keyring: Keyring) -> None:
    cells = pa.array(["Zoe\u0308", "", "Zo\u00eb", "+8613812345678", "zoë", ""])
    expected = [
        keyed(keyring, text) if text else "" for text in ("Zoë", "", "Zoë", "+8613812345678", "zoë", "")
    ]
    assert hash_cells(cells, keyring).to_pylist() == expected
    assert hash_cells(cells.slice(1, 3), keyring).to_pylist() == expected[1:4]
    assert hash_cells(pa.array([], pa.string()), keyring).to_pylist() == []


def test_hashes_and_upload_digests_stay_over_rotation(keyring: Keyring, now: datetime) -> None:
    later = keyring.rotate(5, b"5" * 32, now).destroy(keyring.primary.id)
    assert hash_numbers(blocks_of(NUMBERS), later) == hash_numbers(blocks_of(NUMBERS), keyring)
    assert UploadDigest(later).hexdigest() == UploadDigest(keyring).hexdigest()


def test_an_upload_digest_is_keyed_blake3_of_all_bytes_in_any_pieces(keyring: Keyring) -> None:
    content = bytes(range(256)) * 50
    info = b"contact-sanitizer/upload-digest/v1|acme"
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(keyring.lookup.hash)
    digest = UploadDigest(keyring)
    for start in range(0, len(content), 999):
        digest.update(memoryview(content)[start : start + 999])
    assert digest.hexdigest() == blake3(content, key=key).hexdigest()
    assert digest.hexdigest() != blake3(content).hexdigest()


def test_sealed_numbers_open_until_their_key_is_destroyed(keyring: Keyring, now: datetime) -> None:
    blocks = blocks_of(NUMBERS)
    sealed = seal_numbers(blocks, keyring)
    assert sealed.shape == (3, 37)
    later = keyring.rotate(5, b"5" * 32, now)
    assert np.array_equal(open_sealed(sealed, later), blocks)
    with pytest.raises(KeyringError) as error:
        open_sealed(sealed, later.destroy(keyring.primary.id))
    assert error.value.code == "key_destroyed"


def test_a_sealed_number_that_was_changed_or_is_another_tenants_is_refused(
    keyring: Keyring, now: datetime
) -> None:
    other = Keyring.create("other", keyring.primary.id, bytes(range(32)), now)
    sealed = seal_numbers(blocks_of(NUMBERS), keyring)
    changed = sealed.copy()
    changed[1, 20] ^= 1
    for ring, wires in ((keyring, changed), (other, sealed)):
        with pytest.raises(KeyringError) as error:
            open_sealed(wires, ring)
        assert error.value.code == "token_refused"
        assert not any(number in str(error.value) for number in NUMBERS)
