"""AWS in dictionaries: as much of S3, DynamoDB, KMS and SQS as the product calls, many times as fast as moto.

Clients are boto3's, paginators and all; only what they would send goes to a `MemoryCloud` instead. The
contract suites hold it to what they hold moto to, and what it does not know raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from threading import RLock
from typing import Any, Final, cast

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError, ReadTimeoutError

from cloudworld import (
    AUDIT,
    CATALOGUE,
    CLEAN,
    FAILURES,
    REGION,
    REGISTRY,
    CloudWorld,
    make_stack,
)
from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.aws.world import StackWorld
from memoryservices import MemoryBuckets, MemoryBuses, MemoryKeys, MemoryQueues, Refused
from memorytables import MemoryTables

ATTEMPTS: Final = 3
_PASSING: Final = {"InternalServerError", "InternalError", "ThrottlingException", "SlowDown"}


@dataclass(frozen=True, slots=True)
class MemorySending:
    """One time that a client sends a request; `call` tells the repeats of one call from another call."""

    service: str
    operation: str
    asked: Mapping[str, Any]
    call: object

    @property
    def place(self) -> tuple[str, str]:
        """Bucket and key, empty where it is about none."""
        return self.asked.get("Bucket", ""), self.asked.get("Key", "") if self.service == "s3" else ""

    def fail(self, kind: str) -> Any:
        """Raise what a request that fails like this raises."""
        if kind in {"timeout", "lost"}:
            raise ReadTimeoutError(endpoint_url=f"memory://{self.service}")
        status, json_code, xml_code = FAILURES[kind]
        raise Refused(xml_code if self.service == "s3" else json_code, status)


Gate = Callable[[MemorySending, Callable[[], Any]], Any]


class MemoryCloud:
    """One account. Every sending goes through `gate`, which may send, fail or watch it."""

    def __init__(self) -> None:
        self.services: dict[str, Any] = {
            "s3": MemoryBuckets(),
            "dynamodb": MemoryTables(),
            "kms": MemoryKeys(),
            "sqs": MemoryQueues(),
            "events": MemoryBuses(),
        }
        self.gate: Gate = lambda _sending, send: send()
        self._lock = RLock()
        self._calls = count()

    @property
    def clients(self) -> Clients:
        """Clients of this account."""
        made = Clients(REGION)
        made.session = cast("boto3.session.Session", _Session(self))
        return made

    def call(self, service: str, operation: str, asked: Mapping[str, Any]) -> Any:
        """What a client answers to a call, or raises, after the repeats that botocore would send."""
        number = next(self._calls)
        sending = MemorySending(service, operation, asked, number)
        send = partial(self._serve, service, operation, asked, number)
        for repeats in range(ATTEMPTS):
            try:
                return self.gate(sending, send)
            except ReadTimeoutError:
                if repeats == ATTEMPTS - 1:
                    raise
            except Refused as refused:
                if refused.code not in _PASSING or repeats == ATTEMPTS - 1:
                    raise _client_error(refused, operation, repeats) from None
        raise AssertionError(operation)

    def state(self) -> dict[str, Any]:
        """All that is kept, to be brought back."""
        with self._lock:
            return {name: service.copy() for name, service in self.services.items()}

    def bring_back(self, state: Mapping[str, Any]) -> None:
        """Let everything be as it was."""
        with self._lock:
            self.services = {name: service.copy() for name, service in state.items()}

    def _serve(self, service: str, operation: str, asked: Mapping[str, Any], call: int) -> Any:
        # Each request is atomic, as single writes and transactions are at AWS.
        with self._lock:
            kept = self.services[service]
            kept.call = call
            return getattr(kept, xform_name(operation))(asked)


def _client_error(refused: Refused, operation: str, repeats: int) -> ClientError:
    answer: Any = {
        "Error": {"Code": refused.code, "Message": "13812345678"},
        "ResponseMetadata": {"HTTPStatusCode": refused.status, "RetryAttempts": repeats},
        **refused.more,
    }
    return ClientError(answer, operation)


def memory_world(cloud: MemoryCloud) -> CloudWorld:
    """One stack's resources in it."""
    return make_stack(cloud.clients)


def memory_stack(cloud: MemoryCloud) -> StackWorld:
    """The default tenant's things in a stack in it."""
    made = memory_world(cloud)
    settings = StackSettings(
        "demo",
        clean=CLEAN,
        audit=AUDIT,
        registry=REGISTRY,
        catalogue=CATALOGUE,
        data_key=made.data_key,
        keyring_key=made.keyring_key,
    )
    return StackWorld(settings, made.clients, "default")


@dataclass(frozen=True, slots=True)
class _Session:
    cloud: MemoryCloud

    def client(self, service: str, **_: Any) -> Any:
        known = _client(service)
        made = object.__new__(type(known))
        made.__dict__.update(known.__dict__)
        made._make_api_call = partial(self.cloud.call, service)
        return made


@cache
def _client(service: str) -> Any:
    session = boto3.session.Session("testing", "testing", "testing", REGION)
    return session.client(cast("Any", service))
