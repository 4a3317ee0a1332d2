"""Segments: where writers put events before their effects, and where they wait for the seal.

A segment is an immutable object of one or more event lines at `segments/ID`, named for its first event's id.
Ids begin with the time, so names sort as the events came. Writers need no order and no lock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.tiles import LONGEST_ENTRY
from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import parse_list_id, sortable_id

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects

FOLDER: Final = "segments/"
LATE: Final = "late/"
LARGEST_SEGMENT: Final = 1024
"""Events in one segment."""
_ID = re.compile(rb"[0-9A-HJKMNP-TV-Z]{26}\"")
_TIME = re.compile(rb"(\d{1,16}),")
METADATA: Final = b'"metadata":{"correlation_uid":"'
"""What stands before the first id of a line."""


def append(objects: Objects, events: Sequence[Event]) -> bool:
    """Keep the events for good, as one segment, or raise `AuditError`: then their effect must not happen.

    An event whose id is there already was announced before, and stays as it was said first; whether it was
    not.
    """
    if not 0 < len(events) <= LARGEST_SEGMENT:
        raise AssertionError("a segment has at least one event, and not more than a seal can plan for")
    data = b"".join([event.line() for event in events])
    if any(len(line) > LONGEST_ENTRY for line in data.splitlines()):
        raise AuditError("audit_unwritable", "an audit event is too long to be kept")
    key = FOLDER + events[0].uid
    for earlier in (False, True):
        if objects.put(key, data, absent=True):
            return not earlier
        if objects.get(key) is not None:
            return False
        # sealed and let go of between the two looks: put once more, for the seal takes no event twice
    raise AuditError("audit_unwritable", "the audit log cannot be written, so nothing was done")


def note_late(objects: Objects, name: str, at: int) -> None:
    """Say that a segment was put at a moment (milliseconds) that is much later than its name says.

    Say it of new segments alone: of one that was sealed long ago the seal would not know it.
    """
    objects.put(f"{LATE}{sortable_id(at, b'')}/{name}", b"", absent=True)


def noted_late(objects: Objects, since: int) -> Iterator[str]:
    """The names that were noted from `since` on (milliseconds)."""
    for key in objects.keys(LATE, LATE + sortable_id(since, b"")):
        name = key.rpartition("/")[2]
        if parse_list_id(name):
            yield name


def waiting(objects: Objects, since: int = 0) -> Iterator[str]:
    """The ids of the segments that are there, of events from `since` on (milliseconds), ascending."""
    after = FOLDER + sortable_id(since, b"") if since > 0 else ""
    for key in objects.keys(FOLDER, after):
        name = key.removeprefix(FOLDER)
        if parse_list_id(name):
            yield name


def read(objects: Objects, name: str) -> list[bytes] | None:
    """The entries of one segment: its lines without their newlines; None where it is gone.

    `AuditError` (`audit_damaged`) where it is none.
    """
    data = objects.get(FOLDER + name)
    if data is None:
        return None
    lines = data.split(b"\n")
    if lines.pop() or not 0 < len(lines) <= LARGEST_SEGMENT or any(entry_id(line) is None for line in lines):
        raise AuditError("audit_damaged", "a segment of the audit log is damaged")
    if entry_id(lines[0]) != name:
        raise AuditError("audit_damaged", "a segment of the audit log has another's name")
    return lines


def order(name: str, entries: Sequence[bytes]) -> tuple[int, str]:
    """By what segments that are sealed together are put in order: the time of the first event, the name."""
    found = entry_id_and_time(entries[0])
    return (found[1] if found else 0), name


def entry_id(entry: bytes) -> str | None:
    """The id of the event in an entry; None where the entry is no event as this package writes them."""
    found = entry_id_and_time(entry)
    return found[0].decode() if found else None


def entry_id_and_time(entry: bytes) -> tuple[bytes, int] | None:
    """The id and the time (milliseconds since 1970 UTC) of the event in an entry, or None as above.

    Keys of canonical JSON stand in one order and words of events hold no quotes, so both are found without
    reading the whole object: a million of them have to take seconds.
    """
    metadata = entry.find(METADATA)
    uid = entry.find(b',"uid":"', metadata) + 8
    time = entry.find(b'"time":', uid) + 7
    if metadata < 0 or uid < 8 or time < 7 or not (entry.startswith(b"{") and entry.endswith(b"}")):
        return None
    number = _TIME.match(entry, time)
    if not number or not _ID.match(entry, uid):
        return None
    return entry[uid : uid + 26], int(number.group(1))
