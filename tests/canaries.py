"""The forms in which a phone that got somewhere could stand there."""

from __future__ import annotations

import base64
import binascii
import hashlib
import urllib.parse
from collections.abc import Iterator


def spellings(phone: str) -> Iterator[bytes]:
    """A Chinese number of 11 digits: plain, encoded, hashed, spaced, reversed, as an integer."""
    for digits in (phone, f"86{phone}", f"+86{phone}"):
        raw = digits.encode()
        yield raw
        yield binascii.hexlify(raw)
        yield base64.b64encode(raw).rstrip(b"=")[:-1]
        yield base64.urlsafe_b64encode(raw).rstrip(b"=")[:-1]
        yield urllib.parse.quote(digits, safe="").encode()
        for algorithm in ("sha256", "sha1", "md5"):
            digest = hashlib.new(algorithm, raw, usedforsecurity=False)
            yield digest.digest()
            yield digest.hexdigest().encode()
            yield base64.b64encode(digest.digest())
    for separator in (" ", "-"):
        yield f"{phone[:3]}{separator}{phone[3:7]}{separator}{phone[7:]}".encode()
    yield phone[::-1].encode()
    yield phone.translate({ord("0") + n: 0xFF10 + n for n in range(10)}).encode()
    yield phone.encode("utf-16le")
    yield int(f"86{phone}").to_bytes(8)
    yield int(f"86{phone}").to_bytes(8, "little")
