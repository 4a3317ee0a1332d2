"""Commitments to a person: what an audit event says of whom it was about.

Promises: without the tenant's `hash` key a commitment says nothing about the person, and two of the same
person look unrelated; with the key, whoever knows the person can tell which events were about them.
Does not promise: that somebody who holds the key and the log cannot try numbers.
"""

from __future__ import annotations

from contact_sanitizer.protection.associated import Use, associated_data
from contact_sanitizer.protection.hashes import hmac_sha256
from contact_sanitizer.protection.keyring import LOOKUP_BYTES, Keyring, hkdf_sha256


def person_commitment(subject: bytes, event_uid: str, keyring: Keyring) -> str:
    """64 lower-case hex characters that commit one event to a person (16 bytes); the same over rotations.

    HMAC-SHA-256 of `EVENT_UID|` and the subject; the key is HKDF-SHA-256 of the tenant's `hash` key with info
    `contact-sanitizer/person/v1|TENANT`. The event's own id blinds it, so that nothing has to be kept.
    """
    info = associated_data(Use.PERSON, keyring.tenant)
    key = hkdf_sha256(keyring.lookup.hash, salt=None, info=info, size=LOOKUP_BYTES)
    return hmac_sha256(key, event_uid.encode("ascii") + b"|" + subject)
