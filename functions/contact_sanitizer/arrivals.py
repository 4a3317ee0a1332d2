"""What stores tell of objects that arrived: S3's events through EventBridge, and S3's own notifications."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote_plus

from contact_sanitizer.errors import RequestError
from contact_sanitizer.receiving import Arrival

_SOURCE: Final = "aws.s3"
_CREATED: Final = "Object Created"


def arrivals_in(body: str) -> list[Arrival]:
    """The arrivals that a queue's message tells; none for S3's test message.

    `RequestError` (`message_invalid`) for what is no such message.
    """
    try:
        message = json.loads(body)
        if message.get("Event") == "s3:TestEvent":
            return []
        if "Records" in message:
            return [_notified(record) for record in message["Records"]]
        return [_told(message)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise RequestError("message_invalid", "a message of the queue cannot be understood") from None


def message_of(arrival: Arrival) -> str:
    """A message that tells an arrival again, as EventBridge does."""
    stated = {
        "key": arrival.key,
        "version-id": arrival.version,
        "etag": arrival.etag,
        "sequencer": arrival.sequencer,
    }
    at = datetime.fromtimestamp(arrival.at / 1000, UTC).isoformat()
    detail = {"bucket": {"name": arrival.bucket}, "object": stated}
    return json.dumps({"source": _SOURCE, "detail-type": _CREATED, "time": at, "detail": detail})


def _told(message: Mapping[str, Any]) -> Arrival:
    """An event of EventBridge: its keys are plain."""
    if message["source"] != _SOURCE or message["detail-type"] != _CREATED:
        raise ValueError
    detail = message["detail"]
    return _arrival(detail["bucket"]["name"], detail["object"]["key"], detail["object"], message["time"])


def _notified(record: Mapping[str, Any]) -> Arrival:
    """A notification of S3 itself: its keys are encoded as in a form."""
    if not record["eventName"].startswith("ObjectCreated:"):
        raise ValueError
    stated = record["s3"]["object"]
    names = {"version-id": stated.get("versionId"), "etag": stated.get("eTag")}
    key = unquote_plus(stated["key"])
    return _arrival(record["s3"]["bucket"]["name"], key, {**stated, **names}, record["eventTime"])


def _arrival(bucket: object, key: object, stated: Mapping[str, Any], time: str) -> Arrival:
    version, etag, sequencer = (str(stated.get(name) or "") for name in ("version-id", "etag", "sequencer"))
    at = int(datetime.fromisoformat(time).timestamp() * 1000)
    if not isinstance(bucket, str) or not isinstance(key, str) or not 0 <= at < 1 << 48:
        raise TypeError
    return Arrival(bucket, key, version, etag, sequencer, at)
