"""What the tests of functions share: a stack in this process, events as AWS sends them, and what they led to.

The registry is the laptop's: the functions do not see the difference, and the contract suite says so.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from cloudworld import AUDIT, CATALOGUE, CLEAN, REGISTRY, UPLOADS, CloudWorld, cloud
from contact_sanitizer.access import Principal, Role
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.aws.world import StackWorld, directory_of
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.api import Handler
from contact_sanitizer.registering.desk import ConsentTerms
from contact_sanitizer.workspace import Workspace

EVENTS = Path(__file__).parent / "handlers" / "events"
ACCOUNT = "123456789012"
TERMS = ConsentTerms("marketing", "sms", "", effective_at=1_780_000_000, source="form")


@dataclass(frozen=True)
class Context:
    """What Lambda says to a function."""

    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name: str = "demo-function"
    memory_limit_in_mb: int = 2048
    invoked_function_arn: str = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:demo-function"
    left: int = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return self.left


@dataclass(frozen=True)
class Answer:
    """What a caller of the API sees."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


def event(name: str) -> dict[str, Any]:
    """A sample as AWS sends it."""
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@dataclass
class FunctionDesk:
    """One stack with its functions."""

    cloud: CloudWorld
    settings: StackSettings
    account: str = ACCOUNT
    tenant: str = "default"
    left: int = 900_000
    """Milliseconds that functions behind the API are told they have."""

    @cached_property
    def world(self) -> StackWorld:
        return StackWorld(self.settings, self.cloud.clients, self.tenant)

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace.in_stack(self.world, make=True, principal="tester")

    def map(self, arn: str, *roles: Role, tenant: str = "default", sender: str = "") -> None:
        directory_of(self.settings, self.cloud.clients).add(Principal(arn, tenant, frozenset(roles), sender))

    def call(self, handler: Handler, route: str, body: Any = None, **iam: str) -> Answer:
        """Call the API as the sample's principal, or as `iam` says."""
        method, _, path = route.partition(" ")
        path, _, query = path.partition("?")
        sample = event("http_iam_role")
        sample["requestContext"]["http"] |= {"method": method, "path": path}
        sample["rawPath"], sample["rawQueryString"] = path, query
        if query:
            sample["queryStringParameters"] = dict(part.split("=") for part in query.split("&"))
        sample["requestContext"]["authorizer"]["iam"] |= iam
        sample["body"] = body if isinstance(body, str) or body is None else json.dumps(body)
        return self.send(handler, sample)

    def send(self, handler: Handler, sample: Mapping[str, Any]) -> Answer:
        answer = handler(copy.deepcopy(dict(sample)), Context(left=self.left))  # type: ignore[arg-type] # as much as is used
        headers = answer.get("headers") or {
            name: values[0] for name, values in answer.get("multiValueHeaders", {}).items()
        }
        return Answer(answer["statusCode"], headers, answer["body"])

    def put(self, key: str, content: bytes, bucket: str = UPLOADS) -> dict[str, Any]:
        """Put an object; returns the message that S3 sends of it, through EventBridge."""
        answer = self.cloud.clients.s3.put_object(Bucket=bucket, Key=key, Body=content)
        message: dict[str, Any] = event("sqs_eventbridge_s3")["Records"][0]["body"]
        message["detail"]["bucket"]["name"] = bucket
        message["detail"]["object"] |= {
            "key": key,
            "size": len(content),
            "etag": answer["ETag"].strip('"'),
            "version-id": answer["VersionId"],
        }
        return message

    def deliver(self, handler: Handler, *messages: object, left: int = 900_000) -> list[str]:
        """Hand messages to a function, as its queue does; returns the ids of those that come back."""
        model = event("sqs_eventbridge_s3")["Records"][0]
        records = [
            model | {"messageId": str(number), "body": text if isinstance(text, str) else json.dumps(text)}
            for number, text in enumerate(messages)
        ]
        answer = handler({"Records": records}, Context(left=left))  # type: ignore[arg-type] # as above
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The audit events, in the order of their ids."""
        found = self.cloud.clients.s3.list_objects_v2(Bucket=AUDIT, Prefix="log/segments/")
        objects = found.get("Contents", [])
        lines: list[bytes] = []
        for entry in objects:
            content = self.cloud.clients.s3.get_object(Bucket=AUDIT, Key=entry["Key"])["Body"].read()
            lines += content.splitlines()
        return sorted(
            (json.loads(line) for line in lines), key=lambda said: (said["time"], said["metadata"]["uid"])
        )

    def said(self, operation: str) -> list[dict[str, Any]]:
        return [said for said in self.audit if said["api"]["operation"] == operation]

    def agree(self, *phones: str) -> None:
        desk = self.workspace.desk("CN")
        for phone in phones:
            desk.grant(desk.person(phone), TERMS)

    def clean(self, list_id: str, name: str = "clean.csv") -> bytes:
        key = f"lists/default/{list_id}/{name}"
        return self.cloud.clients.s3.get_object(Bucket=CLEAN, Key=key)["Body"].read()

    def versions(self, key: str) -> int:
        found = self.cloud.clients.s3.list_object_versions(Bucket=UPLOADS, Prefix=key)
        return len(found.get("Versions", []))


@contextmanager
def function_desk(
    monkeypatch: pytest.MonkeyPatch, opened: AbstractContextManager[CloudWorld] | None = None
) -> Iterator[FunctionDesk]:
    """A new, empty stack, of moto's unless another one is given; the functions of this process work in it."""
    with opened or cloud() as world:
        environment = {
            "CS_STACK": "demo",
            "CS_UPLOADS_BUCKET": UPLOADS,
            "CS_CLEAN_BUCKET": CLEAN,
            "CS_AUDIT_BUCKET": AUDIT,
            "CS_REGISTRY_TABLE": REGISTRY,
            "CS_CATALOGUE_TABLE": CATALOGUE,
            "CS_DATA_KEY": world.data_key,
            "CS_KEYRING_KEY": world.keyring_key,
            "CS_SEAL_KEY": world.seal_key,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stage.settings.cache_clear()
        monkeypatch.setattr(stage, "clients", lambda: world.clients)
        try:
            yield FunctionDesk(world, StackSettings.from_environment(environment))
        finally:
            stage.settings.cache_clear()
