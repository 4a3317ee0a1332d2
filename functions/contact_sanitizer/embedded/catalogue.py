"""Which lists were made: one small file a list in the home, replaced whole at each change of state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final, get_args

from contact_sanitizer.embedded.home import write_whole
from contact_sanitizer.errors import HomeError
from contact_sanitizer.listid import ListId, parse_list_id
from contact_sanitizer.ports import ListEntry, State

_COUNTS: Final = frozenset({"started_at", "rows", "kept", "dropped", "rejected"})


class CatalogueFolder:
    """The entries in a folder. A reader sees each entry whole, as it was before or after a change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, entry: ListEntry) -> None:
        """Record or replace one entry, on disk when this returns."""
        # ASCII: a place on disk need not be text, and its stray bytes have no UTF-8.
        data = json.dumps(asdict(entry)).encode() + b"\n"
        try:
            write_whole(self._folder / f"{entry.list_id}.json", data)
        except OSError:
            raise HomeError("home_unwritable", "the home folder cannot be written") from None

    def get(self, list_id: ListId) -> ListEntry | None:
        """The entry of a list, or None."""
        return _read(self._folder / f"{list_id}.json")

    def entries(self) -> Iterator[ListEntry]:
        """All entries, oldest first."""
        for path in sorted(self._folder.glob("*.json")):
            entry = _read(path) if parse_list_id(path.stem) else None
            if entry:
                yield entry


def _read(path: Path) -> ListEntry | None:
    try:
        stated: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entry = ListEntry(**stated)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        raise _damaged(path) from None
    if not _is_sound(entry) or entry.list_id != path.stem:
        raise _damaged(path)
    return entry


def _is_sound(entry: ListEntry) -> bool:
    """Whether each field is what it is declared to be."""
    values = {field.name: getattr(entry, field.name) for field in fields(entry)}
    counts = [values.pop(name) for name in _COUNTS]
    return (
        all(type(count) is int and 0 <= count < 1 << 53 for count in counts)
        and all(isinstance(value, str) for value in values.values())
        and entry.state in get_args(State)
    )


def _damaged(path: Path) -> HomeError:
    return HomeError("home_damaged", f"the catalogue's entry of list {path.stem} is damaged")
