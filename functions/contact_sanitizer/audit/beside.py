"""What lies beside the log: lists and deliveries, wherever they are kept, and those in a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from contact_sanitizer.listid import parse_list_id

MANIFEST: Final = "manifest.json"
FILE: Final = "file"
"""The word for a sender's file among a delivery's digests."""
PEOPLE: Final = "people"
"""The word for our note of a delivery's people."""
CONTENT: Final = "content"
"""The word for the keyed digest of what was asked for and handed out, before encryption."""
_DELIVERED: Final = {"content": FILE, "people": PEOPLE}
_NOTE = re.compile(r"([0-9A-Z]{26})\.people\Z")

Open = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Kept:
    """One list or delivery: its id, and how each of its files is opened, by the word of its digest.

    A file that only its digest can tell which delivery it is of has an empty `name`; `place`: which one of
    its folder's files it is, in words, counted by name. Names may hold anything, and are never repeated.
    """

    name: str
    files: Mapping[str, Open]
    place: str = ""

    def __str__(self) -> str:
        return self.name or self.place


def lists_in(folder: Path) -> Iterator[Kept]:
    """The lists in a folder, by id; folders of tenants one level down are looked into."""
    return map(list_at, _things(folder))


def list_at(place: Path) -> Kept:
    """The list in a folder that is named by its id."""
    files = {file.name.partition(".")[0]: file for file in _visible(place)}
    return Kept(place.name, {word: partial(_open, file) for word, file in sorted(files.items())})


def deliveries_in(folder: Path) -> Iterator[Kept]:
    """The deliveries in a folder: `ID.people` as a home keeps them, `ID/content` and `ID/people` as a bucket.

    Any other file is taken for one that a sender was given.
    """
    for place in _things(folder):
        files = {_DELIVERED[file.name]: file for file in _visible(place) if file.name in _DELIVERED}
        yield Kept(place.name, {word: partial(_open, file) for word, file in sorted(files.items())})
    for number, file in enumerate((file for file in _visible(folder) if not file.is_dir()), 1):
        found = _NOTE.match(file.name)
        note = found is not None and parse_list_id(found.group(1)) is not None
        name, word = (found.group(1), PEOPLE) if found and note else ("", FILE)
        yield Kept(name, {word: partial(_open, file)}, f"file {number}")


def _open(file: Path) -> BinaryIO:
    return file.open("rb")


def _things(folder: Path) -> Iterator[Path]:
    """The folders that are named by an id, here and in the folders of tenants."""
    for place in _visible(folder):
        if place.is_dir():
            inner = [place] if parse_list_id(place.name) else _visible(place)
            yield from (each for each in inner if parse_list_id(each.name) and each.is_dir())


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
