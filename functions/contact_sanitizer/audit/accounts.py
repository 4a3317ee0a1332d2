"""What lies beside the log against what the log says: lists, their manifests, and deliveries."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from contact_sanitizer.audit.bare import rows_of_bare
from contact_sanitizer.audit.beside import CONTENT, FILE, PEOPLE, Kept, Open, lists_in
from contact_sanitizer.audit.replacements import Replacements
from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import ListId, moment_of
from contact_sanitizer.protection.digests import note_digest

_ACTION: Final = re.compile(rb'"api":\{"operation":"(list|delivery)\.published"\}')
_ROWS = re.compile(rb'"counts":\{[^{}]*"rows":(\d{1,15})[,}]')
_DIGESTS = re.compile(rb'"digests":(\{[^{}]*\})')
_ID: Final = {
    b"list": re.compile(rb'"list_id":"([0-9A-HJKMNP-TV-Z]{26})"'),
    b"delivery": re.compile(rb'"delivery_id":"([0-9A-HJKMNP-TV-Z]{26})"'),
}
_PIECE: Final = 1 << 20


@dataclass
class Published:
    """The digests that events announced, by id.

    A delivery that is made again on its day is announced again; encrypted, its file is another one each
    time, and each of them is a delivery's file. `rows`: how many it has. `replacements`: what erasures made
    of lists and notes since.
    """

    lists: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    deliveries: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    replacements: Replacements = field(default_factory=Replacements)

    def states(self, list_id: str) -> list[Mapping[str, Any]]:
        """What a list may be, as digests by word; none where it was never announced."""
        first = self.lists.get(list_id)
        return [] if first is None else self.replacements.states(list_id, first, "manifest")

    def digests(self, delivery_id: str) -> Mapping[str, set[str]] | None:
        """What the files of a delivery may be, by word; None where it was never announced."""
        announced = self.deliveries.get(delivery_id)
        if announced is None or PEOPLE not in announced:
            return announced
        notes = [{PEOPLE: digest} for digest in announced[PEOPLE]]
        states = [s for note in notes for s in self.replacements.states(delivery_id, note, PEOPLE)]
        return {**announced, PEOPLE: {str(state[PEOPLE]) for state in states}}

    def take(self, entry: bytes) -> None:
        """Take note of an entry, where it is one that announces a list or a delivery, or of an erasure."""
        self.replacements.take(entry)
        action = _ACTION.search(entry)
        if action is None:
            return
        named, digests = _ID[action.group(1)].search(entry), _DIGESTS.search(entry)
        if not named or not digests:
            return
        name, stated = named.group(1).decode(), json.loads(digests.group(1).decode())
        if action.group(1) == b"list":
            # Told again by another attempt it is the same event: a later one that differs changes nothing.
            self.lists.setdefault(name, stated)
            return
        if rows := _ROWS.search(entry):
            self.rows[name] = int(rows.group(1))
        for word, digest in stated.items():
            self.deliveries.setdefault(name, {}).setdefault(word, set()).add(digest)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A delivery as the catalogue tells of it: the digests of its file and of the note of its people.

    `keyed`: takes the keyed digest that events state as `content`, of a file that was not encrypted; empty
    where that cannot be done, as without the keys.
    """

    name: str
    file: str
    people: str
    keyed: Callable[[Open], str] = field(default=lambda _opened: "", compare=False)


@dataclass(frozen=True, slots=True)
class Notes:
    """Which notes of people have to be there: those of deliveries made from `since` on (milliseconds).

    `there`: what is kept of deliveries now.
    """

    since: int
    there: Callable[[], Iterable[Kept]]


@dataclass(frozen=True, slots=True)
class Compared:
    """Deliveries that agree with their events, and those of which that cannot be said.

    `elsewhere`: announced and not here, as a file that went to its sender, or expired. `uncompared`: those
    whose file is here, by id or as `file N` of the folder, but its digest was not announced, for it would
    give bare numbers away, or may not be read by us. `unfinished`: a note of people of a delivery that was
    never announced: nobody got it.
    """

    agreed: int
    elsewhere: int
    uncompared: tuple[str, ...] = ()
    unfinished: int = 0


def compare_lists(published: Published, folder: Path) -> tuple[int, int]:
    """Compare every list in `folder` with its event; see `compare_kept_lists`."""
    return compare_kept_lists(published, lists_in(folder))


def compare_kept_lists(published: Published, kept: Iterable[Kept]) -> tuple[int, int]:
    """Compare lists with their events: (lists that agree, announced lists that are not here).

    `AuditError`: `list_unannounced` for a list without an event, `list_altered` where a manifest or a file is
    not the one that was announced.
    """
    found = set[str]()
    for one in kept:
        if one.name not in published.lists:
            raise AuditError("list_unannounced", f"list {one.name} was published without an audit event")
        _compare_list(one, published.states(one.name))
        found.add(one.name)
    return len(found), len(published.lists) - len(found)


def _compare_list(kept: Kept, states: Sequence[Mapping[str, Any]]) -> None:
    manifest = _digest(kept.files["manifest"]) if "manifest" in kept.files else ""
    digests = next((state for state in states if state["manifest"] == manifest), None)
    if digests is None:
        raise AuditError(
            "list_altered", f"the manifest of list {kept.name} is not the one that was announced"
        )
    for word in sorted(kept.files.keys() | digests.keys()):
        if word not in kept.files or _digest(kept.files[word]) != digests.get(word):
            raise AuditError("list_altered", f"a file of list {kept.name} is not the one that was announced")


def compare_deliveries(
    published: Published,
    kept: Iterable[Kept],
    recorded: Iterable[Recorded] = (),
    notes: Notes | None = None,
) -> Compared:
    """Compare deliveries, and what the catalogue records of them, with their events.

    `AuditError`: `delivery_unannounced` for one that was handed out without an event, `delivery_altered`
    where its file, its note or its record is not what was announced, `people_missing` where one of `notes`
    is not there.
    """
    comparison = _Deliveries(published)
    for record in recorded:
        comparison.take_record(record)
    for one in kept:
        comparison.take(one)
    if notes:
        comparison.require(notes)
    elsewhere = len(published.deliveries.keys() - comparison.here)
    return Compared(len(comparison.agreed), elsewhere, tuple(comparison.uncompared), comparison.unfinished)


class _Deliveries:
    """One comparison. `here`: of which a file lies there, as told apart by name or by digest."""

    def __init__(self, published: Published) -> None:
        self.here: set[str] = set()
        self.agreed: set[str] = set()
        self._noted: set[str] = set()
        #: As a set that keeps the order.
        self.uncompared: dict[str, None] = {}
        self.unfinished = 0
        self._recorded: dict[str, Recorded] = {}
        self._bare: dict[str, int] = {}
        self._published = published
        self._by_file = {
            digest: name for name, digests in published.deliveries.items() for digest in digests.get(FILE, ())
        }

    def take_record(self, record: Recorded) -> None:
        announced = self._published.digests(record.name)
        if announced is None:
            raise _unannounced(Kept(record.name, {}))
        for word, digest in ((FILE, record.file), (PEOPLE, record.people)):
            if digest not in announced.get(word, {digest}):
                raise _altered(record.name, "the record")
        # Bare numbers are announced without their file's digest; then the record's is the best there is.
        self._by_file.setdefault(record.file, record.name)
        self._recorded[record.name] = record

    def take(self, kept: Kept) -> None:
        digest = "" if kept.name else _digest(kept.files[FILE])
        name = kept.name or self._by_file.get(digest, "")
        announced = self._published.digests(name)
        if announced is None:
            if FILE in kept.files:
                if kept.name or not self._may_be_bare(digest, kept.files[FILE]):
                    raise _unannounced(kept)
                self.uncompared[str(kept)] = None
                return
            self.unfinished += bool(kept.files)
            return
        self.here.add(name)
        if PEOPLE in kept.files:
            self._noted.add(name)
        agreed = [self._fits(name, word, opened, announced) for word, opened in kept.files.items()]
        if not all(agreed):
            self.uncompared[str(kept)] = None
        if agreed and all(agreed):
            self.agreed.add(name)

    def require(self, notes: Notes) -> None:
        """Raises where a note is gone that has to be there: who is on it can be recalled no more."""
        missing = {
            name
            for name, announced in self._published.deliveries.items()
            # An id begins with a moment before its note was kept, which a note outlives by its whole term.
            if PEOPLE in announced and moment_of(ListId(name)) >= notes.since and name not in self._noted
        }
        if missing:
            # One that was made meanwhile is in the log already, and was not there yet to be listed.
            missing -= {kept.name for kept in notes.there() if PEOPLE in kept.files}
        if missing:
            more = f" (and of {len(missing) - 1:,} more)" if len(missing) > 1 else ""
            message = (
                f"the note of the people of delivery {min(missing)}{more} is gone: nobody on it is recalled"
            )
            raise AuditError("people_missing", message)

    def _may_be_bare(self, digest: str, opened: Open) -> bool:
        """Whether a file can be one of bare numbers that was announced: each such delivery has one file.

        Of what the catalogue records the file's digest is known, and this is none of those.
        """
        if digest in self._bare:
            return True
        rows = rows_of_bare(opened)
        announced = sum(
            FILE not in digests and name not in self._recorded and self._published.rows.get(name) == rows
            for name, digests in self._published.deliveries.items()
        )
        if rows is None or announced <= list(self._bare.values()).count(rows):
            return False
        self._bare[digest] = rows
        return True

    def _fits(self, name: str, word: str, opened: Open, announced: Mapping[str, set[str]]) -> bool:
        """Whether a file is shown to be the announced one; False where nothing says so or otherwise."""
        digest: str | None
        try:
            if word in announced:
                digest, known = _digest(opened, note_digest if word == PEOPLE else sha256), announced[word]
            else:
                digest, known = self._keyed(name, word, opened), announced.get(CONTENT, set())
        except AuditError as error:
            if error.code != "kept_denied":
                raise
            return False
        if digest is None:
            return False
        if digest not in known:
            raise _altered(name, "the file" if word == FILE else "the note of the people")
        return True

    def _keyed(self, name: str, word: str, opened: Open) -> str | None:
        """The keyed digest of a sender's file; None where there are no keys to take it."""
        if word != FILE or name not in self._recorded:
            return None
        return self._recorded[name].keyed(opened) or None


def _unannounced(kept: Kept) -> AuditError:
    said = f"delivery {kept.name} was made without an audit event"
    if not kept.name:
        said = f"{kept} (counted by name) is none that was announced"
    return AuditError("delivery_unannounced", said)


def _altered(name: str, what: str) -> AuditError:
    return AuditError("delivery_altered", f"{what} of delivery {name} is not what was announced")


def _digest(opened: Open, make: Callable[[], Any] = sha256) -> str:
    """The digest of a file's bytes; empty where it cannot be read here, so that it fits nothing."""
    digest = make()
    try:
        with opened() as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError:
        return ""
    return str(digest.hexdigest())
