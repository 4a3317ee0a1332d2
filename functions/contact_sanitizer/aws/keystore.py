"""A tenant's keyring in a bucket, each root wrapped by KMS.

The object tells ids, states and dates in the clear. A root is a ciphertext of KMS under an encryption context
that names the tenant and the key, so that KMS opens it for nobody as another tenant's or another key's,
and CloudTrail shows which one was opened.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from contact_sanitizer.aws.faults import Fault, fault_of, told
from contact_sanitizer.aws.objects import encrypted, is_absent
from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.keyring import LOOKUP_BYTES, Key, Keyring, KeyStatus, LookupKeys, new_key

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client

_FAMILY: Final = "contact-sanitizer/wrapped-keyring/v"
FORMAT: Final = f"{_FAMILY}1"
APPLICATION: Final = "contact-sanitizer"
_LARGEST_OBJECT: Final = 1 << 20

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Wrapper:
    """Wraps and opens the secrets of one tenant's keyring with one KMS key (`key`: its ARN)."""

    kms: KMSClient
    key: str
    tenant: str

    def wrap(self, name: str, secret: bytes) -> str:
        """The secret as text that only KMS opens, under this tenant and this `name`."""
        with told(_kms_fault):
            sealed = self.kms.encrypt(
                KeyId=self.key, Plaintext=secret, EncryptionContext=self._context(name)
            )["CiphertextBlob"]
        return base64.b64encode(sealed).decode("ascii")

    def open(self, name: str, wrapped: str) -> bytes:
        """The secret again; `KeyringError` `keyring_denied`, `keyring_unavailable` or `keyring_damaged`."""
        sealed = base64.b64decode(wrapped, validate=True)
        with told(_kms_fault):
            # the key is named, so that a ciphertext of some other key that we may use is refused
            return self.kms.decrypt(
                KeyId=self.key, CiphertextBlob=sealed, EncryptionContext=self._context(name)
            )["Plaintext"]

    def _context(self, name: str) -> dict[str, str]:
        return {"application": APPLICATION, "tenant": self.tenant, "key": name}


@dataclass(frozen=True, slots=True)
class _Stored:
    """The object as it lies in the bucket, and which writing of it this is."""

    document: Mapping[str, Any]
    etag: str


@dataclass(frozen=True, slots=True)
class KmsKeyStore:
    """A tenant's keyring at one key of a versioned bucket.

    Promises: no root leaves this process but wrapped; of two changes at once one is refused; what KMS or
    the bucket refuses is a `KeyringError`, and then nothing is protected or opened; a destroyed root
    is deleted from the older versions of the object too. Does not promise: wiping what the bucket's
    owner has copied elsewhere, or that an older keyring put back by somebody with write access is noticed.
    """

    s3: S3Client
    bucket: str
    place: str
    data_key: str
    wrapper: Wrapper

    @property
    def where(self) -> str:
        """The object's address."""
        return f"s3://{self.bucket}/{self.place}"

    def create(self, tenant: str, now: datetime, random_bytes: RandomBytes = os.urandom) -> Keyring:
        """A new keyring of one key, stored. Raises `keyring_unwritable`, also where there is one already."""
        keyring = Keyring.create(tenant, *new_key(random_bytes), now)
        self._write(self._document(keyring, {}), {"IfNoneMatch": "*"})
        return keyring

    def load(self) -> Keyring:
        """The stored keyring.

        Raises `KeyringError`: `keyring_missing`, `keyring_damaged`, `keyring_newer`, `keyring_denied` (KMS or
        the bucket refuses), `keyring_unavailable` (they do not answer).
        """
        return self._open(self._read())

    def rotate(self, now: datetime, random_bytes: RandomBytes = os.urandom) -> Keyring:
        """The stored keyring with a new primary key, stored. Raises as `load`, and `keyring_unwritable`."""
        stored = self._read()
        return self._replace(stored, self._open(stored).rotate(*new_key(random_bytes), now))

    def destroy(self, key_id: int) -> Keyring:
        """The stored keyring without that key's root, stored, and without older versions that hold it.

        Raises as `load`, and `keyring_unwritable`, `key_unknown`, `key_refused` (the primary). Where
        older versions could not be deleted, doing it again does.
        """
        stored = self._read()
        keyring = self._replace(stored, self._open(stored).destroy(key_id))
        self._forget_older_versions()
        return keyring

    def _read(self) -> _Stored:
        with told(_store_fault):
            try:
                answer = self.s3.get_object(Bucket=self.bucket, Key=self.place)
                content = answer["Body"].read(_LARGEST_OBJECT + 1)
            except ClientError as error:
                if is_absent(self.s3, self.bucket, self.place, error):
                    raise _missing() from None
                raise
        try:
            document = json.loads(content)
            _check_format(document, self.wrapper.tenant)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _damaged() from None
        return _Stored(document, answer["ETag"])

    def _open(self, stored: _Stored) -> Keyring:
        document = stored.document
        try:
            lookup_id = int(document["lookup"]["key_id"])
            secret = self.wrapper.open(f"lookup-{lookup_id}", document["lookup"]["wrapped"])
            lookup = LookupKeys(lookup_id, secret[:LOOKUP_BYTES], secret[LOOKUP_BYTES:])
            keyring = Keyring(document["tenant"], tuple(self._keys(document["keys"])), lookup)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _damaged() from None
        root = keyring.key(lookup_id).root
        if root is not None and LookupKeys.derive(lookup_id, root, keyring.tenant) != lookup:
            raise _damaged()
        return keyring

    def _keys(self, entries: Iterable[Mapping[str, Any]]) -> Iterable[Key]:
        for entry in entries:
            wrapped = entry["wrapped"]
            root = None if wrapped is None else self.wrapper.open(str(entry["id"]), wrapped)
            yield Key(
                entry["id"], KeyStatus(entry["status"]), datetime.fromisoformat(entry["created_at"]), root
            )

    def _replace(self, stored: _Stored, keyring: Keyring) -> Keyring:
        known = {entry["id"]: entry["wrapped"] for entry in stored.document["keys"]}
        document = self._document(keyring, known, stored.document["lookup"])
        self._write(document, {"IfMatch": stored.etag})
        return keyring

    def _document(
        self, keyring: Keyring, known: Mapping[int, str | None], lookup: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What is stored; only roots that are not `known` in their wrapping go to KMS."""
        name = f"lookup-{keyring.lookup.key_id}"
        return {
            "format": FORMAT,
            "tenant": keyring.tenant,
            "keys": [self._entry(key, known.get(key.id)) for key in keyring.keys],
            "lookup": lookup
            or {
                "key_id": keyring.lookup.key_id,
                "wrapped": self.wrapper.wrap(name, keyring.lookup.index + keyring.lookup.hash),
            },
        }

    def _entry(self, key: Key, known: str | None) -> dict[str, Any]:
        wrapped = None if key.root is None else known or self.wrapper.wrap(str(key.id), key.root)
        created_at = key.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return {"id": key.id, "status": key.status.value, "created_at": created_at, "wrapped": wrapped}

    def _write(self, document: Mapping[str, Any], condition: Mapping[str, Any]) -> None:
        body = json.dumps(document, indent=2).encode("ascii") + b"\n"
        with told(_write_fault):
            try:
                self.s3.put_object(
                    Bucket=self.bucket, Key=self.place, Body=body, **encrypted(self.data_key), **condition
                )
            except ClientError as error:
                # an answer that was lost on its way left our very bytes there
                if fault_of(error) is not Fault.LOST_RACE or self._present() != body:
                    raise

    def _present(self) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=self.place)["Body"].read()

    def _forget_older_versions(self) -> None:
        pages = self.s3.get_paginator("list_object_versions")
        with told(_write_fault):
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.place):
                for version in page.get("Versions", []):
                    if version["Key"] == self.place and not version["IsLatest"]:
                        self.s3.delete_object(
                            Bucket=self.bucket, Key=self.place, VersionId=version["VersionId"]
                        )


def _check_format(document: Mapping[str, Any], tenant: str) -> None:
    name = str(document["format"])
    version = name.removeprefix(_FAMILY)
    if version not in {name, "1"} and version.isdecimal() and not version.startswith("0"):
        raise KeyringError("keyring_newer", "the keyring was written by a newer version")
    if name != FORMAT or document["tenant"] != tenant:
        raise ValueError


def _missing() -> KeyringError:
    return KeyringError("keyring_missing", "there is no keyring")


def _damaged() -> KeyringError:
    return KeyringError("keyring_damaged", "the keyring is not in its format")


def _kms_fault(fault: Fault) -> KeyringError:
    if fault is Fault.UNAVAILABLE:
        return KeyringError("keyring_unavailable", "KMS does not answer; try again")
    if fault is Fault.INVALID:
        return KeyringError("keyring_damaged", "KMS does not know a wrapped key as this tenant's")
    return KeyringError("keyring_denied", "KMS refuses to use the key that wraps the keyring")


def _store_fault(fault: Fault) -> KeyringError:
    if fault is Fault.DENIED:
        return KeyringError("keyring_denied", "the bucket refuses to show the keyring")
    return KeyringError("keyring_unavailable", "the keyring cannot be reached; try again")


def _write_fault(fault: Fault) -> KeyringError:
    if fault is Fault.LOST_RACE:
        return KeyringError("keyring_unwritable", "there is a keyring already, or it was changed meanwhile")
    return KeyringError("keyring_unwritable", "the keyring cannot be written")
