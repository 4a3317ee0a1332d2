"""The people of a deployed application, and what tests of it ask again and again."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from commands import Said, command
from demo import EXAMPLES
from rehearsal import STACK, Person, Rehearsal

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


def refused(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def on_stack(cast: Cast, person: Person, *words: str | Path, give: bytes | None = None) -> Said:
    """A command on the stack in somebody's name."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cast.stack.environment(person).items():
            patch.setenv(name, value)
        return command("--stack", STACK, *words, give=give)


def without_tokens(content: bytes) -> list[list[str]]:
    return [row[1:] for row in csv.reader(io.StringIO(content.decode()))]


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
