"""Checkpoints: what the log signs, after C2SP tlog-checkpoint.

Two extension lines follow origin, size and root: `seal NUMBER`, the checkpoint's own number from 0, and
`time MILLISECONDS` since 1970 UTC, when it was made. They are there because a missed seal has to show
offline; C2SP's timestamped cosignatures are for Ed25519 and ML-DSA only, and KMS signs with neither. A
checkpoint that hands the log over to another key has two more, `from KEY` and `to KEY`: see `succession`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contact_sanitizer.audit.merkle import HASH_BYTES
from contact_sanitizer.audit.notes import Signer, Verifier, open_note, sign_note, text_of
from contact_sanitizer.errors import AuditError

_NUMBER = r"(0|[1-9]\d{0,18})"
_BODY = re.compile(
    rf"([^\s+]+)\n{_NUMBER}\n([A-Za-z0-9+/]{{43}}=)\nseal {_NUMBER}\ntime {_NUMBER}\n"
    r"(?:from (\S+)\nto (\S+)\n)?\Z"
)
_NO_KEY: Final = "", ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree's size and root, as checkpoint `number` of a log, at a moment (milliseconds since 1970 UTC).

    `keys`: the verifier keys, as text, of who signed so far and of who signs what follows, where it changes.
    """

    origin: str
    size: int
    root: bytes
    number: int
    time: int
    keys: tuple[str, str] = _NO_KEY

    def text(self) -> str:
        """The note's text."""
        root = b64encode(self.root).decode()
        keys = f"from {self.keys[0]}\nto {self.keys[1]}\n" if self.keys != _NO_KEY else ""
        return f"{self.origin}\n{self.size}\n{root}\nseal {self.number}\ntime {self.time}\n{keys}"

    def signed(self, *signers: Signer) -> bytes:
        """The checkpoint as a note that all of these have signed."""
        return sign_note(self.text(), *signers)


def open_checkpoint(note: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
    """A checkpoint that a known key signed; `AuditError`: `note_malformed`, `note_unsigned`."""
    checkpoint = _parse(open_note(note, verifiers))
    if all(checkpoint.origin != verifier.name for verifier in verifiers):
        raise AuditError("note_unsigned", "it is a checkpoint of another log")
    return checkpoint


def claimed_checkpoint(note: bytes) -> Checkpoint:
    """What a note says, whoever signed it: to look for others by, not to rely on. `AuditError` as above."""
    return _parse(text_of(note))


def _parse(text: str) -> Checkpoint:
    found = _BODY.match(text)
    checkpoint = None
    if found:
        origin, size, root, number, time, former, following = found.groups()
        keys = (former, following) if former else _NO_KEY
        checkpoint = Checkpoint(origin, int(size), b64decode(root), int(number), int(time), keys)
    if checkpoint is None or checkpoint.text() != text or len(checkpoint.root) != HASH_BYTES:
        raise AuditError("note_malformed", "its text is not that of a checkpoint")
    return checkpoint
