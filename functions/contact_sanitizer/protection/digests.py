"""The keyed digest of an upload: says later whether a file is the one that was meant.

A bare digest of a short list could be found by trying numbers; a keyed one cannot without the key.
"""

from __future__ import annotations

from blake3 import blake3

from contact_sanitizer.protection.associated import Use, associated_data
from contact_sanitizer.protection.keyring import LOOKUP_BYTES, Keyring, hkdf_sha256


class UploadDigest:
    """BLAKE3 (keyed mode, 256 bits) of the bytes given so far; the same over every rotation.

    The key is HKDF-SHA-256 of the tenant's `hash` key with info `contact-sanitizer/upload-digest/v1|TENANT`.
    """

    __slots__ = ("_state",)

    def __init__(self, keyring: Keyring) -> None:
        info = associated_data(Use.DIGEST, keyring.tenant)
        key = hkdf_sha256(keyring.lookup.hash, salt=None, info=info, size=LOOKUP_BYTES)
        self._state = blake3(key=key)

    def update(self, content: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        self._state.update(content)

    def hexdigest(self) -> str:
        """64 lower-case hex characters for everything taken so far; more may follow."""
        return self._state.hexdigest()


def note_digest() -> blake3:
    """BLAKE3 of what only we read and nobody could guess: it costs a tenth of SHA-256."""
    return blake3()
