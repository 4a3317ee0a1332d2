"""Calls to try on the deployed application: one for each right that somebody has, and some that nobody has.

An attempt is a right as `rolematrix` writes it, with a place instead of each `*`, and the call that needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from typing import Any, Final

from botocore.exceptions import ClientError

from cloudcast import DENIED
from demo import TENANT
from rehearsal import STACK, Person, Rehearsal
from rolematrix import KEYS, LISTING, LISTS_ALL, MATRIX, PEOPLE, VERSIONS

#: Something at each place for which there is a right, and at some for which there is none.
PLACES: Final = {
    "UploadsBucket": ["uploads/{}/trial", "registry/{}/trial", "elsewhere/trial"],
    "CleanBucket": [
        *(
            "lists/{}/trial/" + name
            for name in ("clean.csv", "rejects.csv", "manifest.json", "decisions.parquet")
        ),
        *("deliveries/{}/trial/" + name for name in ("content", "people")),
        *("keys/{}/trial", "policies/{}/trial", "work/{}/trial"),
        *("snapshots/{}/trial/newest.json", "snapshots/{}/wanted/trial.json"),
    ],
    "AuditBucket": [
        "log/" + name
        for name in (
            *("segments/trial", "late/trial", "looked-back", "checkpoint", "checkpoints/1", "public-key"),
            *("sealed/1", "tile/1"),
        )
    ],
}
LISTED: Final = {
    "UploadsBucket": ["", "uploads/"],
    "CleanBucket": [
        "",
        "keys/",
        "policies/",
        "work/",
        "lists/",
        "lists/trial/manifest.json",
        f"lists/{TENANT}/trial",
        "deliveries/",
        "snapshots/",
        f"snapshots/{TENANT}/",
    ],
    "AuditBucket": ["", "log/", "log/checkpoint"],
}
ROUTES: Final = [
    "POST/uploads",
    "GET/uploads/trial",
    "GET/lists",
    "GET/lists/trial",
    "GET/openapi.json",
    "POST/lists/trial/deliveries",
    "GET/deliveries/trial/recalls",
    "POST/deliveries/trial/recalls/ack",
    "POST/tokens/redeem",
    "POST/optouts",
    "POST/consents",
    "POST/trace",
    "GET/audit/checkpoint",
]
QUEUES: Final = {
    "SanitizeQueue": "SanitizeQueueUrl",
    "ImportQueue": "ImportQueueUrl",
    "SanitizeDeadLetters": "SanitizeDeadLetterUrl",
    "ImportDeadLetters": "ImportDeadLetterUrl",
}
#: Names that people's policies have for several resources.
_GROUPS: Final = {
    "Queues": ["SanitizeQueue.Arn", "ImportQueue.Arn"],
    "DeadLetters": ["SanitizeDeadLetters.Arn", "ImportDeadLetters.Arn"],
}
_ITEM: Final = {"pk": {"S": "trial"}, "sk": {"S": "trial"}}
#: Whose success changes nothing: these are tried where they are allowed, too.
_LOOKING: Final = ("Get", "List", "Batch", "Query", "Describe", "Decrypt")

#: Rights that nobody has, functions and people alike.
_NOBODYS: Final = (
    "s3:GetObject ${CleanBucket.Arn}/lists/*/decisions.parquet",
    "s3:DeleteObject* ${CleanBucket.Arn}/lists/*/clean.csv",
    "s3:DeleteObject* ${CleanBucket.Arn}/deliveries/*/content",
    "s3:DeleteObject* ${AuditBucket.Arn}/log/segments/*",
    "s3:DeleteObject* ${AuditBucket.Arn}/log/checkpoints/*",
    "s3:PutObjectRetention ${AuditBucket.Arn}/log/segments/*",
    "s3:*Object ${UploadsBucket.Arn}/elsewhere/*",
    "s3:ListBucket* UploadsBucket.Arn[?]*",
    "s3:ListBucket* CleanBucket.Arn[?]*",
    "s3:GetBucketPolicy *",
    "s3:GetLifecycleConfiguration *",
    "s3:PutBucketVersioning *",
    "s3:ListAllMyBuckets *",
    "dynamodb:Scan *",
    "dynamodb:DeleteItem CatalogueTable.Arn",
    "kms:* DataKey.Arn",
    "kms:PutKeyPolicy *",
    "kms:ScheduleKeyDeletion *",
    "kms:Sign KeyringKey.Arn",
    "sqs:PurgeQueue *",
    "logs:FilterLogEvents SanitizeLog.Arn",
    "lambda:*",
    "iam:*",
    "sts:*",
)


@dataclass(frozen=True)
class Attempt:
    """The right that it needs, by action and resource; the service's operation and its arguments."""

    action: str
    resource: str
    operation: str
    arguments: dict[str, Any]

    @property
    def right(self) -> str:
        return f"{self.action} {self.resource}"

    @property
    def service(self) -> str:
        return self.action.partition(":")[0]

    @property
    def only_looks(self) -> bool:
        return self.action.partition(":")[2].startswith(_LOOKING)


def attempts(stack: Rehearsal) -> list[Attempt]:
    """All of them, in this stack."""
    kinds = (_objects, _listings, _tables, _keys, _queues, _logs, _routes, _others)
    possible = [attempt for kind in kinds for attempt in kind(stack)]
    somebodys = {
        attempt.right for attempt in possible for name in (*MATRIX, *PEOPLE) if is_granted(attempt, name)
    }
    return [
        attempt
        for attempt in possible
        if attempt.right in somebodys or any(fnmatchcase(attempt.right, pattern) for pattern in _NOBODYS)
    ]


def is_denied(attempt: Attempt, stack: Rehearsal, person: Person, clients: dict[str, Any]) -> bool:
    """Whether the stack refuses this to that person for want of rights; `clients` are kept between calls."""
    if attempt.service == "execute-api":
        method, _, path = attempt.resource.partition("/")
        answer = stack.call(person, method, f"/{path}", {} if method == "POST" else None)
        # a function's own refusals say a code
        return answer.status == 403 and b'"code"' not in answer.body
    if attempt.service not in clients:
        clients[attempt.service] = stack.client(attempt.service, person)
    try:
        getattr(clients[attempt.service], attempt.operation)(**attempt.arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"]) in DENIED
    return False


def is_granted(attempt: Attempt, name: str) -> bool:
    """Whether the table gives this to a function, or to a person, who calls the services directly."""
    if attempt.resource == "DataKey.Arn":
        # for services in somebody's name alone
        return False
    right, _, prefix = attempt.right.partition("?")
    bound = prefix and LISTS_ALL.get(name) != attempt.resource.partition("?")[0]
    stated = VERSIONS if attempt.action == "s3:ListBucketVersions" and name in VERSIONS else LISTING
    prefixes = {each.replace("${Tenant}", TENANT) for each in stated.get(name, ())}
    if bound and not any(fnmatchcase(prefix, each) for each in prefixes):
        return False
    return any(fnmatchcase(right, pattern) for pattern in _rights(name))


@cache
def _rights(name: str) -> frozenset[str]:
    own_log = {f"logs:CreateLogStream {name}Log.Arn", f"logs:PutLogEvents {name}Log.Arn"}
    stated = MATRIX[name] | KEYS.get(name, set()) | own_log if name in MATRIX else PEOPLE.get(name, set())
    spelled = set()
    for right in stated:
        action, _, resource = right.replace("${Tenant}", TENANT).replace("${Stack}", STACK).partition(" ")
        spelled |= {f"{action} {one}" for one in _GROUPS.get(resource, [resource])}
    return frozenset(spelled)


def _objects(stack: Rehearsal) -> Iterator[Attempt]:
    operations: dict[str, tuple[str, dict[str, Any]]] = {
        "GetObject": ("get_object", {}),
        "GetObjectVersion": ("get_object", {"VersionId": "trial"}),
        "GetObjectRetention": ("get_object_retention", {}),
        "PutObject": ("put_object", {"Body": b"x", "IfNoneMatch": "*"}),
        "PutObjectRetention": ("put_object_retention", {"Retention": {}}),
        "DeleteObject": ("delete_object", {}),
        "DeleteObjectVersion": ("delete_object", {"VersionId": "trial"}),
        "AbortMultipartUpload": ("abort_multipart_upload", {"UploadId": "trial"}),
    }
    for bucket, keys in PLACES.items():
        for key, (action, (operation, more)) in product(
            (key.format(TENANT) for key in keys), operations.items()
        ):
            arguments = {"Bucket": stack.outputs[bucket], "Key": key, **more}
            yield Attempt(f"s3:{action}", f"${{{bucket}.Arn}}/{key}", operation, arguments)


def _listings(stack: Rehearsal) -> Iterator[Attempt]:
    operations = {"ListBucket": "list_objects_v2", "ListBucketVersions": "list_object_versions"}
    for bucket, prefixes in LISTED.items():
        for prefix, (action, operation) in product(prefixes, operations.items()):
            arguments = {"Bucket": stack.outputs[bucket], "Prefix": prefix}
            yield Attempt(f"s3:{action}", f"{bucket}.Arn?{prefix or '-'}", operation, arguments)


def _tables(stack: Rehearsal) -> Iterator[Attempt]:
    condition = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "trial"}}}
    for table in ("RegistryTable", "CatalogueTable"):
        name = stack.outputs[table]
        operations: dict[str, tuple[str, dict[str, Any]]] = {
            "GetItem": ("get_item", {"TableName": name, "Key": _ITEM}),
            "BatchGetItem": ("batch_get_item", {"RequestItems": {name: {"Keys": [_ITEM]}}}),
            "Query": ("query", {"TableName": name, **condition}),
            "Scan": ("scan", {"TableName": name, "Limit": 1}),
            "PutItem": ("put_item", {"TableName": name, "Item": _ITEM}),
            "UpdateItem": ("update_item", {"TableName": name, "Key": _ITEM}),
            "DeleteItem": ("delete_item", {"TableName": name, "Key": _ITEM}),
        }
        for action, (operation, arguments) in operations.items():
            yield Attempt(f"dynamodb:{action}", f"{table}.Arn", operation, arguments)


def _keys(stack: Rehearsal) -> Iterator[Attempt]:
    operations: dict[str, tuple[str, dict[str, Any]]] = {
        "Encrypt": ("encrypt", {"Plaintext": b"x"}),
        "Decrypt": ("decrypt", {"CiphertextBlob": b"x"}),
        "GenerateDataKey": ("generate_data_key", {"KeySpec": "AES_256"}),
        "Sign": ("sign", {"Message": b"x", "MessageType": "RAW", "SigningAlgorithm": "ECDSA_SHA_256"}),
        "GetPublicKey": ("get_public_key", {}),
        "PutKeyPolicy": ("put_key_policy", {"Policy": "{}"}),
        "ScheduleKeyDeletion": ("schedule_key_deletion", {"PendingWindowInDays": 30}),
    }
    for key, (action, (operation, more)) in product(("DataKey", "KeyringKey", "SealKey"), operations.items()):
        arguments = {"KeyId": stack.outputs[f"{key}Arn"], **more}
        yield Attempt(f"kms:{action}", f"{key}.Arn", operation, arguments)


def _queues(stack: Rehearsal) -> Iterator[Attempt]:
    operations: dict[str, tuple[str, dict[str, Any]]] = {
        "GetQueueAttributes": ("get_queue_attributes", {"AttributeNames": ["QueueArn"]}),
        "ReceiveMessage": ("receive_message", {}),
        "SendMessage": ("send_message", {"MessageBody": "{}"}),
        "DeleteMessage": ("delete_message", {"ReceiptHandle": "trial"}),
        "ChangeMessageVisibility": (
            "change_message_visibility",
            {"ReceiptHandle": "trial", "VisibilityTimeout": 0},
        ),
        "PurgeQueue": ("purge_queue", {}),
    }
    for (queue, output), (action, (operation, more)) in product(QUEUES.items(), operations.items()):
        arguments = {"QueueUrl": stack.outputs[output], **more}
        yield Attempt(f"sqs:{action}", f"{queue}.Arn", operation, arguments)


def _logs(stack: Rehearsal) -> Iterator[Attempt]:
    for function in MATRIX:
        group = {"logGroupName": stack.physical(f"{function}Log")}
        stream = {**group, "logStreamName": "trial"}
        yield Attempt("logs:CreateLogStream", f"{function}Log.Arn", "create_log_stream", stream)
        yield Attempt("logs:FilterLogEvents", f"{function}Log.Arn", "filter_log_events", group)


def _routes(_stack: Rehearsal) -> Iterator[Attempt]:
    for route in ROUTES:
        yield Attempt("execute-api:Invoke", route, "", {})


def _others(stack: Rehearsal) -> Iterator[Attempt]:
    function, role = stack.physical("SealFunction"), stack.physical("DeliverRole")
    account = stack.outputs["DataKeyArn"].split(":")[4]
    session = {"RoleArn": f"arn:aws:iam::{account}:role/{role}", "RoleSessionName": "trial"}
    bucket = {"Bucket": stack.outputs["CleanBucket"]}
    suspended = {**bucket, "VersioningConfiguration": {"Status": "Suspended"}}
    stated, place = {"StackName": STACK}, f"stack/{STACK}/trial"
    yield Attempt("cloudformation:DescribeStacks", place, "describe_stacks", stated)
    yield Attempt("cloudformation:ListStackResources", place, "list_stack_resources", stated)
    yield Attempt("lambda:InvokeFunction", "SealFunction", "invoke", {"FunctionName": function})
    yield Attempt("lambda:GetFunction", "SealFunction", "get_function", {"FunctionName": function})
    told = {"Source": "trial", "DetailType": "trial", "Detail": "{}"}
    told["EventBusName"] = stack.outputs["NoticeBusName"]
    yield Attempt("events:PutEvents", "NoticeBus.Arn", "put_events", {"Entries": [told]})
    yield Attempt("iam:ListUsers", "*", "list_users", {})
    yield Attempt("iam:GetRole", "DeliverRole", "get_role", {"RoleName": role})
    yield Attempt("sts:AssumeRole", "DeliverRole", "assume_role", session)
    yield Attempt("s3:ListAllMyBuckets", "*", "list_buckets", {})
    yield Attempt("s3:GetBucketPolicy", "CleanBucket", "get_bucket_policy", bucket)
    yield Attempt("s3:PutBucketVersioning", "CleanBucket", "put_bucket_versioning", suspended)
    yield Attempt("s3:GetLifecycleConfiguration", "CleanBucket", "get_bucket_lifecycle_configuration", bucket)
