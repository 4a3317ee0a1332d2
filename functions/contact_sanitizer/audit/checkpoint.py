"""Checkpoints: what the log signs, after C2SP tlog-checkpoint.

Two extension lines follow origin, size and root: `seal NUMBER`, the checkpoint's own number from 0, and
`time MILLISECONDS` since 1970 UTC, when it was made. They are there because a missed seal has to show
offline; C2SP's timestamped cosignatures are for Ed25519 and ML-DSA only, and KMS signs with neither.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from contact_sanitizer.audit.merkle import HASH_BYTES
from contact_sanitizer.audit.notes import Signer, Verifier, open_note, sign_note
from contact_sanitizer.errors import AuditError

_NUMBER = r"(0|[1-9]\d{0,18})"
_BODY = re.compile(rf"([^\s+]+)\n{_NUMBER}\n([A-Za-z0-9+/]{{43}}=)\nseal {_NUMBER}\ntime {_NUMBER}\n\Z")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree's size and root, as checkpoint `number` of a log, at a moment (milliseconds since 1970 UTC)."""

    origin: str
    size: int
    root: bytes
    number: int
    time: int

    def text(self) -> str:
        """The note's text."""
        root = b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\nseal {self.number}\ntime {self.time}\n"

    def signed(self, signer: Signer) -> bytes:
        """The checkpoint as a signed note."""
        return sign_note(self.text(), signer)


def open_checkpoint(note: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
    """A checkpoint that a known key signed; `AuditError`: `note_malformed`, `note_unsigned`."""
    text = open_note(note, verifiers)
    found = _BODY.match(text)
    checkpoint = None
    if found:
        origin, size, root, number, time = found.groups()
        checkpoint = Checkpoint(origin, int(size), b64decode(root), int(number), int(time))
    if checkpoint is None or checkpoint.text() != text or len(checkpoint.root) != HASH_BYTES:
        raise AuditError("note_malformed", "its text is not that of a checkpoint")
    if all(checkpoint.origin != verifier.name for verifier in verifiers):
        raise AuditError("note_unsigned", "it is a checkpoint of another log")
    return checkpoint
