"""Which lists were made: one small file a list in the home, replaced whole at each change of state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contact_sanitizer.embedded.home import write_whole
from contact_sanitizer.errors import HomeError
from contact_sanitizer.listid import ListId, parse_list_id
from contact_sanitizer.ports import ListEntry


class CatalogueFolder:
    """The entries in a folder. A reader sees each entry whole, as it was before or after a change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, entry: ListEntry) -> None:
        """Record or replace one entry, on disk when this returns."""
        data = json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"
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
        return ListEntry(**stated)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        raise HomeError("home_damaged", "an entry of the home's catalogue is damaged") from None
