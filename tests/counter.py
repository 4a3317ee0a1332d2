"""A place where lists are delivered: made-up people, senders, and a clock that can be moved."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from contact_sanitizer.delivery.deliver import Delivered, DeliveryRequest, deliver
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.recalls import Recalls, show_recalls
from contact_sanitizer.delivery.redeem import Redeemed, redeem
from contact_sanitizer.delivery.rendering import Form
from contact_sanitizer.delivery.senders import Right, Sender
from contact_sanitizer.policy import Policy
from contact_sanitizer.registering.desk import ConsentTerms
from contact_sanitizer.screening.suppression import SuppressionReason
from contact_sanitizer.workspace import Workspace
from desk import NOW, OPENED, agree, home_of, policy, run, write_csv

YEAR = 366 * 86_400
PHONES = [f"1381234{number}" for number in range(5000, 5010)]
CITIES = ["北京", "a,b", 'say "x"', "=1+1", "two\nlines", "", "京" * 40, "f", "g", "h"]
LIST = policy(
    (
        "  phone: {role: phone}\n",
        "  phone: {role: phone}\n  city: {do: keep}\n  mail: {do: encrypt}\n  code: {do: hash}\n",
    )
)


@dataclass
class Counter:
    """A workspace and what was made in it."""

    folder: Path
    place: Workspace
    now: list[int] = field(default_factory=lambda: [NOW])
    files: int = 0

    def sender(self, name: str = "gate", **changes: Any) -> Sender:
        """Register a sender that may do anything for marketing, or what `changes` say."""
        sender = Sender(name, "X1", NOW // 1000 + YEAR, ("marketing",), tuple(Right))
        sender = replace(sender, **changes)
        self.place.senders.register(sender, again=True)
        return sender

    def made(self, rules: Policy = LIST, phones: Sequence[str] = PHONES, *, agreed: bool = True) -> str:
        """Make a list; returns its id."""
        if agreed:
            agree(self.place, phones)
        rows = [
            [phone, CITIES[row % len(CITIES)], f"m{row % 3}@mail.example", f"c{row}", "yes"]
            for row, phone in enumerate(phones)
        ]
        upload = write_csv(self.folder / "list.csv", [["phone", "city", "mail", "code", "agreed"], *rows])
        return run(self.place, upload, rules).manifest.list_id

    def deliver(self, list_id: str, to: str = "gate", **wishes: Any) -> tuple[Delivered, Path]:
        """Deliver a list; returns what was made and its file."""
        self.files += 1
        out = wishes.pop("out", self.folder / "out" / f"{self.place.tenant}-{self.files}")
        request = DeliveryRequest(list_id, to, wishes.pop("purpose", "marketing"), **wishes)
        return deliver(request, self.desk(out), self.place.shelf_of), out

    def desk(self, out: Path | None = None) -> DeliveryDesk:
        """What the use cases work with."""
        return self.place.delivery_desk(str(out) if out else None)

    def tokens(self, list_id: str, to: str = "gate") -> list[str]:
        """The tokens of a fresh delivery, in the list's order."""
        return column(self.deliver(list_id, to)[1], "token")

    def redeem(self, tokens: Sequence[str], name: str = "gate", purpose: str = "marketing") -> Redeemed:
        """Redeem tokens."""
        return redeem(tokens, name, purpose, self.desk())

    def recalls(self, delivery_id: str, after: int = 0) -> Recalls:
        """A delivery's recalls."""
        return show_recalls(delivery_id, self.desk(), after)

    def block(self, phone: str, scope: str = "tenant") -> None:
        """Somebody must not be contacted any more."""
        desk = self.place.desk("CN")
        desk.block(desk.person(phone), scope, SuppressionReason.OPTED_OUT)

    def withdraw(self, phone: str) -> None:
        """Somebody takes consent back."""
        desk = self.place.desk("CN")
        desk.withdraw(desk.person(phone), ConsentTerms())

    def pass_time(self, seconds: float) -> int:
        """Move the clock; returns what it shows (milliseconds)."""
        self.now[0] += int(seconds * 1000)
        return self.now[0]

    def destroy_key(self) -> int:
        """Rotate, and destroy the key under which everything was made so far; returns its id."""
        old = self.place.keyring.primary.id
        self.place.rotate_keys()
        self.place.keyring = self.place.world.keys.destroy(old)
        return old

    @property
    def events(self) -> list[dict[str, Any]]:
        """The tenant's events but those of lists, in the order of their ids: operation, code, particulars."""
        events = [json.loads(line) for line in home_of(self.place).audit.lines()]
        return [
            {"operation": event["api"]["operation"], **event["unmapped"]}
            for event in sorted(events, key=lambda event: str(event["metadata"]["uid"]))
            if event["metadata"]["tenant_uid"] == self.place.tenant
            # Ids of lists' events come from what they tell: in one moment they may stand anywhere.
            and not event["api"]["operation"].startswith("list.")
        ]

    @property
    def last_event(self) -> dict[str, Any]:
        """The latest audit event, those of lists aside: their ids come from what they tell, not from when."""
        return [event for event in self.events if not event["operation"].startswith("list.")][-1]


def counter_at(folder: Path, tenant: str = "default") -> Counter:
    """A counter in a new home."""
    now = [NOW]
    # Tenants of one home differ in their keys, ids of keys too.
    chance = iter(range(1 + 10_000_000 * len(tenant), 1_000_000_000))

    def randomness(size: int) -> bytes:
        return next(chance).to_bytes(4).rjust(size, tenant[:1].encode())

    place = Workspace.open(
        folder / "home", tenant, clock=lambda: now[0], randomness=randomness, principal="tester"
    )
    OPENED.append(place)
    return Counter(folder, place, now)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a delivered file, whatever its format."""
    data = path.read_bytes()
    if data[:4] == b"PAR1":
        found: list[dict[str, str]] = pq.read_table(path).to_pylist()
        return found
    if data[:1] == b"{":
        return [json.loads(line) for line in data.decode().splitlines()]
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(path: Path, name: str) -> list[str]:
    """One column of a delivered file."""
    return [row[name] for row in rows_of(path)]


TOKEN, HASH, PHONE = Form
