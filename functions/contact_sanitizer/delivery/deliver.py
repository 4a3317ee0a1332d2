"""Deliver a list to a sender: ask the registry about everybody now, render the rest for this sender.

A withdrawal is either in the delivery or in its recalls: the registry is asked at one change number, and
recalls speak of everybody on the delivery against whom something speaks later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.audit.events import Action, Outcome, plain_word
from contact_sanitizer.catalogue import Catalogue, ListEntry
from contact_sanitizer.delivery.cleanlines import CleanLines
from contact_sanitizer.delivery.cleanlist import CleanList, CleanRows
from contact_sanitizer.delivery.content import DeliveryContent, identity_of
from contact_sanitizer.delivery.deliveries import Deliveries, Delivery
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.people import PeopleWriter
from contact_sanitizer.delivery.rendering import Form, Hands, Opened, check_form
from contact_sanitizer.delivery.senders import Sender, SenderDesk, day_of
from contact_sanitizer.errors import ContactSanitizerError, DeliveryError, OutputError
from contact_sanitizer.job import Meter
from contact_sanitizer.listid import ListId, parse_list_id
from contact_sanitizer.outputs.clean import CleanWriter, Lead, LineWriter, clean_writer
from contact_sanitizer.ports import (
    DeliverySink,
    ListShelf,
    Records,
    Screening,
)
from contact_sanitizer.reasons import Reason
from contact_sanitizer.screening.recording import Candidates
from contact_sanitizer.screening.rule import name_of
from contact_sanitizer.screening.verdict import primary_reasons
from contact_sanitizer.terms import KEYED, Use

#: Which delivery holds a content: the same request, answered the same, is the same delivery.
CONTENT: Final = "content"
FORMATS: Final = ("csv", "jsonl", "parquet")


@dataclass(frozen=True, slots=True)
class DeliveryRequest:
    """What is asked for; as it was typed."""

    list_id: str
    sender: str
    purpose: str
    form: Form = Form.TOKEN
    format: str = "csv"


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery, where its file is, and whether it had been made before."""

    delivery: Delivery
    place: str
    again: bool


def deliver(
    request: DeliveryRequest, desk: DeliveryDesk, lists: Callable[[ListEntry], ListShelf]
) -> Delivered:
    """Deliver a list: its file appears whole or not at all, and not before its event is kept.

    The same request of one day, answered the same way, is the same delivery. `lists` says where a list is.
    Raises `DeliveryError` for what is refused, and the package's other errors; then nothing was delivered,
    and that is an event too.
    """
    about: dict[str, Any] = {}
    try:
        order = _order(request, desk, lists, about)
        desk.announce(Action.DELIVERY_BEGUN, **about)
        with desk.shelf.begin() as sink:
            return _make(order, desk, sink)
    except BaseException as error:
        code = error.code if isinstance(error, ContactSanitizerError) else "interrupted"
        denied = isinstance(error, DeliveryError) or code == "list_unknown"
        action = Action.DELIVERY_DENIED if denied else Action.DELIVERY_FAILED
        desk.announce(action, outcome=Outcome.FAILURE, **about, code=code)
        raise


@dataclass(frozen=True, slots=True)
class _Order:
    """A request that may be granted."""

    delivery_id: ListId
    entry: ListEntry
    shelf: ListShelf
    sender: Sender
    form: Form
    format: str
    use: Use
    now: int

    @property
    def identity(self) -> bytes:
        """What was asked for, and on which day."""
        asked = [self.entry.list_id, self.sender.name, self.use.rule.purpose, self.form, self.format]
        return identity_of([*asked, self.sender.seal_to], self.now // 1000)


def _order(
    request: DeliveryRequest,
    desk: DeliveryDesk,
    lists: Callable[[ListEntry], ListShelf],
    about: dict[str, Any],
) -> _Order:
    """Everything that can be refused before the list is read; fills in what the audit may know."""
    now = desk.clock()
    sender = SenderDesk(desk.records, desk.announce).find(request.sender)
    about |= {"sender": plain_word(sender.name), "audience": plain_word(sender.own_audience)}
    sender.authorize(request.purpose, request.form.right, now // 1000)
    # Not before: what was typed for a purpose may be anything.
    about |= {"purpose": plain_word(name_of(request.purpose))}
    about |= {"form": request.form.value, "sealed": sender.seal_to is not None}
    list_id = parse_list_id(request.list_id)
    entry = Catalogue(desk.records).get(list_id) if list_id else None
    if entry is None:
        raise OutputError("list_unknown", "no list of that id was made here")
    about |= {"list_id": entry.list_id}
    if name_of(request.purpose) != entry.terms.use.rule.purpose:
        raise DeliveryError("purpose_refused", "the list was made for another purpose")
    check_form(request.form, entry.terms)
    if request.format not in FORMATS:
        raise DeliveryError("form_refused", "a delivery is written as csv, jsonl or parquet")
    delivery_id = desk.new_id()
    about |= {"delivery_id": delivery_id, "format": request.format}
    use = entry.terms.use_by(sender.name)
    return _Order(delivery_id, entry, lists(entry), sender, request.form, request.format, use, now)


def _make(order: _Order, desk: DeliveryDesk, sink: DeliverySink) -> Delivered:
    """From the registry's view to the visible file; each step may be repeated after a crash."""
    manifest = _manifest(order, desk)
    with desk.registry.screening(order.use.rule, order.now // 1000) as screening:
        draft, content = _render(order, manifest, desk, sink, screening)
    sink.check()
    deliveries = Deliveries(desk.records)
    known = desk.records.get(CONTENT, content)
    if known is None:
        _spend_rows(order, desk.records, draft.rows)
        desk.records.put(CONTENT, content, {"delivery_id": order.delivery_id}, after=0)
        known = desk.records.get(CONTENT, content)
    delivery_id = ListId(str(known.document["delivery_id"])) if known else order.delivery_id
    sink.keep_people(delivery_id)
    # Tokens can be redeemed as soon as the file is visible, and recalled: both rest on what is kept here.
    Catalogue(desk.records).enter_use(order.sender.own_audience, order.use)
    delivery = deliveries.enter(replace(draft, delivery_id=delivery_id))
    _require_present(order, manifest)
    _announce(order, desk, delivery, draft, content)
    place = sink.publish(delivery_id)
    again = delivery.state == "delivered"
    made = deliveries.change(
        delivery_id, lambda known: replace(known, state="delivered", sha256=draft.sha256, bytes=draft.bytes)
    )
    return Delivered(made, place, again)


def _manifest(order: _Order, desk: DeliveryDesk) -> bytes:
    """The manifest, by which the list is read.

    Whoever can write where the list is could alter both alike; the catalogue keeps what was made. Raises
    `OutputError`: `list_damaged` for another than was made, `list_unknown` where there is none.
    """
    list_id = ListId(order.entry.list_id)
    present = order.shelf.manifest(list_id)
    if present is None:
        raise OutputError("list_unknown", "that list was not finished, or is no longer there")
    entry = Catalogue(desk.records).get(list_id)
    if entry and entry.manifest and entry.manifest.encode() != present:
        raise OutputError("list_damaged", "the list is not what was made, or is being erased from")
    return present


def _require_present(order: _Order, manifest: bytes) -> None:
    """Nothing where the list is what it was when it was read; else `OutputError` (`list_busy`).

    Asked after the delivery is entered: whoever erases a person from the list finds the delivery, or the
    delivery finds that the list was written anew.
    """
    if order.shelf.manifest(ListId(order.entry.list_id)) != manifest:
        raise OutputError("list_busy", "the list was written anew meanwhile; ask for it again")


def _announce(order: _Order, desk: DeliveryDesk, delivery: Delivery, draft: Delivery, content: str) -> None:
    """Say that the file is about to be visible."""
    digests = {"content": content, "people": delivery.people}
    if draft.sealed or order.form is Form.TOKEN or (order.form is Form.HASH and draft.hash_as == KEYED):
        # The bare digest of a short file of numbers would give them away to whoever tries them all.
        digests["file"] = draft.sha256
    desk.announce(
        Action.DELIVERY_PUBLISHED,
        list_id=draft.list_id,
        delivery_id=delivery.delivery_id,
        sender=plain_word(draft.sender),
        audience=plain_word(draft.audience),
        purpose=plain_word(draft.purpose),
        counts={"rows": draft.rows, **draft.refused},
        registry_change=draft.change,
        digests=digests,
        key_ids=(desk.keyring.primary.id,),
        form=draft.form.value,
        format=draft.format,
        sealed=draft.sealed,
    )


def _render(
    order: _Order, manifest: bytes, desk: DeliveryDesk, sink: DeliverySink, screening: Screening
) -> tuple[Delivery, str]:
    """Write both files, all but visible; returns the delivery and the keyed digest of what it says."""
    terms, list_id = order.entry.terms, ListId(order.entry.list_id)
    columns = list(terms.columns)
    file, note = sink.content(), sink.people()
    with DeliveryContent(file, order.sender.seal_to, desk.keyring, order.identity) as content:
        writer = clean_writer(order.format, content, columns, order.form.value)
        clean = CleanList(order.shelf, list_id, manifest, terms.format, columns)
        rendering = _Rendering(order, desk, screening, clean, writer, PeopleWriter(note))
        for part in _metered(clean.parts(), desk.meter):
            rendering.add(part)
        with desk.meter("finish"):
            writer.finish()
            content.finish()
            note.close()
    delivery = Delivery(
        order.delivery_id,
        list_id,
        order.sender.name,
        order.use.rule.purpose,
        order.sender.own_audience,
        order.form,
        order.format,
        order.sender.seal_to is not None,
        terms.hash_as,
        as_of=order.now,
        change=screening.standing.change,
        rows=rendering.delivered,
        refused=dict(rendering.refused),
        sha256=file.sha256,
        bytes=file.size,
        people=note.hexdigest,
        use=order.use,
    )
    return delivery, content.digest


class _Rendering:
    """Takes a list's rows in order: who may be delivered is written, who may not is counted."""

    def __init__(
        self,
        order: _Order,
        desk: DeliveryDesk,
        screening: Screening,
        clean: CleanList,
        writer: CleanWriter,
        people: PeopleWriter,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.delivered = 0
        self._order = order
        self._meter = desk.meter
        self._screening = screening
        self._hands = Hands(desk.keyring, order.entry.terms, order.sender.own_audience, order.form)
        self._clean = clean
        self._writer = writer
        by_line = self._hands.keep_lines and order.format == clean.format
        self._line_writer = writer if by_line and isinstance(writer, LineWriter) else None
        self._people = people

    def add(self, rows: CleanRows | CleanLines) -> None:
        """Some rows of the list."""
        with self._meter("open"):
            opened = self._hands.open(rows.tokens)
            candidates = Candidates.of(opened.subjects, opened.blocks)
        with self._meter("screen"):
            bits = self._order.use.weigh(self._screening.screen(candidates), self._order.now // 1000)
            counts = np.bincount(primary_reasons(bits), minlength=len(Reason))
            self.refused.update({r.word: int(counts[r]) for r in Reason if r and counts[r]})
        sorting = candidates.needles.order
        if bits.any():
            kept = bits == 0
            places = np.cumsum(kept) - 1
            rows = rows.only(kept)
            opened = opened.only(kept)
            sorting = places[sorting[kept[sorting]]]
        self._write(rows, opened, sorting)

    def _write(self, rows: CleanRows | CleanLines, opened: Opened, sorting: NDArray[np.int64]) -> None:
        """Rows that are delivered; `sorting` is their order by subject."""
        self.delivered += len(opened.blocks)
        with self._meter("tokens"):
            wires, lead = self._hands.render(opened.blocks, self._order.format)
        with self._meter("write"):
            self._write_rows(rows, lead)
        with self._meter("people"):
            self._people.write(opened.subjects, sorting, wires)

    def _write_rows(self, rows: CleanRows | CleanLines, lead: Lead) -> None:
        if isinstance(rows, CleanLines) and self._line_writer:
            self._line_writer.write_lines(rows.with_tokens(lead))
        else:
            self._writer.write(lead, self._hands.columns(self._clean.cells(rows).columns))


def _metered(batches: Iterator[CleanRows | CleanLines], meter: Meter) -> Iterator[CleanRows | CleanLines]:
    while True:
        with meter("read"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _spend_rows(order: _Order, records: Records, rows: int) -> None:
    """Count the rows of a delivery that was not made before; `DeliveryError` (`quota_exceeded`)."""
    limit = order.sender.quotas.rows_a_day
    counter = f"rows/{order.sender.name}/{day_of(order.now // 1000)}"
    if limit is not None and not records.spend(counter, rows, limit):
        raise DeliveryError("quota_exceeded", "the sender's rows of today would be exceeded")
