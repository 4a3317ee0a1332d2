"""S3, KMS and SQS in dictionaries; `asked` is what a call's caller stated, the answer what boto3 answers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Final

from botocore.response import StreamingBody
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Asked = Mapping[str, Any]
_MOMENT: Final = datetime(2026, 9, 21, tzinfo=UTC)
_SMALLEST_PART: Final = 5 << 20
_KEYS_A_PAGE: Final = 1000


class Refused(Exception):  # noqa: N818 - an answer, which the client turns into an error
    """A service's refusal: its code and HTTP status, and what else its answer says."""

    def __init__(self, code: str, status: int = 400, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.more = more


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one object, or (`data` None) the mark of a deletion."""

    id: str
    data: bytes | None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data or b"", usedforsecurity=False).hexdigest()}"'


Bucket = dict[str, list[Version]]


@dataclass
class MemoryBuckets:
    """S3 with versions, consistent at once."""

    buckets: dict[str, Bucket] = field(default_factory=dict)
    sent: dict[str, dict[int, bytes]] = field(default_factory=dict)
    made: int = 0
    call: int = 0

    def copy(self) -> MemoryBuckets:
        """The same, changed by nobody else; versions never change."""
        buckets = {
            name: {key: list(kept) for key, kept in bucket.items()} for name, bucket in self.buckets.items()
        }
        return MemoryBuckets(buckets, {key: dict(parts) for key, parts in self.sent.items()}, self.made)

    def create_bucket(self, asked: Asked) -> Any:
        self.buckets.setdefault(asked["Bucket"], {})
        return {}

    def put_bucket_versioning(self, asked: Asked) -> Any:
        assert asked["VersioningConfiguration"] == {"Status": "Enabled"}, "a state that is not known here"
        return {}

    def put_object(self, asked: Asked) -> Any:
        present = self._present(asked)
        if asked.get("IfNoneMatch") and present:
            raise Refused("PreconditionFailed", 412)
        if "IfMatch" in asked:
            if present is None:
                raise Refused("NoSuchKey", 404)
            self._check_match(asked, present)
        body = asked.get("Body", b"")
        data = body if isinstance(body, (bytes, bytearray)) else body.read()
        return self._add(asked, bytes(data), dict(asked.get("Metadata", {})))

    def get_object(self, asked: Asked) -> Any:
        version = self._wanted(asked)
        data = version.data or b""
        if "Range" in asked:
            data = _part(data, asked["Range"])
        body = StreamingBody(BytesIO(data), len(data))
        return self._told(version) | {"Body": body, "ContentLength": len(data)}

    def head_object(self, asked: Asked) -> Any:
        try:
            version = self._wanted(asked)
        except Refused as refused:
            raise Refused(str(refused.status), refused.status) from None
        return self._told(version) | {"ContentLength": len(version.data or b"")}

    def delete_object(self, asked: Asked) -> Any:
        bucket, key = self._bucket(asked), asked["Key"]
        kept = bucket.get(key, [])
        if "VersionId" not in asked:
            mark = self._version(None, {})
            bucket[key] = [*kept, mark]
            return {"VersionId": mark.id, "DeleteMarker": True}
        kept = [version for version in kept if version.id != asked["VersionId"]]
        bucket[key] = kept
        if not kept:
            del bucket[key]
        return {"VersionId": asked["VersionId"]}

    def list_objects_v2(self, asked: Asked) -> Any:
        after = asked.get("ContinuationToken") or asked.get("StartAfter", "")
        found = [
            (key, kept[-1])
            for key, kept in self._under(asked)
            if kept[-1].data is not None and key.encode() > after.encode()
        ]
        page = found[: asked.get("MaxKeys", _KEYS_A_PAGE)]
        contents = [
            {"Key": key, "Size": len(version.data or b""), "ETag": version.etag, "LastModified": _MOMENT}
            for key, version in page
        ]
        answer: dict[str, Any] = {"KeyCount": len(page), "IsTruncated": len(page) < len(found)}
        if contents:
            answer["Contents"] = contents
        if answer["IsTruncated"]:
            answer["NextContinuationToken"] = page[-1][0]
        return answer

    def list_object_versions(self, asked: Asked) -> Any:
        answer: dict[str, Any] = {"IsTruncated": False}
        for key, kept in self._under(asked):
            for version in reversed(kept):
                entry = {"Key": key, "VersionId": version.id, "IsLatest": version is kept[-1]}
                entry |= {"LastModified": _MOMENT}
                what = "DeleteMarkers" if version.data is None else "Versions"
                answer.setdefault(what, []).append(entry)
        return answer

    def create_multipart_upload(self, asked: Asked) -> Any:
        self._bucket(asked)
        self.made += 1
        upload = f"upload-{self.made}"
        self.sent[upload] = {}
        return {"UploadId": upload}

    def upload_part(self, asked: Asked) -> Any:
        self._parts(asked)[asked["PartNumber"]] = bytes(asked["Body"])
        return {"ETag": Version("", bytes(asked["Body"])).etag}

    def complete_multipart_upload(self, asked: Asked) -> Any:
        parts = self._parts(asked)
        wanted = [part["PartNumber"] for part in asked["MultipartUpload"]["Parts"]]
        if any(number not in parts for number in wanted):
            raise Refused("InvalidPart")
        if any(len(parts[number]) < _SMALLEST_PART for number in wanted[:-1]):
            raise Refused("EntityTooSmall")
        del self.sent[asked["UploadId"]]
        return self._add(asked, b"".join(parts[number] for number in wanted), {})

    def abort_multipart_upload(self, asked: Asked) -> Any:
        self._parts(asked)
        del self.sent[asked["UploadId"]]
        return {}

    def _parts(self, asked: Asked) -> dict[int, bytes]:
        if asked["UploadId"] not in self.sent:
            raise Refused("NoSuchUpload", 404)
        return self.sent[asked["UploadId"]]

    def _bucket(self, asked: Asked) -> Bucket:
        if asked["Bucket"] not in self.buckets:
            raise Refused("NoSuchBucket", 404)
        return self.buckets[asked["Bucket"]]

    def _under(self, asked: Asked) -> Iterator[tuple[str, list[Version]]]:
        prefix = asked.get("Prefix", "")
        found = [(key, kept) for key, kept in self._bucket(asked).items() if key.startswith(prefix)]
        # S3 lists by UTF-8 bytes.
        yield from sorted(found, key=lambda entry: entry[0].encode())

    def _present(self, asked: Asked) -> Version | None:
        kept = self._bucket(asked).get(asked["Key"])
        return kept[-1] if kept and kept[-1].data is not None else None

    def _wanted(self, asked: Asked) -> Version:
        if "VersionId" not in asked:
            version = self._present(asked)
            if version is None:
                raise Refused("NoSuchKey", 404)
        else:
            kept = self._bucket(asked).get(asked["Key"], [])
            version = next((each for each in kept if each.id == asked["VersionId"]), None)
            if version is None:
                raise Refused("NoSuchVersion", 404)
            if version.data is None:
                raise Refused("MethodNotAllowed", 405)
        self._check_match(asked, version)
        return version

    def _check_match(self, asked: Asked, version: Version) -> None:
        if asked.get("IfMatch", version.etag).strip('"') != version.etag.strip('"'):
            raise Refused("PreconditionFailed", 412)

    def _version(self, data: bytes | None, metadata: Mapping[str, str]) -> Version:
        self.made += 1
        return Version(f"version-{self.made:06}", data, metadata)

    def _add(self, asked: Asked, data: bytes, metadata: Mapping[str, str]) -> Any:
        version = self._version(data, metadata)
        self._bucket(asked).setdefault(asked["Key"], []).append(version)
        return self._told(version)

    def _told(self, version: Version) -> dict[str, Any]:
        return {
            "ETag": version.etag,
            "VersionId": version.id,
            "Metadata": dict(version.metadata),
            "LastModified": _MOMENT,
        }


def _part(data: bytes, wanted: str) -> bytes:
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
    assert found is not None, "a range that is not known here"
    start, last = int(found[1]), int(found[2])
    if start >= len(data):
        raise Refused("InvalidRange", 416)
    return data[start : last + 1]


@dataclass
class MemoryKeys:
    """KMS: keys by ARN, and what was sealed under them, which nobody else opens."""

    signing: dict[str, ec.EllipticCurvePrivateKey | None] = field(default_factory=dict)
    sealed: dict[bytes, tuple[str, Mapping[str, str], bytes]] = field(default_factory=dict)
    call: int = 0

    def copy(self) -> MemoryKeys:
        """The same, changed by nobody else."""
        return MemoryKeys(dict(self.signing), dict(self.sealed))

    def create_key(self, asked: Asked) -> Any:
        arn = f"arn:aws:kms:eu-central-1:123456789012:key/{len(self.signing)}"
        signs = asked.get("KeyUsage") == "SIGN_VERIFY"
        self.signing[arn] = ec.generate_private_key(ec.SECP256R1()) if signs else None
        return {"KeyMetadata": {"Arn": arn, "KeyId": arn}}

    def encrypt(self, asked: Asked) -> Any:
        self._check(asked)
        blob = b"sealed-%d" % len(self.sealed)
        self.sealed[blob] = asked["KeyId"], dict(asked["EncryptionContext"]), asked["Plaintext"]
        return {"CiphertextBlob": blob, "KeyId": asked["KeyId"]}

    def decrypt(self, asked: Asked) -> Any:
        self._check(asked)
        key, context, plaintext = self.sealed.get(asked["CiphertextBlob"], ("", {}, b""))
        if not key or context != asked["EncryptionContext"]:
            raise Refused("InvalidCiphertextException")
        if key != asked["KeyId"]:
            raise Refused("IncorrectKeyException")
        return {"Plaintext": plaintext, "KeyId": key}

    def get_public_key(self, asked: Asked) -> Any:
        public = self._signer(asked).public_key()
        return {"PublicKey": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)}

    def sign(self, asked: Asked) -> Any:
        return {"Signature": self._signer(asked).sign(asked["Message"], ec.ECDSA(hashes.SHA256()))}

    def _check(self, asked: Asked) -> None:
        if asked["KeyId"] not in self.signing:
            raise Refused("NotFoundException")

    def _signer(self, asked: Asked) -> ec.EllipticCurvePrivateKey:
        self._check(asked)
        signer = self.signing[asked["KeyId"]]
        if signer is None:
            raise Refused("InvalidKeyUsageException")
        return signer


@dataclass
class MemoryBuses:
    """EventBridge: what was put on each bus."""

    told: dict[str, list[str]] = field(default_factory=dict)
    call: int = 0

    def copy(self) -> MemoryBuses:
        """The same, changed by nobody else."""
        return MemoryBuses({name: list(kept) for name, kept in self.told.items()})

    def create_event_bus(self, asked: Asked) -> Any:
        self.told.setdefault(asked["Name"], [])
        return {}

    def put_events(self, asked: Asked) -> Any:
        for entry in asked["Entries"]:
            self.told[entry["EventBusName"]].append(entry["Detail"])
        return {"FailedEntryCount": 0, "Entries": [{} for _ in asked["Entries"]]}


@dataclass
class MemoryQueues:
    """SQS: what was received is out of sight until somebody lets it be seen."""

    waiting: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    out: dict[str, tuple[str, str]] = field(default_factory=dict)
    made: int = 0
    call: int = 0

    def copy(self) -> MemoryQueues:
        """The same, changed by nobody else."""
        return MemoryQueues(
            {url: list(kept) for url, kept in self.waiting.items()}, dict(self.out), self.made
        )

    def create_queue(self, asked: Asked) -> Any:
        url = f"memory://sqs/{asked['QueueName']}"
        self.waiting.setdefault(url, [])
        return {"QueueUrl": url}

    def send_message(self, asked: Asked) -> Any:
        self.made += 1
        number = f"message-{self.made}"
        self._queue(asked).append((number, asked["MessageBody"]))
        return {"MessageId": number}

    def receive_message(self, asked: Asked) -> Any:
        queue = self._queue(asked)
        messages: list[dict[str, Any]] = []
        while queue and len(messages) < asked.get("MaxNumberOfMessages", 1):
            number, body = queue.pop(0)
            self.out[number] = asked["QueueUrl"], body
            messages.append({"MessageId": number, "ReceiptHandle": number, "Body": body, "Attributes": {}})
        return {"Messages": messages} if messages else {}

    def get_queue_attributes(self, asked: Asked) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self._queue(asked)))}}

    def delete_message(self, asked: Asked) -> Any:
        self.out.pop(asked["ReceiptHandle"], None)
        return {}

    def change_message_visibility(self, asked: Asked) -> Any:
        assert asked["VisibilityTimeout"] == 0, "a time that is not known here"
        url, body = self.out.pop(asked["ReceiptHandle"])
        self.waiting[url].append((asked["ReceiptHandle"], body))
        return {}

    def _queue(self, asked: Asked) -> list[tuple[str, str]]:
        if asked["QueueUrl"] not in self.waiting:
            raise Refused("AWS.SimpleQueueService.NonExistentQueue")
        return self.waiting[asked["QueueUrl"]]
