"""Snapshots on the deployed application: a large list asks for one, the next ones and deliveries read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from cloudcast import Cast, commanded, on_stack, versions
from contact_sanitizer.aws.registry import LARGE_FILE
from contact_sanitizer.aws.registry_view import DIRECT_CANDIDATES
from demo import TENANT, put, wait_for_queue, wait_for_upload
from rehearsal import OWNER, Person

#: Consent comes with the file, so that a large list is kept though the registry knows nobody.
POLICY: Final = """\
format: contact-sanitizer/policy/v1
name: large
default_region: CN
columns:
  phone: {role: phone}
  agreed: {role: consent}
consent: {purpose: marketing, channel: sms, sender: brand-a, evidence: either}
suppression: {scopes: [global, tenant, sender]}
output: {format: csv, audience: large-gateway}
"""
WISH: Final = {"sender": "lara", "purpose": "marketing"}
REGISTERED: Final = (
    "senders",
    "add",
    "lara",
    "--licence",
    "L-9",
    "--until",
    "2099-01-01",
    "--purpose",
    "marketing",
)
PEOPLE: Final = [f"138{number:08}" for number in range(12_000_000, 12_000_000 + DIRECT_CANDIDATES + 1_000)]

#: More than a snapshot of a small registry may lie behind.
BLOCKED: Final = PEOPLE[100:700]


@dataclass(frozen=True)
class Large:
    """A list of so many people, when nothing was there, and what its run asked for."""

    manifest: dict[str, Any]
    wanted: list[str]
    made: dict[str, int]


def uploaded(cast: Cast, people: Sequence[str]) -> dict[str, Any]:
    """The manifest of a list of these people."""
    offer = cast.stack.call(cast.uploader, "POST", "/uploads", {"policy": "large"}).json
    lines = [f"{phone},yes,{'-' * 16}" for phone in people]
    content = "\n".join(["phone,agreed,left out", *lines, ""]).encode()
    assert len(content) > LARGE_FILE
    assert cast.stack.post_form(offer["url"], offer["fields"], content).status == 201
    status = wait_for_upload(cast.stack, cast.uploader, offer["upload_id"])
    assert status["state"] == "made", status
    key = f"lists/{TENANT}/{status['list_id']}/manifest.json"
    manifest: dict[str, Any] = json.loads(stored(cast, key))
    return manifest


def stored(cast: Cast, key: str) -> bytes:
    found = cast.stack.client("s3").get_object(Bucket=cast.stack.outputs["CleanBucket"], Key=key)
    content: bytes = found["Body"].read()
    return content


def snapshots(cast: Cast, folder: str = "") -> list[str]:
    """The keys under the tenant's snapshots."""
    prefix = f"snapshots/{TENANT}/{folder}"
    found = cast.stack.client("s3").list_objects_v2(Bucket=cast.stack.outputs["CleanBucket"], Prefix=prefix)
    return [each["Key"] for each in found.get("Contents", [])]


@pytest.fixture(scope="module")
def large(cast: Cast, tmp_path_factory: pytest.TempPathFactory) -> Large:
    # nobody makes snapshots but this test
    clock = cast.stack.physical("SnapshotsFunctionByTheClock")
    cast.stack.client("events").disable_rule(Name=clock)
    policy = tmp_path_factory.mktemp("large") / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    commanded(cast.stack, cast.operator, "policy", "put", policy, "--as", "large")
    manifest = uploaded(cast, PEOPLE)
    return Large(manifest, snapshots(cast, "wanted/"), cast.stack.invoke("SnapshotsFunction"))


@pytest.fixture(scope="module")
def lara(cast: Cast) -> Person:
    """Who calls in a sender's name."""
    person = cast.stack.person("lara", ["Sender"])
    arn = cast.stack.client("iam").get_user(UserName="lara")["User"]["Arn"]
    commanded(cast.stack, cast.operator, *REGISTERED, "--principal", arn)
    return person


def test_a_large_list_is_made_without_a_snapshot_and_asks_for_one(cast: Cast, large: Large) -> None:
    assert large.manifest["registry_as_of"]["snapshot"] is None
    assert large.manifest["counts"]["kept"] == len(PEOPLE)
    assert len(large.wanted) == 1
    assert large.made["built"] == 1
    assert [key for key in snapshots(cast) if key.endswith("/newest.json")]


def test_the_next_list_reads_it_and_a_refusal_since_counts(cast: Cast, large: Large, lara: Person) -> None:
    assert large.made
    reply = {"phone": PEOPLE[7], "message": "TD"}
    assert cast.stack.call(lara, "POST", "/optouts", reply).status == 200
    manifest = uploaded(cast, PEOPLE[:-1])
    assert manifest["registry_as_of"]["snapshot"]
    assert (manifest["counts"]["kept"], manifest["counts"]["dropped"]) == (len(PEOPLE) - 2, 1)


def test_a_snapshot_far_behind_is_refreshed_and_what_nobody_wants_goes(
    cast: Cast, large: Large, tmp_path: Path
) -> None:
    assert large.made
    assert cast.stack.invoke("SnapshotsFunction") == {"built": 0, "refreshed": 0, "paused": 0}
    register = tmp_path / "blocks.csv"
    rows = "".join(f"{phone},tenant,complaint,form\n" for phone in BLOCKED)
    register.write_text(f"phone,scope,reason,source\n{rows}", encoding="utf-8")
    put(cast.stack, cast.operator, "UploadsBucket", f"registry/{TENANT}/blocks/large.csv", register)
    wait_for_queue(cast.stack, "ImportQueueUrl")
    register.write_text("{}", encoding="utf-8")
    put(cast.stack, OWNER, "CleanBucket", f"snapshots/{TENANT}/wanted/{'0' * 16}.json", register)
    assert cast.stack.invoke("SnapshotsFunction") == {"built": 0, "refreshed": 1, "paused": 0}
    assert snapshots(cast, "wanted/") == large.wanted


def test_a_delivery_reads_the_refreshed_one(cast: Cast, large: Large, lara: Person) -> None:
    answer = cast.stack.call(lara, "POST", f"/lists/{large.manifest['list_id']}/deliveries", WISH)
    assert answer.status == 200, answer
    assert answer.json["rows"] == len(PEOPLE) - 1 - len(BLOCKED)
    recalls = cast.stack.call(lara, "GET", f"/deliveries/{answer.json['delivery']}/recalls")
    assert (recalls.status, recalls.json["recalls"]) == (200, [])
    cast.stack.invoke("NoticesFunction")


def test_erasing_a_person_leaves_no_snapshot_in_any_version_but_that_one_is_wanted(
    cast: Cast, large: Large, tmp_path: Path
) -> None:
    assert large.made
    assert [key for key in snapshots(cast) if key.endswith("-hi")]
    eraser = cast.stack.person("ezra", ["Eraser"], {"contact-sanitizer": "operator"})
    receipt = tmp_path / "receipt.json"
    said = on_stack(cast, eraser, "erase", "-", "--receipt", receipt, "--json", give=PEOPLE[3].encode())
    assert json.loads(receipt.read_bytes())["removed"]["clean_rows"] > 0, said
    left = {each["Key"] for each in versions(cast.stack, "CleanBucket", f"snapshots/{TENANT}/")}
    assert left == set(snapshots(cast, "wanted/"))
