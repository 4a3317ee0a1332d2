"""Signatures of the audit log: Ed25519 (RFC 8032), and ECDSA on P-256 with SHA-256 (FIPS 186-5) to verify.

Promises: a signature is accepted only where it is one of exactly this data by exactly this key; a key or
signature that cannot be parsed is refused, never an error.
Does not promise: that a key is anybody's; whoever verifies has to know the key beforehand.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

SEED_BYTES: Final = 32


class Ed25519Key:
    """A private key, from its seed of 32 bytes (RFC 8032, section 5.1.5). Redacts itself."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> bytes:
        """The public key: 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`: 64 bytes, always the same ones."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return "Ed25519Key()"


def is_ed25519_signature(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is one of `data` by the key of these 32 bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def is_p256_signature(spki: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` (ASN.1 DER) is one of `data` by the P-256 key of this DER SubjectPublicKeyInfo."""
    try:
        key = load_der_public_key(spki)
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            return False
        key.verify(signature, data, ECDSA(SHA256()))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def is_p256_key(spki: bytes) -> bool:
    """Whether these bytes are the SubjectPublicKeyInfo (DER) of a P-256 key."""
    try:
        key = load_der_public_key(spki)
    except (ValueError, TypeError):
        return False
    return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
