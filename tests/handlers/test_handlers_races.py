"""Told often, in any order, to workers at once who may die anywhere: one list, the same bytes, one event."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from contact_sanitizer import making, receiving
from contact_sanitizer.catalogue import ListEntry
from contact_sanitizer.listid import sortable_id
from contact_sanitizer.outputs.manifest import Manifest
from contact_sanitizer.receiving import Arrival, Reception
from contact_sanitizer.uploading import Upload, UploadState, key_of
from faultdesk import KEY, REDELIVERIES, ROWS, FaultDesk, Witness, arrival_of
from interleaving import Interleaving
from memorycloud import MemoryCloud
from struckcalls import KINDS, MOMENTS, Strike

FULL = bool(os.environ.get("CONTACT_SANITIZER_CLOUD_FAULTS"))
SLICES = 16 if FULL else 1
CONTENTS = (ROWS, ROWS.replace(b",a\n", b",x\n"), ROWS.replace(b"13912345678,b\n", b"") + b"13,z\n")
SEEDS = int(os.environ.get("CONTACT_SANITIZER_CLOUD_SEEDS", "40"))
CALLS = (9, 25, 50)
"""How many calls of AWS it takes to find a list made, half made by others, and not begun."""


@dataclass
class Told:
    """One copy of a message: what befalls whom it reaches first, and how often it came back."""

    message: dict[str, Any]
    strike: Strike | None
    came_back: int = 0


@dataclass
class Story:
    """Uploads of one seed: for each its rival versions, of which one counts, and what their lists hold."""

    rivals: list[list[tuple[dict[str, Any], bytes]]]

    @property
    def told(self) -> list[tuple[dict[str, Any], bytes]]:
        return [version for versions in self.rivals for version in versions]

    @property
    def lists(self) -> dict[tuple[str, str], str]:
        """The list of each version of an object."""
        arrivals = [arrival_of(message) for message, _ in self.told]
        stored = [message["stored"] for message, _ in self.told]
        return {(each.key, version): each.list_id for each, version in zip(arrivals, stored, strict=True)}


def story_of(faults: FaultDesk, chance: random.Random) -> Story:
    """Uploads by hand and by form; some objects are replaced, some told by a store that names no version."""
    story = Story([])
    for number in range(chance.randint(1, 2)):
        manner = chance.choice(("hand", "replaced by hand", "form", "form used twice", "no version"))
        key = f"uploads/default/{chance.randbytes(5).hex()}-{number}.csv"
        if manner.startswith("form"):
            form = sortable_id(1_790_000_000_000, chance.randbytes(10))
            key = key_of("default", form)
            faults.desk.world.uploads.begin(Upload(form, UploadState.REQUESTED, "default", 1))
        twice = manner in {"replaced by hand", "form used twice"}
        versions = []
        for _ in range(1 + twice):
            content = chance.choice(CONTENTS)
            message = faults.desk.put(key, content)
            message["detail"]["object"]["sequencer"] = chance.randbytes(8).hex().upper()
            message["stored"] = message["detail"]["object"]["version-id"]
            versions.append((message, content))
        if manner == "no version":
            del versions[0][0]["detail"]["object"]["version-id"]
        story.rivals += [versions] if manner.startswith("form") else [[version] for version in versions]
    return story


def copies_of(story: Story, chance: random.Random, *, struck: bool) -> list[Told]:
    """One to ten copies of each message in any order; of some the first worker is struck."""
    copies = []
    for message, _ in story.told:
        for _ in range(chance.randint(1, 10)):
            at = chance.randrange(chance.choice(CALLS))
            strike = Strike(at, chance.choice(MOMENTS), chance.choice((*KINDS, "kill", "kill")))
            copies.append(Told(message, strike if struck and chance.random() < 0.7 else None))
    chance.shuffle(copies)
    return copies


def simulate(
    faults: FaultDesk, account: MemoryCloud, seed: int, references: Mapping[bytes, dict[str, bytes]]
) -> None:
    """Duplicates, disorder, delays, 2 to 8 workers at once; in every other pair of seeds they are struck."""
    chance = random.Random(seed)  # noqa: S311 - an order
    faults.fate.begin(seed)
    story, calm = story_of(faults, chance), seed % 4 < 2
    waiting = copies_of(story, chance, struck=not calm)
    witness = faults.calls.watch = Witness(account, story.lists)
    faults.calls.interleaving = Interleaving(seed)

    def work() -> None:
        while waiting:
            told = waiting.pop()
            if not faults.attempt(told.message, None if told.came_back else told.strike):
                told.came_back += 1
                # What comes back more often than this goes to the dead letters.
                assert told.came_back <= REDELIVERIES, "a message does not converge"
                waiting.insert(chance.randint(0, len(waiting)), told)

    try:
        faults.calls.interleaving.run([work] * chance.randint(2, 8))
    finally:
        faults.calls.interleaving = None
    check_story(faults, story, references)
    assert witness.offences == []
    assert calm is False or faults.desk.said("list.failed") == []
    before = account.state()["s3"].buckets
    for message, _ in story.told:
        assert faults.attempt(message), "a replay was not consumed"
    assert account.state()["s3"].buckets == before, "a replay had an effect"
    announced = len(faults.desk.audit)
    assert faults.sealed() == announced


def check_story(faults: FaultDesk, story: Story, references: Mapping[bytes, dict[str, bytes]]) -> None:
    for versions in story.rivals:
        check_rivals(faults, versions, references)
    denied = [event["unmapped"]["code"] for event in faults.desk.said("upload.denied")]
    assert denied == ["upload_reused"] * (len(story.told) - len(story.rivals))
    deleted = [event["unmapped"]["list_id"] for event in faults.desk.said("upload.deleted")]
    published = [event["unmapped"]["list_id"] for event in faults.desk.said("list.published")]
    assert sorted(deleted) == sorted(published)
    assert len({*published}) == len(published) == len(story.rivals)
    assert faults.parts() == 0


def check_rivals(
    faults: FaultDesk,
    versions: list[tuple[dict[str, Any], bytes]],
    references: Mapping[bytes, dict[str, bytes]],
) -> None:
    """One of the versions of one upload became its list; the others none."""
    upload = faults.upload(arrival_of(versions[0][0]).upload_id)
    assert upload is not None
    assert (upload.state, upload.code) == (UploadState.MADE, "")
    made = {arrival_of(message).list_id: content for message, content in versions}
    assert upload.list_id in made
    for list_id, content in made.items():
        entry, files = faults.entry(list_id), faults.readable(list_id)
        if list_id == upload.list_id:
            assert entry is not None
            assert entry.state == "made"
            assert files == references[content]
        else:
            assert (entry, files, faults.published(list_id)) == (None, None, [])
    assert faults.desk.versions(arrival_of(versions[0][0]).key) == len(versions) - 1


@pytest.fixture
def references(quick: FaultDesk) -> dict[bytes, dict[str, bytes]]:
    """The files of a list of each content, made by one worker whom nobody disturbs."""
    made: dict[bytes, dict[str, bytes]] = {}
    for content in CONTENTS:
        message = quick.desk.put(KEY, content)
        assert quick.attempt(message)
        made[content] = quick.readable(arrival_of(message).list_id) or {}
    quick.forget_audit()
    return made


def failures(
    quick: FaultDesk, account: MemoryCloud, seeds: range, references: Mapping[bytes, dict[str, bytes]]
) -> list[tuple[int, str]]:
    """The seeds that do not come to the promised end, each from the same start."""
    start, failed = account.state(), list[tuple[int, str]]()
    for seed in seeds:
        account.bring_back(start)
        try:
            simulate(quick, account, seed, references)
        except AssertionError as error:
            failed.append((seed, str(error)[:300]))
    return failed


@pytest.mark.parametrize("part", range(SLICES))
def test_told_often_and_in_any_order_to_workers_at_once_each_upload_becomes_one_list(
    quick: FaultDesk, account: MemoryCloud, references: dict[bytes, dict[str, bytes]], part: int
) -> None:
    assert failures(quick, account, range(SEEDS)[part::SLICES], references) == []


def delete_unannounced(arrival: Arrival, reception: Reception) -> None:
    reception.arrived.delete(arrival)
    ANNOUNCED_DELETE(arrival, reception)


def publish_own_manifest(entry: ListEntry, manifest: Manifest) -> ListEntry:
    return replace(entry, state="making", manifest=manifest.encode().decode())


def any_event_id(_arrival: Arrival, _what: str) -> str:
    return ""


ANNOUNCED_DELETE = receiving._delete
PLANTED = {
    "an upload goes before that is announced": (receiving, "_delete", delete_unannounced),
    "each worker publishes its own manifest": (making, "_settled", publish_own_manifest),
    "what is told again is another event": (receiving, "_event_id", any_event_id),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_is_found(
    quick: FaultDesk,
    account: MemoryCloud,
    references: dict[bytes, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    planted: str,
) -> None:
    monkeypatch.setattr(*PLANTED[planted])
    start = account.state()
    for seed in range(60):
        account.bring_back(start)
        if failures(quick, account, range(seed, seed + 1), references):
            return
    pytest.fail("no seed finds it")
