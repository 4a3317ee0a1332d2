"""Commitments to a person: what an audit event says of whom it was about.

Promises: without the tenant's `hash` key a commitment says nothing about the person, and two of the same
person look unrelated; with the key, whoever knows the person can tell which events were about them.
Does not promise: that somebody who holds the key and the log cannot try numbers.

An erasure is committed to under a key of its own that nobody keeps but whoever gets the receipt: the person
can show that an event was about them, and nobody else can find out.
"""

from __future__ import annotations

from typing import Final

from contact_sanitizer.protection.associated import Use, associated_data
from contact_sanitizer.protection.hashes import hmac_sha256
from contact_sanitizer.protection.keyring import LOOKUP_BYTES, Keyring, hkdf_sha256

OPENING_BYTES: Final = 32
# Longer than an event's id, and not in its alphabet.
_PENDING: Final = "erasure that is under way for"


def person_commitment(subject: bytes, event_uid: str, keyring: Keyring) -> str:
    """64 lower-case hex characters that commit one event to a person (16 bytes); the same over rotations.

    HMAC-SHA-256 of `EVENT_UID|` and the subject; the key is HKDF-SHA-256 of the tenant's `hash` key with info
    `contact-sanitizer/person/v1|TENANT`. The event's own id blinds it, so that nothing has to be kept.
    """
    info = associated_data(Use.PERSON, keyring.tenant)
    key = hkdf_sha256(keyring.lookup.hash, salt=None, info=info, size=LOOKUP_BYTES)
    return hmac_sha256(key, event_uid.encode("ascii") + b"|" + subject)


def receipt_commitment(opening: bytes, block: bytes) -> str:
    """64 lower-case hex characters: HMAC-SHA-256, under the 32 bytes of a receipt, of `+` and the digits."""
    if len(opening) != OPENING_BYTES:
        raise AssertionError("a receipt opens with 32 bytes")
    return hmac_sha256(opening, b"+" + block.rstrip(b"\0"))


def pending_name(subject: bytes, keyring: Keyring) -> str:
    """Under which name an erasure of a person (16 bytes) is kept while it is under way: 64 hex characters."""
    return person_commitment(subject, _PENDING, keyring)
