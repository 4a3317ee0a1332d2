from __future__ import annotations

import hmac
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contact_sanitizer.protection.commitments import person_commitment
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
