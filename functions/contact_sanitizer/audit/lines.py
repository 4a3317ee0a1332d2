"""Event lines read a bundle at a time, as columns: a million of them have to take seconds.

A log has few kinds of lines: who did what, with which outcome, in which version's words. All lines of one
kind have the same bytes but for two ids, the time and the particulars, so the first of a kind is read with
care and each further one compared with it. Whatever differs in the least is read with care by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, NamedTuple

from contact_sanitizer.audit.actions import Outcome
from contact_sanitizer.audit.segments import METADATA, entry_id_and_time

OUTCOMES: Final = {99: Outcome.BEGUN, 1: Outcome.SUCCESS, 2: Outcome.FAILURE}
"""By `status_id`."""
WORD: Final = r"[A-Za-z0-9_.:/%~\-]{0,600}"
"""What a word of an event matches."""
_ID_LENGTH: Final = 26
_ID_LETTERS: Final = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_LENGTH: Final = 13
"""Digits of a time in milliseconds, from 2001 to 2286."""
_MOST_SHAPES: Final = 4096
_EARLIEST: Final = 10 ** (_TIME_LENGTH - 1)
_N: Final = r"(?:0|[1-9]\d*)"
# A line as this package writes it, from `{` to `}`.
_PARTS: Final = (
    rf'{{"activity_id":{_N},"actor":{{"user":{{"uid":"({WORD})"}}}},"api":{{"operation":"({WORD})"}},',
    rf'"category_uid":{_N},"class_uid":{_N},(?:"entity":{{"type":"\w*","uid":"[\w.:/%~,\-]*"}},)?',
    r'"metadata":{"correlation_uid":"(\w*)",',
    r'"product":{"name":"[\w-]*","vendor_name":"[\w-]*","version":"[\w.]*"},',
    rf'"tenant_uid":"({WORD})","uid":"({WORD})","version":"[\w.]*"}},"severity_id":{_N},',
    rf'"src_endpoint":{{"svc_name":"[\w-]*"}},"status":"\w*",(?:"status_code":"\w*",)?"status_id":({_N}),',
    rf'(?:"table":{{"name":"\w*"}},)?"time":([1-9]\d{{0,15}}),(?:"type_id":{_N},)?"type_uid":{_N},',
    r'"unmapped":({.*})}\Z',
)
_LINE = re.compile("".join(_PARTS).encode(), re.DOTALL)


class Kind(NamedTuple):
    """What a line says beside its ids, its time and its particulars."""

    action: str
    outcome: Outcome
    principal: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Events that follow each other in the log from number `first` on, as columns of one length.

    `entries`: as they were sealed. `uids`: their ids. `times`: milliseconds since 1970 UTC. `kinds`: None for
    a line that this package would have written otherwise. `particulars`: where, in a line of a known kind,
    the JSON object of its particulars begins, which ends before the last byte.
    """

    first: int
    entries: Sequence[bytes]
    uids: Sequence[bytes]
    times: Sequence[int]
    kinds: Sequence[Kind | None]
    particulars: Sequence[int]

    def __len__(self) -> int:
        return len(self.uids)

    def upto(self, count: int) -> Lines:
        """The first so many of them."""
        columns = (self.entries, self.uids, self.times, self.kinds, self.particulars)
        return self if count == len(self) else Lines(self.first, *map(itemgetter(slice(count)), columns))


class _Shape(NamedTuple):
    """What all lines of a kind have in common: where their parts are, and what follows the first three."""

    kind: Kind
    correlated: int
    after_correlation: bytes
    uid: int
    identified: int
    after_uid: bytes
    time: int
    timed: int
    after_time: bytes
    particulars: int


class LineReader:
    """Reads the lines of one log. Remembers a bounded number of kinds."""

    def __init__(self) -> None:
        #: By all that stands before the first id.
        self._shapes: dict[bytes, _Shape] = {}

    def read(self, first: int, entries: Sequence[bytes]) -> Lines:
        """These entries as lines, the first of which has that number, up to one that is no event line."""
        ids: list[bytes] = []
        uids: list[bytes] = []
        times: list[bytes] = []
        kinds: list[Kind | None] = []
        places: list[int] = []
        known = self._shapes.get
        for entry in entries:
            start = entry.find(METADATA) + len(METADATA)
            shape = known(entry[:start]) or self._learned(entry)
            if shape:
                kind, correlated, middle, uid, identified, ending, time, timed, closing, place = shape
                if (
                    entry.startswith(middle, correlated)
                    and entry.startswith(ending, identified)
                    and entry.startswith(closing, timed)
                    and entry.endswith(b"}}")
                ):
                    ids.append(entry[start:correlated])
                    uids.append(entry[uid:identified])
                    times.append(entry[time:timed])
                    kinds.append(kind)
                    places.append(place)
                    continue
                shape = self._learned(entry)
            found = entry_id_and_time(entry)
            if found is None:
                break
            uids.append(found[0])
            times.append(b"%d" % found[1])
            kinds.append(shape.kind if shape else None)
            places.append(shape.particulars if shape else 0)
        if b"".join(ids + uids).translate(None, _ID_LETTERS) or not b"".join(times).isdigit():
            return _with_care(first, entries)
        moments = list(map(int, times))
        if min(moments, default=_EARLIEST) < _EARLIEST:
            return _with_care(first, entries)
        return Lines(first, entries[: len(uids)], uids, moments, kinds, places)

    def _learned(self, entry: bytes) -> _Shape | None:
        """The shape of a line, for those that follow; None where it is not what this package writes."""
        line = _LINE.match(entry)
        if line is None:
            return None
        principal, action, correlation, tenant, uid, status, time, _ = line.groups()
        outcome, lengths = OUTCOMES.get(int(status)), (len(correlation), len(uid), len(time))
        if outcome is None or lengths != (_ID_LENGTH, _ID_LENGTH, _TIME_LENGTH):
            return None
        kind = Kind(action.decode(), outcome, principal.decode(), tenant.decode())
        (start, correlated), (began, identified), (since, timed) = line.span(3), line.span(5), line.span(7)
        place = line.start(8)
        after = entry[correlated:began], entry[identified:since], entry[timed : place + 1]
        shape = _Shape(kind, correlated, after[0], began, identified, after[1], since, timed, after[2], place)
        if len(self._shapes) >= _MOST_SHAPES:
            self._shapes.clear()
        self._shapes[entry[:start]] = shape
        return shape


def _with_care(first: int, entries: Sequence[bytes]) -> Lines:
    """The same without any of what was learned."""
    uids: list[bytes] = []
    times: list[int] = []
    for found in map(entry_id_and_time, entries):
        if found is None:
            break
        uids.append(found[0])
        times.append(found[1])
    return Lines(first, entries[: len(uids)], uids, times, [None] * len(uids), [0] * len(uids))
