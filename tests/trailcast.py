"""CloudTrail's records of S3 reads as AWS writes them, with made-up accounts, and those functions cause."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cloudworld import CLEAN, UPLOADS
from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.reconciling.trail import Buckets

ACCOUNT = "123456789012"
BUCKETS = Buckets(UPLOADS, CLEAN)


def role(name: str, account: str = ACCOUNT) -> dict[str, Any]:
    """The identity of a role's session."""
    issuer = {
        "type": "Role",
        "principalId": "AROAEXAMPLEID",
        "arn": f"arn:aws:iam::{account}:role/{name}",
        "accountId": account,
        "userName": name,
    }
    return {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLEID:13812345678",
        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/13812345678",
        "accountId": account,
        "accessKeyId": "ASIAEXAMPLEKEY",
        "sessionContext": {"sessionIssuer": issuer, "attributes": {"mfaAuthenticated": "false"}},
    }


def user(user_id: str) -> dict[str, Any]:
    """The identity of a user."""
    return {
        "type": "IAMUser",
        "principalId": user_id,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/wang.wei-13812345678",
        "accountId": ACCOUNT,
        "accessKeyId": "AKIAEXAMPLEKEY",
        "userName": "wang.wei-13812345678",
    }


def record(
    at: int, identity: Mapping[str, Any], key: str, bucket: str = CLEAN, **more: Any
) -> dict[str, Any]:
    """One GetObject at a moment (milliseconds); `more`: `version`, `link`, and members of the record."""
    asked = {"bucketName": bucket, "key": key, "Host": f"{bucket}.s3.eu-central-1.amazonaws.com"}
    if version := more.pop("version", ""):
        asked["versionId"] = version
    linked = more.pop("link", False)
    if linked:
        asked |= {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Expires": "300",
            "X-Amz-SignedHeaders": "host",
        }
    return {
        "eventVersion": "1.11",
        "userIdentity": dict(identity),
        "eventTime": datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.0.2.13",
        "userAgent": "[aws-cli/2.18.5 13812345678 \u001b[31m]",
        "requestParameters": asked,
        "responseElements": None,
        "additionalEventData": {
            "SignatureVersion": "SigV4",
            "CipherSuite": "TLS_AES_128_GCM_SHA256",
            "bytesTransferredIn": 0,
            "AuthenticationMethod": "QueryString" if linked else "AuthHeader",
            "x-amz-id-2": "q6xhNJYmhg",
            "bytesTransferredOut": 28441,
        },
        "requestID": "07D681123BD12AED",
        "eventID": str(UUID(int=at)),
        "readOnly": True,
        "resources": [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"}],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Data",
        **more,
    }


def write_trail(folder: Path, records: Sequence[Mapping[str, Any]], each: int = 3) -> Path:
    """A trail as it lies in a bucket: so many records a file, and a digest file that is none."""
    place = folder / "AWSLogs" / ACCOUNT / "CloudTrail" / "eu-central-1" / "2026" / "11" / "22"
    place.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(records), each):
        data = json.dumps({"Records": records[start : start + each]}).encode()
        name = f"{ACCOUNT}_CloudTrail_eu-central-1_20261122T{start:04}Z_x.json.gz"
        (place / name).write_bytes(gzip.compress(data))
    digests = folder / "AWSLogs" / ACCOUNT / "CloudTrail-Digest" / "eu-central-1"
    digests.mkdir(parents=True, exist_ok=True)
    (digests / "digest.json.gz").write_bytes(gzip.compress(b'{"digestStartTime": "x"}'))
    return folder


class Shadow:
    """Writes the records of what these clients read, in the name of whoever is at work."""

    def __init__(self, clients: Clients) -> None:
        self.records: list[dict[str, Any]] = []
        self._who: dict[str, Any] = role("nobody-at-work")
        events: Any = clients.s3.meta.events
        events.register("provide-client-params.s3.GetObject", self._note)

    @contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        """While a role is at work."""
        before, self._who = self._who, role(name)
        try:
            yield
        finally:
            self._who = before

    def _note(self, params: Mapping[str, Any], **_: Any) -> None:
        version = params.get("VersionId", "")
        now = time.time_ns() // 1_000_000
        self.records.append(record(now, self._who, params["Key"], params["Bucket"], version=version))
