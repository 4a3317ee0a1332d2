"""From one signing key to the next, as the log itself announces it.

An event tells the digests of both keys; once it is sealed, one checkpoint more of the same tree names both
in full (`from`, `to`) and is signed by both: the old key says who follows, the new one that it was there.
What follows counts only under the new key. So whoever has any one of a log's keys can follow the others,
forward by the old key's word and backward by the new key's, whose signature covers the whole tree.
Does not promise: anything against somebody who got hold of the old key before it was let go; hence a
verifier changes to the new key, or keeps a checkpoint that the new key signed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from contact_sanitizer.audit.checkpoint import Checkpoint, claimed_checkpoint, open_checkpoint
from contact_sanitizer.audit.notes import Signer, Verifier, parse_verifiers
from contact_sanitizer.audit.tiles import CHECKPOINT, kept_checkpoint_key
from contact_sanitizer.audit.tree import Tree
from contact_sanitizer.errors import AuditError

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects

#: How many of the newest events are looked through for the one that announces a new key.
NEAR: Final = 4096
PUBLIC_KEY: Final = "public-key"
_REKEYED: Final = b'"api":{"operation":"audit.rekeyed"}'
_DIGESTS = re.compile(rb'"digests":(\{[^{}]*\})')


def key_digests(former: Verifier, following: Verifier) -> dict[str, str]:
    """What the event says of the keys: SHA-256 of each verifier key as text."""
    return _digests(former.encode(), following.encode())


def announced_keys(entry: bytes) -> Mapping[str, str] | None:
    """The digests in an entry that announces a new key; None in any other."""
    found = _DIGESTS.search(entry) if _REKEYED in entry else None
    return None if found is None else json.loads(found.group(1))


def announces(digests: Mapping[str, str], checkpoint: Checkpoint) -> bool:
    """Whether such an event is about the keys that a checkpoint names."""
    return digests == _digests(*checkpoint.keys)


def _digests(former: str, following: str) -> dict[str, str]:
    return {
        "former": sha256(former.encode()).hexdigest(),
        "next": sha256(following.encode()).hexdigest(),
    }


def newest_note(objects: Objects) -> bytes:
    """The newest kept checkpoint, also where a crash kept it before `checkpoint` told of it.

    `AuditError` (`note_malformed`) where it is none; who signed it is not looked at.
    """
    note = objects.get(CHECKPOINT) or b""
    while following := objects.get(kept_checkpoint_key(claimed_checkpoint(note).number + 1)):
        note = following
    return note


def is_signed_by(note: bytes, verifier: Verifier) -> bool:
    """Whether this key signed it."""
    try:
        open_checkpoint(note, [verifier])
    except AuditError:
        return False
    return True


def hand_over(
    objects: Objects, former: Signer, following: Signer, newest: Checkpoint, now: int
) -> Checkpoint:
    """Sign the newest tree once more, by both keys; from then on only `following` may sign.

    Raises `AuditError`: `key_unannounced` where no sealed event tells of it, `key_unfit` for a key that
    cannot follow; nothing was signed then.
    """
    old, new = former.verifier, following.verifier
    if new.name != old.name or new == old:
        raise AuditError("key_unfit", "the new key is no other key of this log")
    keys = old.encode(), new.encode()
    checkpoint = replace(newest, number=newest.number + 1, time=max(now, newest.time), keys=keys)
    recent = Tree(objects, newest.size).entries_from(max(0, newest.size - NEAR))
    told = (announced_keys(entry) for _, entry in recent)
    if not any(digests is not None and announces(digests, checkpoint) for digests in told):
        raise AuditError("key_unannounced", "no sealed event announces the new key: run 'audit rotate-key'")
    note = checkpoint.signed(former, following)
    if not objects.put(kept_checkpoint_key(checkpoint.number), note, absent=True):
        raise AuditError("audit_unsealed", "another seal was faster; the log is handed over by the next one")
    objects.put(CHECKPOINT, note, absent=False)
    lines = [new.encode(), old.encode(), *(key.encode() for key in known_keys(objects))]
    objects.put(PUBLIC_KEY, "".join(f"{line}\n" for line in dict.fromkeys(lines)).encode(), absent=False)
    return checkpoint


def known_keys(objects: Objects) -> tuple[Verifier, ...]:
    """The verifier keys that lie with the log, for its maker; whoever verifies has them from elsewhere."""
    try:
        return tuple(parse_verifiers((objects.get(PUBLIC_KEY) or b"").decode("ascii")))
    except (AuditError, UnicodeDecodeError):
        return ()


class Succession:
    """Which key has to sign the next checkpoint, as checkpoints are read in their order.

    `keys`: those that have signed, in their order; `handovers`: the checkpoints in which they changed.
    """

    def __init__(self, given: Sequence[Verifier], notes: Callable[[], Iterable[bytes]]) -> None:
        """`given`: the trusted keys; `notes`: all kept checkpoints, read where none of those is the first."""
        self.keys: list[Verifier] = []
        self.handovers: list[Checkpoint] = []
        self._given = list(given)
        self._notes = notes

    def open(self, note: bytes, name: str) -> Checkpoint:
        """The next checkpoint, signed by whoever has to; `name`: how an error calls it.

        `AuditError`: `checkpoint_malformed`, `checkpoint_unsigned`, `key_unannounced`.
        """
        if not self.keys:
            self.keys.append(self._first(note))
        try:
            found = open_checkpoint(note, self.keys[-1:])
        except AuditError as error:
            raise self._refused(error, note, name) from None
        if found.keys[1]:
            self._follow(found, note, name)
        return found

    def _first(self, note: bytes) -> Verifier:
        """The key of the first checkpoint: a given one, or one that those that followed it name."""
        by_given = next((key for key in self._given if is_signed_by(note, key)), None)
        if by_given:
            return by_given
        former = self._former()
        return next((key for key in former if is_signed_by(note, key)), self._given[0])

    def _former(self) -> list[Verifier]:
        """The keys before the given ones, by the word of those."""
        handing = [note for note in self._notes() if b"\nfrom " in note]
        trusted, found = list(self._given), list[Verifier]()
        for note in reversed(handing):
            try:
                names = open_checkpoint(note, trusted).keys
            except AuditError:
                continue
            if names[1] in {key.encode() for key in trusted}:
                (former,) = parse_verifiers(names[0])
                trusted.append(former)
                found.append(former)
        return found

    def _follow(self, found: Checkpoint, note: bytes, name: str) -> None:
        unfit = AuditError("key_unannounced", f"{name} hands the log over to a key that did not sign it")
        try:
            (following,) = parse_verifiers(found.keys[1])
        except (AuditError, ValueError):
            raise unfit from None
        fits = found.keys[0] == self.keys[-1].encode() and following.name == found.origin
        if not fits or following in self.keys or not is_signed_by(note, following):
            raise unfit
        self.keys.append(following)
        self.handovers.append(found)

    def _refused(self, error: AuditError, note: bytes, name: str) -> AuditError:
        if error.code != "note_unsigned":
            return AuditError("checkpoint_malformed", f"{name} is not written as a checkpoint")
        others = [*self._given, *self.keys[:-1]]
        if any(is_signed_by(note, key) for key in others if key != self.keys[-1]):
            return AuditError(
                "key_unannounced",
                f"{name} is signed by a key that the log did not announce, or let go before",
            )
        return AuditError("checkpoint_unsigned", f"{name} is not signed by the given key")
