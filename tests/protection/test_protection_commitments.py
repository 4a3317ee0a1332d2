from __future__ import annotations

import hmac
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contact_sanitizer.protection.commitments import pending_name, person_commitment, receipt_commitment
from contact_sanitizer.protection.keyring import Keyring

UID = "01KAKV2DC060RK4CSM6MV3EE1S"
SUBJECT = bytes(range(16))


def test_a_commitment_is_keyed_and_blinded_by_the_events_id(keyring: Keyring, now: datetime) -> None:
    info = f"contact-sanitizer/person/v1|{keyring.tenant}".encode()
    key = HKDF(SHA256(), 32, salt=None, info=info).derive(keyring.lookup.hash)
    expected = hmac.digest(key, UID.encode() + b"|" + SUBJECT, "sha256").hex()
    assert person_commitment(SUBJECT, UID, keyring) == expected
    others = {
        person_commitment(SUBJECT, UID[:-1] + "T", keyring),
        person_commitment(SUBJECT[::-1], UID, keyring),
        person_commitment(SUBJECT, UID, Keyring.create("other", 7, b"o" * 32, now)),
    }
    assert len(others | {expected}) == 4


def test_commitments_outlive_rotation(keyring: Keyring, now: datetime) -> None:
    later = keyring.rotate(5, b"5" * 32, now).destroy(keyring.primary.id)
    assert person_commitment(SUBJECT, UID, later) == person_commitment(SUBJECT, UID, keyring)


def test_what_a_receipt_commits_to_opens_with_the_receipt_and_the_number_alone() -> None:
    block = b"8613812345678".ljust(16, b"\0")
    opening = bytes(range(32))
    assert receipt_commitment(opening, block) == hmac.digest(opening, b"+8613812345678", "sha256").hex()
    with pytest.raises(AssertionError):
        receipt_commitment(opening[:-1], block)


def test_an_erasure_under_way_is_named_by_a_keyed_code_that_no_event_has(
    keyring: Keyring, now: datetime
) -> None:
    name = pending_name(SUBJECT, keyring)
    assert name == pending_name(SUBJECT, keyring.rotate(5, b"5" * 32, now))
    others = {
        pending_name(SUBJECT[::-1], keyring),
        pending_name(SUBJECT, Keyring.create("o", 7, b"o" * 32, now)),
    }
    assert len(others | {name, person_commitment(SUBJECT, UID, keyring)}) == 4
    assert SUBJECT.hex() not in name
