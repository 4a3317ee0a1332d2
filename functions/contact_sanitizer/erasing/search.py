"""Where a person is still to be found. Nothing is changed here but what dead makers of lists have left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from contact_sanitizer.catalogue import ListEntry
from contact_sanitizer.delivery.damage import looked_at_twice
from contact_sanitizer.delivery.deliveries import Delivery
from contact_sanitizer.delivery.recalls import DAMAGED, GONE
from contact_sanitizer.delivery.redeem import REDEMPTION
from contact_sanitizer.delivery.traces import delivered_to, redeemed_in
from contact_sanitizer.erasing.absent import still_open
from contact_sanitizer.erasing.desk import EraseDesk
from contact_sanitizer.erasing.receipt import EXPIRED, MayHold, Recipient, Unfinished
from contact_sanitizer.errors import DeliveryError
from contact_sanitizer.intake.raw import IrregularFileError
from contact_sanitizer.outputs.manifest import Manifest
from contact_sanitizer.policy_words import Evidence
from contact_sanitizer.terms import Use
from contact_sanitizer.tracing.trace import Unread, decided_in

_DAMAGED: Final = Unread.DAMAGED.value
_GONE: Final = Unread.GONE.value


@dataclass
class Search:
    """Goes through lists, deliveries and redemptions; asked again it looks at what has come since.

    `unfinished`: what could not be looked into, by name. `unread`: deliveries that tell nobody any more, or
    not now, who was on them. `uses`: all uses of lists. `unchecked`: uses of
    lists of which nobody can tell any more who was on them. `found`: the names of all that was found.
    """

    subject: bytes
    desk: EraseDesk
    unfinished: dict[str, Unfinished] = field(default_factory=dict)
    unread: dict[str, MayHold] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    unchecked: list[Use] = field(default_factory=list)
    found: set[str] = field(default_factory=set)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    #: Lists that the person is not on, and that nobody was erased from.
    _never_on: set[str] = field(default_factory=set)

    def lists(self) -> Iterator[ListEntry]:
        """Lists that the person is on."""
        for entry in self.desk.catalogue.entries():
            if ("list", entry.list_id) in self._seen:
                continue
            decided = decided_in(self.subject, entry, self.desk.shelf_of(entry))
            if isinstance(decided, Unread):
                self._note(entry, decided)
                continue
            self._seen.add(("list", entry.list_id))
            self.unfinished.pop(entry.list_id, None)
            self.uses.append(entry.terms.use)
            if decided.count:
                self.found.add(entry.list_id)
                yield entry
            elif entry.manifest and not Manifest.decode(entry.manifest.encode()).erased:
                self._never_on.add(entry.list_id)

    def deliveries(self) -> Iterator[Delivery]:
        """Deliveries that the person was on; one whose note is gone or damaged is among the `unread`."""
        for delivery in self.desk.deliveries.all():
            name = delivery.delivery_id
            if ("delivery", name) in self._seen:
                continue
            self.unfinished.pop(name, None)
            self.unread.pop(name, None)
            if self._was_delivered(delivery):
                self.found.add(name)
                yield delivery

    def redemptions(self) -> Iterator[str]:
        """The names of redemptions in which the person's number was handed out."""
        for record in self.desk.delivery.records.named(REDEMPTION):
            if ("redemption", record.name) not in self._seen:
                self._seen.add(("redemption", record.name))
                if redeemed_in(self.subject, record):
                    self.found.add(record.name)
                    yield record.name

    def note_damaged_list(self, list_id: str) -> None:
        """Name a list that is not what was made."""
        self.unfinished[list_id] = Unfinished("list", list_id, _DAMAGED)

    def note_damaged_delivery(self, delivery: Delivery) -> None:
        """Name a delivery whose note is not what was written, and who was sent it."""
        self.unfinished[delivery.delivery_id] = Unfinished("delivery", delivery.delivery_id, _DAMAGED)
        self._note_unread(delivery, _DAMAGED)

    def may_hold(self, known: Sequence[Recipient]) -> list[MayHold]:
        """Who may hold the person beside those of whom it is known; of what expired only the newest."""
        told = {each.delivery for each in known}
        unread = [
            each
            for each in self.unread.values()
            if each.delivery not in told and each.list_id not in self._never_on
        ]
        # Oldest first: the newest stays.
        expired = {(each.sender, each.form): each for each in unread if each.state == EXPIRED}
        return [*(each for each in unread if each.state != EXPIRED), *expired.values()]

    def _note(self, entry: ListEntry, why: Unread) -> None:
        """A list that cannot be looked into: one that is still to come, or to be mended, is named."""
        self.uses.append(entry.terms.use)
        self.unchecked.append(entry.terms.use)
        if state := still_open(entry, why, self.desk):
            self.unfinished[entry.list_id] = Unfinished("list", entry.list_id, state.value)
        else:
            self.unfinished.pop(entry.list_id, None)

    def _note_unread(self, delivery: Delivery, state: str) -> None:
        name, form = delivery.delivery_id, delivery.form.value
        self.unread[name] = MayHold(name, delivery.list_id, delivery.sender, form, delivery.as_of, state)

    def _was_delivered(self, delivery: Delivery) -> bool:
        """Whether the person was on a delivery; one whose note is damaged is looked at again the next time.

        Whoever erases somebody else replaces the note and then its record: both are read anew.
        """
        desk, deliveries, delivery_id = self.desk.delivery, self.desk.deliveries, delivery.delivery_id
        try:
            found = looked_at_twice(
                lambda: delivered_to(self.subject, deliveries.get(delivery_id), desk),
                [desk.shelf.people(delivery_id)],
            )
        except IrregularFileError:
            self.note_damaged_delivery(delivery)
            return False
        except DeliveryError as error:
            if error.code == DAMAGED:
                self.note_damaged_delivery(delivery)
                return False
            if error.code != GONE:
                raise
            self._note_unread(delivery, EXPIRED if delivery.as_of < self.desk.people_kept_since else _GONE)
            found = None
        self._seen.add(("delivery", delivery_id))
        return found is not None


def refusal_scopes(uses: list[Use]) -> tuple[str, ...]:
    """Scopes of which one at least counts under each of these uses; nearly always the tenant's alone."""
    scopes = ["tenant"]
    for use in uses:
        rule = use.rule
        if not any(rule.counts_scope(scope) for scope in scopes):
            scopes.append("global" if "global" in rule.scopes else f"sender:{rule.sender}")
    return tuple(scopes)


def trusts_the_file(use: Use) -> bool:
    """Whether a yes in a list itself lets somebody in of whom the registry knows nothing."""
    return use.evidence is not Evidence.REGISTRY
