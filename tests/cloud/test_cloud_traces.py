"""After a day of work: where no phone may be. Comes last in its folder, so that all of it is looked at."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any

from cloudcast import Cast, versions
from demo import EXAMPLES, put
from rehearsal import Rehearsal


def test_no_phone_is_anywhere_but_among_the_uploads(cast: Cast, made: dict[str, Any]) -> None:
    assert made["state"] == "made"
    with (EXAMPLES / "contacts.csv").open(encoding="gb18030", newline="") as file:
        digits = {re.sub(r"\D", "", cell)[-11:] for row in csv.reader(file) for cell in row}
    canaries = {number.encode() for number in digits if len(number) == 11 and number.startswith("1")}
    assert len(canaries) > 500
    put(cast.stack, cast.operator, "UploadsBucket", "registry/nowhere/control", EXAMPLES / "contacts.csv")
    assert _found(canaries, [(name, body) for name, body in _objects(cast.stack, "UploadsBucket")])
    places = [*_objects(cast.stack, "CleanBucket"), *_objects(cast.stack, "AuditBucket"), *_kept(cast.stack)]
    assert len(places) > 20
    assert _found(canaries, places) == set()


def _found(canaries: set[bytes], places: list[tuple[str, bytes]]) -> set[str]:
    pattern = re.compile(b"|".join(map(re.escape, sorted(canaries))))
    return {name for name, body in places if pattern.search(body)}


def _objects(stack: Rehearsal, bucket: str) -> Iterator[tuple[str, bytes]]:
    s3 = stack.client("s3")
    for version in versions(stack, bucket):
        which = {"Key": version["Key"], "VersionId": version["VersionId"]}
        found = s3.get_object(Bucket=stack.outputs[bucket], **which)
        told = json.dumps([version["Key"], found.get("Metadata")])
        yield f"{bucket}/{version['Key']}", found["Body"].read() + told.encode()


def _kept(stack: Rehearsal) -> Iterator[tuple[str, bytes]]:
    for table in ("RegistryTable", "CatalogueTable"):
        pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs[table])
        for number, item in enumerate(item for page in pages for item in page["Items"]):
            yield f"{table}/{number}", repr(item).encode()
    for group, lines in stack.logs().items():
        yield group, "\n".join(lines).encode()
    for queue in ("SanitizeDeadLetterUrl", "ImportDeadLetterUrl"):
        answer = stack.client("sqs").receive_message(QueueUrl=stack.outputs[queue], MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            yield queue, message["Body"].encode()
    yield "emulator.log", (stack.folder / "emulator.log").read_bytes()
