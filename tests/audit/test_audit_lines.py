"""Lines read a bundle at a time say what each says when it is read with care, however they were altered."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from contact_sanitizer.audit import lines as lines_module
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.lines import LineReader, Lines
from contact_sanitizer.audit.places import TOLERANCE
from contact_sanitizer.audit.segments import entry_id_and_time
from contact_sanitizer.audit.verify import verify_log
from contact_sanitizer.errors import AuditError
from contact_sanitizer.reporting.entries import Told, read_lines, read_told
from logworld import START, VERIFIERS, MemoryObjects, entry
from reportlog import FIRST, Diary, autumn, seal_entries


def all_kinds() -> list[bytes]:
    """A line of every action with every outcome, of two tenants, and an ordinary week between them."""
    diary = Diary()
    for tenant in ("default", "acme"):
        diary.tenant = tenant
        for action in Action:
            for outcome in Outcome:
                about = {"code": "a_b", "key_ids": (1, 2), "policy": "ab" * 32, "asked_at": FIRST}
                diary.tell(FIRST, action, "role/a~b%20c", outcome, **about, counts={"rows": 3})
    events = [*autumn(days=8), *diary.events]
    random.Random(3).shuffle(events)  # noqa: S311 - an order, no secret
    return [event.line()[:-1] for event in events]


LINES = all_kinds()


def until_none(events: Iterator[Told]) -> list[Told]:
    """The events up to the first that is none."""
    found: list[Told] = []
    with suppress(AuditError):
        found.extend(events)
    return found


def require_same(lines: Lines, entries: Sequence[bytes]) -> None:
    """Both readings of these entries agree; the columns end where the first one is no event line."""
    found = [entry_id_and_time(one) for one in entries]
    good = found.index(None) if None in found else len(found)
    assert list(zip(lines.uids, lines.times, strict=True)) == found[:good]
    assert list(lines.entries) == list(entries[:good])
    assert len(lines.kinds) == len(lines.particulars) == len(lines) == good
    with_care = (read_told(one, index) for index, one in enumerate(entries[:good]))
    assert until_none(read_lines(lines)) == until_none(with_care)


def test_every_line_that_we_write_is_of_a_known_kind() -> None:
    lines = LineReader().read(0, LINES)
    require_same(lines, LINES)
    assert None not in lines.kinds


def test_a_reader_forgets_kinds_and_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "_MOST_SHAPES", 3)
    reader = LineReader()
    for start in range(0, len(LINES), 100):
        require_same(reader.read(start, LINES[start : start + 100]), LINES[start : start + 100])
    assert len(reader._shapes) <= 3


def altered(line: bytes, chance: random.Random) -> bytes:
    """One line with a byte more, less or other somewhere, most often where a reader looks closely."""
    marks = [b'"metadata":', b'"uid":"', b'"time":', b'"unmapped":{', b'"status_id":', b'correlation_uid":"']
    at = line.rfind(chance.choice(marks)) + chance.randrange(45)
    if not chance.randrange(4):
        at = chance.choice([0, 1, len(line) - 2, len(line) - 1, chance.randrange(len(line))])
    byte = chance.choice(
        [b'"', b"}", b"{", b" ", b"_", b"0", b"7", b"-", b"\\", b"\n", b"A", b"i", b"\xff", b","]
    )
    return chance.choice(
        [line[:at] + byte + line[at:], line[:at] + line[at + 1 :], line[:at] + byte + line[at + 1 :]]
    )


@pytest.mark.parametrize("seed", range(200))
def test_an_altered_line_is_read_as_with_care(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - places, no secrets
    entries = chance.sample(LINES, 12)
    reader = LineReader()
    reader.read(0, LINES[:200])
    for place in chance.sample(range(12), 3):
        entries[place] = altered(entries[place], chance)
    require_same(reader.read(7, entries), entries)


PLACES = [
    b'{"activity_id":2,"zzz":{}}',
    LINES[0].replace(b'"unmapped":{', b'"unmapped":{"unmapped":{},'),
    LINES[0][:-1] + b',"zzz":5}',
    LINES[0][:-1] + b',"zzz":{}}',
    LINES[0][:-1] + b" }",
    LINES[0].replace(b'"time":1', b'"time":+1'),
    LINES[0].replace(b'"time":1', b'"time":01'),
    LINES[0].replace(b'"time":17', b'"time":1_7'),
    LINES[0].replace(b'"version":"1.5.0"', b'"time":17,"version":"1.5.0"'),
    LINES[0].replace(b'"metadata":{', b'"metadata":{"correlation_uid":"","metadata":{'),
    b"",
    b"{}",
]


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_what_only_looks_like_a_line_is_read_as_with_care(place: int) -> None:
    reader = LineReader()
    reader.read(0, LINES)
    for entries in ([PLACES[place]], [LINES[0], PLACES[place], LINES[1]]):
        require_same(reader.read(0, entries), entries)


def sealed(entries: Sequence[bytes], at: int) -> MemoryObjects:
    """A log of these entries, sealed at once, by whoever has the key."""
    objects = MemoryObjects()
    seal_entries(objects, entries, at)
    return objects


MALFORMED = entry(9).replace(b'"metadata":', b'"metadatum":')
LATE = entry(2_000)
UNREADABLE = entry(8).replace(b'"counts":{"kept":8}', b'"counts":{"kept":-8}')


@pytest.mark.parametrize(
    ("places", "code", "number"),
    [
        ({20: MALFORMED, 30: LATE}, "event_malformed", 20),
        ({20: LATE, 30: MALFORMED}, "event_misdated", 20),
        ({20: LATE, 30: UNREADABLE}, "event_misdated", 20),
        ({20: UNREADABLE, 30: LATE}, "event_malformed", 20),
        ({20: UNREADABLE, 30: MALFORMED}, "event_malformed", 20),
        ({20: MALFORMED, 30: UNREADABLE}, "event_malformed", 20),
        ({270: UNREADABLE, 280: LATE}, "event_malformed", 270),
    ],
)
def test_the_first_fault_of_several_is_named(places: dict[int, bytes], code: str, number: int) -> None:
    entries = [places.get(place, entry(place)) for place in range(300)]
    objects = sealed(entries, START + 400_000)

    def watch(lines: Lines) -> None:
        for _ in read_lines(lines):
            pass

    with pytest.raises(AuditError, match=code) as caught:
        verify_log(objects, VERIFIERS, watch=watch)
    assert caught.value.message.startswith(f"event {number} ")


def test_an_event_is_dated_by_the_seal_that_covers_it() -> None:
    objects, limit = MemoryObjects(), TOLERANCE // 1000
    first = [entry(place) for place in range(100)]
    seal_entries(objects, first, START + 100_000)
    # Late for the first seal, which it is not under.
    seal_entries(objects, [entry(100 + limit + 1), entry(101)], START + 200_000)
    assert verify_log(objects, VERIFIERS).newest.size == 102
    bad = MemoryObjects()
    seal_entries(bad, [*first[:-1], entry(100 + limit + 1)], START + 100_000)
    seal_entries(bad, [entry(101)], START + 200_000)
    with pytest.raises(AuditError, match="event_misdated") as caught:
        verify_log(bad, VERIFIERS)
    assert "event 99 " in caught.value.message


def test_columns_can_be_cut_off() -> None:
    lines = LineReader().read(5, LINES[:9])
    assert lines.upto(9) is lines
    shorter = lines.upto(4)
    assert (shorter.first, len(shorter), list(shorter.entries)) == (5, 4, LINES[:4])
    assert shorter == replace(LineReader().read(5, LINES[:4]), entries=shorter.entries)
