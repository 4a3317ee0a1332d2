"""What the tests of erasing share: a place in either world, people on lists, and a look into every corner."""

from __future__ import annotations

import base64
import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from cloudworld import AUDIT, CATALOGUE, CLEAN, REGISTRY, CloudWorld
from contact_sanitizer.audit.accounts import compare_lists
from contact_sanitizer.audit.notes import parse_verifiers
from contact_sanitizer.audit.verify import Verified, verify_log
from contact_sanitizer.aws.auditlog import StackLog
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.delivery.rendering import Form
from contact_sanitizer.embedded.world import HomeWorld
from contact_sanitizer.erasing.erase import erase
from contact_sanitizer.erasing.receipt import Receipt
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.manifest import Manifest
from contact_sanitizer.protection.hashes import hash_numbers
from contact_sanitizer.protection.tokens import TokenMaker
from contact_sanitizer.registering.desk import Person
from contact_sanitizer.tracing.trace import Trace, trace
from contact_sanitizer.workspace import Workspace
from counter import PHONES, Counter, counter_at
from desk import NOW, OPENED
from memorycloud import MemoryCloud, memory_world

ANN, BOB = PHONES[3], PHONES[4]


@dataclass
class Place:
    """A workspace in a home or in a stack, and what was made there."""

    counter: Counter
    cloud: CloudWorld | None = None
    account: MemoryCloud | None = None
    exported: Iterator[int] = field(default_factory=count)

    @property
    def work(self) -> Workspace:
        return self.counter.place

    def person(self, phone: str = ANN) -> Person:
        return self.work.desk("CN").person(phone)

    def erase(self, phone: str = ANN, **how: Any) -> Receipt:
        return erase(self.person(phone), self.work.erase_desk, **how)

    def trace(self, phone: str = ANN) -> Trace:
        return trace(self.person(phone), self.work.delivery_desk(), self.work.shelf_of)

    def handed_out(self, list_id: str) -> dict[str, list[str]]:
        """Deliveries in every form to two senders, and redemptions; the tokens of each sender."""
        tokens = {}
        for name in ("gate", "other"):
            self.counter.sender(name)
            tokens[name] = self.counter.tokens(list_id, name)
            redeemed = self.counter.redeem(tokens[name], name)
            assert all(redeemed.phones)
        self.counter.deliver(list_id, form=Form.HASH, format="jsonl")
        return tokens

    def file(self, list_id: str, name: str) -> bytes:
        with self.work.world.shelf(None).file(ListId(list_id), name).open() as file:
            return file.read()

    def manifest(self, list_id: str) -> Manifest:
        manifest = self.work.world.shelf(None).manifest(ListId(list_id))
        assert manifest is not None
        return Manifest.decode(manifest)

    def verify(self) -> Verified:
        """The whole log, and every list in it; raises what does not fit."""
        log: Any = self.work.world.audit
        now = self.counter.now[0]
        log.seal(now, {}) if isinstance(log, StackLog) else log.conclude(now)
        found = verify_log(log.objects, parse_verifiers(log.public_keys()))
        compare_lists(found.published, self.lists())
        return found

    def lists(self) -> Path:
        """The lists in a folder, as a reviewer has them."""
        world = self.work.world
        if isinstance(world, HomeWorld):
            return world.home.lists
        folder = self.counter.folder / f"copy-{next(self.exported)}"
        folder.mkdir()
        for entry in self.work.catalogue.entries():
            manifest = world.shelf(None).manifest(ListId(entry.list_id))
            if manifest is not None:
                (folder / entry.list_id).mkdir()
                (folder / entry.list_id / "manifest.json").write_bytes(manifest)
                for output in Manifest.decode(manifest).outputs:
                    content = self.file(entry.list_id, output.name)
                    (folder / entry.list_id / output.name).write_bytes(content)
        return folder

    def everything(self) -> dict[str, bytes]:
        """Every byte that is kept anywhere but in the audit log, old versions too."""
        if self.cloud is None:
            root = self.counter.folder / "home"
            for name in ("registry", "catalogue"):
                # As when the last command has closed the file.
                with closing(sqlite3.connect(root / f"tenants/default/{name}.sqlite")) as db:
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            files = (path for path in sorted(root.rglob("*")) if path.is_file())
            return {
                str(path.relative_to(root)): path.read_bytes()
                for path in files
                if "audit" not in path.relative_to(root).parts[0] and path.suffix != ".sqlite-shm"
            }
        return {**_objects(self.cloud), **_items(self.cloud)}

    def traces_of(self, phone: str = ANN) -> list[str]:
        """Where anything is found that leads to a person."""
        needles = self._needles(self.person(phone), phone)
        return [
            f"{place}: {kind}"
            for place, content in self.everything().items()
            for kind, needle in needles.items()
            if needle in content
        ]

    def _needles(self, person: Person, phone: str) -> dict[str, bytes]:
        block = np.frombuffer(person.block, np.uint8).reshape(1, 16)
        ring = self.work.keyring
        needles = {"phone": phone.encode(), "subject": person.subject, "sealed": person.sealed}
        needles["subject, hex"] = person.subject.hex().encode()
        needles["hash"] = hash_numbers(block, ring)[0].as_py().encode()
        for audience in ("shared", "sender:gate", "sender:other"):
            wire = TokenMaker(ring, audience).wires(block)[0].tobytes()
            needles[f"token {audience}"] = base64.urlsafe_b64encode(wire).rstrip(b"=")
            needles[f"sealed {audience}"] = wire[5:]
        for shift in range(3):
            # of 16 bytes in a longer row, base64 shows these whatever stands around them
            text = base64.b64encode(bytes(shift) + person.subject)[(4, 4, 4)[shift] if shift else 0 : 20]
            needles[f"subject, base64 {shift}"] = text
        return needles


def _objects(world: CloudWorld) -> dict[str, bytes]:
    s3, found = world.clients.s3, {}
    for entry in s3.list_object_versions(Bucket=CLEAN).get("Versions", []):
        if not entry["Key"].startswith("keys/"):
            name = {"Bucket": CLEAN, "Key": entry["Key"], "VersionId": entry["VersionId"]}
            found[f"{entry['Key']} {entry['VersionId']}"] = s3.get_object(**name)["Body"].read()  # type: ignore[arg-type] # as AWS names them
    return found


def _items(world: CloudWorld) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for table in (REGISTRY, CATALOGUE):
        for item in world.clients.dynamodb.scan(TableName=table)["Items"]:
            parts = io.BytesIO()
            for kind in item.values():
                for value in kind.values():
                    parts.write(value if isinstance(value, bytes) else str(value).encode())
            found[f"{table} {item['pk']['S']} {item['sk']['S'][:6]}"] = parts.getvalue()
    return found


def place_in(world: str, folder: Path) -> Place:
    """A new place with a list of ten people, in a `home` or in a `stack`."""
    if world == "home":
        return Place(counter_at(folder))
    account = MemoryCloud()
    made = memory_world(account)
    return Place(_stack_counter(folder, made), made, account)


def _stack_counter(folder: Path, made: CloudWorld) -> Counter:
    settings = StackSettings(
        "demo",
        clean=CLEAN,
        audit=AUDIT,
        registry=REGISTRY,
        catalogue=CATALOGUE,
        data_key=made.data_key,
        keyring_key=made.keyring_key,
        seal_key=made.seal_key,
    )
    now, numbers = [NOW], count(1)
    chance: Callable[[int], bytes] = lambda size: next(numbers).to_bytes(4).rjust(size, b"s")  # noqa: E731 - one line
    world = StackWorld(settings, made.clients, "default")
    place = Workspace.in_stack(world, make=True, clock=lambda: now[0], randomness=chance, principal="tester")
    OPENED.append(place)
    return Counter(folder, place, now)
