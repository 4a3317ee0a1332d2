"""What the fault suites share: a stack whose calls may be struck, a witness, lists as readers find them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from itertools import count
from typing import Any, Final

import pytest

from cloudworld import AUDIT, CATALOGUE, CLEAN, REGISTRY, UPLOADS
from contact_sanitizer import workspace
from contact_sanitizer.announcing import Circumstances
from contact_sanitizer.arrivals import arrivals_in
from contact_sanitizer.audit.verify import verify_log
from contact_sanitizer.catalogue import ListEntry
from contact_sanitizer.handlers import queue, stage
from contact_sanitizer.handlers.queue import Handler, function_of
from contact_sanitizer.handlers.sanitize import DOOR
from contact_sanitizer.listid import ListId
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.receiving import Arrival
from contact_sanitizer.screening.suppression import SuppressionReason
from contact_sanitizer.uploading import Upload
from functiondesk import FunctionDesk
from memorycloud import MemoryCloud
from memoryservices import Version
from struckcalls import Calls, Killed, Sending, Strike

REDELIVERIES: Final = 3
KEY: Final = "uploads/default/list.csv"
ROWS: Final = (
    b"phone,note\n13812345678,a\n13912345678,b\n13612345678,c\n12,d\n13712345678 \xe9\x80\x80\xe8\xae\xa2,e\n"
)
_START: Final = 1_790_000_000_000


class Fate:
    """A clock that goes on at each look, and chance that can be had again; from the start of a seed."""

    def __init__(self, seed: int) -> None:
        self.begin(seed)

    def begin(self, seed: int) -> None:
        """Go back to the start of this seed."""
        self._ticks, self._chance = count(_START), random.Random(seed)  # noqa: S311 - made up

    @property
    def circumstances(self) -> Circumstances:
        """What a function takes from its surroundings."""
        return Circumstances(self._next_tick, self._some_bytes)

    def _next_tick(self) -> int:
        return next(self._ticks)

    def _some_bytes(self, size: int) -> bytes:
        return self._chance.randbytes(size)


@contextmanager
def prepared(desk: FunctionDesk, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultDesk]:
    """A stack with what a list needs, at the start of the same fate each time."""
    fate = Fate(7)
    monkeypatch.setattr(stage, "CIRCUMSTANCES", fate.circumstances)
    monkeypatch.setattr(queue, "CIRCUMSTANCES", fate.circumstances)
    # Which numbers a policy admits is worked out for each list; a run of a thousand seeds has one policy.
    monkeypatch.setattr(workspace, "Normalizer", cache(Normalizer))
    for module in ("registry_items", "registry_commit"):
        monkeypatch.setattr(f"contact_sanitizer.aws.{module}.pause", lambda _turn: None)
    desk.agree("13812345678", "13912345678", "13612345678", "13712345678")
    people = desk.workspace.desk("CN")
    people.block(people.person("13612345678"), "tenant", SuppressionReason.OPTED_OUT)
    yield FaultDesk(desk, calls, fate)


def arrival_of(message: Mapping[str, Any]) -> Arrival:
    """What a message tells."""
    (arrival,) = arrivals_in(json.dumps(message))
    return arrival


@dataclass(frozen=True, slots=True)
class FaultDesk:
    """A stack whose calls may be struck; `desk` looks at it undisturbed."""

    desk: FunctionDesk
    calls: Calls
    fate: Fate

    def trace(self, message: object, handler: Handler = function_of(DOOR)) -> list[str]:  # noqa: B008 - as below
        """The operations of AWS that a message takes, undisturbed and the first time."""
        self.calls.begin()
        assert self.desk.deliver(handler, message) == []
        return self.calls.sent

    def attempt(
        self,
        message: object,
        strike: Strike | None = None,
        left: int = 900_000,
        handler: Handler = function_of(DOOR),  # noqa: B008 - the function as its process makes it once
    ) -> bool:
        """A fresh process takes a message; whether it is consumed."""
        self.calls.begin(strike)
        try:
            return self.desk.deliver(handler, message, left=left) == []
        except Killed:
            return False
        finally:
            self.calls.begin()

    def readable(self, list_id: str) -> dict[str, bytes] | None:
        """What a reader finds of a list: nothing, or all of it, announced and as its manifest says."""
        shelf = self.desk.world.shelf(None)
        manifest = shelf.manifest(ListId(list_id))
        if manifest is None:
            return None
        files: dict[str, bytes] = {}
        for output in json.loads(manifest)["outputs"]:
            with shelf.file(ListId(list_id), output["name"]).open() as file:
                data = files[output["name"]] = file.read()
            assert sha256(data).hexdigest() == output["sha256"]
        assert self.published(list_id) == [sha256(manifest).hexdigest()]
        return files

    def published(self, list_id: str) -> list[str]:
        """The digests of manifests that were announced for a list."""
        said = [event["unmapped"] for event in self.desk.said("list.published")]
        return [about["digests"]["manifest"] for about in said if about["list_id"] == list_id]

    def upload(self, upload_id: str) -> Upload | None:
        return self.desk.world.uploads.get(upload_id)

    def entry(self, list_id: str) -> ListEntry | None:
        return self.desk.workspace.catalogue.get(ListId(list_id))

    def held(self, but: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        """All objects, items and messages but the audit log's, and but those whose key begins like this."""
        clients = self.desk.cloud.clients
        held: set[tuple[str, ...]] = set()
        for bucket in (CLEAN, UPLOADS):
            for kept in clients.s3.list_object_versions(Bucket=bucket).get("Versions", []):
                held.add((bucket, kept["Key"], kept["VersionId"]))
        for table in (REGISTRY, CATALOGUE):
            for item in clients.dynamodb.scan(TableName=table)["Items"]:
                held.add((table, item["pk"]["S"], item["sk"]["S"], json.dumps(item, default=str)))
        for url in (self.desk.settings.sanitize_queue, self.desk.settings.sanitize_dead_letters):
            if url:
                asked = clients.sqs.get_queue_attributes(
                    QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
                )
                held.add((url, "", asked["Attributes"]["ApproximateNumberOfMessages"]))
        return {entry for entry in held if not entry[1].startswith(but)}

    def parts(self) -> int:
        """How many parts of unfinished lists are kept."""
        return int(self.desk.cloud.clients.s3.list_objects_v2(Bucket=CLEAN, Prefix="work/")["KeyCount"])

    def told_again(self, queue: str) -> list[str]:
        """Take the messages out of a queue."""
        sqs = self.desk.cloud.clients.sqs
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in received:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in received]

    def forget_audit(self) -> None:
        """Take the audit events away, so that looking through them stays quick."""
        s3 = self.desk.cloud.clients.s3
        for entry in s3.list_object_versions(Bucket=AUDIT).get("Versions", []):
            s3.delete_object(Bucket=AUDIT, Key=entry["Key"], VersionId=entry["VersionId"])

    def sealed(self) -> int:
        """Seal the audit log and verify it as a stranger would; how many events it has."""
        log = self.desk.world.audit
        size = log.seal(_START + 1_000_000, {})
        found = verify_log(log.objects, [log.signer().verifier])
        assert (found.newest.size, found.waiting) == (size, 0)
        return size


@dataclass
class Witness:
    """Looks at an account in memory after each request, as somebody might who reads at that very moment.

    A list may appear when its files are there, all of them and as its manifest says, and when that was
    announced; an upload may go when its list is there, and when that was announced.
    """

    cloud: MemoryCloud
    uploads: dict[tuple[str, str], str]
    offences: list[str] = field(default_factory=list)
    _said: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, sending: Sending) -> None:
        bucket, key = sending.place
        if sending.operation == "PutObject" and bucket == AUDIT:
            self._hear(key)
        elif sending.operation == "PutObject" and bucket == CLEAN and key.endswith("/manifest.json"):
            self._see_list(key)
        elif sending.operation == "DeleteObject" and bucket == UPLOADS:
            self._see_upload_go(key, getattr(sending, "asked", {}).get("VersionId", ""))

    def _kept(self, bucket: str, key: str) -> list[Version]:
        kept: list[Version] = self.cloud.services["s3"].buckets[bucket].get(key, [])
        return kept

    def _hear(self, key: str) -> None:
        if "/segments/" in key:
            for line in (self._kept(AUDIT, key)[-1].data or b"").splitlines():
                said = json.loads(line)
                about = said["unmapped"] | {"operation": said["api"]["operation"]}
                self._said.setdefault(said["metadata"]["uid"], about)

    def _was_said(self, operation: str, list_id: str, manifest: bytes | None = None) -> bool:
        digest = None if manifest is None else sha256(manifest).hexdigest()
        return any(
            about["operation"] == operation
            and about["list_id"] == list_id
            and (digest is None or about["digests"]["manifest"] == digest)
            for about in list(self._said.values())
        )

    def _see_list(self, key: str) -> None:
        place, _, _ = key.rpartition("/")
        written = self._kept(CLEAN, key)
        manifest = written[-1]
        if len(written) > 1:
            self.offences.append("a manifest was written over")
        for output in json.loads(manifest.data or b"{}")["outputs"]:
            version = manifest.metadata["version-of-" + output["name"]]
            found = [
                kept.data for kept in self._kept(CLEAN, f"{place}/{output['name']}") if kept.id == version
            ]
            if [sha256(data or b"").hexdigest() for data in found] != [output["sha256"]]:
                self.offences.append("a list is not as its manifest says")
        if not self._was_said("list.published", place.rpartition("/")[2], manifest.data):
            self.offences.append("a list was not announced")

    def _see_upload_go(self, key: str, version: str) -> None:
        list_id = self.uploads.get((key, version), "")
        (tenant,) = key.split("/")[1:2]
        if not self._kept(CLEAN, f"lists/{tenant}/{list_id}/manifest.json"):
            self.offences.append("an upload went that has no list")
        if not self._was_said("upload.deleted", list_id):
            self.offences.append("an upload went unannounced")
