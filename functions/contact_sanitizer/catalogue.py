"""Which lists were made, how far, and under which terms their people may be contacted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeVar, get_args

from contact_sanitizer.errors import CatalogueError, RegistryError
from contact_sanitizer.listid import ListId
from contact_sanitizer.ports import Record, Records
from contact_sanitizer.screening.rule import name_of
from contact_sanitizer.terms import ListTerms, Use

T = TypeVar("T")
State = Literal["making", "made", "failed", "forgotten"]
LIST: Final = "list"
USE: Final = "use"
_LARGEST: Final = 1 << 53
_NUMBERS: Final = ("started_at", "registry_change", "key_id", "rows", "kept", "dropped", "rejected")


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One list: what its first attempt settled for all attempts, how far it is, and its rows by outcome.

    `started_at`, `policy_sha256`, `registry_change` (the registry as it was then), `snapshot` (which one of
    it is stated; empty: the view's choice) and `key_id` (what protects) decide its bytes.
    `state`: `forgotten` where nobody looks for the list any more, nor may go on with it.
    `manifest`: its text, kept before anything is published; empty until then. `place`: its shelf's.
    """

    list_id: str
    state: State
    policy: str
    started_at: int
    place: str
    terms: ListTerms
    policy_sha256: str
    registry_change: int
    key_id: int
    snapshot: str = ""
    manifest: str = ""
    rows: int = 0
    kept: int = 0
    dropped: int = 0
    rejected: int = 0


def changed_document(
    records: Records,
    place: tuple[str, str],
    read: Callable[[Record], T],
    stated: Callable[[T], Mapping[str, Any]],
    change: Callable[[T], T],
) -> T | None:
    """Replaces the document of that kind and name by what `change` makes of it; what stands then.

    None where there is none. Whoever was faster is read, and `change` asked again.
    """
    while record := records.get(*place):
        present = read(record)
        changed = change(present)
        if changed == present or records.put(*place, stated(changed), after=record.version):
            return changed
    return None


class Catalogue:
    """The lists of one tenant, on its records. Every fault is a `CatalogueError`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def claim(self, entry: ListEntry) -> ListEntry:
        """The entry under which the list is made: that of its first attempt, which may be this one."""
        known = entry if self._records.put(LIST, entry.list_id, _document(entry), after=0) else None
        return known or self.get(ListId(entry.list_id)) or self.claim(entry)

    def change(self, list_id: ListId, change: Callable[[ListEntry], ListEntry]) -> ListEntry:
        """Replaces a claimed list's entry by what `change` makes of it; the entry that stands then."""
        changed = changed_document(self._records, (LIST, list_id), _entry, _document, change)
        if changed is None:
            raise CatalogueError("catalogue_damaged", f"the catalogue lost its entry of list {list_id}")
        return changed

    def get(self, list_id: ListId) -> ListEntry | None:
        """The entry of a list, or None."""
        record = self._records.get(LIST, list_id)
        return _entry(record) if record else None

    def entries(self, after: str = "") -> Iterator[ListEntry]:
        """All entries, or those of lists after that one, oldest first."""
        return (_entry(record) for record in self._records.named(LIST, "", after))

    def enter_use(self, audience: str, use: Use) -> None:
        """Remember that tokens of an audience are used like this; before any of them is handed out."""
        self._records.put(USE, f"{audience}/{use.rule.purpose}/{use.key}", use.document(), after=0)

    def uses(self, audience: str, purpose: str) -> list[Use]:
        """All that has to be asked about a token of an audience that is used for a purpose."""
        try:
            return [Use.of(r.document) for r in self._records.named(USE, f"{audience}/{name_of(purpose)}/")]
        except (ValueError, TypeError, KeyError, RegistryError):
            raise CatalogueError("catalogue_damaged", "the catalogue's entry of a use is damaged") from None

    def audiences(self) -> Iterator[str]:
        """All audiences whose tokens are used, by name."""
        last = ""
        for record in self._records.named(USE):
            audience = record.name.partition("/")[0]
            if audience != last:
                yield audience
            last = audience


def _document(entry: ListEntry) -> dict[str, Any]:
    stated = {field.name: getattr(entry, field.name) for field in fields(entry)}
    return {**stated, "terms": entry.terms.document()}


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
    counts = [values.pop(name) for name in _NUMBERS]
    return (
        all(type(count) is int and 0 <= count < _LARGEST for count in counts)
        and all(isinstance(value, str) for value in values.values())
        and entry.state in get_args(State)
    )


def _damaged(record: Record) -> CatalogueError:
    return CatalogueError("catalogue_damaged", f"the catalogue's entry of list {record.name} is damaged")
