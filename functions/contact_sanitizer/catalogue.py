"""Which lists were made, how far, and under which terms their people may be contacted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

from contact_sanitizer.errors import CatalogueError
from contact_sanitizer.listid import ListId
from contact_sanitizer.policy_words import Action, Evidence
from contact_sanitizer.ports import Record, Records
from contact_sanitizer.screening.rule import Rule

State = Literal["making", "made", "failed"]
LIST: Final = "list"
_LARGEST: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class ListTerms:
    """What a list's policy said of its people, kept because the policy's file may be gone at delivery.

    `columns`: what was done to each column of the clean list, in order. `hash_as`: `keyed` or the word of
    the contract under which numbers may be handed out hashed. `phones`: whether they may be handed out.
    """

    rule: Rule
    evidence: Evidence
    audience: str
    columns: Mapping[str, Action]
    format: str
    hash_as: str
    phones: bool

    def document(self) -> dict[str, Any]:
        """The JSON object that `of` reads."""
        rule = {**asdict(self.rule), "scopes": sorted(self.rule.scopes)}
        # A list of pairs: the store sorts keys, and the columns have an order.
        return {**asdict(self), "rule": rule, "columns": [list(pair) for pair in self.columns.items()]}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ListTerms:
        """The terms that a document states; `ValueError`, `TypeError` or `KeyError` where it states none."""
        rule = {**document["rule"], "scopes": frozenset(document["rule"]["scopes"])}
        columns = {str(name): Action(action) for name, action in document["columns"]}
        stated = {**document, "rule": Rule(**rule), "columns": columns}
        return cls(**{**stated, "evidence": Evidence(document["evidence"])})


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One list: its state, its policy's name, its shelf's place, and its rows by outcome once it is made."""

    list_id: str
    state: State
    policy: str
    started_at: int
    place: str
    terms: ListTerms
    rows: int = 0
    kept: int = 0
    dropped: int = 0
    rejected: int = 0


class Catalogue:
    """The lists of one tenant, on its records. Every fault is a `CatalogueError`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def put(self, entry: ListEntry) -> None:
        """Record or replace one entry, for good when this returns."""
        stated = {field.name: getattr(entry, field.name) for field in fields(entry)}
        document = {**stated, "terms": entry.terms.document()}
        while True:
            known = self._records.get(LIST, entry.list_id)
            if self._records.put(LIST, entry.list_id, document, after=known.version if known else 0):
                return

    def get(self, list_id: ListId) -> ListEntry | None:
        """The entry of a list, or None."""
        record = self._records.get(LIST, list_id)
        return _entry(record) if record else None

    def entries(self) -> Iterator[ListEntry]:
        """All entries, oldest first."""
        return (_entry(record) for record in self._records.named(LIST))


def _entry(record: Record) -> ListEntry:
    try:
        entry = ListEntry(**{**record.document, "terms": ListTerms.of(record.document["terms"])})
    except Exception:  # noqa: BLE001 - whatever a damaged document makes of the parsers
        raise _damaged(record) from None
    if not _is_sound(entry) or entry.list_id != record.name:
        raise _damaged(record)
    return entry


def _is_sound(entry: ListEntry) -> bool:
    """Whether each field is what it is declared to be."""
    values = {field.name: getattr(entry, field.name) for field in fields(entry) if field.name != "terms"}
    counts = [values.pop(name) for name in ("started_at", "rows", "kept", "dropped", "rejected")]
    return (
        all(type(count) is int and 0 <= count < _LARGEST for count in counts)
        and all(isinstance(value, str) for value in values.values())
        and entry.state in get_args(State)
    )


def _damaged(record: Record) -> CatalogueError:
    return CatalogueError("catalogue_damaged", f"the catalogue's entry of list {record.name} is damaged")
