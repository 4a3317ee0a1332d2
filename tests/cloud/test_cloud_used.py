"""What functions called in all other tests of this folder: each right was needed, none was missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import pytest

from cloudcast import TRIAL, Cast
from rehearsal import Rehearsal
from rolematrix import KEYS, MATRIX

#: Rights that others use in a function's name: S3, DynamoDB and SQS the key of the data; Lambda the rest.
FOR_OTHERS: Final = (
    "kms:* DataKey.Arn",
    "sqs:ReceiveMessage *",
    "sqs:DeleteMessage *",
    "sqs:GetQueueAttributes *",
)
#: What a function, or the one named, needs only where something went wrong, where only AWS asks for it, or
#: seldom; and why.
SELDOM: Final[Mapping[str, str]] = {
    "s3:GetObject ${AuditBucket.Arn}/log/segments/*": "an event whose answer was lost is read back",
    "s3:PutObject ${AuditBucket.Arn}/log/late/*": "an event that is told again long after its moment",
    "s3:PutObject ${AuditBucket.Arn}/log/looked-back": "a seal looks back in one minute of many",
    "s3:ListBucket CleanBucket.Arn": "AWS says 403 of what is not there, the emulator 404",
    "s3:ListBucket AuditBucket.Arn": "as for the bucket of clean lists: before the first seal",
    "kms:Encrypt KeyringKey.Arn": "the default tenant's keyring, by whoever comes first",
    "s3:PutObject ${CleanBucket.Arn}/keys/*": "the default tenant's keyring, by whoever comes first",
    "dynamodb:PutItem RegistryTable.Arn": "the default tenant's registry, by whoever comes first",
    "s3:AbortMultipartUpload ${CleanBucket.Arn}/lists/*": "a list that fails on its way",
    "s3:AbortMultipartUpload ${CleanBucket.Arn}/snapshots/*": "a snapshot that fails on its way",
    "sqs:SendMessage SanitizeQueue.Arn": "a list that runs out of time",
    "s3:GetObject ${CleanBucket.Arn}/deliveries/*/people": "two uses of an audience that disagree",
    "s3:GetObjectVersion ${CleanBucket.Arn}/deliveries/*/people": "two uses of an audience that disagree",
    "Notices s3:GetObject ${CleanBucket.Arn}/snapshots/*": "once a day all of a delivery are looked at",
    "Notices s3:PutObject ${CleanBucket.Arn}/snapshots/*/wanted/*": "as above",
}
_RESOURCES: Final = ("UploadsBucket", "CleanBucket", "AuditBucket", "RegistryTable", "CatalogueTable")


@pytest.fixture(scope="module")
def used(cast: Cast, request: pytest.FixtureRequest) -> dict[str, dict[str, bool]]:
    """By function, what it has called, as rights of the table, and whether it was allowed each time."""
    folder = Path(__file__).parent
    if {item.path for item in request.session.items} != set(folder.glob("test_*.py")):
        pytest.skip("looks at what all other tests of this folder did")
    stack = cast.stack
    roles = {stack.physical(f"{name}Role"): name for name in MATRIX}
    named = _names(stack)
    found: dict[str, dict[str, bool]] = defaultdict(dict)
    for decision in stack.emulator.decisions():
        kind, _, rest = decision.principal.rpartition(":")[2].partition("/")
        role, _, session = rest.partition("/")
        if kind == "assumed-role" and role in roles and session != TRIAL:
            call, calls = f"{decision.action} {_named(decision.resource, named)}", found[roles[role]]
            calls[call] = decision.allowed and calls.get(call, True)
    return found


def test_no_function_called_what_its_role_does_not_allow(used: dict[str, dict[str, bool]]) -> None:
    assert set(used) == set(MATRIX)
    for function, calls in used.items():
        assert [call for call, allowed in calls.items() if not allowed] == []
        assert [call for call in calls if not _matches(call, _rights(function))] == []


def test_no_function_has_a_right_that_it_does_not_use(used: dict[str, dict[str, bool]]) -> None:
    unused = {
        f"{function}: {right}"
        for function in MATRIX
        for right in _rights(function)
        if not any(_matches(call, {right}) for call in used[function])
        and not _matches(right, FOR_OTHERS)
        and not {right, f"{function} {right}"} & set(SELDOM)
    }
    assert unused == set()


def _rights(function: str) -> set[str]:
    mine = MATRIX[function] | KEYS.get(function, set())
    return {right for right in mine if not right.startswith(("logs:", "xray:"))}


def _matches(call: str, patterns: tuple[str, ...] | set[str]) -> bool:
    return any(fnmatchcase(call, pattern) for pattern in patterns)


def _names(stack: Rehearsal) -> dict[str, str]:
    """What the table calls the stack's resources, by the last part of their ARNs."""
    names = {stack.outputs[name]: name for name in _RESOURCES}
    names |= {
        stack.outputs[f"{key}Arn"].rpartition(":")[2]: key for key in ("DataKey", "KeyringKey", "SealKey")
    }
    names |= {f"event-bus/{stack.outputs['NoticeBusName']}": "NoticeBus"}
    return {f"table/{name}" if "Table" in known else name: known for name, known in names.items()}


def _named(arn: str, names: Mapping[str, str]) -> str:
    last = arn.split(":", 5)[-1]
    if arn.startswith("arn:aws:s3:::") and "/" in last:
        bucket, _, key = last.partition("/")
        return f"${{{names.get(bucket, bucket)}.Arn}}/{key}"
    return f"{names.get(last, last)}.Arn"
