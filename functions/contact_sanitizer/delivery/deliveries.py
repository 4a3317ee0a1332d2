"""What was delivered: one record a delivery, from before its file is visible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from contact_sanitizer.catalogue import changed_document
from contact_sanitizer.delivery.rendering import Form
from contact_sanitizer.errors import CatalogueError, DeliveryError
from contact_sanitizer.listid import ListId, parse_list_id
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.ports import Record, Records
from contact_sanitizer.terms import Use

DELIVERY: Final = "delivery"
#: Which deliveries a use had: `USE_KEY/DELIVERY`.
USED: Final = "used"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery.

    `as_of` (milliseconds), `change`: the moment and the registry's change number that it rests on; what
    comes later is in its recalls. `refused`: rows of the list left out, by reason. `sha256`,
    `bytes`: the sender's file. `people`: the digest of the note of its people. `state`: `making` until the
    file is visible; a delivery that stays so may have been seen, and has recalls like any other.
    """

    delivery_id: ListId
    list_id: ListId
    sender: str
    purpose: str
    audience: str
    form: Form
    format: str
    sealed: bool
    hash_as: str
    as_of: int
    change: int
    rows: int
    refused: Mapping[str, int]
    sha256: str
    bytes: int
    people: str
    use: Use
    state: str = "making"

    def shown(self) -> dict[str, Any]:
        """What is told about it."""
        stated = {**asdict(self), "form": self.form.value, "as_of": rfc3339(self.as_of)}
        for name in ("people", "use", "hash_as"):
            del stated[name]
        return {"delivery": stated.pop("delivery_id"), "list": stated.pop("list_id"), **stated}

    def document(self) -> dict[str, Any]:
        """The JSON object that is kept."""
        return {**asdict(self), "use": self.use.document()}


class Deliveries:
    """The deliveries of one tenant, on its records."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def enter(self, delivery: Delivery) -> Delivery:
        """Keep a delivery, before its file is visible; one that is kept already stays and is returned."""
        name = delivery.delivery_id
        if not self._records.put(DELIVERY, name, delivery.document(), after=0):
            return self.get(name)
        self._records.put(USED, f"{delivery.use.key}/{name}", {}, after=0)
        return delivery

    def change(self, delivery_id: str, change: Callable[[Delivery], Delivery]) -> Delivery:
        """Replace what is kept of a delivery by what `change` makes of it; the delivery that stands then."""
        place = DELIVERY, delivery_id
        changed = changed_document(self._records, place, _delivery, Delivery.document, change)
        if changed is None:
            raise CatalogueError("catalogue_damaged", "the catalogue lost its entry of a delivery")
        return changed

    def get(self, delivery_id: str) -> Delivery:
        """A delivery; `DeliveryError` (`delivery_unknown`) where there is none of that id."""
        known = parse_list_id(delivery_id)
        record = self._records.get(DELIVERY, known) if known else None
        if record is None:
            raise DeliveryError("delivery_unknown", "no delivery of that id was made here")
        return _delivery(record)

    def all(self, after: str = "") -> Iterator[Delivery]:
        """All deliveries, or those after that one, oldest first."""
        return (_delivery(record) for record in self._records.named(DELIVERY, "", after))

    def of_use(self, use: Use) -> Iterator[Delivery]:
        """The deliveries of one use, oldest first."""
        for record in self._records.named(USED, f"{use.key}/"):
            yield self.get(record.name.rpartition("/")[2])


def _delivery(record: Record) -> Delivery:
    try:
        stated = dict(record.document)
        stated["use"] = Use.of(stated["use"])
        stated["form"] = Form(stated["form"])
        delivery = Delivery(**stated)
    except Exception:  # noqa: BLE001 - whatever a damaged document makes of the parsers
        raise CatalogueError("catalogue_damaged", "the catalogue's entry of a delivery is damaged") from None
    if delivery.delivery_id != record.name:
        raise CatalogueError("catalogue_damaged", "the catalogue's entry of a delivery is damaged")
    return delivery
