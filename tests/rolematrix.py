"""What each function and each person may do, in one table; whoever changes a role changes it here too.

A right is an action and a resource as the template names it: `s3:GetObject ${CleanBucket.Arn}/keys/*`.
"""

from __future__ import annotations

from typing import Final

APPEND: Final = {
    "s3:GetObject ${AuditBucket.Arn}/log/segments/*",
    "s3:PutObject ${AuditBucket.Arn}/log/segments/*",
}
TRACES: Final = {"xray:PutTelemetryRecords *", "xray:PutTraceSegments *"}
READ: Final = {"kms:Decrypt DataKey.Arn", "kms:DescribeKey DataKey.Arn"}
WRITE: Final = READ | {"kms:GenerateDataKey DataKey.Arn"}
STORE: Final = WRITE | {"kms:Encrypt DataKey.Arn"}
LOOK: Final = {"dynamodb:GetItem CatalogueTable.Arn"}
NOTE: Final = LOOK | {"dynamodb:PutItem CatalogueTable.Arn"}
POLICIES: Final = {"s3:GetObject ${CleanBucket.Arn}/policies/*"}
FIND: Final = {"s3:ListBucket CleanBucket.Arn"}
KEYRING: Final = {"s3:GetObject ${CleanBucket.Arn}/keys/*", "s3:PutObject ${CleanBucket.Arn}/keys/*"}
ASK: Final = {f"dynamodb:{action} RegistryTable.Arn" for action in ("BatchGetItem", "GetItem")}
BEGIN: Final = {"dynamodb:PutItem RegistryTable.Arn"}
RECORD: Final = ASK | BEGIN
SEND: Final = APPEND | STORE | NOTE | FIND | ASK | {"s3:GetObject ${CleanBucket.Arn}/keys/*"}
SPEND: Final = {"dynamodb:UpdateItem CatalogueTable.Arn"}
CHANGES: Final = {"dynamodb:Query RegistryTable.Arn"}
SNAPSHOTS: Final = CHANGES | {
    "s3:GetObject ${CleanBucket.Arn}/snapshots/*",
    "s3:PutObject ${CleanBucket.Arn}/snapshots/*/wanted/*",
}
DELIVERED: Final = {
    f"s3:{action} ${{CleanBucket.Arn}}/deliveries/*/people" for action in ("GetObject", "GetObjectVersion")
}
NOTED: Final = "s3:PutObject ${AuditBucket.Arn}/log/late/*"
SEALED: Final = ("checkpoint", "checkpoints/*", "lines/*", "looked-back", "public-key", "sealed/*", "tile/*")


def _queue(name: str) -> set[str]:
    return {
        f"sqs:{action} {name}.Arn" for action in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
    }


def _raw(area: str) -> set[str]:
    actions = ("DeleteObjectVersion", "GetObject", "GetObjectVersion")
    return {f"s3:{action} ${{UploadsBucket.Arn}}/{area}/*" for action in actions}


MATRIX: Final[dict[str, set[str]]] = {
    "RequestUpload": APPEND
    | STORE
    | NOTE
    | POLICIES
    | FIND
    | {"s3:PutObject ${UploadsBucket.Arn}/uploads/*"},
    "ShowUpload": APPEND | WRITE | LOOK | {"s3:GetObject ${CleanBucket.Arn}/lists/*/rejects.csv"},
    "Lists": APPEND | WRITE | LOOK | {"dynamodb:Query CatalogueTable.Arn"},
    "Sanitize": APPEND
    | STORE
    | NOTE
    | POLICIES
    | FIND
    | KEYRING
    | ASK
    | BEGIN
    | SNAPSHOTS
    | _queue("SanitizeQueue")
    | _raw("uploads")
    | {
        "sqs:SendMessage SanitizeQueue.Arn",
        NOTED,
        "s3:DeleteObject ${CleanBucket.Arn}/work/*",
        "s3:GetObject ${CleanBucket.Arn}/work/*",
        "s3:PutObject ${CleanBucket.Arn}/work/*",
        "s3:AbortMultipartUpload ${CleanBucket.Arn}/lists/*",
        "s3:PutObject ${CleanBucket.Arn}/lists/*",
        "s3:GetObject ${CleanBucket.Arn}/lists/*/manifest.json",
    },
    "ImportRegistry": APPEND
    | STORE
    | NOTE
    | POLICIES
    | FIND
    | KEYRING
    | RECORD
    | {NOTED}
    | _queue("ImportQueue")
    | _raw("registry"),
    "RecordChoice": APPEND | STORE | LOOK | FIND | KEYRING | RECORD,
    "Deliver": SEND
    | SPEND
    | SNAPSHOTS
    | {
        "s3:GetObjectVersion ${CleanBucket.Arn}/lists/*/clean.*",
        "s3:GetObject ${CleanBucket.Arn}/lists/*/manifest.json",
        "s3:GetObject ${CleanBucket.Arn}/deliveries/*/content",
        "s3:PutObject ${CleanBucket.Arn}/deliveries/*/content",
        "s3:GetObject ${CleanBucket.Arn}/deliveries/*/people",
        "s3:PutObject ${CleanBucket.Arn}/deliveries/*/people",
    },
    "Recalls": SEND | DELIVERED | SNAPSHOTS | {"dynamodb:Query CatalogueTable.Arn"},
    "Notices": SEND
    | DELIVERED
    | SNAPSHOTS
    | {
        "dynamodb:Query CatalogueTable.Arn",
        "events:PutEvents NoticeBus.Arn",
    },
    "Redeem": SEND | SPEND | DELIVERED | {"dynamodb:Query CatalogueTable.Arn"},
    "Trace": APPEND
    | WRITE
    | LOOK
    | FIND
    | ASK
    | DELIVERED
    | {
        "dynamodb:Query CatalogueTable.Arn",
        "s3:GetObject ${CleanBucket.Arn}/keys/*",
        "s3:GetObjectVersion ${CleanBucket.Arn}/lists/*/decisions.parquet",
        "s3:GetObject ${CleanBucket.Arn}/lists/*/manifest.json",
    },
    "Checkpoint": APPEND
    | WRITE
    | LOOK
    | {"s3:GetObject ${AuditBucket.Arn}/log/checkpoint", "s3:ListBucket AuditBucket.Arn"},
    "Seal": WRITE
    | {"s3:GetObject ${AuditBucket.Arn}/log/*", "s3:ListBucket AuditBucket.Arn"}
    | {f"s3:PutObject ${{AuditBucket.Arn}}/log/{place}" for place in SEALED},
    "Snapshots": WRITE
    | FIND
    | ASK
    | CHANGES
    | {"s3:ListBucketVersions CleanBucket.Arn"}
    | {
        f"s3:{action} ${{CleanBucket.Arn}}/snapshots/*"
        for action in (
            "AbortMultipartUpload",
            "DeleteObjectVersion",
            "GetObject",
            "PutObject",
        )
    },
}
TOKENISE: Final = {"Sanitize", "ImportRegistry", "RecordChoice"}
OPEN_TOKENS: Final = {"Deliver", "Recalls", "Notices", "Redeem", "Trace"}

LISTING: Final[dict[str, set[str]]] = {
    "RequestUpload": {"policies/*"},
    "Sanitize": {"keys/*", "policies/*", "work/*", "snapshots/*", "lists/*/manifest.json"},
    "ImportRegistry": {"keys/*", "policies/*"},
    "RecordChoice": {"keys/*"},
    "Deliver": {"keys/*", "snapshots/*", "lists/*/manifest.json"},
    "Recalls": {"keys/*", "snapshots/*", "deliveries/*/people"},
    "Notices": {"keys/*", "snapshots/*", "deliveries/*/people"},
    "Redeem": {"keys/*", "deliveries/*/people"},
    "Trace": {"keys/*", "lists/*/manifest.json", "lists/*/decisions.parquet", "deliveries/*/people"},
    "Checkpoint": {"log/checkpoint"},
    "Seal": {"log/*"},
    "Snapshots": {"keys/*", "snapshots/*"},
    "Eraser": {"keys/${Tenant}/*", "lists/${Tenant}/*", "deliveries/${Tenant}/*", "snapshots/${Tenant}/*"},
    "Operator": {"keys/*", "policies/*"},
    "Security": {"lists/*", "deliveries/*"},
}
"""Who may list a bucket, and which prefixes of it alone."""

VERSIONS: Final = {"Snapshots": {"snapshots/*"}}
"""Who may list the versions of fewer prefixes than of objects, and of which."""

LISTS_ALL: Final = {"Security": "AuditBucket.Arn"}
"""Who may list all of which bucket."""

KEYS: Final[dict[str, set[str]]] = {
    **{name: {"kms:Decrypt KeyringKey.Arn", "kms:Encrypt KeyringKey.Arn"} for name in TOKENISE},
    **{name: {"kms:Decrypt KeyringKey.Arn"} for name in OPEN_TOKENS},
    "Seal": {"kms:Sign SealKey.Arn", "kms:GetPublicKey SealKey.Arn"},
}
"""What the policies of the keys themselves allow to functions."""


def _routes(*routes: str) -> set[str]:
    return {f"execute-api:Invoke {route}" for route in routes}


OUTPUTS: Final = {"cloudformation:DescribeStacks stack/${Stack}/*"}
PARTS: Final = {"cloudformation:ListStackResources stack/${Stack}/*"}

PEOPLE: Final[dict[str, set[str]]] = {
    "Uploader": _routes("POST/uploads", "GET/uploads/*", "GET/lists", "GET/lists/*", "GET/openapi.json")
    | {
        f"s3:{action} ${{UploadsBucket.Arn}}/uploads/${{Tenant}}/*"
        for action in ("PutObject", "AbortMultipartUpload")
    }
    | {"kms:Decrypt DataKey.Arn", "kms:GenerateDataKey DataKey.Arn"}
    | OUTPUTS,
    "Sender": _routes(
        "POST/lists/*/deliveries",
        "GET/deliveries/*/recalls",
        "POST/deliveries/*/recalls/ack",
        "POST/tokens/redeem",
        "POST/optouts",
        "GET/lists",
        "GET/lists/*",
    ),
    "Security": _routes("GET/audit/checkpoint", "POST/trace", "GET/lists", "GET/lists/*")
    | WRITE
    | OUTPUTS
    | {"s3:PutObject ${AuditBucket.Arn}/log/segments/*"}
    | {
        f"s3:{action} ${{AuditBucket.Arn}}/log/*"
        for action in ("GetObject", "GetObjectVersion", "GetObjectRetention")
    }
    | {"s3:ListBucket AuditBucket.Arn", "s3:ListBucketVersions AuditBucket.Arn"}
    | {
        f"s3:{action} ${{CleanBucket.Arn}}/{place}"
        for action in ("GetObject", "GetObjectVersion")
        for place in ("lists/*", "deliveries/*/people")
    }
    | {"s3:ListBucket CleanBucket.Arn"}
    | PARTS
    | {"dynamodb:GetItem CatalogueTable.Arn", "dynamodb:Query CatalogueTable.Arn"}
    | {"kms:GetPublicKey SealKey.Arn", "sqs:GetQueueAttributes DeadLetters"},
    "Eraser": APPEND
    | {NOTED}
    | STORE
    | {
        f"s3:{action} ${{CleanBucket.Arn}}/{place}"
        for action in ("GetObject", "GetObjectVersion", "PutObject", "DeleteObjectVersion")
        for place in ("lists/${Tenant}/*", "deliveries/${Tenant}/*/people")
    }
    | {"s3:AbortMultipartUpload ${CleanBucket.Arn}/lists/${Tenant}/*"}
    | {
        f"s3:DeleteObjectVersion ${{CleanBucket.Arn}}/{place}"
        for place in ("deliveries/${Tenant}/*/content", "snapshots/${Tenant}/*")
    }
    | {"s3:GetObject ${CleanBucket.Arn}/keys/${Tenant}/*", "kms:Decrypt KeyringKey.Arn"}
    | {"s3:ListBucket CleanBucket.Arn", "s3:ListBucketVersions CleanBucket.Arn"}
    | {f"dynamodb:{action} CatalogueTable.Arn" for action in ("DeleteItem", "GetItem", "PutItem", "Query")}
    | RECORD
    | {f"dynamodb:{action} RegistryTable.Arn" for action in ("DeleteItem", "Query")}
    | OUTPUTS,
    "Operator": _routes("POST/consents", "POST/optouts")
    | APPEND
    | STORE
    | {f"s3:{action} ${{UploadsBucket.Arn}}/registry/*" for action in ("PutObject", "AbortMultipartUpload")}
    | {
        f"s3:{action} ${{CleanBucket.Arn}}/{area}/*"
        for action in ("GetObject", "PutObject")
        for area in ("keys", "policies")
    }
    | {"s3:DeleteObjectVersion ${CleanBucket.Arn}/keys/*"}
    | {"s3:ListBucket CleanBucket.Arn", "s3:ListBucketVersions CleanBucket.Arn"}
    | {"kms:Encrypt KeyringKey.Arn", "kms:Decrypt KeyringKey.Arn"}
    | {f"dynamodb:{action} CatalogueTable.Arn" for action in ("GetItem", "PutItem", "Query")}
    | RECORD
    | {f"dynamodb:{action} RegistryTable.Arn" for action in ("DeleteItem", "Query", "UpdateItem")}
    | {"sqs:GetQueueAttributes Queues", "sqs:SendMessage Queues"}
    | {
        f"sqs:{action} DeadLetters"
        for action in ("ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
    }
    | OUTPUTS,
}
"""What the policies to hand out allow; routes by their methods and paths."""
