"""Who may fetch lists: for which purposes, in which form, how much, until when.

Everything is asked at the moment of use: a revocation works at once, and a licence that ended yesterday opens
nothing today.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from contact_sanitizer.audit.events import Action, plain_word
from contact_sanitizer.errors import CatalogueError, DeliveryError
from contact_sanitizer.ports import Announce, Record, Records
from contact_sanitizer.protection.agefile import checked_recipient
from contact_sanitizer.screening.rule import name_of

SENDER: Final = "sender"
_NAME = re.compile(r"\w[\w.\-]{0,63}\Z")
# A name goes into audit events and tokens' audiences, where nothing that could be a phone may stand.
_LONG_NUMBER = re.compile(r"\d{7}")
_OWN: Final = "sender:"


class Right(StrEnum):
    """What a sender may be handed in a file; `TOKENS` also lets it redeem them."""

    TOKENS = "tokens"
    HASH = "hash"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much at most; None: no limit. A day is one of UTC."""

    rows_a_day: int | None = None
    redemptions_a_minute: int | None = None
    redemptions_a_day: int | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """One sender. Times are Unix seconds; its qualification ends at `until`.

    `audiences`: whose tokens it may redeem beside its own. `seal_to`: the age public key that its files are
    encrypted to. `principals`: who may call in its name on AWS.
    Raises `DeliveryError` (`sender_invalid`) or `KeyringError` (`recipient_invalid`) for what cannot be.
    """

    name: str
    licence: str
    until: int
    purposes: tuple[str, ...]
    rights: tuple[Right, ...] = (Right.TOKENS,)
    audiences: tuple[str, ...] = ()
    quotas: Quotas = field(default_factory=Quotas)
    seal_to: str | None = None
    principals: tuple[str, ...] = ()
    registered_at: int = 0
    registered_by: str = ""
    revoked_at: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", name_of(self.name))
        object.__setattr__(self, "purposes", tuple(sorted({name_of(p) for p in self.purposes})))
        object.__setattr__(self, "rights", tuple(sorted({Right(right) for right in self.rights})))
        for complaint in _complaints(self):
            raise DeliveryError("sender_invalid", complaint)
        if self.seal_to is not None:
            checked_recipient(self.seal_to)

    @property
    def own_audience(self) -> str:
        """The audience of the tokens that are made for this sender."""
        return f"{_OWN}{self.name}"

    @property
    def all_audiences(self) -> tuple[str, ...]:
        """The audiences whose tokens it may redeem."""
        return (self.own_audience, *self.audiences)

    def authorize(self, purpose: str, right: Right, now: int) -> None:
        """Nothing where it may do that now; else `DeliveryError` says what is missing."""
        if self.revoked_at is not None:
            raise DeliveryError("sender_revoked", "the sender was revoked")
        if now >= self.until:
            raise DeliveryError("sender_expired", "the sender's licence has ended")
        if name_of(purpose) not in self.purposes:
            raise DeliveryError("purpose_refused", "the sender is not registered for that purpose")
        if right not in self.rights:
            raise DeliveryError("right_missing", f"the sender has no right to {right}")

    def state(self, now: int) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if now < self.until else "expired"

    def document(self) -> dict[str, Any]:
        """The JSON object that `of` reads."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Sender:
        """The sender that a document states; fails in various ways where it states none."""
        lists = {name: tuple(document[name]) for name in ("purposes", "rights", "audiences", "principals")}
        return cls(**{**document, **lists, "quotas": Quotas(**document["quotas"])})


@dataclass(frozen=True, slots=True)
class SenderDesk:
    """Registers and revokes senders of one tenant; every act is announced before it is done."""

    records: Records
    announce: Announce

    def register(self, sender: Sender, *, again: bool = False) -> None:
        """Register a sender; with `again` its entry is replaced, else a known name is `sender_exists`."""
        known = self.records.get(SENDER, sender.name)
        if known and not again:
            raise DeliveryError("sender_exists", "a sender of that name is registered already")
        self.announce(Action.SENDER_REGISTERED, sender=plain_word(sender.name))
        version = known.version if known else 0
        if not self.records.put(SENDER, sender.name, sender.document(), after=version):
            raise DeliveryError("sender_exists", "the sender was changed by somebody else meanwhile")

    def revoke(self, name: str, now: int) -> Sender:
        """Take everything from a sender, at once; one that was revoked before stays so."""
        self.find(name)
        self.announce(Action.SENDER_REVOKED, sender=plain_word(name_of(name)))
        while True:
            sender, version = self._read(name)
            if sender.revoked_at is not None:
                return sender
            revoked = replace(sender, revoked_at=now)
            if self.records.put(SENDER, sender.name, revoked.document(), after=version):
                return revoked

    def find(self, name: str) -> Sender:
        """The sender of that name; `DeliveryError` (`sender_unknown`) where there is none."""
        return self._read(name)[0]

    def all(self) -> Iterator[Sender]:
        """All senders, by name."""
        return (_sender(record) for record in self.records.named(SENDER))

    def _read(self, name: str) -> tuple[Sender, int]:
        record = self.records.get(SENDER, name_of(name)) if _is_name(name_of(name)) else None
        if record is None:
            raise DeliveryError("sender_unknown", "no sender of that name is registered")
        return _sender(record), record.version


def day_of(now: int) -> str:
    """The day of a moment (Unix seconds), UTC, as quotas count it: `2026-01-31`."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()


def _sender(record: Record) -> Sender:
    try:
        sender = Sender.of(record.document)
    except Exception:  # noqa: BLE001 - whatever a damaged document makes of the parsers
        sender = None
    if sender is None or sender.name != record.name:
        raise CatalogueError("catalogue_damaged", "the catalogue's entry of a sender is damaged") from None
    return sender


def _is_name(name: str) -> bool:
    return bool(_NAME.match(name)) and not _LONG_NUMBER.search(name)


def _complaints(sender: Sender) -> Iterator[str]:
    """What cannot be, without a word of what was typed."""
    if not _is_name(sender.name):
        yield "a sender's name is up to 64 letters, digits, '.', '-' and '_', without a long number"
    if not sender.licence.strip() or not sender.licence.isprintable() or len(sender.licence) > 128:
        yield "a sender needs its licence or filing id, in up to 128 characters"
    if type(sender.until) is not int or sender.until <= 0:
        yield "a sender's licence needs an end"
    if not sender.purposes or not all(0 < len(purpose) <= 64 for purpose in sender.purposes):
        yield "a sender needs a purpose; name the one that its lists' policies name"
    if not sender.rights:
        yield "a sender needs a right"
    if any(name.startswith(_OWN) or not _is_audience(name) for name in sender.audiences):
        yield "an audience is one that policies name; each sender's own is its alone"
    if any(limit is not None and limit < 0 for limit in asdict(sender.quotas).values()):
        yield "a quota is not negative"


def _is_audience(name: str) -> bool:
    return 0 < len(name) <= 64 and name.isprintable() and not set(name) & set("|/")
