"""What erasing a person asks of AWS is what the policy to hand out allows, and no more is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from cloudworld import AUDIT, CATALOGUE, CLEAN, REGISTRY
from contact_sanitizer.aws.snapshotmaking import Maker
from contact_sanitizer.erasing.erase import close_erasure
from contact_sanitizer.screening.rule import Rule
from erasedesk import ANN, place_in
from memorycloud import MemorySending
from rolematrix import OUTPUTS, PEOPLE

NAMES: Final = {
    CLEAN: "CleanBucket",
    AUDIT: "AuditBucket",
    REGISTRY: "RegistryTable",
    CATALOGUE: "CatalogueTable",
}
#: What only services ask for, what only a lost answer or a large list leads to, and what finds the stack.
SELDOM: Final = OUTPUTS | {
    *(right for right in PEOPLE["Eraser"] if right.endswith(" DataKey.Arn")),
    "s3:GetObject ${AuditBucket.Arn}/log/segments/*",
    "s3:GetObject ${CleanBucket.Arn}/deliveries/${Tenant}/*/people",
    "s3:AbortMultipartUpload ${CleanBucket.Arn}/lists/${Tenant}/*",
    "s3:ListBucket CleanBucket.Arn",
}


def rights_of(sending: MemorySending) -> Iterator[str]:
    """What a caller must be allowed to."""
    asked = sending.asked
    if sending.service == "s3":
        yield _s3_right(sending.operation, asked)
    elif sending.service == "kms":
        yield f"kms:{sending.operation} KeyringKey.Arn"
    elif sending.operation == "TransactWriteItems":
        for (kind, item), *_ in (list(each.items()) for each in asked["TransactItems"]):
            yield f"dynamodb:{kind}Item {NAMES[item['TableName']]}.Arn"
    else:
        for table in asked.get("RequestItems") or [asked["TableName"]]:
            yield f"dynamodb:{sending.operation} {NAMES[table]}.Arn"


def _s3_right(operation: str, asked: Any) -> str:
    bucket = NAMES[asked["Bucket"]]
    if operation == "ListObjectVersions":
        return f"s3:ListBucketVersions {bucket}.Arn"
    action = {"HeadObject": "GetObject", "DeleteObject": "DeleteObject"}.get(operation, operation)
    version = "Version" if "VersionId" in asked else ""
    place = re.sub(r"^(lists|keys|snapshots)/default/.*", r"\1/${Tenant}/*", asked["Key"])
    place = re.sub(r"^deliveries/default/[^/]+/", "deliveries/${Tenant}/*/", place)
    place = re.sub(r"^log/(segments|late)/.*", r"log/\1/*", place)
    return f"s3:{action}{version} ${{{bucket}.Arn}}/{place}"


def test_what_is_asked_is_what_is_granted(tmp_path: Path) -> None:
    place = place_in("stack", tmp_path)
    made = place.counter.made()
    place.handed_out(made)
    place.work.desk("CN").reply(place.person(), "who is this", "", place.work.registry)
    place.counter.block(ANN)
    stack = place.work.stack
    with ThreadPoolExecutor(1) as pool:
        stack.snapshots.shelf(pool).want(Rule("marketing", "sms"), 1)
    assert Maker(stack).refresh(1, lambda: 900_000).built == 1
    asked: set[str] = set()

    def gate(sending: MemorySending, send: Callable[[], Any]) -> Any:
        asked.update(rights_of(sending))
        return send()

    assert place.account is not None
    place.account.gate = gate
    place.work.world.keys.load()
    place.erase()
    close_erasure(place.person(), place.work.erase_desk)
    assert asked - PEOPLE["Eraser"] == set()
    assert PEOPLE["Eraser"] - asked - SELDOM == set()
