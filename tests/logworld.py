"""Logs for tests: objects in memory, a signer, events by number, and a log of them with many seals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.checkpoint import Checkpoint, open_checkpoint
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.seal import Sealer, begin_log
from contact_sanitizer.audit.tiles import CHECKPOINT
from contact_sanitizer.embedded.auditkey import KeySigner
from contact_sanitizer.listid import sortable_id
from contact_sanitizer.ports import Objects
from contact_sanitizer.protection.signatures import Ed25519Key

START = 1_790_000_000_000
ORIGIN = "contact-sanitizer/01KAKV2DC060RK4CSM6MV3EE1S"
SIGNER = KeySigner(ORIGIN, Ed25519Key(b"s" * 32))
STRANGER = KeySigner(ORIGIN, Ed25519Key(b"x" * 32))
VERIFIERS = [SIGNER.verifier]
MINUTE = 60_000


@dataclass
class MemoryObjects:
    """Implements `ports.Objects` on a dictionary; the contract suite holds it to the same promises."""

    data: dict[str, bytes] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def put(self, key: str, data: bytes, *, absent: bool) -> bool:
        with self._lock:
            if absent and key in self.data:
                return False
            self.data[key] = data
            return True

    def get(self, key: str) -> bytes | None:
        return self.data.get(key)

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        yield from [key for key in sorted(self.data) if key.startswith(prefix) and key > after]

    def delete(self, key: str) -> None:
        self.data.pop(key, None)


def event(number: int, at: int | None = None) -> Event:
    """Event number `number` of a log whose events are a second apart."""
    moment = START + number * 1000 if at is None else at
    uid = sortable_id(moment, number.to_bytes(10))
    counts = {"kept": number}
    return Event(Action.TOKENS_REDEEMED, Outcome.BEGUN, moment, "ops", "default", uid, uid, counts=counts)


def entry(number: int) -> bytes:
    """The entry of that event."""
    return event(number).line()[:-1]


def append(objects: Objects, numbers: Sequence[int]) -> None:
    """Each event as a segment of its own."""
    for number in numbers:
        segments.append(objects, [event(number)])


def sealer(objects: Objects, *, keep: bool = False) -> Sealer:
    """A sealer of this log; with `keep` as on a store where nothing can be deleted."""
    return Sealer(objects, SIGNER, window=15 * MINUTE if keep else None)


def log_of(sizes: Sequence[int], *, keep: bool = False, heartbeats: bool = False) -> MemoryObjects:
    """A log that was sealed at these sizes."""
    *_, objects = logs_of(sizes, keep=keep, heartbeats=heartbeats)
    return objects


def logs_of(sizes: Sequence[int], *, keep: bool = False, heartbeats: bool = False) -> Iterator[MemoryObjects]:
    """A log before its first event and after each of these seals: the same one, which grows."""
    objects, last = MemoryObjects(), 0
    begin_log(objects, SIGNER, START)
    yield objects
    by = sealer(objects, keep=keep)
    for size in sizes:
        append(objects, range(last, size))
        by.seal(START + size * 1000)
        if heartbeats:
            by.seal(START + size * 1000 + 10, heartbeat=True)
        last = size
        yield objects


def newest(objects: Objects) -> Checkpoint:
    """What the log itself says is its newest checkpoint."""
    return open_checkpoint(objects.get(CHECKPOINT) or b"", VERIFIERS)
