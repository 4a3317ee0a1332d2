"""Signed notes and verifier keys, after C2SP signed-note: exactly that form, and nothing looser.

Promises: `open_note` returns a text only where a known key signed exactly it, and refuses the whole note
where a known key's signature is wrong; signatures of unknown keys are passed over, as the specification asks.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final, Protocol

from contact_sanitizer.errors import AuditError
from contact_sanitizer.protection.signatures import (
    is_ed25519_signature,
    is_p256_key,
    is_p256_signature,
)

LARGEST_NOTE: Final = 1 << 20
_SIGNATURE = re.compile("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})\\Z")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})\Z")


class SignatureType(IntEnum):
    """The specification's signature types that are read here."""

    ED25519 = 1
    ECDSA = 2


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name. `material`: 32 bytes (Ed25519), or a P-256 SubjectPublicKeyInfo in DER."""

    name: str
    type: SignatureType
    material: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before this key's signatures."""
        if self.type is SignatureType.ECDSA:
            return sha256(self.material).digest()[:4]
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.material).digest()[:4]

    def accepts(self, signature: bytes, text: bytes) -> bool:
        """Whether this key made `signature` over `text`."""
        check = is_ed25519_signature if self.type is SignatureType.ED25519 else is_p256_signature
        return check(self.material, signature, text)

    def encode(self) -> str:
        """The verifier key: `NAME+KEYID+BASE64`."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.type]) + self.material).decode()}"


class Signer(Protocol):
    """Whoever may sign the log: a key file at home, a key in KMS. Every fault is an `AuditError`."""

    @property
    def verifier(self) -> Verifier:
        """The public half; its name is the log's origin."""
        ...

    def sign(self, text: bytes) -> bytes:
        """The signature of `text`, as `verifier.accepts` takes it."""
        ...


def parse_verifiers(text: str) -> list[Verifier]:
    """Verifier keys, one a line; `AuditError` (`public_key_invalid`) where a line is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    verifiers = [_verifier(line) for line in lines]
    if not verifiers or len({verifier.name for verifier in verifiers}) > 1:
        raise AuditError("public_key_invalid", "a public key file holds the verifier keys of one log")
    return verifiers


def _verifier(line: str) -> Verifier:
    found = _KEY.match(line)
    raw = _from_base64(found.group(3)) if found else b""
    try:
        verifier = Verifier(found.group(1) if found else "", SignatureType(raw[0]), raw[1:])
    except (IndexError, ValueError):
        raise _no_key() from None
    sound = len(raw) == 33 if verifier.type is SignatureType.ED25519 else is_p256_key(verifier.material)
    if not sound or verifier.encode() != line:
        raise _no_key()
    return verifier


def _no_key() -> AuditError:
    return AuditError("public_key_invalid", "the public key is no verifier key: NAME+KEYID+BASE64")


def _from_base64(text: str) -> bytes:
    """The bytes; empty where `text` is not how exactly those bytes are written."""
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return b""
    return data if b64encode(data).decode() == text else b""


def sign_note(text: str, *signers: Signer) -> bytes:
    """The note of a text, which ends with a newline, with a signature line of each signer."""
    lines = [_signature(text, signer) for signer in signers]
    return f"{text}\n{''.join(lines)}".encode()


def _signature(text: str, signer: Signer) -> str:
    verifier = signer.verifier
    signature = b64encode(verifier.key_id + signer.sign(text.encode())).decode()
    return f"\u2014 {verifier.name} {signature}\n"


def open_note(note: bytes, verifiers: Sequence[Verifier]) -> str:
    """The text of a note that a known key signed.

    `AuditError`: `note_malformed`; `note_unsigned` where no known key signed it, or one did so wrongly.
    """
    text, lines = _parts(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    signed = False
    for name, raw in lines:
        verifier = known.get((name, raw[:4]))
        if verifier and not verifier.accepts(raw[4:], text.encode()):
            raise AuditError("note_unsigned", "a known key's signature is wrong")
        signed = signed or verifier is not None
    if not signed:
        raise AuditError("note_unsigned", "no known key has signed it")
    return text


def text_of(note: bytes) -> str:
    """The text of a note, whoever signed it: nothing may rest on it. `AuditError`: `note_malformed`."""
    return _parts(note)[0]


def _parts(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    malformed = AuditError("note_malformed", "it is not written as a signed note")
    try:
        whole = note.decode() if len(note) <= LARGEST_NOTE else ""
    except UnicodeDecodeError:
        raise malformed from None
    text, blank, tail = whole.rpartition("\n\n")
    if not blank or not tail.endswith("\n") or _CONTROL.search(whole):
        raise malformed
    lines = []
    for line in tail[:-1].split("\n"):
        found = _SIGNATURE.match(line)
        raw = _from_base64(found.group(2)) if found else b""
        if not found or len(raw) <= 4:
            raise malformed
        lines.append((found.group(1), raw))
    return f"{text}\n", lines
