"""AWS in this process: buckets, tables and keys as the template makes them, and faults at any call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO
from threading import RLock
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws
from moto.core.models import botocore_stubber

from contact_sanitizer.aws.clients import Clients

UPLOADS, CLEAN, AUDIT = "demo-uploads", "demo-clean", "demo-audit"
REGISTRY, CATALOGUE = "demo-registry", "demo-catalogue"
REGION: Final = "eu-central-1"
MADE_UP = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "3",
}


@dataclass
class CloudWorld:
    """One stack's resources; keys are made when they are asked for, which takes moto a while."""

    clients: Clients

    #: Nothing in S3 asks KMS here, so it need not be there.
    data_key: str = f"arn:aws:kms:{REGION}:123456789012:key/data"

    @cached_property
    def keyring_key(self) -> str:
        return self.clients.kms.create_key()["KeyMetadata"]["Arn"]

    @cached_property
    def seal_key(self) -> str:
        made = self.clients.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        return made["KeyMetadata"]["Arn"]


@contextmanager
def cloud() -> Iterator[CloudWorld]:
    """A new, empty AWS with one stack's resources in it."""
    hurried = SimpleNamespace(sleep=lambda _: None)
    with (
        patch.dict("os.environ", MADE_UP),
        patch("botocore.endpoint.time", hurried),
        patch.object(type(botocore_stubber), "__call__", _one_at_a_time(type(botocore_stubber).__call__)),
        mock_aws(),
    ):
        clients = Clients(REGION)
        clients.session = _session()
        yield make_stack(clients)


@cache
def _session() -> boto3.session.Session:
    """Made once: a session reads the descriptions of its services from disk."""
    return boto3.session.Session("testing", "testing", "testing", REGION)


def _one_at_a_time(call: Callable[..., Any]) -> Callable[..., Any]:
    """A write of DynamoDB and S3 is atomic; moto's is so only where nobody else is at work."""
    lock = RLock()

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return call(*args, **kwargs)

    return locked


def make_stack(clients: Clients) -> CloudWorld:
    """The resources of one stack."""
    for bucket in (UPLOADS, CLEAN, AUDIT):
        clients.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        clients.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for table in (REGISTRY, CATALOGUE):
        make_table(clients, table)
    return CloudWorld(clients)


def make_table(clients: Clients, table: str) -> None:
    """One of the stack's tables, empty."""
    clients.dynamodb.create_table(
        TableName=table,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )


class Faulty:
    """Calls that go wrong: `plan` is asked for each sending, by operation and by its count from 0.

    `before`: the service never saw the call; `after`: it did all, and the answer was lost. `timeout` breaks
    the connection; `500`, `throttle` and `denied` are answers.
    """

    def __init__(self, clients: Clients, plan: Callable[[str, int], str]) -> None:
        self.sent: list[str] = []
        self._plan = plan
        self._answer: AWSResponse | None = None
        self._raise = False
        for client in (clients.s3, clients.dynamodb, clients.kms):
            events: Any = client.meta.events
            events.register_first("before-send", self._before)
            events.register_last("before-send", self._after)

    def _before(self, event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        operation = event_name.rsplit(".", 1)[1]
        moment, _space, kind = self._plan(operation, len(self.sent)).partition(" ")
        self.sent.append(operation)
        self._raise = kind == "timeout"
        self._answer = None if kind in {"", "timeout"} else answer_of(kind, event_name.split(".")[1], request)
        botocore_stubber.enabled = moment != "before"
        if moment == "before" and self._raise:
            botocore_stubber.enabled = True
            raise ReadTimeoutError(endpoint_url=request.url)
        return self._answer

    def _after(self, request: AWSPreparedRequest, **_: Any) -> None:
        botocore_stubber.enabled = True
        if self._raise:
            raise ReadTimeoutError(endpoint_url=request.url)


FAILURES: Final = {
    "500": (500, "InternalServerError", "InternalError"),
    "throttle": (400, "ThrottlingException", "SlowDown"),
    "denied": (403, "AccessDeniedException", "AccessDenied"),
}
"""How services fail: status, and the code in JSON and in XML."""


def answer_of(kind: str, service: str, request: AWSPreparedRequest) -> AWSResponse:
    """What a service says that fails like this."""
    status, json_code, xml_code = FAILURES[kind]
    body = (
        f"<Error><Code>{xml_code}</Code><Message>13812345678</Message></Error>"
        if service == "s3"
        else f'{{"__type": "{json_code}", "message": "13812345678"}}'
    ).encode()
    if service == "s3" and kind == "throttle":
        status = 503
    return AWSResponse(request.url, status, HTTPHeaders(), _Raw(body))


class _Raw(BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        while part := self.read():
            yield part
