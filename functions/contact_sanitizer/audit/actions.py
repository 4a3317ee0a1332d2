"""What can be done, how it ends, and which OCSF class and activity says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class Action(StrEnum):
    """What was done, or refused: a noun and what became of it."""

    HOME_CREATED = "home.created"
    KEY_ROTATED = "key.rotated"
    KEY_DESTROYED = "key.destroyed"
    SENDER_REGISTERED = "sender.registered"
    SENDER_REVOKED = "sender.revoked"
    UPLOAD_REQUESTED = "upload.requested"
    UPLOAD_DENIED = "upload.denied"
    UPLOAD_SHOWN = "upload.shown"
    UPLOAD_DELETED = "upload.deleted"
    LIST_STARTED = "list.started"
    LIST_PUBLISHED = "list.published"
    LIST_FAILED = "list.failed"
    LIST_SHOWN = "list.shown"
    LIST_FORGOTTEN = "list.forgotten"
    DELIVERY_BEGUN = "delivery.begun"
    DELIVERY_PUBLISHED = "delivery.published"
    DELIVERY_DENIED = "delivery.denied"
    DELIVERY_FAILED = "delivery.failed"
    TOKENS_REDEEMED = "tokens.redeemed"
    TOKENS_DENIED = "tokens.denied"
    RECALLS_FOUND = "recalls.found"
    RECALLS_SHOWN = "recalls.shown"
    RECALLS_ACKNOWLEDGED = "recalls.acknowledged"
    RECALLS_DENIED = "recalls.denied"
    RECALLS_NOTIFIED = "recalls.notified"
    CONSENT_IMPORTED = "consent.imported"
    CONSENT_RECORDED = "consent.recorded"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    BLOCK_IMPORTED = "block.imported"
    BLOCK_ADDED = "block.added"
    BLOCK_REMOVED = "block.removed"
    REGISTRY_IMPORTED = "registry.imported"
    OPTOUT_RECORDED = "optout.recorded"
    PERSON_SHOWN = "person.shown"
    PERSON_TRACED = "person.traced"
    PERSON_ERASED = "person.erased"
    POLICY_CHANGED = "policy.changed"
    PRINCIPAL_ADMITTED = "principal.admitted"
    PRINCIPAL_REMOVED = "principal.removed"
    ACCESS_DENIED = "access.denied"
    QUEUE_REDRIVEN = "queue.redriven"
    AUDIT_VERIFIED = "audit.verified"
    AUDIT_REPORTED = "audit.reported"
    AUDIT_RECONCILED = "audit.reconciled"
    AUDIT_REKEYED = "audit.rekeyed"


class Outcome(StrEnum):
    """How it ended, as far as the event knows; effects are announced before they happen."""

    BEGUN = "begun"
    SUCCESS = "success"
    FAILURE = "failure"


class EventClass(IntEnum):
    """The OCSF classes in use; the thousands are the category."""

    ENTITY_MANAGEMENT = 3004
    API_ACTIVITY = 6003
    DATASTORE_ACTIVITY = 6005


@dataclass(frozen=True, slots=True)
class Meaning:
    """An action in OCSF's words: class, activity and, where the class wants one, what was acted on."""

    event_class: EventClass
    activity: int
    thing: str = ""


def _managed(activity: int, kind: str) -> Meaning:
    return Meaning(EventClass.ENTITY_MANAGEMENT, activity, kind)


def _called(activity: int) -> Meaning:
    return Meaning(EventClass.API_ACTIVITY, activity)


def _stored(activity: int, table: str) -> Meaning:
    return Meaning(EventClass.DATASTORE_ACTIVITY, activity, table)


# Activities of one class: 1 create, 2 read, 3 update, 4 delete (3004 and 6003);
# 1 read, 4 query, 5 write, 7 delete, 10 decrypt (6005).
MEANING: Final = MappingProxyType(
    {
        Action.HOME_CREATED: _managed(1, "tenant"),
        Action.KEY_ROTATED: _managed(3, "key"),
        Action.KEY_DESTROYED: _managed(4, "key"),
        Action.SENDER_REGISTERED: _managed(1, "sender"),
        Action.SENDER_REVOKED: _managed(4, "sender"),
        Action.UPLOAD_REQUESTED: _called(1),
        Action.UPLOAD_DENIED: _called(1),
        Action.UPLOAD_SHOWN: _called(2),
        Action.UPLOAD_DELETED: _called(4),
        Action.LIST_STARTED: _called(1),
        Action.LIST_PUBLISHED: _called(1),
        Action.LIST_FAILED: _called(1),
        Action.LIST_SHOWN: _called(2),
        Action.LIST_FORGOTTEN: _called(4),
        Action.DELIVERY_BEGUN: _called(2),
        Action.DELIVERY_PUBLISHED: _called(2),
        Action.DELIVERY_DENIED: _called(2),
        Action.DELIVERY_FAILED: _called(2),
        Action.TOKENS_REDEEMED: _stored(10, "tokens"),
        Action.TOKENS_DENIED: _stored(10, "tokens"),
        Action.RECALLS_FOUND: _called(1),
        Action.RECALLS_SHOWN: _called(2),
        Action.RECALLS_ACKNOWLEDGED: _called(3),
        Action.RECALLS_DENIED: _called(2),
        Action.RECALLS_NOTIFIED: _called(1),
        Action.CONSENT_IMPORTED: _stored(5, "consents"),
        Action.CONSENT_RECORDED: _stored(5, "consents"),
        Action.CONSENT_WITHDRAWN: _stored(5, "consents"),
        Action.BLOCK_IMPORTED: _stored(5, "suppressions"),
        Action.BLOCK_ADDED: _stored(5, "suppressions"),
        Action.BLOCK_REMOVED: _stored(7, "suppressions"),
        Action.REGISTRY_IMPORTED: _stored(5, "registry"),
        Action.OPTOUT_RECORDED: _stored(5, "suppressions"),
        Action.PERSON_SHOWN: _stored(1, "registry"),
        Action.PERSON_TRACED: _stored(4, "decisions"),
        Action.PERSON_ERASED: _stored(7, "registry"),
        Action.POLICY_CHANGED: _called(3),
        Action.PRINCIPAL_ADMITTED: _called(1),
        Action.PRINCIPAL_REMOVED: _called(4),
        Action.ACCESS_DENIED: _called(2),
        Action.QUEUE_REDRIVEN: _called(3),
        Action.AUDIT_VERIFIED: _called(2),
        Action.AUDIT_REPORTED: _called(2),
        Action.AUDIT_RECONCILED: _called(2),
        Action.AUDIT_REKEYED: _managed(3, "key"),
    }
)
