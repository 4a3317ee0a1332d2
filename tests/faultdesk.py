"""What the fault suites share: calls of AWS that are struck, workers in a chosen order, lists as read.

A call is everything that one use of a client sends, repeats included. A killed process sends nothing more.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from threading import Condition, Lock, Thread, get_ident
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ReadTimeoutError
from moto.core.models import botocore_stubber

from cloudworld import AUDIT, CATALOGUE, CLEAN, REGISTRY, UPLOADS, answer_of
from contact_sanitizer.announcing import Circumstances
from contact_sanitizer.catalogue import ListEntry
from contact_sanitizer.handlers.queue import function_of
from contact_sanitizer.handlers.sanitize import DOOR
from contact_sanitizer.listid import ListId
from contact_sanitizer.uploading import Upload
from functiondesk import FunctionDesk

MOMENTS: Final = ("before", "after")
KINDS: Final = ("kill", "timeout", "500", "throttle", "lost")
REDELIVERIES: Final = 3


class Killed(BaseException):
    """The process ends here."""


@dataclass(frozen=True, slots=True)
class Strike:
    """What befalls the call number `at`: before the service sees it, or after it did all.

    `lost` is one timeout, after which the client's own repeat gets through; the others last.
    """

    at: int
    moment: str
    kind: str


class Calls:
    """The calls since `begin`, by operation, and the one that is struck."""

    def __init__(self) -> None:
        self.interleaving: Interleaving | None = None
        #: How the audit log's bucket answers to a writing; empty: as it should.
        self.audit_log = ""
        self._lock = Lock()
        self.begin()

    def begin(self, strike: Strike | None = None) -> None:
        """A new process."""
        self.sent: list[str] = []
        self._known: dict[object, int] = {}
        self._strike = strike
        self._dead = False
        self._overtaking: tuple[int, Callable[[], None]] | None = None

    def overtake(self, at: int, work: Callable[[], None]) -> None:
        """Let somebody else do their work while the call number `at` is on its way."""
        self._overtaking = at, work

    def meet(self, event_name: str, request: AWSPreparedRequest, send: Callable[[], Any]) -> Any:
        """Pass a request on, or not."""
        if self.interleaving is not None:
            self.interleaving.yield_turn()
        if self.audit_log and event_name.endswith(".PutObject") and f"/{AUDIT}/" in _path(request.url):
            return _fail(self.audit_log, event_name, request)
        if self._overtaking and self._overtaking[0] <= len(self.sent):
            work = self._overtaking[1]
            self._overtaking = None
            work()
        strike = self._struck(event_name.rsplit(".", 1)[1], request.headers.get("amz-sdk-invocation-id"))
        if strike is None:
            return send()
        if strike.moment == "after":
            send()
        if strike.kind == "kill":
            self._dead = True
            raise Killed
        return _fail(strike.kind, event_name, request)

    def _struck(self, operation: str, call: object) -> Strike | None:
        with self._lock:
            if self._dead:
                raise Killed
            repeated = call in self._known
            number = self._known.setdefault(call, len(self._known))
            if not repeated:
                self.sent.append(operation)
        strike = self._strike
        if strike is None or strike.at != number or (repeated and strike.kind == "lost"):
            return None
        return strike


def _fail(kind: str, event_name: str, request: AWSPreparedRequest) -> Any:
    if kind in {"timeout", "lost"}:
        raise ReadTimeoutError(endpoint_url=request.url)
    return answer_of(kind, event_name.split(".")[1], request)


def _path(url: str) -> str:
    """Bucket and key, wherever the address has the bucket."""
    parts = urlsplit(url)
    return f"/{parts.netloc.partition('.')[0]}{parts.path}"


@contextmanager
def struck() -> Iterator[Calls]:
    """The calls of everything in the block, inside of a cloud."""
    calls, kind = Calls(), type(botocore_stubber)
    inner: Callable[..., Any] = kind.__call__

    def meet(stubber: object, event_name: str, request: AWSPreparedRequest, **more: Any) -> Any:
        return calls.meet(event_name, request, lambda: inner(stubber, event_name, request, **more))

    with patch.object(kind, "__call__", meet):
        yield calls


class Interleaving:
    """Workers of which one goes on at a time: at each of its calls of AWS a chosen one gets the turn."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - an order, no secret
        self._condition = Condition()
        self._working: list[int] = []
        self._numbers: dict[int, int] = {}
        self._turn = -1
        #: A worker that stands still while another does much is what lets them get into each other's way.
        self._keep = self._chance.choice((0.0, 0.5, 0.9, 0.97))

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """Do the works at once; raises what the first of them raised."""
        raised: list[BaseException] = []
        self._working = list(range(len(works)))

        def work(number: int) -> None:
            self._numbers[get_ident()] = number
            try:
                self._wait(number)
                works[number]()
            except BaseException as error:  # noqa: BLE001 - told to the test
                raised.append(error)
            finally:
                del self._numbers[get_ident()]
                self._working.remove(number)
                self._choose()

        threads = [Thread(target=work, args=(number,)) for number in self._working]
        for thread in threads:
            thread.start()
        self._choose()
        for thread in threads:
            thread.join()
        if raised:
            raise raised[0]

    def yield_turn(self) -> None:
        """Let another worker go on; a worker's helping threads go on with it."""
        number = self._numbers.get(get_ident())
        if number is not None:
            self._choose()
            self._wait(number)

    def _choose(self) -> None:
        with self._condition:
            if self._turn in self._working and self._chance.random() < self._keep:
                return
            self._turn = self._chance.choice(self._working) if self._working else -1
            self._condition.notify_all()

    def _wait(self, number: int) -> None:
        with self._condition:
            # Python 3.11 locks a property while it is computed: who has the turn may wait for who has not.
            self._condition.wait_for(lambda: self._turn == number, timeout=5)


def circumstances(seed: int) -> Circumstances:
    """A clock that goes on at each look, and chance that can be had again."""
    ticks, chance = count(1_790_000_000_000), random.Random(seed)  # noqa: S311 - made up
    return Circumstances(lambda: next(ticks), chance.randbytes)


@dataclass(frozen=True, slots=True)
class FaultDesk:
    """A stack whose calls may be struck; `desk` looks at it undisturbed."""

    desk: FunctionDesk
    calls: Calls

    def trace(self, message: object) -> list[str]:
        """The operations of AWS that a message takes, undisturbed and the first time."""
        self.calls.begin()
        assert self.desk.deliver(function_of(DOOR), message) == []
        return self.calls.sent

    def attempt(self, message: object, strike: Strike | None = None, left: int = 900_000) -> bool:
        """A fresh process takes a message; whether it is consumed."""
        self.calls.begin(strike)
        try:
            return self.desk.deliver(function_of(DOOR), message, left=left) == []
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

    def held(self) -> set[tuple[str, ...]]:
        """All objects and items but those of the audit log, parts of lists, and notes on uploads."""
        clients = self.desk.cloud.clients
        held: set[tuple[str, ...]] = set()
        for bucket in (CLEAN, UPLOADS):
            for kept in clients.s3.list_object_versions(Bucket=bucket).get("Versions", []):
                held.add((bucket, kept["Key"], kept["VersionId"]))
        for table in (REGISTRY, CATALOGUE):
            for item in clients.dynamodb.scan(TableName=table)["Items"]:
                held.add((table, item["pk"]["S"], item["sk"]["S"], json.dumps(item, default=str)))
        return {entry for entry in held if not entry[1].startswith(("work/", "default#upload"))}

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
