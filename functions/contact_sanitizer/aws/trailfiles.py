"""CloudTrail's files in a bucket, and which roles are a stack's own functions'."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from contact_sanitizer.access import principal_word
from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.errors import AuditError, HomeError
from contact_sanitizer.reconciling.trail import OpenFile, is_trail_file

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class S3Trail:
    """The trail below a prefix of a bucket; `AuditError` (`trail_missing`) where it cannot be read."""

    s3: S3Client
    bucket: str
    prefix: str

    def files(self) -> Iterator[OpenFile]:
        """Its files of records, in the order of their keys; CloudTrail's are of some megabytes at most."""
        with told(_fault):
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
            for page in pages:
                for entry in page.get("Contents", []):
                    if is_trail_file(entry["Key"]):
                        yield partial(self._open, entry["Key"])

    def _open(self, key: str) -> BinaryIO:
        with told(_fault):
            return io.BytesIO(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())


def function_roles(cloudformation: CloudFormationClient, stack: str, account: str) -> frozenset[str]:
    """The roles that a stack made for its functions, as audit events write principals."""
    found = set()
    with told(_unlisted):
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
            for resource in page["StackResourceSummaries"]:
                if resource["ResourceType"] == "AWS::IAM::Role":
                    name = resource.get("PhysicalResourceId", "")
                    found.add(principal_word(f"arn:aws:iam::{account}:role/{name}"))
    return frozenset(found)


def _fault(fault: Fault) -> AuditError:
    if fault is Fault.DENIED:
        return AuditError("trail_missing", "the trail's bucket refuses access")
    return AuditError("trail_missing", "the trail's bucket is not there, or does not answer as it should")


def _unlisted(_fault: Fault) -> HomeError:
    return HomeError(
        "stack_unavailable", "which roles the stack made cannot be read: may you list resources?"
    )
