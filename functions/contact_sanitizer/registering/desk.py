"""One person at a time: record a consent, take one back, block, unblock, read a reply, show a history.

Every act is announced in the audit log before it is recorded. A phone that cannot be read is refused with
the reason; it is never guessed at, and never repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import pyarrow as pa

from contact_sanitizer.audit.events import Action, plain_word
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.ports import Announce, Registry, ReplyKeeper
from contact_sanitizer.protection.columns import ColumnContext, encrypt_cells
from contact_sanitizer.protection.keyring import Keyring
from contact_sanitizer.protection.sealing import seal_numbers
from contact_sanitizer.protection.subjects import subjects
from contact_sanitizer.reasons import Reason
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.optout import OptOutReading, ReplyKind, read_reply
from contact_sanitizer.screening.recording import Outcome, PersonHistory
from contact_sanitizer.screening.suppression import (
    SuppressionAct,
    SuppressionEntry,
    SuppressionEvent,
    SuppressionReason,
    same_person,
)


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """Somebody by their number: subject, block for foreign lists, sealed copy. Redacts itself."""

    subject: bytes
    block: bytes
    sealed: bytes

    def __repr__(self) -> str:
        return "Person()"


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """What a consent is for and how it was given; empty words leave a thing unsaid. Times in Unix seconds.

    Without `effective_at` a grant is of now, and a withdrawal is undated: in force as soon as it is known,
    also for whoever's clock is behind ours.
    """

    purpose: str = ""
    channel: str = ""
    sender: str = ""
    effective_at: int | None = None
    expires_at: int | None = None
    source: str = ""
    reference: str = ""
    wording: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """Acts on one tenant's registry in somebody's name (`actor`), at one moment (`now`, Unix seconds)."""

    registry: Registry
    keyring: Keyring
    announce: Announce
    actor: str
    now: int
    default_region: str = "CN"

    def person(self, phone: str) -> Person:
        """Whoever has this number, of any kind and region; `RegistryError` (`number_refused`) otherwise."""
        numbers = reader_of(self.default_region).normalize(pa.array([phone], pa.string()))
        reason = Reason(int(numbers.reasons[0]))
        if reason is not Reason.NONE:
            raise RegistryError("number_refused", f"the phone cannot be used: {reason.word}")
        blocks = numbers.blocks
        return Person(
            subjects(blocks, self.keyring)[0].tobytes(),
            blocks[0].tobytes(),
            seal_numbers(blocks, self.keyring)[0].tobytes(),
        )

    def grant(self, person: Person, terms: ConsentTerms) -> Outcome:
        """Record that the person agreed."""
        return self._consent(Action.CONSENT_RECORDED, ConsentStatus.GRANTED, person, terms)

    def withdraw(self, person: Person, terms: ConsentTerms, asked_at: int | None = None) -> Outcome:
        """Record that the person takes consent back; what `terms` leaves unsaid is taken back wholly.

        `asked_at`: when that was asked for, where it counts from later on; nobody has waited longer.
        """
        return self._consent(Action.CONSENT_WITHDRAWN, ConsentStatus.WITHDRAWN, person, terms, asked_at)

    def block(
        self,
        person: Person,
        scope: str,
        reason: SuppressionReason,
        source: str = "",
        expires_at: int | None = None,
        *,
        asked_at: int | None = None,
    ) -> Outcome:
        """Record that the person must not be contacted; `asked_at`: when that was asked for.

        Raises `RegistryError` (`event_refused`) where that is yet to come.
        """
        if asked_at is not None and not self._has_passed(asked_at):
            raise RegistryError("event_refused", "nobody can have asked for it before 1970 or after now")
        event = self._suppression(
            SuppressionAct.ADDED, person, scope, reason, source=source, expires_at=expires_at
        )
        self.announce(
            Action.BLOCK_ADDED,
            scope=plain_word(event.scope),
            reason=reason.value,
            asked_at=_milliseconds(asked_at),
            counts={reason.value: 1},
        )
        return self.registry.record([event]).outcomes[0]

    def unblock(
        self, person: Person, why: str, scope: str | None = None
    ) -> list[tuple[SuppressionEntry, Outcome]]:
        """Remove the person's entries (of `scope`, or all), or ask for it where a second person has to agree.

        Where somebody else asked before, this is the second person's agreement. Returns each entry with
        what became of it; `RegistryError` (`removal_refused`) where there is none.
        """
        found = [e for e in self.show(person).entries if not e.removed and scope in {None, e.scope}]
        if not found:
            raise RegistryError("removal_refused", "there is no entry to remove")
        events = [
            self._suppression(self._removal_act(entry), person, entry.scope, entry.reason, why=why)
            for entry in found
        ]
        self.announce(Action.BLOCK_REMOVED, counts={"entries": len(events)})
        return list(zip(found, self.registry.record(events).outcomes, strict=True))

    def show(self, person: Person, as_of: int | None = None) -> PersonHistory:
        """All that is recorded about the person; announced as a look."""
        self.announce(Action.PERSON_SHOWN)
        return self.registry.history(person.subject, person.block, as_of)

    def reply(
        self,
        person: Person,
        message: str,
        sender: str,
        keeper: ReplyKeeper,
        asked_at: int | None = None,
    ) -> OptOutReading:
        """Read a reply as a person would and record the refusal; one that is not understood is kept, sealed.

        A refusal both suppresses (towards `sender`, or within the whole tenant where none is named) and
        withdraws consent, so that it holds under policies that ask only one of the two. It holds from now,
        whenever the reply was sent (`asked_at`; impossible ones count as unsaid): a consent that was given in
        between does not outweigh it.
        """
        reading = read_reply(message)
        # A refusal must not get lost because somebody's clock is wrong.
        sent_at = asked_at if asked_at is not None and self._has_passed(asked_at) else None
        self.announce(
            Action.OPTOUT_RECORDED,
            reason=reading.kind.value,
            asked_at=_milliseconds(sent_at),
            counts={reading.kind.value: 1},
        )
        if not reading.refuses:
            context = ColumnContext(self.keyring, "registry", "reply")
            sealed = encrypt_cells(pa.array([message], pa.string()), context)[0].as_py().encode()
            keeper.keep_reply(person.subject, sealed, self.now)
            return reading
        scope = f"sender:{sender}" if sender else "tenant"
        reasons = [SuppressionReason.OPTED_OUT]
        if reading.kind is ReplyKind.COMPLAINT:
            reasons.append(SuppressionReason.COMPLAINT)
        terms = ConsentTerms(sender=sender, source="reply")
        self.registry.record(
            [
                *(self._suppression(SuppressionAct.ADDED, person, scope, r, source="reply") for r in reasons),
                self.consent_event(ConsentStatus.WITHDRAWN, person, terms),
            ]
        )
        return reading

    def _consent(
        self,
        action: Action,
        status: ConsentStatus,
        person: Person,
        terms: ConsentTerms,
        asked_at: int | None = None,
    ) -> Outcome:
        event = self.consent_event(status, person, terms)
        asked = event if asked_at is None else replace(event, effective_at=asked_at)
        self.announce(action, counts={"events": 1}, asked_at=self.withdrawn_at([asked]))
        return self.registry.record([event]).outcomes[0]

    def consent_event(self, status: ConsentStatus, person: Person, terms: ConsentTerms) -> ConsentEvent:
        """What is recorded of a consent or a withdrawal; `RegistryError` where the terms say too little."""
        unsaid = self.now if status is ConsentStatus.GRANTED else None
        return ConsentEvent(
            person.subject,
            status,
            self.now,
            terms.purpose,
            terms.channel,
            terms.sender,
            unsaid if terms.effective_at is None else terms.effective_at,
            terms.expires_at,
            terms.source,
            terms.reference,
            terms.wording,
            recorded_by=self.actor,
            sealed=person.sealed,
        )

    def withdrawn_at(self, events: Sequence[ConsentEvent]) -> int | None:
        """When the first of these withdrawals was asked for (milliseconds): nobody waited longer than since.

        None where one of them does not say it, which it does by a moment before now, or is a grant.
        """
        said = [e.effective_at for e in events if e.status is ConsentStatus.WITHDRAWN]
        moments = [at for at in said if at is not None and 0 <= at < self.now]
        return _milliseconds(min(moments)) if moments and len(moments) == len(events) else None

    def _has_passed(self, moment: int) -> bool:
        return 0 <= moment <= self.now

    def _suppression(
        self,
        act: SuppressionAct,
        person: Person,
        scope: str,
        reason: SuppressionReason,
        *,
        source: str = "",
        why: str = "",
        expires_at: int | None = None,
    ) -> SuppressionEvent:
        return SuppressionEvent(
            person.subject,
            act,
            scope,
            reason,
            self.now,
            self.actor,
            source,
            why=why,
            expires_at=expires_at,
            sealed=person.sealed,
        )

    def _removal_act(self, entry: SuppressionEntry) -> SuppressionAct:
        asked = entry.removal_by
        if asked is not None and not same_person(asked, self.actor):
            return SuppressionAct.APPROVED
        return SuppressionAct.REMOVED


def _milliseconds(moment: int | None) -> int | None:
    return None if moment is None else moment * 1000


@cache
def reader_of(default_region: str) -> Normalizer:
    """Reads every valid number; made once a region: it costs more than the phones of a whole command."""
    return Normalizer(any_number(default_region))


def any_number(default_region: str) -> NumberRules:
    """Rules under which every valid number counts, whatever its kind, region or beauty."""
    kinds = frozenset(NumberKind) - {NumberKind.NONE}
    return NumberRules(default_region, kinds, frozenset(), placeholders=False)
