"""Entries of the log as a report reads them: typed, and with words that can be shown anywhere.

What the log's own writers put there is plain already; whoever else could write to it is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from contact_sanitizer.audit.actions import Outcome
from contact_sanitizer.audit.events import plain_word
from contact_sanitizer.audit.lines import OUTCOMES, WORD, Lines
from contact_sanitizer.errors import AuditError

_PLAIN = re.compile(rf"{WORD}\Z")
_WORDS: Final = ("list_id", "delivery_id", "sender", "purpose", "scope", "code", "policy_sha256")
_NO_COUNTS: Final[Mapping[str, int]] = MappingProxyType({})


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


_UNFIT: Final = (ValueError, KeyError, TypeError, AttributeError)
"""What reading raises where an entry is none of our events."""


def read_lines(lines: Lines) -> Iterator[Told]:
    """Events of the log; `AuditError` (`event_malformed`) names the first that is none."""
    columns = zip(lines.kinds, lines.uids, lines.times, lines.entries, lines.particulars, strict=True)
    for place, (kind, uid, at, entry, begin) in enumerate(columns):
        try:
            event = _told((uid.decode(), at, *kind), from_json(entry[begin:-1])) if kind else None
        except _UNFIT:
            event = None
        yield read_told(entry, lines.first + place) if event is None else event


def read_told(entry: bytes, index: int) -> Told:
    """An entry as an event; `AuditError` (`event_malformed`) names entry `index` where it is none."""
    try:
        return _parsed(from_json(entry))
    except _UNFIT:
        raise AuditError("event_malformed", f"event {index} is not written as an audit event") from None


def _parsed(stated: Any) -> Told:
    metadata = stated["metadata"]
    about = (
        _plain(metadata["uid"]),
        _number(stated["time"]),
        _plain(stated["api"]["operation"]),
        OUTCOMES[stated["status_id"]],
        _plain(stated["actor"]["user"]["uid"]),
        _plain(metadata["tenant_uid"]),
    )
    return _told(about, stated["unmapped"])


def _told(about: tuple[str, int, str, Outcome, str, str], said: Any) -> Told:
    get = said.get
    words, counts = [get(word, "") for word in _WORDS], get("counts", _NO_COUNTS)
    if not _PLAIN.match("".join([*words, *counts])):
        words = [_plain(word) for word in words]
        counts = {_plain(word): count for word, count in counts.items()}
    asked_at = get("asked_at")
    return Told(
        *about,
        _NO_COUNTS if counts is _NO_COUNTS else _counts(counts),
        tuple([_number(key_id) for key_id in said["key_ids"]]) if "key_ids" in said else (),
        None if asked_at is None else _number(asked_at),
        *words,
    )


def _counts(stated: Any) -> Mapping[str, int]:
    for count in stated.values():
        # As `_number`: calling it for each would take longer than all else here.
        if type(count) is not int or count < 0:
            raise TypeError
    counts: Mapping[str, int] = stated
    return counts


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


@lru_cache(4096)
def _plain(text: str) -> str:
    """A word that can be shown anywhere; `TypeError` for what is no text."""
    return text if _PLAIN.match(text) else plain_word(text)
