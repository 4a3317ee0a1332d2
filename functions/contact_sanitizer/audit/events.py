"""Audit events: what happened, typed so that personal data has no place to stand.

Promises: an `Event` holds moments, ids, codes, counts and policy words only; a field that looks
like anything else is refused when the event is made. Its line is canonical JSON (RFC 8785) of an
OCSF 1.5 object, of class Entity Management (3004), API Activity (6003) or Datastore Activity (6005).
Does not promise: that lines cannot be removed or altered; the tamper-evident log does that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from contact_sanitizer import __version__
from contact_sanitizer.audit.actions import MEANING, Action, EventClass, Meaning, Outcome

__all__ = ["Action", "Event", "Outcome", "plain_word"]

_LONGEST_WORD: Final = 600
_WORD = re.compile(rf"[A-Za-z0-9_.:/%~\-]{{0,{_LONGEST_WORD}}}\Z")
_DIGIT_RUN = re.compile(r"\d{7,}")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_COMMITMENT = re.compile(r"(?:[0-9a-f]{32}){1,2}\Z")
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\Z")
# Made by a store, and longer than any phone; digits alone are no version.
_VERSION = re.compile(r"null\Z|(?!\d+\Z)[A-Za-z0-9_.+/=\-]{20,128}\Z")
_LARGEST: Final = (1 << 53) - 1
"""The largest whole number that JSON readers agree on (RFC 7493)."""
_NO_COUNTS: Final[Mapping[str, int]] = MappingProxyType({})
_NO_DIGESTS: Final[Mapping[str, str]] = MappingProxyType({})
_PRODUCT: Final = "contact-sanitizer"
_STATUS: Final = {
    Outcome.BEGUN: (99, "begun", 1),
    Outcome.SUCCESS: (1, "Success", 1),
    Outcome.FAILURE: (2, "Failure", 3),
}
"""Status id, its label, and severity (1 informational, 3 medium)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that somebody did.

    `at`: milliseconds since 1970 UTC. `correlation`: one id for all events of one command. `uid`: the event's
    own id; the same effect told twice has the same one. `policy`: its SHA-256 hex. `sender`, `audience`: who
    a list or its tokens are for. `person`: a keyed, blinded commitment to a subject (32 or 64 hex digits), of
    no use once its key is gone. `object_version`: a store's name for one version of an object. `reason`: why,
    as a word. `asked_at`: when a person asked for it, as `at`. `code`: the stable error code of a failure.
    `counts`: numbers by word, e.g. rows by reason. `digests`: SHA-256 hex by word. Of a delivery `form`: what
    it calls people by, `format`: of its file, `sealed`: whether that is encrypted to the sender.
    """

    action: Action
    outcome: Outcome
    at: int
    principal: str
    tenant: str
    correlation: str
    uid: str
    list_id: str | None = None
    delivery_id: str | None = None
    upload_id: str | None = None
    object_version: str | None = None
    policy: str | None = None
    purpose: str | None = None
    channel: str | None = None
    scope: str | None = None
    sender: str | None = None
    audience: str | None = None
    person: str | None = None
    reason: str | None = None
    asked_at: int | None = None
    key_ids: tuple[int, ...] = ()
    registry_change: int | None = None
    code: str | None = None
    counts: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)
    digests: Mapping[str, str] = field(default_factory=lambda: _NO_DIGESTS)
    form: str | None = None
    format: str | None = None
    sealed: bool | None = None

    def __post_init__(self) -> None:
        words = (self.principal, self.tenant, self.purpose, self.channel, self.scope, self.sender)
        others = (self.audience, self.reason, self.code, self.form, self.format, *self.counts, *self.digests)
        if not all(_is_plain(word) for word in (*words, *others)):
            raise ValueError("an audit event holds ids, codes and counts only")
        if not _all_match(_DIGEST, *self.digests.values(), self.policy):
            raise ValueError("a digest is 64 lower-case hex digits")
        if not _all_match(_ID, self.correlation, self.uid, self.list_id, self.delivery_id, self.upload_id):
            raise ValueError("an id is 26 characters of Crockford's base 32")
        if not _all_match(_COMMITMENT, self.person) or not _all_match(_VERSION, self.object_version):
            raise ValueError("a person is a commitment, a version is a store's own word")
        numbers = (self.at, self.asked_at, self.registry_change, *self.key_ids, *self.counts.values())
        if not all(number is None or 0 <= number <= _LARGEST for number in numbers):
            raise ValueError("a number of an audit event is whole, and at least 0")

    def line(self) -> bytes:
        """The event as one line of canonical JSON, ended by a newline."""
        return json.dumps(self._ocsf(), sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"

    def _ocsf(self) -> dict[str, object]:
        meaning = MEANING[self.action]
        status_id, status, severity = _STATUS[self.outcome]
        return {
            "activity_id": meaning.activity,
            "actor": {"user": {"uid": self.principal}},
            "api": {"operation": self.action.value},
            "category_uid": meaning.event_class // 1000,
            "class_uid": meaning.event_class.value,
            "metadata": {
                "correlation_uid": self.correlation,
                "product": {"name": _PRODUCT, "vendor_name": _PRODUCT, "version": __version__},
                "tenant_uid": self.tenant,
                "uid": self.uid,
                "version": "1.5.0",
            },
            "severity_id": severity,
            "src_endpoint": {"svc_name": _PRODUCT},
            "status": status,
            "status_id": status_id,
            "time": self.at,
            "type_uid": meaning.event_class * 100 + meaning.activity,
            "unmapped": self._particulars(),
            **({"status_code": self.code} if self.code else {}),
            **self._acted_on(meaning),
        }

    def _acted_on(self, meaning: Meaning) -> dict[str, object]:
        """What the class wants to know of what was acted on."""
        if meaning.event_class is EventClass.ENTITY_MANAGEMENT:
            names = {"sender": self.sender, "key": ",".join(map(str, self.key_ids)), "tenant": self.tenant}
            return {"entity": {"type": meaning.thing, "uid": names[meaning.thing] or meaning.thing}}
        if meaning.event_class is EventClass.DATASTORE_ACTIVITY:
            return {"table": {"name": meaning.thing}, "type_id": 3}
        return {}

    def _particulars(self) -> dict[str, object]:
        stated = {
            "asked_at": self.asked_at,
            "audience": self.audience,
            "channel": self.channel,
            "code": self.code,
            "counts": dict(self.counts),
            "delivery_id": self.delivery_id,
            "digests": dict(self.digests),
            "form": self.form,
            "format": self.format,
            "key_ids": list(self.key_ids),
            "list_id": self.list_id,
            "object_version": self.object_version,
            "person": self.person,
            "policy_sha256": self.policy,
            "purpose": self.purpose,
            "reason": self.reason,
            "registry_change": self.registry_change,
            "scope": self.scope,
            "sealed": self.sealed,
            "sender": self.sender,
            "upload_id": self.upload_id,
        }
        return {name: value for name, value in stated.items() if value not in (None, {}, [])}


def plain_word(word: str) -> str:
    """A word as an event holds it: percent-encoded where not ASCII (RFC 3986), long numbers left out."""
    return quote(_DIGIT_RUN.sub("~", word), safe=":/~")[:_LONGEST_WORD]


def _is_plain(word: str | None) -> bool:
    """Words of policies, codes and logins pass; a phone, an address or a cell does not."""
    return word is None or (_WORD.match(word) is not None and _DIGIT_RUN.search(word) is None)


def _all_match(form: re.Pattern[str], *texts: str | None) -> bool:
    return all(text is None or form.match(text) for text in texts)
