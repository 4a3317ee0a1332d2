"""Entries of the log as a report reads them: typed, and with words that can be shown anywhere.

What the log's own writers put there is plain already; whoever else could write to it is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from contact_sanitizer.audit.actions import Outcome
from contact_sanitizer.audit.events import plain_word
from contact_sanitizer.errors import AuditError

_OUTCOMES: Final = {99: Outcome.BEGUN, 1: Outcome.SUCCESS, 2: Outcome.FAILURE}
_PLAIN = re.compile(r"[A-Za-z0-9_.:/%~\-]{0,600}\Z")


class Told(NamedTuple):
    """One event: `at` in milliseconds since 1970 UTC, words as `plain_word` writes them, counts by word.

    `again`: a list or delivery whose publication an earlier event told of.
    """

    uid: str
    at: int
    action: str
    outcome: Outcome
    principal: str
    tenant: str
    counts: Mapping[str, int]
    key_ids: tuple[int, ...] = ()
    asked_at: int | None = None
    list_id: str = ""
    delivery_id: str = ""
    sender: str = ""
    purpose: str = ""
    scope: str = ""
    code: str = ""
    policy: str = ""
    again: bool = False


def read_told(entry: bytes, index: int) -> Told:
    """An entry as an event; `AuditError` (`event_malformed`) names entry `index` where it is none."""
    try:
        stated = from_json(entry)
        metadata, said = stated["metadata"], stated["unmapped"]
        return Told(
            _word(metadata["uid"]),
            _number(stated["time"]),
            _word(stated["api"]["operation"]),
            _OUTCOMES[stated["status_id"]],
            _word(stated["actor"]["user"]["uid"]),
            _word(metadata["tenant_uid"]),
            {_word(word): _number(count) for word, count in said.get("counts", {}).items()},
            tuple([_number(key_id) for key_id in said.get("key_ids", ())]),
            _number(said["asked_at"]) if "asked_at" in said else None,
            _word(said.get("list_id", "")),
            _word(said.get("delivery_id", "")),
            _word(said.get("sender", "")),
            _word(said.get("purpose", "")),
            _word(said.get("scope", "")),
            _word(said.get("code", "")),
            _word(said.get("policy_sha256", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise AuditError("event_malformed", f"event {index} is not written as an audit event") from None


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


def _word(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return _plain(value)


@lru_cache(4096)
def _plain(text: str) -> str:
    return text if _PLAIN.match(text) else plain_word(text)
