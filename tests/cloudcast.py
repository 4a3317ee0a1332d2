"""The people of a deployed application, and what tests of it ask again and again."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from commands import Said, command
from contact_sanitizer.uploading import UPLOAD, Upload, Uploads
from contact_sanitizer.workspace import Workspace
from demo import EXAMPLES, TENANT, wait_for_queue
from rehearsal import STACK, Person, Rehearsal

PATIENCE: Final = 120.0
"""So many seconds at most it takes until something happens by itself."""

TRIAL = "trial"
"""The name under which tests take a function's role: not counted as what the function does."""

DENIED = {"AccessDenied", "AccessDeniedException", "403"}


@dataclass(frozen=True)
class Cast:
    """The stack and its people."""

    stack: Rehearsal
    operator: Person
    uploader: Person
    sender: Person
    security: Person
    stranger: Person


def eventually(true: Callable[[], bool]) -> None:
    """Until it is true; what it waits for comes by itself."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def refused(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


@contextmanager
def working_as(stack: Rehearsal, person: Person) -> Iterator[None]:
    """The product in this process works on the stack in the name of `person`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment(person).items():
            patch.setenv(name, value)
        yield


def on_stack(cast: Cast, person: Person, *words: str | Path, give: bytes | None = None) -> Said:
    """A command on the stack in somebody's name."""
    with working_as(cast.stack, person):
        return command("--stack", STACK, *words, give=give)


def commanded(stack: Rehearsal, person: Person, *arguments: str | Path) -> Any:
    """What a command on the stack prints, in the name of `person`."""
    with working_as(stack, person):
        said = command("--stack", STACK, *arguments, "--json")
    assert said.status == 0, said
    return said.document


@contextmanager
def unread(stack: Rehearsal) -> Iterator[None]:
    """What arrives meanwhile is read only afterwards."""
    client = stack.client("lambda")
    found = client.list_event_source_mappings(FunctionName=stack.physical("SanitizeFunction"))
    (mapping,) = found["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        time.sleep(1)  # the poller may be on its way
        yield
    finally:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    wait_for_queue(stack, "SanitizeQueueUrl")


def known_uploads(stack: Rehearsal, person: Person, tenant: str = TENANT) -> dict[str, Upload]:
    """All that is on record about uploads, by id."""
    with working_as(stack, person):
        world = Workspace.open_stack(STACK, tenant).world
        uploads = Uploads(world.records)
        found = (uploads.get(record.name) for record in world.records.named(UPLOAD))
        return {upload.upload_id: upload for upload in found if upload}


def without_tokens(content: bytes) -> list[list[str]]:
    return [row[1:] for row in csv.reader(io.StringIO(content.decode()))]


def sample_numbers() -> set[str]:
    """The numbers of the sample list, 11 digits each."""
    with (EXAMPLES / "contacts.csv").open(encoding="gb18030", newline="") as file:
        digits = {re.sub(r"\D", "", cell)[-11:] for row in csv.reader(file) for cell in row}
    numbers = {number for number in digits if len(number) == 11 and number.startswith("1")}
    assert len(numbers) > 500
    return numbers


def versions(stack: Rehearsal, bucket: str, prefix: str = "") -> list[dict[str, Any]]:
    answer = stack.client("s3").list_object_versions(Bucket=stack.outputs[bucket], Prefix=prefix)
    return list(answer.get("Versions", []))


def on_the_laptop(home: Path, out: Path) -> dict[str, Any]:
    """The manifest of the sample list, as the laptop makes it with the sample registry."""
    command("consent", "import", EXAMPLES / "consents.csv", home=home)
    command("block", "import", EXAMPLES / "blocklist.csv", home=home)
    policy: list[str | Path] = ["--policy", EXAMPLES / "policy.yaml", "--out", out, "--json"]
    manifest: dict[str, Any] = command("run", EXAMPLES / "contacts.csv", *policy, home=home).document
    return manifest
