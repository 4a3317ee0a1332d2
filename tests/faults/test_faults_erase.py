"""An erasure that is killed anywhere: the audit verifies at once, and the same again ends it."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from contact_sanitizer.embedded import records, registry, sqlitefile
from contact_sanitizer.erasing.erase import close_erasure
from contact_sanitizer.erasing.receipt import Receipt
from contact_sanitizer.errors import ContactSanitizerError
from contact_sanitizer.workspace import Workspace
from counter import PHONES, Counter
from desk import OPENED, home_of
from erasedesk import Place, place_in
from struckcalls import Calls, Killed, Strike

FULL = bool(os.environ.get("CONTACT_SANITIZER_ERASURES"))
#: How many points are struck of all that there are, where not all are.
SAMPLE = 5
EXPECTED = {
    "consents": 1,
    "suppressions": 0,
    "replies": 0,
    "lists": 2,
    "rows": 2,
    "clean_rows": 2,
    "deliveries": 2,
    "redemptions": 1,
}


@dataclass
class Effects:
    """All that a command does to a home's disk, counted; from the struck one on nothing is done any more."""

    at: int = -1
    after: bool = False
    done: int = 0
    dead: bool = False

    def meet(self, work: Callable[..., Any], *given: Any, **more: Any) -> Any:
        if self.dead:
            raise Killed
        number, self.done = self.done, self.done + 1
        if number != self.at:
            return work(*given, **more)
        if self.after:
            work(*given, **more)
        self.dead = True
        raise Killed

    @contextmanager
    def transaction(self, db: Any) -> Iterator[None]:
        if self.dead:
            raise Killed
        with TRANSACTION(db):
            yield
            self.meet(lambda: None)
        self.meet(lambda: None)


TRANSACTION = sqlitefile.transaction
EFFECTS: list[tuple[Any, str]] = [(Path, "rename"), (Path, "replace"), (Path, "mkdir"), (Path, "unlink")]
EFFECTS += [(os, "link"), (os, "fsync"), (shutil, "rmtree")]


@contextmanager
def counted(effects: Effects) -> Iterator[None]:
    """The effects of everything in the block."""

    def met(work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given, **more: effects.meet(work, *given, **more)

    patches = [patch.object(owner, name, met(getattr(owner, name))) for owner, name in EFFECTS]
    patches += [patch.object(module, "transaction", effects.transaction) for module in (records, registry)]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def filled(place: Place) -> None:
    """Ten people on two lists, two deliveries and a redemption."""
    counter = place.counter
    counter.sender()
    first = counter.made()
    counter.made(agreed=False)
    counter.redeem(counter.tokens(first))
    counter.deliver(first, format="jsonl")


def reopened(place: Place) -> Place:
    """The same place, as another process opens it."""
    before = place.work
    kind: dict[str, Any] = {"clock": before.clock, "randomness": before.randomness, "principal": "tester"}
    if place.cloud is None:
        before.world.close()
        work = Workspace.open(home_of(before).home.root, **kind)
    else:
        work = Workspace.in_stack(before.stack, make=False, **kind)
    OPENED.append(work)
    return replace(place, counter=Counter(place.counter.folder, work, place.counter.now))


def finished(place: Place, phone: str) -> Receipt:
    """The erasure taken up again, its receipt handed over, and nothing left of the person or of the work."""
    receipt = place.erase(phone)
    assert place.erase(phone).document() == receipt.document()
    close_erasure(place.person(phone), place.work.erase_desk)
    assert receipt.removed == EXPECTED
    assert receipt.is_complete
    assert place.trace(phone).is_unknown
    assert place.traces_of(phone) == []
    place.verify()
    assert list(place.work.world.records.named("erasure")) == []
    return receipt


Process = Callable[[Place, str, int, bool], bool]
"""Erases a person in a process that dies at a point, before or after it; whether it died."""


def in_home(place: Place, phone: str, at: int, after: bool) -> bool:  # noqa: FBT001 - a case
    with counted(Effects(at, after=after)):
        try:
            place.erase(phone)
        except Killed:
            return True
    return False


def struck_down(world: str, folder: Path, points: list[tuple[int, bool]], process: Process) -> int:
    """Strike at these points, each an erasure of its own; how many died of it."""
    deaths = 0
    for start in range(0, len(points), len(PHONES)):
        some = points[start : start + len(PHONES)]
        (folder / f"{start}").mkdir()
        place = place_in(world, folder / f"{start}")
        filled(place)
        for phone, (at, after) in zip(PHONES, some, strict=False):
            deaths += process(place, phone, at, after)
            place = reopened(place)
            place.verify()
            finished(place, phone)
    return deaths


def sample(points: int, seed: int) -> list[tuple[int, bool]]:
    """Some of the points, or all of them where that is asked for."""
    chance = random.Random(seed)  # noqa: S311 - places, no secrets
    every = [(at, after) for at in range(points) for after in (False, True)]
    return every if FULL else chance.sample(every, SAMPLE)


def test_a_home_in_which_an_erasure_was_killed(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    place = place_in("home", tmp_path / "whole")
    filled(place)
    effects = Effects()
    with counted(effects):
        place.erase(PHONES[9])
    finished(place, PHONES[9])
    assert effects.done > 60
    points = sample(effects.done, 5)
    assert struck_down("home", tmp_path, points, in_home) >= len(points) * 0.9
    assert not list(tmp_path.glob("*/home/lists/.*"))
    assert not list(tmp_path.glob("*/home/tenants/default/deliveries/.*"))


def test_a_run_that_was_killed_keeps_nobody_from_being_erased(tmp_path: Path) -> None:
    place, effects = place_in("home", tmp_path), Effects()
    place.counter.made()
    with counted(effects):
        place.counter.made(agreed=False)
    assert effects.done > 15
    states = set()
    for phone, (at, after) in zip(cycle(PHONES), sample(effects.done, 13), strict=False):
        with counted(Effects(at, after=after)), suppress(Killed):
            place.counter.made(agreed=False)
        place = reopened(place)
        states |= {entry.state for entry in place.work.catalogue.entries()}
        receipt = place.erase(phone)
        assert receipt.is_complete
        close_erasure(place.person(phone), place.work.erase_desk)
        assert place.traces_of(phone) == []
        place.verify()
    assert "making" in states


def test_a_stack_in_which_an_erasure_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("registry_items", "registry_commit"):
        monkeypatch.setattr(f"contact_sanitizer.aws.{module}.pause", lambda _turn: None)
    (tmp_path / "whole").mkdir()
    place = place_in("stack", tmp_path / "whole")
    filled(place)
    calls = calls_of(place)
    place.erase(PHONES[9])
    assert len(calls.sent) > 60
    points = sample(len(calls.sent), 7)
    assert struck_down("stack", tmp_path, points, in_stack) >= len(points) * 0.9


def calls_of(place: Place, strike: Strike | None = None) -> Calls:
    """The calls of a new process."""
    assert place.account is not None
    calls = Calls()
    calls.begin(strike)
    place.account.gate = calls.meet
    return calls


def in_stack(place: Place, phone: str, at: int, after: bool) -> bool:  # noqa: FBT001 - a case
    calls_of(place, Strike(at, "after" if after else "before", "kill"))
    try:
        place.erase(phone)
    except Killed:
        return True
    finally:
        calls_of(place)
    return False


@pytest.mark.parametrize("kind", ["timeout", "500", "throttle", "lost"])
def test_a_stack_whose_calls_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for module in ("registry_items", "registry_commit"):
        monkeypatch.setattr(f"contact_sanitizer.aws.{module}.pause", lambda _turn: None)
    monkeypatch.setattr("contact_sanitizer.aws.objects.time.sleep", lambda _seconds: None)

    def in_stack(place: Place, phone: str, at: int, after: bool) -> bool:  # noqa: FBT001 - a case
        calls_of(place, Strike(at, "after" if after else "before", kind))
        try:
            place.erase(phone)
        except ContactSanitizerError:
            return True
        finally:
            calls_of(place)
        return False

    failed = struck_down("stack", tmp_path, sample(90, 11), in_stack)
    assert failed or kind == "lost"
