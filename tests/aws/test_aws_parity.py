"""One list made in a home and in a stack: the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from cloudworld import AUDIT, CATALOGUE, CLEAN, REGISTRY, CloudWorld
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.listid import ListId
from contact_sanitizer.screening.suppression import SuppressionReason
from contact_sanitizer.workspace import Workspace
from desk import KEEPING, NOW, OPENED, agree, write_csv

PHONES = [f"138123456{number:02}" for number in range(40)]


def circumstances() -> dict[str, Any]:
    """A clock that stands still, chance that counts, and the same keys in both worlds."""
    return {"clock": lambda: NOW, "randomness": chance(), "principal": "tester"}


def chance() -> Callable[[int], bytes]:
    numbers = count(1)
    return lambda size: next(numbers).to_bytes(size, "big") if size == 10 else b"\x5a" * size


def prepare(place: Workspace) -> None:
    OPENED.append(place)
    agree(place, PHONES[:30])
    desk = place.desk("CN")
    desk.block(desk.person(PHONES[3]), "tenant", SuppressionReason.COMPLAINT)
    desk.block(desk.person(PHONES[4]), "sender:brand-b", SuppressionReason.OPTED_OUT)


def made(place: Workspace, upload: Path) -> dict[str, bytes]:
    manifest, _ = place.sanitize(upload, KEEPING)
    shelf = place.world.shelf(None)
    contents = {}
    for output in manifest.outputs:
        with shelf.file(ListId(manifest.list_id), output.name).open() as file:
            contents[output.name] = file.read()
    return contents


def test_a_home_and_a_stack_make_the_same_list(world: CloudWorld, tmp_path: Path) -> None:
    settings = StackSettings(
        "demo",
        clean=CLEAN,
        audit=AUDIT,
        registry=REGISTRY,
        catalogue=CATALOGUE,
        data_key=world.data_key,
        keyring_key=world.keyring_key,
    )
    stack = StackWorld(settings, world.clients, "default")
    here = Workspace.open(tmp_path / "home", **circumstances())
    there = Workspace.in_stack(stack, make=True, **circumstances())
    rows = [[phone, f"note {number}"] for number, phone in enumerate(PHONES)]
    upload = write_csv(tmp_path / "list.csv", [["phone", "note"], *rows, ["12345", "退订"], [PHONES[0], "x"]])
    for place in (here, there):
        prepare(place)
    at_home, in_stack = made(here, upload), made(there, upload)
    assert at_home == in_stack
    assert at_home["clean.csv"].count(b"\n") == 1 + 29
