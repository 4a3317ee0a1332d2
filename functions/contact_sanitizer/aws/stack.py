"""Which resources make up a stack, as a function's environment or the outputs of CloudFormation say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from contact_sanitizer.errors import HomeError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

LARGEST_UPLOAD: Final = 5 * 1024**3
"""The largest object that S3 takes in one request (5 GiB)."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9\-]{0,127}\Z")
_OUTPUTS: Final = {
    "uploads": "UploadsBucket",
    "clean": "CleanBucket",
    "audit": "AuditBucket",
    "registry": "RegistryTable",
    "catalogue": "CatalogueTable",
    "data_key": "DataKeyArn",
    "keyring_key": "KeyringKeyArn",
    "seal_key": "SealKeyArn",
    "next_seal_keys": "NextSealKeyArns",
    "api_url": "ApiUrl",
    "sanitize_queue": "SanitizeQueueUrl",
    "sanitize_dead_letters": "SanitizeDeadLetterUrl",
    "import_queue": "ImportQueueUrl",
    "import_dead_letters": "ImportDeadLetterUrl",
}
_VARIABLES: Final = {
    "uploads": "CS_UPLOADS_BUCKET",
    "clean": "CS_CLEAN_BUCKET",
    "audit": "CS_AUDIT_BUCKET",
    "registry": "CS_REGISTRY_TABLE",
    "catalogue": "CS_CATALOGUE_TABLE",
    "data_key": "CS_DATA_KEY",
    "keyring_key": "CS_KEYRING_KEY",
    "seal_key": "CS_SEAL_KEY",
    "next_seal_keys": "CS_NEXT_SEAL_KEYS",
    "sanitize_queue": "CS_SANITIZE_QUEUE",
    "notice_bus": "CS_NOTICE_BUS",
}


@dataclass(frozen=True, slots=True)
class StackSettings:
    """The names of a stack's resources: buckets, tables, ARNs of keys, URLs of queues and of the API.

    A function is told only those that it uses; what it is not told is empty, and using it fails.
    `default_tenant`: whose world callers of the stack's own account enter where nothing else is said of
    them; empty: nobody's. `max_upload_bytes`: the most that an upload's form admits. `list_days`: how long
    lists and deliveries are kept; 0: nobody says. `recall_hours`: after how long an unacknowledged recall is
    overdue.
    """

    name: str
    uploads: str = ""
    clean: str = ""
    audit: str = ""
    registry: str = ""
    catalogue: str = ""
    data_key: str = ""
    keyring_key: str = ""
    seal_key: str = ""
    next_seal_keys: str = ""
    api_url: str = ""
    sanitize_queue: str = ""
    sanitize_dead_letters: str = ""
    import_queue: str = ""
    import_dead_letters: str = ""
    notice_bus: str = ""
    list_days: int = 90
    recall_hours: int = 24
    default_tenant: str = "default"
    max_upload_bytes: int = LARGEST_UPLOAD

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> StackSettings:
        """What a function's environment says."""
        stated = {name: environment.get(variable, "") for name, variable in _VARIABLES.items()}
        size = environment.get("CS_MAX_UPLOAD_BYTES", "")
        days, hours = environment.get("CS_LIST_DAYS", ""), environment.get("CS_RECALL_HOURS", "")
        return cls(
            name=environment.get("CS_STACK", ""),
            default_tenant=environment.get("CS_DEFAULT_TENANT", "default"),
            max_upload_bytes=min(int(size), LARGEST_UPLOAD) if size.isdecimal() else LARGEST_UPLOAD,
            list_days=int(days) if days.isdecimal() else 90,
            recall_hours=int(hours) if hours.isdecimal() else 24,
            **stated,
        )

    @classmethod
    def from_outputs(cls, cloudformation: CloudFormationClient, name: str) -> StackSettings:
        """What the outputs of the stack called `name` say; `HomeError` (`stack_unavailable`) without them."""
        if not _NAME.match(name):
            raise HomeError("stack_unavailable", "a stack's name is letters, digits and '-'")
        try:
            stacks = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except (ClientError, BotoCoreError):
            sentence = "the stack cannot be read: is it deployed in this region and account, may you read it?"
            raise HomeError("stack_unavailable", sentence) from None
        outputs = {
            output.get("OutputKey", ""): output.get("OutputValue", "")
            for output in stacks[0].get("Outputs", [])
        }
        stated: dict[str, Any] = {field: outputs.get(key, "") for field, key in _OUTPUTS.items()}
        days = outputs.get("ListDays", "")
        if not all(stated[field] for field in ("uploads", "clean", "audit", "registry", "catalogue")):
            raise HomeError("stack_unavailable", "the stack is not one of contact-sanitizer")
        return cls(name=name, list_days=int(days) if days.isdecimal() else 0, **stated)
