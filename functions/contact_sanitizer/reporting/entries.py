"""Entries of the log as a report reads them: typed, and with words that can be shown anywhere.

What the log's own writers put there is plain already; whoever else could write to it is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from contact_sanitizer.audit.actions import Outcome
from contact_sanitizer.audit.events import plain_word
from contact_sanitizer.errors import AuditError

_OUTCOMES: Final = {99: Outcome.BEGUN, 1: Outcome.SUCCESS, 2: Outcome.FAILURE}
_WORD: Final = r"[A-Za-z0-9_.:/%~\-]{0,600}"
_PLAIN = re.compile(rf"{_WORD}\Z")
# A line as this package writes it, from `{` to `}`: whatever differs in the least is read as JSON.
_PARTS: Final = (
    rf'{{"activity_id":\d+,"actor":{{"user":{{"uid":"({_WORD})"}}}},"api":{{"operation":"({_WORD})"}},',
    r'"category_uid":\d+,"class_uid":\d+,(?:"entity":{"type":"\w*","uid":"[^"\\]*"},)?',
    r'"metadata":{"correlation_uid":"\w*","product":{"name":"[\w-]*","vendor_name":"[\w-]*","version":"[\w.]*"},',
    rf'"tenant_uid":"({_WORD})","uid":"({_WORD})","version":"[\w.]*"}},"severity_id":\d+,',
    r'"src_endpoint":{"svc_name":"[\w-]*"},"status":"\w*",(?:"status_code":"\w*",)?"status_id":(\d+),',
    r'(?:"table":{"name":"\w*"},)?"time":(\d{1,16}),(?:"type_id":\d+,)?"type_uid":\d+,',
    r'"unmapped":({.*})}\Z',
)
_LINE = re.compile("".join(_PARTS).encode(), re.DOTALL)


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
        line = _LINE.match(entry)
        return _parsed(from_json(entry)) if line is None else _matched(*line.groups())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise AuditError("event_malformed", f"event {index} is not written as an audit event") from None


def _matched(*parts: bytes) -> Told:
    """An event from the parts of a line: a million of them have to take seconds."""
    principal, action, tenant, uid, status, time, particulars = parts
    who, what, whose = _text(principal), _text(action), _text(tenant)
    return _told((uid.decode(), int(time), what, _OUTCOMES[int(status)], who, whose), from_json(particulars))


def _parsed(stated: Any) -> Told:
    metadata = stated["metadata"]
    about = (
        _plain(metadata["uid"]),
        _number(stated["time"]),
        _plain(stated["api"]["operation"]),
        _OUTCOMES[stated["status_id"]],
        _plain(stated["actor"]["user"]["uid"]),
        _plain(metadata["tenant_uid"]),
    )
    return _told(about, stated["unmapped"])


def _told(about: tuple[str, int, str, Outcome, str, str], said: Any) -> Told:
    get = said.get
    asked_at = get("asked_at")
    return Told(
        *about,
        {_plain(word): _number(count) for word, count in get("counts", _NOTHING).items()},
        tuple([_number(key_id) for key_id in said["key_ids"]]) if "key_ids" in said else (),
        None if asked_at is None else _number(asked_at),
        _plain(get("list_id", "")),
        _plain(get("delivery_id", "")),
        _plain(get("sender", "")),
        _plain(get("purpose", "")),
        _plain(get("scope", "")),
        _plain(get("code", "")),
        _plain(get("policy_sha256", "")),
    )


_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


@lru_cache(4096)
def _text(word: bytes) -> str:
    return word.decode("ascii")


@lru_cache(4096)
def _plain(text: str) -> str:
    """A word that can be shown anywhere; `TypeError` for what is no text."""
    return text if _PLAIN.match(text) else plain_word(text)
