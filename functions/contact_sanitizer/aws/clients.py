"""The clients of one process: made once each, with bounded patience.

Where they connect to is botocore's own affair (`AWS_ENDPOINT_URL`, `AWS_REGION`, profiles, roles).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sts import STSClient

#: How often a request is sent at most, the first time included.
ATTEMPTS: Final = 5
_CONNECT_SECONDS: Final = 3
#: A small answer that takes longer than this is worth asking for again; a body of S3 may take its time.
_SMALL_SECONDS: Final = 5
_BODY_SECONDS: Final = 20
#: As many connections as there are readers at once.
CONNECTIONS: Final = 16


class Clients:
    """Lazily made clients, safe to share between threads once made.

    Promises: no call waits longer than `attempts` times its timeout and some seconds between them.
    """

    def __init__(self, region: str | None = None, attempts: int = ATTEMPTS) -> None:
        self.session = boto3.session.Session(region_name=region)
        self._attempts = attempts

    @cached_property
    def s3(self) -> S3Client:
        """S3; forms and links for objects under KMS keys need this very signature."""
        return self.session.client("s3", config=self._config(_BODY_SECONDS, "s3v4"))

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """DynamoDB."""
        return self.session.client("dynamodb", config=self._config(_SMALL_SECONDS))

    @cached_property
    def kms(self) -> KMSClient:
        """KMS."""
        return self.session.client("kms", config=self._config(_SMALL_SECONDS))

    @cached_property
    def sqs(self) -> SQSClient:
        """SQS; receiving waits up to 20 seconds by itself."""
        return self.session.client("sqs", config=self._config(_BODY_SECONDS + _SMALL_SECONDS))

    @cached_property
    def events(self) -> EventBridgeClient:
        """EventBridge, for notices."""
        return self.session.client("events", config=self._config(_SMALL_SECONDS))

    @cached_property
    def sts(self) -> STSClient:
        """STS, for the command line alone: who works."""
        return self.session.client("sts", config=self._config(_SMALL_SECONDS))

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """CloudFormation, for the command line alone."""
        return self.session.client("cloudformation", config=self._config(_BODY_SECONDS))

    def _config(self, read_seconds: int, signature: str | None = None) -> Config:
        # "standard" retries throttling, timeouts and 5xx with full jitter and gives up when all of them fail;
        # "adaptive" would also slow down a client that shares its process with no other.
        return Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=read_seconds,
            retries={"mode": "standard", "total_max_attempts": self._attempts},
            max_pool_connections=CONNECTIONS,
            signature_version=signature,
        )
