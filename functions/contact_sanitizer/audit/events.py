"""Audit events: what happened, typed so that personal data has no place to stand.

Promises: an `Event` holds moments, ids, codes, counts and policy words only; a field that looks
like anything else is refused when the event is made. Its line is canonical JSON (RFC 8785) of an
OCSF 1.x object, class API Activity (6003).
Does not promise: that lines cannot be removed or altered; the tamper-evident log does that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from contact_sanitizer import __version__

_LONGEST_WORD: Final = 600
_WORD = re.compile(rf"[A-Za-z0-9_.:/%~\-]{{0,{_LONGEST_WORD}}}\Z")
_DIGIT_RUN = re.compile(r"\d{7,}")
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_LIST_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\Z")
_NO_COUNTS: Final[Mapping[str, int]] = MappingProxyType({})
_NO_DIGESTS: Final[Mapping[str, str]] = MappingProxyType({})


class Action(StrEnum):
    """What was done, or refused."""

    HOME_CREATED = "home.created"
    KEY_ROTATED = "key.rotated"
    LIST_STARTED = "list.started"
    LIST_PUBLISHED = "list.published"
    LIST_FAILED = "list.failed"
    CONSENT_IMPORTED = "consent.imported"
    CONSENT_RECORDED = "consent.recorded"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    BLOCK_IMPORTED = "block.imported"
    BLOCK_ADDED = "block.added"
    BLOCK_REMOVED = "block.removed"
    PERSON_SHOWN = "person.shown"
    OPTOUT_RECORDED = "optout.recorded"


class Outcome(StrEnum):
    """How it ended, as far as the event knows; effects are announced before they happen."""

    BEGUN = "begun"
    SUCCESS = "success"
    FAILURE = "failure"


_ACTIVITY: Final = {"created": 1, "started": 1, "shown": 2, "removed": 4}
_STATUS: Final = {Outcome.BEGUN: 0, Outcome.SUCCESS: 1, Outcome.FAILURE: 2}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that somebody did.

    `at`: milliseconds since 1970 UTC. `correlation`: one id for all events of one command.
    `counts`: numbers by word, e.g. rows by reason. `digests`: SHA-256 hex by word.
    `code`: the stable error code of a failure.
    """

    action: Action
    outcome: Outcome
    at: int
    principal: str
    tenant: str
    correlation: str
    list_id: str | None = None
    policy: str | None = None
    purpose: str | None = None
    channel: str | None = None
    scope: str | None = None
    key_ids: tuple[int, ...] = ()
    registry_change: int | None = None
    code: str | None = None
    counts: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)
    digests: Mapping[str, str] = field(default_factory=lambda: _NO_DIGESTS)

    def __post_init__(self) -> None:
        words = (self.principal, self.tenant, self.purpose, self.channel, self.scope, self.code, *self.counts)
        if not all(_is_plain(word) for word in words):
            raise ValueError("an audit event holds ids, codes and counts only")
        if not all(_HEX.match(digest) for digest in self.digests.values()):
            raise ValueError("a digest is 64 lower-case hex digits")
        if not all(_LIST_ID.match(name) for name in (self.list_id, self.correlation) if name):
            raise ValueError("an id is 26 characters of Crockford's base 32")

    def line(self) -> bytes:
        """The event as one line of canonical JSON, ended by a newline."""
        return json.dumps(self._ocsf(), sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"

    def _ocsf(self) -> dict[str, object]:
        activity = _ACTIVITY.get(self.action.value.split(".")[1], 3)
        return {
            "activity_id": activity,
            "actor": {"user": {"uid": self.principal}},
            "api": {"operation": self.action.value},
            "category_uid": 6,
            "class_uid": 6003,
            "metadata": {
                "correlation_uid": self.correlation,
                "product": {"name": "contact-sanitizer", "version": __version__},
                "tenant_uid": self.tenant,
                "version": "1.5.0",
            },
            "severity_id": 1 if self.outcome is not Outcome.FAILURE else 3,
            "status": self.outcome.value,
            "status_id": _STATUS[self.outcome],
            "time": self.at,
            "type_uid": 600300 + activity,
            "unmapped": self._particulars(),
        }

    def _particulars(self) -> dict[str, object]:
        stated = {
            "channel": self.channel,
            "code": self.code,
            "counts": dict(self.counts),
            "digests": dict(self.digests),
            "key_ids": list(self.key_ids),
            "list_id": self.list_id,
            "policy_sha256": self.policy,
            "purpose": self.purpose,
            "registry_change": self.registry_change,
            "scope": self.scope,
        }
        return {name: value for name, value in stated.items() if value not in (None, {}, [])}


def plain_word(word: str) -> str:
    """A word as an event holds it: percent-encoded where not ASCII (RFC 3986), long numbers left out."""
    return quote(_DIGIT_RUN.sub("~", word), safe=":/~")[:_LONGEST_WORD]


def _is_plain(word: str | None) -> bool:
    """Words of policies, codes and logins pass; a phone, an address or a cell does not."""
    return word is None or (_WORD.match(word) is not None and _DIGIT_RUN.search(word) is None)
