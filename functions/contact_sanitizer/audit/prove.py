"""Proofs that one event is in the log, after C2SP tlog-proof: a file that says so by itself.

The event itself travels in the proof's `extra` line, so that a proof can be read and checked with nothing but
the log's public key.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.checkpoint import Checkpoint, open_checkpoint
from contact_sanitizer.audit.merkle import HASH_BYTES, inclusion_proof, is_included, leaf_hash
from contact_sanitizer.audit.notes import Verifier
from contact_sanitizer.audit.tiles import CHECKPOINT, WIDTH
from contact_sanitizer.audit.tree import Tree
from contact_sanitizer.errors import AuditError

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects

_HEAD: Final = "c2sp.org/tlog-proof@v1"
_LARGEST: Final = 1 << 20
_INDEX = re.compile(r"index (0|[1-9]\d{0,18})\Z")


@dataclass(frozen=True, slots=True)
class Proven:
    """An event that is proven to be number `index` of the log with this checkpoint."""

    entry: bytes
    index: int
    checkpoint: Checkpoint


def prove(objects: Objects, wanted: str, verifiers: Sequence[Verifier]) -> bytes:
    """The proof of the event with that id or number. `AuditError`: `event_unknown`, or as verification."""
    note = objects.get(CHECKPOINT) or b""
    checkpoint = open_checkpoint(note, verifiers)
    tree = Tree(objects, checkpoint.size)
    index, entry = _find(tree, wanted)
    hashes = inclusion_proof(index, checkpoint.size, tree.subtree)
    if not is_included(leaf_hash(entry), index, checkpoint.size, hashes, checkpoint.root):
        raise AuditError("audit_damaged", "the audit log is not what was signed: verify it")
    lines = [_HEAD, f"extra {b64encode(entry).decode()}", f"index {index}"]
    lines += [b64encode(value).decode() for value in hashes]
    return "\n".join(lines).encode() + b"\n\n" + note


def _find(tree: Tree, wanted: str) -> tuple[int, bytes]:
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        index = int(wanted)
        if index < tree.size:
            return index, tree.entries(index // WIDTH)[index % WIDTH]
    else:
        for index, entry in tree.entries_from(0):
            if segments.entry_id(entry) == wanted:
                return index, entry
    raise AuditError("event_unknown", "no sealed event has that id or number")


def check_proof(proof: bytes, verifiers: Sequence[Verifier]) -> Proven:
    """What a proof proves. `AuditError`: `proof_malformed`; `proof_refused` where it proves nothing."""
    entry, index, hashes, note = _parse(proof)
    try:
        checkpoint = open_checkpoint(note, verifiers)
    except AuditError as error:
        refused = error.code == "note_unsigned"
        code = "proof_refused" if refused else "proof_malformed"
        raise AuditError(code, f"the proof's checkpoint: {error.message}") from None
    if not is_included(leaf_hash(entry), index, checkpoint.size, hashes, checkpoint.root):
        raise AuditError("proof_refused", "the proof does not lead from the event to the checkpoint")
    return Proven(entry, index, checkpoint)


def _parse(proof: bytes) -> tuple[bytes, int, list[bytes], bytes]:
    malformed = AuditError("proof_malformed", "the file is no proof as this command writes them")
    head, blank, note = proof[:_LARGEST].partition(b"\n\n")
    try:
        first, extra, numbered, *encoded = head.decode("ascii").split("\n")
        entry = _decoded(extra.removeprefix("extra "))
        hashes = [_decoded(line) for line in encoded]
    except ValueError:
        raise malformed from None
    found = _INDEX.match(numbered)
    if first != _HEAD or not blank or not extra.startswith("extra ") or not found:
        raise malformed
    if len(hashes) > 64 or any(len(value) != HASH_BYTES for value in hashes):
        raise malformed
    return entry, int(found.group(1)), hashes, note


def _decoded(text: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except Base64Error:
        raise ValueError from None
    if b64encode(data).decode() != text:
        raise ValueError
    return data
