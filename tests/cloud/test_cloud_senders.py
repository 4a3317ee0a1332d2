"""A sender on the deployed application: fetches, redeems, reports a refusal; then the seal and its proof."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudcast import DENIED, Cast, commanded, refused
from commands import command
from contact_sanitizer.audit.checkpoint import open_checkpoint
from contact_sanitizer.audit.notes import SignatureType, Verifier
from rehearsal import STACK, Person, Rehearsal

WISH = {"sender": "gate", "purpose": "marketing"}
REGISTERED = [
    "senders",
    "add",
    "gate",
    "--licence",
    "LIC-1",
    "--until",
    "2099-01-01",
    "--purpose",
    "marketing",
]


@dataclass(frozen=True)
class Delivery:
    """What the sender got."""

    answer: dict[str, Any]
    content: bytes

    @property
    def tokens(self) -> list[str]:
        return [line.split(",")[0] for line in self.content.decode().splitlines()[1:]]


@pytest.fixture(scope="session")
def gate(cast: Cast) -> Person:
    """Sam, by now registered as who calls in the sender's name."""
    arn = cast.stack.client("iam").get_user(UserName=cast.sender.name)["User"]["Arn"]
    commanded(cast.stack, cast.operator, *REGISTERED, "--principal", arn)
    return cast.sender


@pytest.fixture(scope="session")
def delivered(cast: Cast, gate: Person, made: dict[str, Any]) -> Delivery:
    """The sample list, as its sender fetches it."""
    answer = cast.stack.call(gate, "POST", f"/lists/{made['list_id']}/deliveries", WISH)
    assert answer.status == 200, answer
    return Delivery(answer.json, cast.stack.fetch(answer.json["url"]).body)


def redeemed(cast: Cast, person: Person, tokens: list[str]) -> list[dict[str, Any]]:
    answer = cast.stack.call(person, "POST", "/tokens/redeem", WISH | {"tokens": tokens})
    assert answer.status == 200, answer
    results: list[dict[str, Any]] = answer.json["results"]
    return results


def test_what_a_sender_gets_is_what_it_is_told(cast: Cast, gate: Person, delivered: Delivery) -> None:
    """And each of its tokens is somebody's number."""
    answer = delivered.answer
    assert answer["sha256"] == hashlib.sha256(delivered.content).hexdigest()
    assert len(delivered.tokens) == answer["rows"] == len(set(delivered.tokens)) > 1000
    numbers = [each["phone"] for each in redeemed(cast, gate, delivered.tokens[:1000])]
    assert len(set(numbers)) == 1000
    assert all(re.fullmatch(r"\+861\d{10}", number) for number in numbers)


def test_the_same_wish_of_a_day_is_the_same_delivery(
    cast: Cast, gate: Person, made: dict[str, Any], delivered: Delivery
) -> None:
    again = cast.stack.call(gate, "POST", f"/lists/{made['list_id']}/deliveries", WISH).json
    same = ("delivery", "rows", "sha256")
    assert [again[name] for name in same] == [delivered.answer[name] for name in same]


def test_a_link_that_was_changed_leads_nowhere(cast: Cast, delivered: Delivery) -> None:
    url = delivered.answer["url"]
    assert "X-Amz-Expires=300" in url
    others = (
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
        url.replace("/content?", "/people?"),
        url.partition("?")[0],
    )
    for other in others:
        assert other != url
        assert cast.stack.fetch(other).status == 403


def test_nobody_else_fetches_or_redeems_in_a_sender_s_name(
    cast: Cast, made: dict[str, Any], delivered: Delivery
) -> None:
    calls = (
        ("POST", f"/lists/{made['list_id']}/deliveries", WISH),
        ("POST", "/tokens/redeem", WISH | {"tokens": delivered.tokens[:1]}),
        ("GET", f"/deliveries/{delivered.answer['delivery']}/recalls", None),
    )
    other = cast.stack.person("sid", ["Sender"])
    for method, path, body in calls:
        for person in (cast.uploader, cast.operator, cast.security, cast.stranger, None):
            assert cast.stack.call(person, method, path, body).status == 403
        answer = cast.stack.call(other, method, path, body)
        assert (answer.status, answer.json["code"]) == (403, "not_allowed")


def test_who_refuses_is_recalled_and_opens_no_more(cast: Cast, gate: Person, delivered: Delivery) -> None:
    token, path = delivered.tokens[3], f"/deliveries/{delivered.answer['delivery']}/recalls"
    (before,) = redeemed(cast, gate, [token])
    assert cast.stack.call(gate, "GET", path).json["recalls"] == []
    reply = {"phone": before["phone"], "message": "TD"}
    assert cast.stack.call(gate, "POST", "/optouts", reply).status == 200
    page = cast.stack.call(gate, "GET", path).json
    assert [recalled["token"] for recalled in page["recalls"]] == [token]
    assert redeemed(cast, gate, [token]) == [{"phone": None, "refused": "refused"}]
    receipt = cast.stack.call(gate, "POST", f"{path}/ack", {"cursor": page["cursor"]})
    assert receipt.status == 200
    assert cast.stack.call(gate, "GET", path).json["acknowledged"] == 1


def test_what_happened_is_sealed_and_proved_from_a_copy(
    cast: Cast, delivered: Delivery, tmp_path: Path
) -> None:
    """By security alone: the log as it lies in the bucket, the public key as KMS tells it."""
    sealed = cast.stack.invoke("SealFunction")
    note = cast.stack.call(cast.security, "GET", "/audit/checkpoint")
    assert note.status == 200
    kms = cast.stack.client("kms", cast.security)
    public = kms.get_public_key(KeyId=cast.stack.outputs["SealKeyArn"])["PublicKey"]
    verifier = Verifier(f"contact-sanitizer/{STACK}", SignatureType.ECDSA, public)
    assert open_checkpoint(note.body, [verifier]).size >= sealed["size"] > 20
    (tmp_path / "kept").write_bytes(note.body)
    (tmp_path / "key").write_text(verifier.encode() + "\n")
    copied(cast.stack, cast.security, tmp_path / "copy")
    with_key: list[str | Path] = [
        "--public-key",
        tmp_path / "key",
        "--checkpoint",
        tmp_path / "kept",
        "--json",
    ]
    verified = command("audit", "verify", tmp_path / "copy" / "log", *with_key)
    assert verified.status == 0, verified
    published = f'"{delivered.answer["delivery"]}"'.encode()
    entries = [file for file in (tmp_path / "copy/log/tile/entries").rglob("*") if file.is_file()]
    assert any(published in file.read_bytes() for file in entries)
    damaged = max(entries, key=lambda file: file.stat().st_size)
    damaged.write_bytes(damaged.read_bytes().replace(published, b'"' + b"0" * 26 + b'"'))
    assert command("audit", "verify", tmp_path / "copy" / "log", *with_key).status == 1


def test_nobody_but_the_seal_signs(cast: Cast) -> None:
    wanted = {"Message": b"x", "MessageType": "RAW", "SigningAlgorithm": "ECDSA_SHA_256"}
    for person in (cast.operator, cast.security, cast.sender):
        kms = cast.stack.client("kms", person)
        key = cast.stack.outputs["SealKeyArn"]
        assert refused(lambda kms=kms, key=key: kms.sign(KeyId=key, **wanted)) in DENIED


def copied(stack: Rehearsal, person: Person, folder: Path) -> None:
    """All of the audit bucket, as `aws s3 sync` would bring it."""
    s3, bucket = stack.client("s3", person), stack.outputs["AuditBucket"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            file = folder / entry["Key"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
