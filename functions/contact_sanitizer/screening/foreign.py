"""Lists that come hashed by somebody else: which contract, how a line is read, how a candidate is hashed.

A wrong contract looks like a list without hits. So a contract is either proven by a line whose number is
known, or stated by a person who is warned.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.errors import RegistryError

#: How many leading bytes of a foreign hash are kept and compared.
KEPT_BYTES: Final = 16


class HashContract(Enum):
    """What was hashed, and how: (code in the registry, algorithm, prefix of the digits, digest bytes)."""

    code: int
    algorithm: str
    prefix: bytes
    size: int

    MD5_PLUS = (1, "md5", b"+", 16)
    MD5_DIGITS = (2, "md5", b"", 16)
    SHA1_PLUS = (3, "sha1", b"+", 20)
    SHA1_DIGITS = (4, "sha1", b"", 20)
    SHA256_PLUS = (5, "sha256", b"+", 32)
    SHA256_DIGITS = (6, "sha256", b"", 32)

    def __init__(self, code: int, algorithm: str, prefix: bytes, size: int) -> None:
        self.code = code
        self.algorithm = algorithm
        self.prefix = prefix
        self.size = size

    @property
    def word(self) -> str:
        """The public spelling: `sha256:+E164`, `md5:digits` and so on."""
        return f"{self.algorithm}:{'+E164' if self.prefix else 'digits'}"

    @classmethod
    def named(cls, word: str) -> HashContract:
        """The contract of that name; raises `RegistryError("contract_unknown")`."""
        for contract in cls:
            if contract.word.casefold() == word.strip().casefold():
                return contract
        known = ", ".join(contract.word for contract in cls)
        raise RegistryError("contract_unknown", f"A hash contract is one of {known}.")

    @classmethod
    def coded(cls, code: int) -> HashContract:
        """The contract with that code; raises `RegistryError("contract_unknown")`."""
        for contract in cls:
            if contract.code == code:
                return contract
        raise RegistryError("contract_unknown", "The registry names an unknown hash contract.")

    def digest(self, digits: bytes) -> bytes:
        """The whole hash of E.164 digits (ASCII, without `+`)."""
        return hashlib.new(self.algorithm, self.prefix + digits, usedforsecurity=False).digest()

    def keys(self, blocks: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The kept bytes of each candidate's hash: uint8 (n, 16) from blocks (n, 16); about 1 µs a row."""
        make = getattr(hashlib, self.algorithm)
        lead = self.prefix
        kept = [
            make(lead + block, usedforsecurity=False).digest()[:KEPT_BYTES]
            for block in np.ascontiguousarray(blocks).view("S16").ravel().tolist()
        ]
        return np.frombuffer(b"".join(kept), np.uint8).reshape(-1, KEPT_BYTES)


_HEX: Final = re.compile(r"(?:0x)?([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{22}(?:==)?|[A-Za-z0-9+/_-]{27}=?|[A-Za-z0-9+/_-]{43}=?")


def read_digest(text: str) -> bytes | None:
    """The hash that a line states, as hex or base64 of either kind; None where it states none."""
    text = text.strip().strip("\"'")
    if found := _HEX.fullmatch(text):
        return bytes.fromhex(found[1])
    if not _BASE64.fullmatch(text):
        return None
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        return None


def prove_contract(digests: Iterable[bytes], known_digits: str) -> HashContract:
    """The contract under which one of the digests is the hash of a number that the list is known to hold.

    Raises `RegistryError("contract_unproven")` where none is.
    """
    wanted = {contract.digest(known_digits.encode("ascii")): contract for contract in HashContract}
    for digest in digests:
        if contract := wanted.get(digest):
            return contract
    raise RegistryError("contract_unproven", "The list does not hold the known number under any contract.")
