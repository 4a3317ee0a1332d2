"""Who refused after they were delivered, told to the sender in its own tokens.

A delivery's recalls are a feed that only grows: once told, a person stays recalled there, whatever comes
later. A cursor is a place in the feed. The sender acknowledges up to a place and gets a receipt; what stays
unacknowledged is there for the security reviewer to see.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.audit.events import Action, Outcome, plain_word
from contact_sanitizer.delivery.deliveries import Deliveries, Delivery
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.recallsearch import Among, Search
from contact_sanitizer.delivery.rendering import Form, hashes_of, phones_of
from contact_sanitizer.errors import CatalogueError, DeliveryError
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.protection.keyring import SubKey
from contact_sanitizer.protection.token_text import write_tokens
from contact_sanitizer.protection.tokens import token_associated_data
from contact_sanitizer.protection.wire import PREFIX_BYTES, WIRE_BYTES, BlockOpener
from contact_sanitizer.screening.recording import Candidates

RECALL: Final = "recall"
ACKNOWLEDGED: Final = "acknowledged"
GONE: Final = "people_gone"
DAMAGED: Final = "people_damaged"
LOST: Final = "people_missing"
_PAGE: Final = 50_000


@dataclass(frozen=True, slots=True, repr=False)
class Recalls:
    """A delivery's recalls after a cursor: what the sender calls each person, and when it was found.

    Who was erased since is passed over. `cursor`: where to go on next time. `acknowledged`: up to where the
    sender has said that it knows.
    """

    delivery: Delivery
    names: list[str]
    found_at: list[int]
    cursor: int
    acknowledged: int

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Recalls({len(self)})"

    def lines(self) -> Iterator[dict[str, str]]:
        """One object a recalled person, e.g. `{"token": …, "recalled_at": …}`."""
        for name, at in zip(self.names, self.found_at, strict=True):
            yield {self.delivery.form.value: name, "recalled_at": rfc3339(at)}


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a sender knows of a delivery's recalls up to a cursor. `at`: milliseconds."""

    delivery_id: str
    cursor: int
    at: int
    by: str
    receipt: str


@dataclass(frozen=True, slots=True)
class Pending:
    """Recalls that a sender has not acknowledged; `since` (milliseconds): the earliest refusal among them."""

    delivery_id: str
    sender: str
    unacknowledged: int
    since: int


@dataclass(frozen=True, slots=True)
class Untold:
    """A delivery whose recalls cannot be told, for its people cannot be read. `why`: an error's code.

    `people_gone`: they are not there, although they have to be; `people_damaged`: not what was written.
    """

    delivery_id: str
    sender: str
    why: str


def show_recalls(delivery_id: str, desk: DeliveryDesk, after: int = 0) -> Recalls:
    """A delivery's recalls after the cursor `after`, found by asking the registry now.

    Raises `DeliveryError`: `delivery_unknown`, `cursor_refused`, `people_damaged`; an event too.
    """
    about: dict[str, Any] = {}
    try:
        delivery = Deliveries(desk.records).get(delivery_id)
        about = _about(delivery)
        feed = _refreshed(delivery, desk, after)
        recalls = _rendered(delivery, feed, desk, after)
    except DeliveryError as error:
        desk.announce(Action.RECALLS_DENIED, outcome=Outcome.FAILURE, code=error.code, **about)
        raise
    counts = {"recalls": len(recalls), "all": recalls.cursor}
    desk.announce(Action.RECALLS_SHOWN, counts=counts, **about)
    return recalls


def acknowledge(delivery_id: str, desk: DeliveryDesk, cursor: int | None = None) -> Receipt:
    """The sender's receipt for the recalls that were found so far, or up to `cursor`.

    Acknowledging what is acknowledged gives the receipt that there is. Raises `DeliveryError`:
    `delivery_unknown`, `cursor_refused` for a place beyond what was found.
    """
    about: dict[str, Any] = {}
    try:
        delivery = Deliveries(desk.records).get(delivery_id)
        about = _about(delivery)
        found = len(_pages(delivery, desk).places)
        upto = found if cursor is None else cursor
        _check_cursor(upto, found)
    except DeliveryError as error:
        desk.announce(Action.RECALLS_DENIED, outcome=Outcome.FAILURE, code=error.code, **about)
        raise
    desk.announce(Action.RECALLS_ACKNOWLEDGED, counts={"acknowledged": upto, "all": found}, **about)
    while True:
        record = desk.records.get(ACKNOWLEDGED, delivery.delivery_id)
        known = Receipt(**record.document) if record else None
        if known and known.cursor >= upto:
            return known
        made = Receipt(delivery.delivery_id, upto, desk.clock(), desk.actor, desk.new_id())
        version = record.version if record else 0
        if desk.records.put(ACKNOWLEDGED, delivery.delivery_id, asdict(made), after=version):
            return made


def pending_recalls(desk: DeliveryDesk, kept_since: int = 0) -> Iterator[Pending | Untold]:
    """Every delivery with recalls that its sender has not acknowledged, found by asking the registry now.

    Of a delivery whose people cannot be read, what was found while they could; it is `Untold` too, and that
    is an event, unless it is older than `kept_since` (milliseconds): then its people had to go.
    """
    for delivery in Deliveries(desk.records).all():
        found = look_for_recalls(delivery, desk)
        if found.untold and not (found.untold == GONE and delivery.as_of < kept_since):
            announce_untold(delivery, found.untold, desk)
            yield Untold(delivery.delivery_id, delivery.sender, found.untold)
        if found.pending:
            yield found.pending


def announce_untold(delivery: Delivery, why: str, desk: DeliveryDesk) -> None:
    """Tell the log that a delivery's recalls could not be looked for, whose people have to be there."""
    # That they are gone is said by everybody who asks late; that they are lost has to stand out.
    code = LOST if why == GONE else why
    desk.announce(Action.RECALLS_DENIED, outcome=Outcome.FAILURE, code=code, **_about(delivery))


@dataclass(frozen=True, slots=True)
class Found:
    """How many recalls a delivery has by now, and those that wait for the sender's word, if any.

    `untold`: why its people could not be read, as an error's code; then these are the recalls of before.
    """

    recalls: int
    pending: Pending | None
    untold: str = ""


def look_for_recalls(delivery: Delivery, desk: DeliveryDesk, among: Among | None = None) -> Found:
    """A delivery's recalls, found by asking the registry now, about those `among` its people or about all.

    Where its people cannot be read, those that were found before, and why.
    """
    untold = ""
    try:
        feed = _refreshed(delivery, desk, after=None, among=among)
    except DeliveryError as error:
        if error.code not in {GONE, DAMAGED}:
            raise
        feed, untold = _pages(delivery, desk), error.code
    known = _acknowledged(delivery, desk)
    if len(feed.places) <= known:
        return Found(len(feed.places), None, untold)
    since = min(feed.since[known:].tolist())
    waiting = Pending(delivery.delivery_id, delivery.sender, len(feed.places) - known, since)
    return Found(len(feed.places), waiting, untold)


@dataclass(frozen=True, slots=True)
class PersonRecalled:
    """One person's recall: when it was found (milliseconds), and whether the sender acknowledged it."""

    found_at: int
    acknowledged: bool


def recall_at(place: int, delivery: Delivery, desk: DeliveryDesk) -> PersonRecalled | None:
    """The recall, as far as one was found, of the person at this place in the delivery's note."""
    feed = _pages(delivery, desk)
    found = np.flatnonzero(feed.places == place).tolist()
    if not found:
        return None
    return PersonRecalled(int(feed.found_at[found[0]]), found[0] < _acknowledged(delivery, desk))


def is_recall_due(subject: bytes, block: bytes, delivery: Delivery, desk: DeliveryDesk) -> bool:
    """Whether a person who was delivered would be recalled if somebody looked now; nothing is written."""
    now = desk.clock() // 1000
    candidates = Candidates.of(*(np.frombuffer(each, np.uint8).reshape(1, 16) for each in (subject, block)))
    with desk.registry.screening(replace(delivery.use.rule, register_max_age_days={}), now) as screening:
        return bool(delivery.use.weigh(screening.screen(candidates), now).any())


@dataclass(frozen=True, slots=True, repr=False)
class _Feed:
    """All recalls found so far, in the order in which they are told.

    `places`: where each stands in the note; `found_at`, `since`: when it was found, when people of its page
    had refused at the earliest (milliseconds). `wires`: by place, for those that are to be shown.
    """

    places: NDArray[np.int64]
    found_at: NDArray[np.int64]
    since: NDArray[np.int64]
    pages: int
    wires: dict[int, bytes]


def _about(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "list_id": delivery.list_id,
        "sender": plain_word(delivery.sender),
        "audience": plain_word(delivery.audience),
        "purpose": plain_word(delivery.purpose),
    }


def _check_cursor(cursor: int, found: int) -> None:
    if not 0 <= cursor <= found:
        raise DeliveryError("cursor_refused", "the cursor is not one of that delivery's recalls")


def _acknowledged(delivery: Delivery, desk: DeliveryDesk) -> int:
    record = desk.records.get(ACKNOWLEDGED, delivery.delivery_id)
    return int(record.document["cursor"]) if record else 0


def _pages(delivery: Delivery, desk: DeliveryDesk) -> _Feed:
    """The feed as it was kept."""
    places, found_at, since, pages = [np.empty(0, np.int64)], [], [], 0
    try:
        for record in desk.records.named(RECALL, f"{delivery.delivery_id}/"):
            packed = np.frombuffer(base64.b64decode(record.document["places"]), "<u4").astype(np.int64)
            places.append(packed)
            found_at += [int(record.document["at"])] * len(packed)
            since += [int(record.document["since"])] * len(packed)
            pages += 1
    except (KeyError, ValueError, TypeError):
        raise CatalogueError("catalogue_damaged", "the catalogue's entry of a recall is damaged") from None
    return _Feed(
        np.concatenate(places), np.array(found_at, np.int64), np.array(since, np.int64), pages, wires={}
    )


def _refreshed(
    delivery: Delivery, desk: DeliveryDesk, after: int | None, among: Among | None = None
) -> _Feed:
    """The feed with what the registry says now; with the wires of what comes after the cursor `after`."""
    while True:
        feed = _pages(delivery, desk)
        shown = feed.places[after:] if after is not None else feed.places[:0]
        if after is not None:
            _check_cursor(after, len(feed.places))
        search = Search(delivery, desk, feed.places, shown, among)
        news = search.run()
        if not len(news):
            return replace(feed, wires=search.wires)
        page = news[:_PAGE]
        document = {
            "at": desk.clock(),
            "since": search.since,
            "places": base64.b64encode(page.astype("<u4").tobytes()).decode(),
        }
        desk.announce(Action.RECALLS_FOUND, counts={"recalls": len(page)}, **_about(delivery))
        # Whoever was faster has written this page: then it is read, and the rest found anew.
        desk.records.put(RECALL, f"{delivery.delivery_id}/{feed.pages:06}", document, after=0)


def _rendered(delivery: Delivery, feed: _Feed, desk: DeliveryDesk, after: int) -> Recalls:
    shown = zip(feed.places[after:].tolist(), feed.found_at[after:].tolist(), strict=True)
    # Those who were erased since keep their place in the feed, and nothing else.
    told = [(feed.wires[place], at) for place, at in shown if any(feed.wires[place][PREFIX_BYTES:])]
    wires = np.frombuffer(b"".join(wire for wire, _ in told), np.uint8).reshape(-1, WIRE_BYTES)
    names = _names(delivery, wires, desk)
    found_at = [at for _, at in told]
    return Recalls(delivery, names, found_at, len(feed.places), _acknowledged(delivery, desk))


def _names(delivery: Delivery, wires: NDArray[np.uint8], desk: DeliveryDesk) -> list[str]:
    """What the sender calls these people: what its file holds of them."""
    if delivery.form is Form.TOKEN:
        return [text.tobytes().decode("ascii") for text in write_tokens(wires)]
    data = token_associated_data(desk.keyring.tenant, delivery.audience)
    blocks, refusals = BlockOpener(desk.keyring, SubKey.TOKEN, data).open(wires)
    if refusals.any():
        raise DeliveryError("list_key_destroyed", "the key of the delivery's people was destroyed")
    if delivery.form is Form.HASH:
        hashes: list[str] = hashes_of(blocks, desk.keyring, delivery.hash_as).to_pylist()
        return hashes
    phones: list[str] = phones_of(blocks, plus=delivery.format != "csv").to_pylist()
    return phones
