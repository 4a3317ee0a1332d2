"""CloudTrail's data events of S3, read as they lie in its files: gzipped JSON, `{"Records": [...]}`.

Promises: whatever a file holds, no more than one record of it is in memory, and nothing of a record is kept
that somebody typed: keys of objects become ids, or digests where they are none; agents and addresses are not
looked at. A file that is broken is refused, not skipped.
Source: AWS, "CloudTrail record contents" and "Logging Amazon S3 API calls using AWS CloudTrail".
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote

from contact_sanitizer.access import principal_name, principal_word
from contact_sanitizer.audit.events import plain_word
from contact_sanitizer.errors import AuditError, RequestError
from contact_sanitizer.listid import parse_list_id

NOBODY: Final = "unknown"
"""Whoever the trail does not name, or our log could not have named; no event is by them."""
_PIECE: Final = 1 << 16
_LONGEST: Final = 1 << 20
"""Bytes in one record; CloudTrail's own limit is a quarter of it."""
_GAP = re.compile(r"[\s,]*")
_ACCOUNT = re.compile(r"\d{12}\Z")
READING: Final = frozenset({"GetObject", "SelectObjectContent"})
"""Events of which the object itself is what was read."""
COPYING: Final = frozenset({"CopyObject", "UploadPartCopy"})
"""Events of which it is what they name as their source."""
_OTHERS: Final = (
    "/CloudTrail-Digest/",
    "/CloudTrail-Insight/",
    "_CloudTrail-Digest_",
    "_CloudTrail-Insight_",
)

OpenFile = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Buckets:
    """The stack's buckets that hold people's data."""

    uploads: str
    clean: str


@dataclass(frozen=True, slots=True)
class Thing:
    """What was read: its kind (`upload`, `register`, `list`, `delivery`, `other`), id and part.

    An upload's or register's id is the last 16 characters of the id of the list that its version leads to.
    What has no id of ours goes by 16 hex digits of a digest.
    """

    kind: str
    name: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """One reading of one object. `at`: milliseconds since 1970 UTC, by S3's clock, to a second.

    `principal`: as audit events write it. `account`: who was charged with it by 12 digits. `by_link`: the
    request's signature stood in its address. `refused`: S3 did not answer with the object.
    """

    at: int
    thing: Thing
    principal: str
    account: str
    by_link: bool
    refused: bool


def files_in(folder: Path) -> Iterator[OpenFile]:
    """The trail's files below a folder, in the order of their names; digests and insights are passed over."""
    for path in sorted(folder.rglob("*.json*")):
        if path.is_file() and is_trail_file(path.as_posix()):
            yield lambda path=path: path.open("rb")  # type: ignore[misc] # a default binds each one's path


def is_trail_file(name: str) -> bool:
    """Whether a key or path is that of a file of records."""
    return name.endswith((".json", ".json.gz")) and not any(word in name for word in _OTHERS)


def reads_in(opened: OpenFile, number: int, buckets: Buckets) -> Iterator[Read]:
    """The reads that file `number` of a trail tells of, in these buckets.

    `AuditError` (`trail_damaged`) where it is broken, or no trail.
    """
    try:
        with opened() as file:
            head = file.read(2)
            file.seek(0)
            plain = gzip.GzipFile(fileobj=file) if head == b"\x1f\x8b" else file
            for record in _records(io.TextIOWrapper(plain, encoding="utf-8")):
                if read := _read(record, buckets):
                    yield read
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise AuditError("trail_damaged", f"file {number} of the trail cannot be read to its end") from None


def _records(text: io.TextIOWrapper) -> Iterator[Mapping[str, Any]]:
    """The records one by one; `ValueError` where the text is not what it should be."""
    decoder, held = json.JSONDecoder(), text.read(_PIECE)
    start = held.find("[")
    if start < 0 or not re.fullmatch(r'\s*\{\s*"Records"\s*:\s*', held[:start]):
        raise ValueError("no file of records")
    at = start + 1
    while True:
        at = _end(_GAP, held, at)
        if held.startswith("]", at):
            # To the end, which is where gzip tells whether the file is whole.
            while more := text.read(_PIECE):
                held, at = held[at:][-1:] + more, 0
            if not held.rstrip().endswith("}"):
                raise ValueError("a file without an end")
            return
        try:
            record, at = decoder.raw_decode(held, at)
        except json.JSONDecodeError:
            held, at = held[at:], 0
            more = text.read(max(_PIECE, len(held)))
            if not more or len(held) > _LONGEST:
                raise ValueError("a record without an end") from None
            held += more
            continue
        yield record


def _end(form: re.Pattern[str], text: str, start: int) -> int:
    found = form.match(text, start)
    return found.end() if found else start


def _read(record: Mapping[str, Any], buckets: Buckets) -> Read | None:
    """What a record says was read; None where it is about something else."""
    if record.get("eventSource") != "s3.amazonaws.com":
        return None
    found = _object(record)
    if found is None or found[0] not in {buckets.uploads, buckets.clean}:
        return None
    identity = record["userIdentity"]
    called = (str(identity.get(name) or "") for name in ("type", "arn", "principalId", "invokedBy"))
    stated = record.get("additionalEventData") or {}
    return Read(
        _moment(record["eventTime"]),
        thing_at(*found),
        _principal(*called),
        _account(identity),
        stated.get("AuthenticationMethod") == "QueryString",
        bool(record.get("errorCode")),
    )


def _object(record: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Bucket, key and version of what was read."""
    asked, name = record.get("requestParameters") or {}, record.get("eventName")
    if name in READING:
        return str(asked["bucketName"]), str(asked["key"]), str(asked.get("versionId") or "")
    source = asked.get("x-amz-copy-source") if name in COPYING else None
    if source is None:
        return None
    path, _, query = str(source).removeprefix("/").partition("?versionId=")
    bucket, _, key = unquote(path).partition("/")
    return bucket, key, query


@lru_cache(4096)
def thing_at(bucket: str, key: str, version: str = "") -> Thing:
    """What lies at a key of one of the buckets."""
    area, _, rest = key.partition("/")
    parts = rest.split("/")
    if area in {"uploads", "registry"}:
        # As `receiving.Arrival` names the list of an object's version; its moment is not known here.
        named = f"{bucket}\0{key}\0{version}".encode(errors="surrogatepass")
        digest = sha256(named).digest()[:10]
        return Thing("upload" if area == "uploads" else "register", fingerprint(digest))
    if area in {"lists", "deliveries"} and len(parts) == 3 and parse_list_id(parts[1]):
        known = {"content", "people", "manifest.json", "decisions.parquet", "rejects.csv"}
        part = parts[2] if parts[2] in known else "clean" if parts[2].startswith("clean.") else ""
        return Thing("list" if area == "lists" else "delivery", parts[1], part)
    return Thing("other", sha256(key.encode(errors="surrogatepass")).hexdigest()[:16])


def fingerprint(digest: bytes) -> str:
    """Ten bytes as the end of an id that `sortable_id` makes of them."""
    number, alphabet = int.from_bytes(digest), "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "".join(alphabet[(number >> shift) & 31] for shift in range(75, -1, -5))


@lru_cache(4096)
def _moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


@lru_cache(4096)
def _principal(kind: str, arn: str, user_id: str, service: str) -> str:
    if kind == "AWSService":
        return plain_word(f"service/{service or NOBODY}")
    try:
        return principal_word(principal_name(arn), user_id)
    except RequestError:
        return NOBODY


def _account(identity: Mapping[str, Any]) -> str:
    account = str(identity.get("accountId") or "")
    return account if _ACCOUNT.match(account) else ""
