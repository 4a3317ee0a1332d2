"""Forget a person: registry, lists, notes of deliveries, records of redemptions, in that order.

Announced before anything is read, each list and note once more before it is replaced, and concluded with what
was removed. The registry goes first: from then on nobody is given the number, whatever else is still there.
Whoever is stopped anywhere runs the same again, which goes on with the same counts to the same receipt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial

from contact_sanitizer.audit.events import Outcome
from contact_sanitizer.catalogue import ListEntry
from contact_sanitizer.delivery.damage import DAMAGED, looked_at_twice
from contact_sanitizer.delivery.deliveries import Delivery
from contact_sanitizer.erasing.desk import EraseDesk, Work
from contact_sanitizer.erasing.handedout import (
    erase_from_delivery,
    erase_from_redemption,
    recipient_of,
    settle_delivery,
)
from contact_sanitizer.erasing.journal import Begun, Journal, Step, Thing
from contact_sanitizer.erasing.lists import erase_from_list, settle_list
from contact_sanitizer.erasing.receipt import Receipt, refusals_of
from contact_sanitizer.erasing.search import Search, refusal_scopes, trusts_the_file
from contact_sanitizer.errors import ContactSanitizerError, DeliveryError, OutputError
from contact_sanitizer.intake.raw import IrregularFileError
from contact_sanitizer.listid import ListId, moment_of
from contact_sanitizer.outputs.listfiles import DECISIONS
from contact_sanitizer.protection.commitments import OPENING_BYTES, pending_name
from contact_sanitizer.registering.desk import Person
from contact_sanitizer.screening.forgetting import Leave


def erase(person: Person, desk: EraseDesk, *, leave_refusal: bool = False) -> Receipt:
    """Erase a person of the desk's tenant; `close_erasure` once the receipt has been handed over.

    Of a refusal a bare one stays; `leave_refusal`: in any case. It stays too for a person on lists whose own
    columns said who agrees, for the same file would bring them back and their tokens would open again.
    Raises the package's errors; what was erased until then stays so, and the same again goes on.
    `AuditError`: nothing more was done than was announced.
    """
    journal = _journal(person, desk)
    begun = journal.begun()
    work = Work(person, desk, begun or _new(desk), journal)
    if begun is not None and begun.receipt is not None:
        return _conclude(Receipt.of(begun.receipt), work)
    work.announce(person=work.commitment)
    try:
        return _Erasure(work, Search(person.subject, desk)).run(leave_refusal, again=begun is not None)
    except ContactSanitizerError as error:
        work.announce(Outcome.FAILURE, person=work.commitment, code=error.code)
        raise


def close_erasure(person: Person, desk: EraseDesk) -> None:
    """Let go of what was noted of a finished erasure: from here on nothing leads to it but the receipt."""
    _journal(person, desk).close()


def _journal(person: Person, desk: EraseDesk) -> Journal:
    return Journal(desk.delivery.records, pending_name(person.subject, desk.delivery.keyring))


def _new(desk: EraseDesk) -> Begun:
    opening = desk.randomness(OPENING_BYTES).hex()
    return Begun(desk.delivery.new_id(), opening, desk.delivery.clock(), {}, leave=False)


def _conclude(receipt: Receipt, work: Work) -> Receipt:
    """Say that it was done, in the same words as often as it is said."""
    work.announce(
        Outcome.SUCCESS,
        at=receipt.finished_at,
        uid=receipt.event,
        person=receipt.person,
        counts=receipt.counts,
    )
    return receipt


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the person is."""

    lists: Sequence[ListEntry]
    deliveries: Sequence[Delivery]
    redemptions: Sequence[str]

    @property
    def is_nothing(self) -> bool:
        """Whether they are nowhere."""
        return not (self.lists or self.deliveries or self.redemptions)


@dataclass(slots=True)
class _Erasure:
    """One attempt."""

    work: Work
    search: Search

    def run(self, leave: bool, *, again: bool) -> Receipt:  # noqa: FBT001 - what the caller asks for
        """Find, forget, take out, look once more."""
        self._settle()
        found = self._look()
        if not (again or self._decide(found, leave)):
            return _conclude(self._receipt(), self.work)
        self._conclude_steps()
        self._forget()
        self._take_out(found)
        # Whoever read a list before it was written anew has entered the delivery by now, or is refused it:
        # deliveries are looked for after the lists.
        self._take_out(self._look())
        receipt = self._receipt()
        self.work.journal.begin(replace(self.work.begun, receipt=receipt.kept()))
        return _conclude(receipt, self.work)

    def _look(self) -> _Found:
        """What has not been looked at yet and the person is in."""
        return _Found(
            list(self.search.lists()), list(self.search.deliveries()), list(self.search.redemptions())
        )

    def _decide(self, found: _Found, leave: bool) -> bool:  # noqa: FBT001 - as above
        """Settle how it is done, once for all attempts; whether there is anything to do."""
        person, desk = self.work.person, self.work.desk
        known = desk.registry.remembered(person.subject, person.block)
        if found.is_nothing and known.is_nothing and not leave:
            return False
        uses = [entry.terms.use for entry in found.lists] + [each.use for each in found.deliveries]
        leave = leave or any(map(trusts_the_file, (*uses, *self.search.unchecked)))
        self.work = replace(self.work, begun=replace(self.work.begun, known=asdict(known), leave=leave))
        self.work.journal.begin(self.work.begun)
        return True

    def _settle(self) -> None:
        """Complete what an earlier attempt has left half-published."""
        for step in self._open_steps():
            if step.thing is Thing.LIST:
                settle_list(step, self.work)
            elif step.thing is Thing.DELIVERY:
                settle_delivery(step, self.work)

    def _conclude_steps(self) -> None:
        """What an earlier attempt was about to do and the person is no longer in was done."""
        for step in self._open_steps():
            if step.name not in self.search.found and step.name not in self.search.unfinished:
                self.work.journal.put(replace(step, done=True))

    def _open_steps(self) -> list[Step]:
        return [step for step in self.work.journal.steps() if not step.done]

    def _forget(self) -> None:
        person, begun = self.work.person, self.work.begun
        if begun.leave or any(begun.known.values()):
            leave = Leave(begun.at // 1000, refusal_scopes(self.search.uses), begun.leave)
            self.work.desk.registry.forget(person.subject, person.block, leave)

    def _take_out(self, found: _Found) -> None:
        for entry in found.lists:
            with self._noting_damage(partial(self.search.note_damaged_list, entry.list_id)):
                list_id, shelf = ListId(entry.list_id), self.work.desk.shelf_of(entry)
                files = [shelf.file(list_id, name) for name in (DECISIONS, f"clean.{entry.terms.format}")]
                looked_at_twice(partial(erase_from_list, list_id, self.work), files)
        for delivery in found.deliveries:
            with self._noting_damage(partial(self.search.note_damaged_delivery, delivery)):
                note = self.work.desk.delivery.shelf.people(delivery.delivery_id)
                looked_at_twice(partial(erase_from_delivery, delivery.delivery_id, self.work), [note])
        for name in found.redemptions:
            erase_from_redemption(name, self.work)

    @contextmanager
    def _noting_damage(self, note: Callable[[], None]) -> Iterator[None]:
        """What is damaged keeps nobody from being erased elsewhere, and is named."""
        try:
            yield
        except (OutputError, DeliveryError) as error:
            if error.code not in DAMAGED:
                raise
            note()
        except IrregularFileError:
            note()

    def _receipt(self) -> Receipt:
        work = self.work
        steps = [step for step in work.journal.steps() if step.done]
        event = work.desk.delivery.new_id()
        history = work.desk.registry.history(work.person.subject, work.person.block)
        recipients = [recipient_of(step) for step in steps if step.thing is Thing.DELIVERY]
        return Receipt(
            erasure=work.begun.erasure,
            tenant=work.desk.tenant,
            begun_at=work.begun.at,
            finished_at=moment_of(event),
            event=event,
            person=work.commitment,
            opening=work.begun.opening,
            removed=_removed(work.begun, steps),
            refusals=refusals_of(history.entries),
            recipients=recipients,
            unfinished=list(self.search.unfinished.values()),
            may_hold=self.search.may_hold(recipients),
        )


def _removed(begun: Begun, steps: Sequence[Step]) -> dict[str, int]:
    """How much was removed, by kind."""
    things, counts = Counter(step.thing for step in steps), Counter[str]()
    for step in steps:
        counts.update(step.counts)
    return {
        **{kind: begun.known.get(kind, 0) for kind in ("consents", "suppressions", "replies")},
        "lists": things[Thing.LIST],
        "rows": counts["rows"],
        "clean_rows": counts["clean_rows"],
        "deliveries": things[Thing.DELIVERY],
        "redemptions": things[Thing.REDEMPTION],
    }
