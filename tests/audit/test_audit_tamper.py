"""Twelve kinds of tampering at many places: all found with the public key, none in the untouched log."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.accounts import Published, compare_lists
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.notes import parse_verifiers
from contact_sanitizer.audit.seal import Sealer, begin_log
from contact_sanitizer.audit.tiles import (
    CHECKPOINT,
    join_entries,
    join_hashes,
    kept_checkpoint_key,
    parse_kept_checkpoint,
    split_entries,
    split_hashes,
)
from contact_sanitizer.audit.tree import Tree
from contact_sanitizer.audit.verify import Expectations, verify_log
from contact_sanitizer.embedded.objectfolder import ObjectFolder
from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import sortable_id
from desk import agree, policy, run, workspace, write_csv
from logworld import (
    MINUTE,
    SIGNER,
    START,
    STRANGER,
    VERIFIERS,
    MemoryObjects,
    append,
    event,
    log_of,
    logs_of,
    newest,
    sealer,
)

POSITIONS = int(os.environ.get("CONTACT_SANITIZER_TAMPER", "12"))
LIST = sortable_id(START, b"a made lis")
MANIFEST = b'{"list_id": "..."}\n'
SIZES = sorted({1, 2, 100, 255, 256, 257, 400, 512, 700, 777, *range(20, 777, 25)})


EARLIER = [dict(objects.data) for objects in logs_of(SIZES, keep=True, heartbeats=True)]
"""The log as it was before its first event and after each seal."""


def with_list() -> MemoryObjects:
    objects = MemoryObjects(dict(EARLIER[-1]))
    published = Event(
        Action.LIST_PUBLISHED,
        Outcome.BEGUN,
        START + 800_000,
        "ops",
        "default",
        LIST,
        LIST,
        list_id=LIST,
        digests={"manifest": sha256(MANIFEST).hexdigest(), "clean": sha256(b"token\n").hexdigest()},
    )
    segments.append(objects, [published])
    append(objects, range(801, 830))
    sealer(objects, keep=True).seal(START + 830_000)
    return objects


LOG = with_list()
TILES = sorted(key for key in LOG.data if key.startswith("tile/"))
LAST = newest(LOG)


def copy() -> MemoryObjects:
    return MemoryObjects(dict(LOG.data))


def fault(objects: MemoryObjects) -> str:
    """The code of the first fault; empty where everything fits."""
    try:
        verify_log(objects, VERIFIERS)
    except AuditError as error:
        return error.code
    return ""


def bit_flip(chance: random.Random) -> MemoryObjects:
    objects = copy()
    key = chance.choice(sorted(objects.data))
    data = bytearray(objects.data[key])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    objects.data[key] = bytes(data)
    return objects


def full_bundles(objects: MemoryObjects) -> list[str]:
    return [key for key in sorted(objects.data) if key.startswith("tile/entries/")]


def rewritten(chance: random.Random, change: Callable[[list[bytes]], None]) -> MemoryObjects:
    """Entries changed in every file that has them, hashes and all, as one without the key would do it."""
    objects, at = copy(), chance.randrange(LAST.size)
    entries = [entry for _, entry in Tree(LOG, LAST.size).entries_from(0)]
    tail = entries[at:]
    change(tail)
    _, files = Tree(MemoryObjects(), 0).extended(entries[:at] + tail)
    for key in TILES:
        objects.delete(key)
    objects.data |= files
    for key in [key for key in objects.data if key.startswith((segments.FOLDER, "sealed/"))]:
        objects.delete(key)
    return objects


def delete(chance: random.Random) -> MemoryObjects:
    def change(tail: list[bytes]) -> None:
        del tail[: chance.randint(1, 3)]

    return rewritten(chance, change)


def insert(chance: random.Random) -> MemoryObjects:
    return rewritten(chance, lambda tail: tail.insert(0, event(5_000 + chance.randrange(99)).line()[:-1]))


def swap(chance: random.Random) -> MemoryObjects:
    def change(tail: list[bytes]) -> None:
        other = chance.randrange(len(tail))
        tail[0], tail[other] = tail[other], tail[0]

    return rewritten(chance, change)


def truncate(chance: random.Random) -> MemoryObjects:
    objects, key = copy(), chance.choice(sorted(LOG.data))
    data = objects.data[key]
    objects.data[key] = data[: chance.randrange(len(data))]
    return objects


def rolled_back(back: int) -> MemoryObjects:
    """The newest checkpoints taken away, and `checkpoint` put back to the one before."""
    objects = copy()
    for number in range(LAST.number - back + 1, LAST.number + 1):
        objects.delete(kept_checkpoint_key(number))
    objects.data[CHECKPOINT] = objects.data[kept_checkpoint_key(LAST.number - back)]
    return objects


def rollback(chance: random.Random) -> MemoryObjects:
    """Put back by more than the last seal and its heartbeat, and some traces wiped."""
    objects = rolled_back(chance.randrange(3, LAST.number))
    wiped = chance.randrange(2)
    for key in sorted(objects.data):
        if (key.startswith("sealed/") and wiped) or (key in TILES and not chance.randrange(20)):
            objects.delete(key)
    return objects


def replayed_checkpoint(chance: random.Random) -> MemoryObjects:
    objects = copy()
    old = kept_checkpoint_key(chance.randrange(LAST.number))
    place = chance.choice([CHECKPOINT, *(kept_checkpoint_key(n) for n in range(LAST.number + 1))])
    objects.data[place] = objects.data[old]
    return bit_flip(chance) if objects.data == LOG.data else objects


def fork(chance: random.Random) -> MemoryObjects:
    """Another history from some seal on, signed with the very key."""
    objects = MemoryObjects(dict(chance.choice(EARLIER[:-1])))
    segments.append(objects, [event(9_000 + chance.randrange(99), at=START)])
    sealer(objects, keep=True).seal(START + 840_000)
    number = newest(objects).number
    forked = copy()
    for key, data in objects.data.items():
        if key.startswith("tile/") or key == kept_checkpoint_key(number):
            forked.data[key] = data
    return forked


def foreign_key(chance: random.Random) -> MemoryObjects:
    """All checkpoints from some seal on, or a few here and there, signed with another key."""
    objects = copy()
    numbers = sorted(n for key in objects.data if (n := parse_kept_checkpoint(key)) is not None)
    some = sorted(chance.sample(numbers, chance.randint(1, 5)))
    for number in chance.choice([some, numbers[some[0] :]]):
        text = LOG.data[kept_checkpoint_key(number)].split(b"\n\n")[0] + b"\n"
        signature = STRANGER.sign(text)
        import base64  # noqa: PLC0415 - here only

        line = base64.b64encode(STRANGER.verifier.key_id + signature)
        note = text + b"\n" + "\u2014 ".encode() + SIGNER.origin.encode() + b" " + line + b"\n"
        objects.data[kept_checkpoint_key(number)] = objects.data[CHECKPOINT] = note
    return objects


def removed_segment(chance: random.Random) -> MemoryObjects:
    objects = copy()
    names = [key for key in sorted(objects.data) if key.startswith(segments.FOLDER)]
    for key in chance.sample(names, chance.randint(1, 3)):
        objects.delete(key)
    return objects


def edited_time(chance: random.Random) -> MemoryObjects:
    def change(tail: list[bytes]) -> None:
        stated = json.loads(tail[0])
        stated["time"] += chance.choice([-1, 1]) * chance.randrange(1, MINUTE)
        tail[0] = json.dumps(stated, sort_keys=True, separators=(",", ":")).encode()

    return rewritten(chance, change)


# Which of these is met first depends on how the right edge's width came to change.
REWRITTEN = {
    "checkpoint_inconsistent",
    "entries_missing",
    "entries_damaged",
    "tile_missing",
    "lines_altered",
    "event_repeated",
    "event_misdated",
    "seal_undone",
}

KINDS: dict[str, tuple[Callable[[random.Random], MemoryObjects], set[str]]] = {
    "bit_flip": (bit_flip, set()),
    "delete": (delete, REWRITTEN),
    "insert": (insert, REWRITTEN),
    "swap": (swap, REWRITTEN),
    "truncate": (truncate, set()),
    "rollback": (rollback, set()),
    "replayed_checkpoint": (replayed_checkpoint, set()),
    "fork": (fork, set()),
    "foreign_key": (foreign_key, {"checkpoint_unsigned"}),
    "removed_segment": (removed_segment, {"segment_missing"}),
    "edited_time": (edited_time, {"checkpoint_inconsistent"}),
}


def test_nothing_is_found_in_the_untouched_log() -> None:
    found = verify_log(LOG, VERIFIERS)
    assert (found.newest, found.waiting, found.gaps) == (LAST, 0, ())
    assert found.newest.size == 807


@pytest.mark.parametrize("kind", KINDS)
def test_tampering_of_every_kind_is_found_wherever_it_is(kind: str) -> None:
    tamper, codes = KINDS[kind]
    done: set[int] = set()
    for position in count():
        objects = tamper(random.Random(f"{kind} {position}"))  # noqa: S311 - places, not secrets
        changes = hash(frozenset(objects.data.items() ^ LOG.data.items()))
        if len(done) == POSITIONS or position == 10 * POSITIONS:
            break
        if objects.data == LOG.data or changes in done:
            continue
        done.add(changes)
        code = fault(objects)
        assert code, f"{kind} {position}"
        assert not codes or code in codes, f"{kind} {position}"
    assert len(done) == POSITIONS


@pytest.mark.parametrize("back", [1, 2])
def test_the_last_seal_taken_back_hides_no_event_and_a_kept_checkpoint_tells_it(back: int) -> None:
    """A crash in the middle of that seal leaves the same: what it had sealed waits to be sealed again."""
    objects = rolled_back(back)
    found = verify_log(objects, VERIFIERS)
    assert found.newest.size + found.waiting == LAST.size
    with pytest.raises(AuditError) as caught:
        verify_log(objects, VERIFIERS, Expectations(known=LOG.data[CHECKPOINT]))
    assert caught.value.code == "checkpoint_behind"


@dataclass(frozen=True)
class Made:
    """Lists as a home made them, and what its log says of them, read with its public key alone."""

    published: Published
    folder: Path
    files: dict[Path, bytes]


MAKES: dict[str, tuple[tuple[str, str], ...]] = {
    "csv": (),
    "jsonl": (("format: csv", "format: jsonl"),),
    "parquet": (("format: csv", "format: parquet"),),
    "for another": (("audience: shared", "audience: gate"),),
}
PEOPLE = [f"138123456{number:02}" for number in range(60)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    upload = write_csv(
        folder / "upload.csv", [["phone"], *([phone] for phone in PEOPLE), ["12"], [PEOPLE[0]]]
    )
    with workspace(folder / "home") as place:
        agree(place, PEOPLE[:40])
        for changes in MAKES.values():
            run(place, upload, policy(*changes), folder / "lists")
        verifiers = parse_verifiers(place.world.audit.public_keys())
    published = verify_log(ObjectFolder(folder / "home" / "audit"), verifiers).published
    files = {path: path.read_bytes() for path in sorted((folder / "lists").glob("*/*"))}
    assert len(files) == 4 * len(MAKES)
    assert compare_lists(published, folder / "lists") == (len(MAKES), 0)
    return Made(published, folder / "lists", files)


def flipped(chance: random.Random, made: Made, path: Path) -> bytes:
    data = bytearray(made.files[path])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def shortened(chance: random.Random, made: Made, path: Path) -> bytes:
    return made.files[path][: chance.randrange(len(made.files[path]))]


def lengthened(chance: random.Random, made: Made, path: Path) -> bytes:
    return made.files[path] + chance.choice([b"\n", b" ", b"\0", chance.randbytes(50)])


def exchanged(chance: random.Random, made: Made, path: Path) -> bytes | None:
    """Another list's file, or none at all."""
    others = [data for data in made.files.values() if data != made.files[path]]
    return chance.choice([None, *others])


def restated(chance: random.Random, made: Made, path: Path) -> bytes:
    """A manifest that says something else in one place, as well-formed as before."""
    stated = json.loads(made.files[path.with_name("manifest.json")])
    places = list(_places(stated))
    holder, key = chance.choice(places)
    before = holder[key]
    if isinstance(before, (bool, int, float)):
        holder[key] = before + chance.randint(1, 9)
    elif isinstance(before, str):
        at = chance.randrange(len(before) + 1)
        holder[key] = before[:at] + chance.choice("0a-") + before[at:]
    else:
        holder[key] = "changed"
    return json.dumps(stated, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def _places(stated: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in stated.items() if isinstance(stated, dict) else enumerate(stated):
        if isinstance(value, (dict, list)) and value:
            yield from _places(value)
        else:
            yield stated, key


MANNERS = [flipped, flipped, shortened, lengthened, exchanged, restated, restated]


def test_a_changed_manifest_or_list_is_found_wherever_it_is(made: Made) -> None:
    for position in range(POSITIONS):
        chance = random.Random(f"changed_manifest {position}")  # noqa: S311 - places, not secrets
        manner, path = chance.choice(MANNERS), chance.choice(sorted(made.files))
        if manner is restated:
            path = path.with_name("manifest.json")
        changed = manner(chance, made, path)
        assert changed != made.files[path]
        path.unlink()
        if changed is not None:
            path.write_bytes(changed)
        with pytest.raises(AuditError, match="list_altered"):
            compare_lists(made.published, made.folder)
        path.write_bytes(made.files[path])
    assert compare_lists(made.published, made.folder) == (len(MAKES), 0)


def test_a_list_that_nobody_announced_and_one_that_lost_a_file_are_found(tmp_path: Path) -> None:
    published = verify_log(LOG, VERIFIERS).published
    assert compare_lists(published, tmp_path) == (0, 1)
    (tmp_path / LIST).mkdir()
    (tmp_path / LIST / "manifest.json").write_bytes(MANIFEST)
    with pytest.raises(AuditError, match="list_altered"):
        compare_lists(published, tmp_path)
    (tmp_path / LIST).rename(tmp_path / sortable_id(START, b"invented!!"))
    with pytest.raises(AuditError, match="list_unannounced"):
        compare_lists(published, tmp_path)


def bent(objects: MemoryObjects, key: str, at: int) -> MemoryObjects:
    data = bytearray(objects.data[key])
    data[at] ^= 1
    return MemoryObjects({**objects.data, key: bytes(data)})


def test_the_first_fault_is_named() -> None:
    third = len(join_entries(split_entries(LOG.data["tile/entries/001"])[:3])) + 40
    for key, at, code, word in (
        ("tile/entries/001", third, "event_altered", "event 259 "),
        ("tile/0/001", 32 * 7, "tile_altered", "tile/0/001"),
        ("tile/1/000.p/3", 40, "tile_altered", "tile/1/000.p/3"),
        ("tile/0/000.p/100", 40, "tile_altered", "tile/0/000.p/100"),
        (kept_checkpoint_key(4), 60, "checkpoint_unsigned", "checkpoint 4 "),
    ):
        with pytest.raises(AuditError, match=code) as caught:
            verify_log(bent(LOG, key, at), VERIFIERS)
        assert word in caught.value.message
    hashes = split_hashes(LOG.data["tile/0/002"])
    swapped = MemoryObjects({**LOG.data, "tile/0/002": join_hashes([*hashes[:-2], hashes[-1], hashes[-2]])})
    assert fault(swapped) == "tile_altered"


def test_a_missed_heartbeat_is_flagged_within_two_intervals() -> None:
    objects = log_of([3])
    by = sealer(objects)
    for minute in range(1, 10):
        by.seal(START + minute * MINUTE, heartbeat=True)
    late = START + 9 * MINUTE

    def gaps(now: int) -> int:
        return len(verify_log(objects, VERIFIERS, Expectations(heartbeat=MINUTE, now=now)).gaps)

    assert gaps(late + 2 * MINUTE) == 0
    assert gaps(late + 2 * MINUTE + 1) == 1
    by.seal(late + 3 * MINUTE, heartbeat=True)
    assert gaps(late + 3 * MINUTE) == 1


def test_a_log_that_was_put_back_as_a_whole_is_known_by_a_checkpoint_from_another_time() -> None:
    older = log_of(SIZES[:4], keep=True, heartbeats=True)
    assert fault(older) == ""
    kept = Expectations(known=LOG.data[CHECKPOINT])
    with pytest.raises(AuditError, match="checkpoint_behind"):
        verify_log(older, VERIFIERS, kept)
    assert verify_log(LOG, VERIFIERS, Expectations(known=older.data[CHECKPOINT])).newest == LAST
    other = MemoryObjects()
    begin_log(other, SIGNER, START)
    append(other, range(1, 900))
    Sealer(other, SIGNER).seal(START + 900_000)
    with pytest.raises(AuditError, match=r"checkpoint_(inconsistent|behind)"):
        verify_log(other, VERIFIERS, Expectations(known=older.data[CHECKPOINT]))


def test_an_event_dated_after_its_seal_is_found() -> None:
    objects = log_of([3])
    segments.append(objects, [event(4, at=START + 60 * MINUTE)])
    sealer(objects).seal(START + 5_000)
    assert fault(objects) == "event_misdated"


def test_an_event_that_was_sealed_twice_is_found() -> None:
    objects = log_of([3])
    append(objects, [1])
    tree = Tree(objects, 3)
    grown, files = tree.extended([event(1).line()[:-1]])
    objects.data |= files
    by = sealer(objects)
    by._sign(newest(objects), grown.size, grown.root(), START + 9_000)
    assert fault(objects) == "event_repeated"
