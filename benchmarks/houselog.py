"""An audit log to measure with: years of a house's made-up work from a seed, sealed by our own sealer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.seal import Sealer, begin_log
from contact_sanitizer.embedded.auditkey import KeySigner
from contact_sanitizer.listid import ListId, sortable_id
from contact_sanitizer.protection.signatures import Ed25519Key

START: Final = 1_767_225_600_000
STEP: Final = 31_000
"""Milliseconds from one thing that happens to the next: a million events are about 10 months."""
EVENTS_A_SEAL: Final = 1_000
SIGNER: Final = KeySigner(
    "contact-sanitizer/01KAKV2DC060RK4CSM6MV3EE1S", Ed25519Key(b"benchmark" + b"." * 23)
)
SENDERS: Final = tuple(f"sender-{number:02}" for number in range(12))
CLERKS: Final = ("desk/amber", "desk/blake", "desk/casey", "desk/devon", "security", "role/web")


@dataclass
class Kept:
    """Implements `ports.Objects` in memory: what is sealed here is written to a folder at the end."""

    data: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, data: bytes, *, absent: bool) -> bool:
        """Keep `data`; with `absent` only where the key is free."""
        if absent and key in self.data:
            return False
        self.data[key] = data
        return True

    def get(self, key: str) -> bytes | None:
        """What is kept under the key."""
        return self.data.get(key)

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """The keys that begin with `prefix` and come after `after`, ascending."""
        yield from sorted(key for key in self.data if key.startswith(prefix) and key > after)

    def delete(self, key: str) -> None:
        """Let go of an object."""
        self.data.pop(key, None)


@dataclass
class House:
    """Events one after the other, in a mix that a house of a dozen senders may have."""

    seed: int
    _at: int = START
    _count: int = 0
    _change: int = 0
    _lists: list[ListId] = field(default_factory=list)
    _deliveries: list[tuple[ListId, ListId, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = Random(self.seed)  # noqa: S311 - a sample, no secret
        #: What happens how often, of a thousand; lists and deliveries are several events each.
        kinds: dict[Callable[[], Iterator[Event]], int] = {
            self._redeem: 560,
            self._consent: 150,
            self._reply: 100,
            self._recall: 60,
            self._deliver: 45,
            self._block: 30,
            self._look: 25,
            self._make_list: 15,
            self._refuse: 12,
            self._erase: 2,
            self._check: 1,
        }
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def events(self) -> Iterator[Event]:
        """All of them, without end."""
        yield self._event(Action.HOME_CREATED)
        for sender in SENDERS:
            yield self._event(Action.SENDER_REGISTERED, sender=sender)
        yield from self._make_list()
        yield from self._deliver()
        while True:
            (kind,) = self._chance.choices(self._kinds, self._weights)
            self._at += self._chance.randrange(1, 2 * STEP)
            yield from kind()

    def _new_id(self) -> ListId:
        self._count += 1
        return sortable_id(self._at, sha256(self._count.to_bytes(8)).digest())

    def _event(
        self,
        action: Action,
        outcome: Outcome = Outcome.BEGUN,
        by: str = "ops",
        correlation: str = "",
        **particulars: Any,
    ) -> Event:
        self._at += self._chance.randrange(1, 900)
        uid = self._new_id()
        return Event(action, outcome, self._at, by, "default", correlation or uid, uid, **particulars)

    def _digests(self, *words: str) -> dict[str, str]:
        return {word: self._chance.randbytes(32).hex() for word in words}

    def _clerk(self) -> str:
        return self._chance.choice(CLERKS)

    def _asked(self) -> int | None:
        return self._at - self._chance.randrange(200_000_000) if self._chance.random() < 0.8 else None

    def _recorded(self) -> int:
        self._change += 1
        return self._change

    def _redeem(self) -> Iterator[Event]:
        sender = self._chance.choice(SENDERS)
        tokens = self._chance.randrange(1, 1_000)
        counts = {"tokens": tokens, "redeemed": tokens, "refused": 0}
        if self._chance.random() < 0.4:
            refused = self._chance.randrange(1 + tokens // 20)
            counts = {"tokens": tokens, "redeemed": tokens - refused, "refused": refused}
        about: dict[str, Any] = {"sender": sender, "purpose": "marketing", "registry_change": self._change}
        yield self._event(Action.TOKENS_REDEEMED, by=f"role/{sender}", **about, counts=counts)

    def _consent(self) -> Iterator[Event]:
        about: dict[str, Any] = {"purpose": "marketing", "channel": "sms"}
        self._recorded()
        if self._chance.random() < 0.8:
            yield self._event(Action.CONSENT_RECORDED, by=self._clerk(), **about)
        else:
            about["asked_at"] = self._asked()
            yield self._event(Action.CONSENT_WITHDRAWN, by=self._clerk(), **about)

    def _reply(self) -> Iterator[Event]:
        kind = self._chance.choice(["opt_out", "opt_out", "opt_out", "complaint", "unclear"])
        about: dict[str, Any] = {"reason": kind, "asked_at": self._asked(), "counts": {kind: 1}}
        self._recorded()
        yield self._event(Action.OPTOUT_RECORDED, by="role/replies", **about)

    def _recall(self) -> Iterator[Event]:
        delivery, list_id, sender = self._chance.choice(self._deliveries)
        about: dict[str, Any] = {"delivery_id": delivery, "list_id": list_id, "sender": sender}
        found, by = self._chance.randrange(1, 50), f"role/{sender}"
        yield self._event(Action.RECALLS_FOUND, by=by, **about, counts={"recalls": found})
        counts = {"recalls": found, "all": found}
        yield self._event(Action.RECALLS_SHOWN, by=by, **about, counts=counts)
        if self._chance.random() < 0.7:
            counts = {"acknowledged": found, "all": found}
            yield self._event(Action.RECALLS_ACKNOWLEDGED, by=by, **about, counts=counts)

    def _deliver(self) -> Iterator[Event]:
        list_id, sender = self._chance.choice(self._lists[-200:]), self._chance.choice(SENDERS)
        delivery, by = self._new_id(), f"role/{sender}"
        about: dict[str, Any] = {"list_id": list_id, "sender": sender, "purpose": "marketing"}
        about |= {"delivery_id": delivery, "audience": sender}
        begun = self._event(Action.DELIVERY_BEGUN, by=by, **about)
        yield begun
        if self._chance.random() < 0.03:
            about |= {"code": "list_damaged", "correlation": begun.uid}
            yield self._event(Action.DELIVERY_FAILED, Outcome.FAILURE, by, **about)
            return
        counts = {"rows": self._chance.randrange(9_000), "suppressed": self._chance.randrange(90)}
        about |= {"registry_change": self._change, "key_ids": (1,), "correlation": begun.uid}
        digests = self._digests("content", "people", "file")
        yield self._event(Action.DELIVERY_PUBLISHED, by=by, **about, counts=counts, digests=digests)
        self._deliveries = [*self._deliveries[-500:], (delivery, list_id, sender)]

    def _block(self) -> Iterator[Event]:
        kind = self._chance.choice(["opted_out", "complaint", "do_not_contact"])
        self._recorded()
        about: dict[str, Any] = {"scope": "tenant", "reason": kind, "asked_at": self._asked()}
        about["counts"] = {kind: 1}
        yield self._event(Action.BLOCK_ADDED, by=self._clerk(), **about)

    def _look(self) -> Iterator[Event]:
        if self._chance.random() < 0.6:
            yield self._event(Action.PERSON_SHOWN, by=self._clerk())
            return
        person = self._chance.randbytes(32).hex()
        counts = {"lists": 3, "deliveries": 2}
        yield self._event(Action.PERSON_TRACED, Outcome.SUCCESS, "security", person=person, counts=counts)

    def _make_list(self) -> Iterator[Event]:
        list_id, policy = self._new_id(), sha256(b"policy").hexdigest()
        about: dict[str, Any] = {"list_id": list_id, "correlation": list_id, "purpose": "marketing"}
        about |= {"policy": policy, "channel": "sms", "audience": "shared", "by": "marketing"}
        yield self._event(Action.LIST_STARTED, **about)
        rows = self._chance.randrange(1_000, 20_000)
        counts = {"consent_missing": rows // 9, "suppressed": rows // 70, "too_short": rows // 90}
        counts = {"rows": rows, "kept": rows - sum(counts.values()), **counts}
        digests = self._digests("manifest", "clean", "rejects", "decisions")
        about |= {"registry_change": self._change, "key_ids": (1,)}
        yield self._event(Action.LIST_PUBLISHED, **about, counts=counts, digests=digests)
        self._lists = [*self._lists[-500:], list_id]

    def _refuse(self) -> Iterator[Event]:
        sender = self._chance.choice(SENDERS)
        about: dict[str, Any] = {"reason": "redeemTokens", "code": "not_allowed"}
        action = Action.ACCESS_DENIED
        if self._chance.random() < 0.5:
            about = {"sender": sender, "code": "quota_exceeded", "counts": {"tokens": 900}}
            action = Action.TOKENS_DENIED
        yield self._event(action, Outcome.FAILURE, f"role/{sender}", **about)

    def _erase(self) -> Iterator[Event]:
        about: dict[str, Any] = {"person": self._chance.randbytes(32).hex(), "by": "security"}
        about["correlation"] = self._new_id()
        for list_id in self._chance.sample(self._lists, min(3, len(self._lists))):
            digests = self._digests("superseded", "manifest", "clean", "decisions")
            yield self._event(Action.PERSON_ERASED, **about, list_id=list_id, digests=digests)
        yield self._event(Action.PERSON_ERASED, Outcome.SUCCESS, **about, counts={"lists": 3})

    def _check(self) -> Iterator[Event]:
        yield self._event(Action.AUDIT_VERIFIED, Outcome.SUCCESS, counts={"events": self._count})


def make_log(folder: Path, events: int, seed: int) -> None:
    """A home's log of so many events in a new folder, a seal for each thousand, its key in `public-key`."""
    kept, told = Kept(), islice(House(seed).events(), events)
    begin_log(kept, SIGNER, START)
    sealer = Sealer(kept, SIGNER)
    while those := list(islice(told, EVENTS_A_SEAL)):
        segments.append(kept, those)
        sealer.seal(those[-1].at)
    kept.put("public-key", SIGNER.verifier.encode().encode() + b"\n", absent=True)
    for key, data in kept.data.items():
        place = folder / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
