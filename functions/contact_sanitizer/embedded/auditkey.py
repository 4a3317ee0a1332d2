"""The key that signs a home's audit log: one file that only its owner may read."""

from __future__ import annotations

import json
import os
import re
import stat
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contact_sanitizer.audit.notes import SignatureType, Verifier
from contact_sanitizer.embedded.home import sync_folder
from contact_sanitizer.errors import AuditError
from contact_sanitizer.protection.signatures import SEED_BYTES, Ed25519Key

FORMAT: Final = "contact-sanitizer/audit-key/v1"
_ORIGIN = re.compile(r"contact-sanitizer/[0-9A-HJKMNP-TV-Z]{26}\Z")
_LARGEST: Final = 4096


@dataclass(frozen=True, slots=True, repr=False)
class KeySigner:
    """Implements `audit.notes.Signer` with an Ed25519 key. Redacts itself."""

    origin: str
    key: Ed25519Key

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.origin, SignatureType.ED25519, self.key.public)

    def sign(self, text: bytes) -> bytes:
        """The signature of `text`: always the same one."""
        return self.key.sign(text)

    def __repr__(self) -> str:
        return f"KeySigner({self.origin})"


def write_signer(path: Path, origin: str, seed: bytes) -> KeySigner:
    """Put a new key on disk, mode 0600, whole or not at all; a key that is there is replaced."""
    stated = {"format": FORMAT, "origin": origin, "seed": b64encode(seed).decode()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(json.dumps(stated, indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return KeySigner(origin, Ed25519Key(seed))


def read_signer(path: Path) -> KeySigner:
    """The key on disk.

    `AuditError`: `audit_key_exposed` where others may read or write it, or it is a link; `audit_key_damaged`.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        if path.is_symlink():
            raise _exposed()
        with os.fdopen(os.open(path, flags), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise _exposed()
            stated = json.loads(file.read(_LARGEST))
        seed = b64decode(stated["seed"], validate=True)
        origin = stated["origin"] if stated["format"] == FORMAT else ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise _damaged() from None
    if len(seed) != SEED_BYTES or not isinstance(origin, str) or not _ORIGIN.match(origin):
        raise _damaged()
    return KeySigner(origin, Ed25519Key(seed))


def _exposed() -> AuditError:
    return AuditError("audit_key_exposed", "the audit log's key file is open to others: make it mode 0600")


def _damaged() -> AuditError:
    return AuditError(
        "audit_key_damaged", "the audit log's key file is missing or damaged: nothing can be sealed"
    )
