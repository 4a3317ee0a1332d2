"""A stack's snapshots: only ever a shortcut, whatever becomes of them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudworld import CLEAN
from contact_sanitizer.aws import snapshots
from contact_sanitizer.aws.registry import LARGE_FILE, DynamoRegistry
from contact_sanitizer.aws.snapshotmaking import RESERVE_MILLISECONDS, Maker, Refreshed
from contact_sanitizer.aws.snapshots import WANTED_DAYS
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.errors import OutputError, RegistryError
from contact_sanitizer.listid import sortable_id
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.forgetting import Leave
from contact_sanitizer.screening.recording import Ahead, Candidates, Event
from contact_sanitizer.screening.rule import DAY, Rule
from contact_sanitizer.screening.snapshot import prefix_of
from contact_sanitizer.screening.snapshotmaking import FORMAT, digest_of
from contact_sanitizer.screening.suppression import SuppressionAct, SuppressionEvent, SuppressionReason
from contact_sanitizer.screening.verdict import Drop
from contact_sanitizer.workspace import Workspace
from desk import NOW as DESK_NOW
from desk import agree, policy, write_csv
from memorycloud import MemoryCloud, MemorySending, memory_stack

RULE = Rule("marketing", "sms")
NOW = 1_000_000
MANY = 25_000
PEOPLE = [number.to_bytes(2, "big") * 8 for number in range(0, 65_536, 1_000)]
PLENTY = 900_000
WITHIN = "snapshots/default/"
DEFAULT = policy()
PHONES = [f"138{number:08}" for number in range(45_000)]


@pytest.fixture(autouse=True)
def _a_process_of_its_own() -> Iterator[None]:
    """Without the copies that tests before it made."""
    snapshots._here.cache_clear()
    yield
    shutil.rmtree(snapshots._here())
    snapshots._here.cache_clear()


@pytest.fixture
def account() -> MemoryCloud:
    return MemoryCloud()


@pytest.fixture
def stack(account: MemoryCloud) -> Iterator[StackWorld]:
    made = memory_stack(account)
    made.registry.create()
    yield made
    made.close()


@pytest.fixture
def registry(stack: StackWorld) -> DynamoRegistry:
    """A registry that knows all people but the last ones, of whom a large list was screened before."""
    stack.registry.record([grant(person) for person in PEOPLE[:-5]])
    screened(stack.registry)
    return stack.registry


def grant(subject: bytes, *, at: int = 100) -> ConsentEvent:
    return ConsentEvent(subject, ConsentStatus.GRANTED, 200, "marketing", "sms", effective_at=at)


def block(subject: bytes, scope: str = "tenant", contract: int = 0) -> SuppressionEvent:
    reason = SuppressionReason.OPTED_OUT
    return SuppressionEvent(subject, SuppressionAct.ADDED, scope, reason, 200, "ann", contract=contract)


def screened(
    registry: DynamoRegistry, rule: Rule = RULE, now: int = NOW, **pinned: Any
) -> tuple[list[int], str | None]:
    """What a large list is told of `PEOPLE`, and the snapshot that it was told by."""
    subjects = np.frombuffer(b"".join(PEOPLE * (1 + MANY // len(PEOPLE))), np.uint8).reshape(-1, 16)
    with registry.screening(rule, now, **pinned) as screening:
        bits = screening.screen(Candidates.of(subjects, np.zeros_like(subjects)))
        return bits[: len(PEOPLE)].tolist(), screening.standing.snapshot


def in_table(registry: DynamoRegistry, rule: Rule = RULE, now: int = NOW) -> list[int]:
    """What the table itself says of them."""
    subjects = np.frombuffer(b"".join(PEOPLE), np.uint8).reshape(-1, 16)
    bits: list[int] = registry.ask(rule, now, Candidates.of(subjects, np.zeros_like(subjects))).tolist()
    return bits


def make(stack: StackWorld, now: int = NOW) -> Refreshed:
    return Maker(stack).refresh(now, lambda: PLENTY)


def kept(account: MemoryCloud, below: str = WITHIN) -> list[str]:
    """All versions of what is kept below a prefix."""
    found = account.clients.s3.list_object_versions(Bucket=CLEAN, Prefix=below)
    return [entry["Key"] for entry in found.get("Versions", [])]


def settled(registry: DynamoRegistry, size: int = LARGE_FILE) -> dict[str, Any]:
    """What a list of that size is begun with."""
    standing = registry.standing(Ahead(RULE, NOW, lambda: size))
    return {"change": standing.change, "snapshot": standing.snapshot or ""}


def test_a_snapshot_is_made_of_what_was_wanted_and_serves_from_then_on(
    registry: DynamoRegistry, stack: StackWorld
) -> None:
    expected = [0] * (len(PEOPLE) - 5) + [Drop.CONSENT_MISSING] * 5
    assert screened(registry) == (expected, None)
    assert make(stack) == Refreshed(built=1)
    bits, name = screened(registry)
    assert (bits, name) == (expected, f"{prefix_of(RULE)}-{registry.standing().change:020d}")
    assert make(stack) == Refreshed()
    assert screened(registry, Rule("service", "sms"))[1] is None


def test_with_a_snapshot_the_table_is_asked_about_the_changed_alone(
    registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud
) -> None:
    make(stack)
    registry.record([block(PEOPLE[3]), grant(PEOPLE[-1])])
    read: list[int] = []

    def watch(sending: MemorySending, send: Callable[[], Any]) -> Any:
        if sending.operation == "BatchGetItem":
            read.extend(len(asked["Keys"]) for asked in sending.asked["RequestItems"].values())
        return send()

    account.gate = watch
    bits, name = screened(registry)
    assert name
    assert bits == in_table(registry)
    assert (bits[3], bits[-1]) == (Drop.SUPPRESSED, 0)
    # the anchor's commit of up to 97 people, the two changed, and then what `in_table` asks
    assert sum(read) <= 97 + 2 + len(PEOPLE)


def test_a_list_states_the_snapshot_it_was_begun_with_whatever_becomes_of_it(
    registry: DynamoRegistry, stack: StackWorld
) -> None:
    make(stack)
    begun = settled(registry)
    assert begun["snapshot"]
    assert settled(registry, LARGE_FILE - 1)["snapshot"] == ""
    registry.record([block(PEOPLE[0])])
    first = screened(registry, **begun)
    stack.snapshots.shelf(registry._pool).drop(RULE)
    assert screened(registry, **begun) == first
    assert first == ([0] * (len(PEOPLE) - 5) + [Drop.CONSENT_MISSING] * 5, begun["snapshot"])
    assert screened(registry)[0][0] == Drop.SUPPRESSED
    assert settled(registry)["snapshot"] == ""


def test_a_list_that_was_begun_without_a_snapshot_takes_none(
    registry: DynamoRegistry, stack: StackWorld
) -> None:
    begun = settled(registry)
    assert begun["snapshot"] == ""
    make(stack)
    assert screened(registry, **begun)[1] is None


def test_a_snapshot_is_refreshed_from_its_predecessor_and_says_what_a_new_one_says(
    registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contact_sanitizer.aws.snapshotmaking.most_behind", lambda _change: 0)
    registry.record([grant(PEOPLE[9], at=NOW + 50)])
    make(stack)
    more: Sequence[Event] = [
        *(block(person) for person in PEOPLE[10:14]),
        *(grant(person) for person in PEOPLE[-3:]),
        ConsentEvent(PEOPLE[20], ConsentStatus.WITHDRAWN, 300, effective_at=250),
    ]
    registry.record(more)
    assert make(stack, NOW + 100) == Refreshed(refreshed=1)
    for now in (NOW + 100, NOW + 10_000):
        bits, name = screened(registry, now=now)
        assert name == f"{prefix_of(RULE)}-{registry.standing().change:020d}"
        assert bits == in_table(registry, now=now)
    registry.record([block(PEOPLE[15])])
    make(stack, NOW + 200)
    folders = {key.split("/")[3] for key in kept(account, f"{WITHIN}{prefix_of(RULE)}/0")}
    assert len(folders) == 2, "somebody may still be fetching the one before"


def test_a_new_contract_of_foreign_lists_makes_a_snapshot_anew(
    registry: DynamoRegistry, stack: StackWorld
) -> None:
    make(stack)
    registry.record([block(PEOPLE[2], contract=2)])
    assert screened(registry)[1] is None
    assert make(stack) == Refreshed(built=1)
    assert screened(registry)[1]


def test_a_build_that_runs_out_of_time_goes_on_from_where_it_was(
    registry: DynamoRegistry, stack: StackWorld
) -> None:
    runs = 0
    while True:
        calls = count()
        done = Maker(stack).refresh(NOW + runs, lambda calls=calls: PLENTY if next(calls) < 60 else 0)  # type: ignore[misc]
        runs += 1
        if not done.paused:
            break
        # what comes while it is made is completed later
        registry.record([block(PEOPLE[runs])])
    assert done == Refreshed(built=1)
    assert runs > 3
    bits, name = screened(registry, now=NOW + 50)
    assert name
    assert bits == in_table(registry, now=NOW + 50)
    assert bits.count(Drop.SUPPRESSED) == runs - 1


def test_what_was_kept_of_a_build_is_not_taken_up_in_another_history(
    registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud
) -> None:
    calls = count()
    assert Maker(stack).refresh(NOW, lambda: PLENTY if next(calls) < 60 else 0).paused == 1
    registry.forget(PEOPLE[0], bytes(16), Leave(NOW))
    assert not [key for key in kept(account) if not key.startswith(f"{WITHIN}wanted/")]
    account.clients.s3.put_object(
        Bucket=CLEAN, Key=f"{WITHIN}{prefix_of(RULE)}/progress", Body=b"PK\x03\x04?"
    )
    assert make(stack) == Refreshed(built=1)
    assert screened(registry) == (in_table(registry), screened(registry)[1])


def test_forgetting_a_person_leaves_no_snapshot_in_any_version(
    registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud
) -> None:
    make(stack)
    screened(registry)
    registry.forget(PEOPLE[4], bytes(16), Leave(NOW))
    assert not [key for key in kept(account) if not key.startswith(f"{WITHIN}wanted/")]
    assert screened(registry)[1] is None
    assert make(stack) == Refreshed(built=1)
    bits, name = screened(registry)
    assert name
    assert bits[4] == Drop.CONSENT_MISSING


@pytest.mark.usefixtures("registry")
def test_who_is_forgotten_while_a_snapshot_is_made_is_in_none(
    stack: StackWorld, account: MemoryCloud
) -> None:
    forgetting = [True]

    def forget_before_it_counts(sending: MemorySending, send: Callable[[], Any]) -> Any:
        if sending.operation == "PutObject" and sending.place[1].endswith("newest.json") and forgetting:
            forgetting.clear()
            stack.registry.forget(PEOPLE[4], bytes(16), Leave(NOW))
        return send()

    account.gate = forget_before_it_counts
    make(stack)
    assert not forgetting
    assert not [key for key in kept(account) if not key.startswith(f"{WITHIN}wanted/")]


@pytest.mark.parametrize("what", ["newest.json", "header.json", "0-hi", "0-blocked_until", "0-places"])
@pytest.mark.parametrize("how", ["altered", "cut", "gone", "refused", "no answer"])
def test_a_snapshot_that_is_not_what_was_made_is_passed_over(
    what: str, how: str, registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud
) -> None:
    make(stack)
    registry.record([block(PEOPLE[0])])
    (key,) = {key for key in kept(account) if key.endswith(f"/{what}")}
    body = account.clients.s3.get_object(Bucket=CLEAN, Key=key)["Body"].read()
    if how == "gone":
        account.clients.s3.delete_object(Bucket=CLEAN, Key=key)
    elif how in {"altered", "cut"}:
        changed = body[:-1] if how == "cut" else body[:-2] + bytes([body[-2] ^ 1]) + body[-1:]
        account.clients.s3.put_object(Bucket=CLEAN, Key=key, Body=changed)
    else:

        def fail(sending: MemorySending, send: Callable[[], Any]) -> Any:
            fails = sending.operation == "GetObject" and sending.place[1] == key
            return sending.fail("denied" if how == "refused" else "500") if fails else send()

        account.gate = fail
    assert screened(registry) == (in_table(registry), None)


def test_a_header_that_says_what_no_header_says_is_passed_over(
    registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud
) -> None:
    make(stack)
    body = {"format": FORMAT, "rule": RULE.digest.hex(), "change": "many"}
    forged = json.dumps({**body, "sha256": digest_of(body)}).encode()
    account.clients.s3.put_object(Bucket=CLEAN, Key=f"{WITHIN}{prefix_of(RULE)}/newest.json", Body=forged)
    assert screened(registry) == (in_table(registry), None)
    assert settled(registry)["snapshot"] == ""
    assert make(stack) == Refreshed(built=1)


def test_a_table_that_was_restored_is_another_history(
    registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud
) -> None:
    before = account.services["dynamodb"].copy()
    registry.record([block(PEOPLE[0])])
    make(stack)
    assert screened(registry)[0][0] == Drop.SUPPRESSED
    account.services["dynamodb"] = before
    registry.record([block(PEOPLE[1])])
    bits, name = screened(registry)
    assert (bits[0], bits[1], name) == (0, Drop.SUPPRESSED, None)
    assert make(stack) == Refreshed(built=1)
    bits, name = screened(registry)
    assert (bits[0], bits[1]) == (0, Drop.SUPPRESSED)
    assert name


def test_a_snapshot_of_a_later_moment_does_not_answer_for_an_earlier_one(
    registry: DynamoRegistry, stack: StackWorld
) -> None:
    make(stack, NOW + 10)
    assert screened(registry, now=NOW)[1] is None
    assert screened(registry, now=NOW + 10)[1]


def test_senders_share_the_snapshot_of_a_list_until_somebody_refuses_to_one(
    registry: DynamoRegistry, stack: StackWorld
) -> None:
    make(stack)
    narrow = Rule("marketing", "sms", scopes=frozenset({"tenant"}))
    screened(registry, narrow)
    make(stack)
    for_brand = Rule("marketing", "sms", scopes=frozenset({"tenant"}), recipient="brand")
    assert screened(registry, for_brand)[1] == screened(registry, narrow)[1]
    registry.record([block(PEOPLE[0], "sender:brand")])
    bits, name = screened(registry, for_brand)
    assert (bits[0], name) == (Drop.SUPPRESSED, None)
    assert screened(registry, narrow)[0][0] == 0


@pytest.mark.usefixtures("registry")
def test_what_nobody_wants_any_more_is_removed(stack: StackWorld, account: MemoryCloud) -> None:
    make(stack)
    account.clients.s3.put_object(Bucket=CLEAN, Key=f"{WITHIN}wanted/0123456789abcdef.json", Body=b"[1]")
    assert make(stack, NOW + WANTED_DAYS * DAY) == Refreshed()
    assert kept(account, f"{WITHIN}{prefix_of(RULE)}/")
    assert make(stack, NOW + WANTED_DAYS * DAY + 1) == Refreshed()
    assert kept(account) == []


def test_nothing_is_begun_without_time_to_keep_it(registry: DynamoRegistry, stack: StackWorld) -> None:
    assert Maker(stack).refresh(NOW, lambda: RESERVE_MILLISECONDS - 1) == Refreshed()
    assert screened(registry)[1] is None


def test_a_list_that_died_is_made_to_the_same_bytes_without_its_snapshot(
    stack: StackWorld, account: MemoryCloud, tmp_path: Path
) -> None:
    place = Workspace.in_stack(stack, make=True, clock=lambda: DESK_NOW, randomness=os.urandom, principal="t")
    agree(place, PHONES[100:120])
    upload = write_csv(tmp_path / "list.csv", [["phone"], *([phone] for phone in PHONES)])
    first, _ = place.sanitize(upload, DEFAULT)
    assert first.registry_as_of["snapshot"] is None
    assert make(stack, DESK_NOW // 1000).built == 1

    def die(sending: MemorySending, send: Callable[[], Any]) -> Any:
        return sending.fail("500") if sending.place[1].endswith("/manifest.json") else send()

    account.gate = die
    list_id = sortable_id(DESK_NOW, bytes(10))
    with pytest.raises(OutputError):
        place.sanitize(upload, DEFAULT, list_id=list_id)
    account.gate = lambda _sending, send: send()
    shelf = stack.snapshots.shelf(stack.registry._pool)
    for wanted in shelf.wanted(DESK_NOW // 1000):
        shelf.drop(wanted.rule)
    manifest, _ = place.sanitize(upload, DEFAULT, list_id=list_id)
    assert manifest.registry_as_of["snapshot"]
    assert (manifest.counts.kept, manifest.counts.dropped) == (first.counts.kept, first.counts.dropped)
    assert manifest.counts.kept == 20


@pytest.mark.parametrize("at", ["GetObject", "Query"])
def test_a_refusal_is_not_lost_when_its_person_is_erased_while_a_snapshot_is_taken(
    at: str, registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud
) -> None:
    make(stack)
    registry.record([block(PEOPLE[3])])
    erasing = [True]

    def erase_meanwhile(sending: MemorySending, send: Callable[[], Any]) -> Any:
        if sending.operation == at and erasing and not sending.place[1].endswith("newest.json"):
            erasing.clear()
            stack.registry.forget(PEOPLE[3], bytes(16), Leave(NOW))
        return send()

    account.gate = erase_meanwhile
    bits, _ = screened(registry)
    assert not erasing
    assert bits[3] & Drop.SUPPRESSED


def test_nothing_but_a_snapshot_is_read_as_one(
    registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud
) -> None:
    make(stack)
    registry.record([block(PEOPLE[3])])
    make(stack)
    name = settled(registry)["snapshot"]
    folder = f"{WITHIN}{prefix_of(RULE)}/"
    for key in set(kept(account, f"{folder}{name.rpartition('-')[2]}/")):
        body = account.clients.s3.get_object(Bucket=CLEAN, Key=key)["Body"].read()
        for place in (f"{folder}wanted/", f"{folder}a/wanted/"):
            account.clients.s3.put_object(Bucket=CLEAN, Key=place + key.rpartition("/")[2], Body=body)
    shelf = stack.snapshots.shelf(registry._pool)
    for forged in (
        "x-wanted",
        f"{prefix_of(RULE)}-wanted",
        f"{prefix_of(RULE)}-a/wanted",
        f"{'0' * 16}-{1:020}",
    ):
        assert shelf.fetch(RULE, forged) is None


def test_a_snapshot_with_very_many_unsettled_is_passed_over(
    registry: DynamoRegistry, stack: StackWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.record([grant(person, at=NOW + 500) for person in PEOPLE[:40]])
    make(stack)
    assert screened(registry)[1]
    monkeypatch.setattr("contact_sanitizer.aws.registry_view.MOST_CHANGES", 39)
    assert screened(registry) == (in_table(registry), None)


@pytest.mark.parametrize("kind", ["500", "killed"])
@pytest.mark.usefixtures("registry")
def test_who_is_forgotten_while_a_maker_fails_stays_nowhere(
    kind: str, stack: StackWorld, account: MemoryCloud
) -> None:
    """After a failure at once; where the maker was killed, after its next run."""
    forgetting, forgotten = [True], list[bool]()

    def fail(sending: MemorySending, send: Callable[[], Any]) -> Any:
        if sending.operation == "PutObject" and sending.place[1].endswith("newest.json"):
            if forgetting:
                forgetting.clear()
                stack.registry.forget(PEOPLE[4], bytes(16), Leave(NOW))
                forgotten.append(True)
            return sending.fail("500") if kind == "500" else send()
        if kind == "killed" and forgotten and sending.operation == "GetItem":
            raise KeyboardInterrupt
        return send()

    account.gate = fail
    with pytest.raises(RegistryError if kind == "500" else KeyboardInterrupt):
        make(stack)
    account.gate = lambda _sending, send: send()
    if kind == "killed":
        make(stack)
    for version in account.clients.s3.list_object_versions(Bucket=CLEAN, Prefix=WITHIN)["Versions"]:
        found = account.clients.s3.get_object(
            Bucket=CLEAN, Key=version["Key"], VersionId=version["VersionId"]
        )
        assert PEOPLE[4][:8][::-1] not in found["Body"].read(), version["Key"]


def test_a_copy_on_this_machine_goes_when_its_snapshot_is_another(
    registry: DynamoRegistry, stack: StackWorld
) -> None:
    make(stack)
    screened(registry)
    first = set(snapshots._here().rglob("0-hi"))
    stack.snapshots.shelf(registry._pool).drop(RULE)
    registry.record([block(PEOPLE[4])])
    make(stack)
    assert screened(registry)[1]
    assert first
    assert not [path for path in first if path.exists()]


def test_a_damaged_snapshot_is_made_anew_though_nothing_has_changed(
    registry: DynamoRegistry, stack: StackWorld, account: MemoryCloud
) -> None:
    make(stack)
    (key,) = {key for key in kept(account) if key.endswith("/0-lo")}
    account.clients.s3.put_object(Bucket=CLEAN, Key=key, Body=b"\xff" * 8 * (len(PEOPLE) - 5))
    assert screened(registry)[1] is None
    assert make(stack) == Refreshed(built=1)
    assert screened(registry)[1]
    assert make(stack) == Refreshed()


@pytest.mark.usefixtures("registry")
def test_what_is_no_wish_keeps_no_other_rule_from_its_snapshot(
    stack: StackWorld, account: MemoryCloud
) -> None:
    odd = Rule("a", "sms")
    wish = {"format": "contact-sanitizer/snapshot-wanted/v1", "asked_at": NOW, "unusable": ""}
    stated = {**wish, "rule": {**odd.document(), "max_age_days": "x"}}
    for name, body in (("", b""), ("a", b"{}"), (f"{'0' * 16}.json", json.dumps(stated).encode())):
        account.clients.s3.put_object(Bucket=CLEAN, Key=f"{WITHIN}wanted/{name}", Body=body)
    assert make(stack) == Refreshed(built=1)
    assert set(kept(account, f"{WITHIN}wanted/")) == {f"{WITHIN}wanted/{prefix_of(RULE)}.json"}


def test_without_its_folder_on_this_machine_a_process_reads_the_table(
    registry: DynamoRegistry, stack: StackWorld
) -> None:
    make(stack)
    snapshots._here().rmdir()
    assert screened(registry) == (in_table(registry), None)
    registry.forget(PEOPLE[4], bytes(16), Leave(NOW))
    snapshots._here().mkdir()
