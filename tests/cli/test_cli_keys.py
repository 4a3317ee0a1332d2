"""`keys destroy`: what a key protected is lost, and it is said before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commands import Said, command
from trail import operations

PHONE = "13812345678"
PURPOSE = ("--purpose", "marketing")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a person who agreed, and a sender."""
    place = tmp_path / "home"
    words = ("consent", "record", "-", *PURPOSE, "--channel", "sms")
    assert command(*words, home=place, give=PHONE.encode()).status == 0
    gate = ("senders", "add", "gate", "--licence", "X1", "--until", "2099-12-31", *PURPOSE)
    assert command(*gate, home=place).status == 0
    return place


def keys(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = command("keys", "list", "--json", home=home).document["keys"]
    return found


def rotated(home: Path) -> int:
    """Give the home a new primary key; returns the id of the one before."""
    old: int = keys(home)[-1]["id"]
    assert command("keys", "rotate", home=home).status == 0
    return old


def destroyed(home: Path, key: int, *more: str) -> Said:
    return command("keys", "destroy", str(key), "--yes", *more, home=home)


def delivered(home: Path, made: str, name: str) -> Said:
    return command("deliver", made, "--to", "gate", *PURPOSE, "--out", home.parent / name, home=home)


def test_what_a_destroyed_key_protected_opens_no_more_and_refusals_go_on(home: Path) -> None:
    upload = home.parent / "list.csv"
    upload.write_text(f"phone\n{PHONE}\n")
    made = command("run", upload, "--json", home=home).document["list_id"]
    assert delivered(home, made, "given.csv").status == 0
    token = (home.parent / "given.csv").read_text().split()[1].encode()
    redeem = ("redeem", "--as", "gate", *PURPOSE)
    old = rotated(home)
    assert "phone" in command(*redeem, home=home, give=token).lines[0]

    said = destroyed(home, old)
    assert said.status == 0
    for lost in ("tokens", "lists", "encrypted cells", "sealed copies", "recalled", "backup"):
        assert lost in said.err
    assert [key["status"] for key in keys(home)] == ["destroyed", "primary"]
    assert command(*redeem, home=home, give=token).lines[0]["refused"] == "not_redeemable"
    assert delivered(home, made, "again.csv").code == "list_key_destroyed"
    assert not (home.parent / "again.csv").exists()
    assert command("run", upload, "--json", home=home).document["counts"]["kept"] == 1
    assert command("block", "add", "-", home=home, give=PHONE.encode()).status == 0
    assert command("audit", "verify", home=home).status == 0


def test_a_key_is_destroyed_once_and_the_same_again_changes_nothing(home: Path) -> None:
    old = rotated(home)
    first = destroyed(home, old, "--json")
    assert first.err == ""
    again = command("keys", "destroy", str(old), "--json", home=home)
    assert [said.document["already_destroyed"] for said in (first, again)] == [False, True]
    assert first.document["keys"] == again.document["keys"] == keys(home)
    assert operations(home).count("key.destroyed") == 2


def test_neither_the_primary_nor_an_unknown_key_is_destroyed(home: Path) -> None:
    primary = keys(home)[0]["id"]
    before = operations(home)
    assert destroyed(home, primary).code == "key_refused"
    assert destroyed(home, primary % 1000 + 1).code == "key_unknown"
    assert destroyed(home, -1).code == "usage"
    assert keys(home)[0]["status"] == "primary"
    assert operations(home) == before


def test_without_a_terminal_a_key_is_destroyed_with_yes_alone(home: Path) -> None:
    old = rotated(home)
    before = operations(home)
    said = command("keys", "destroy", str(old), home=home, give=b"y\n")
    assert (said.end.code, said.out) == ("key_unconfirmed", "")
    assert "no sender can redeem them" in said.err
    said = command("keys", "destroy", str(old), "--json", home=home)
    assert said.document["error"]["code"] == "key_unconfirmed"
    assert keys(home)[0]["status"] == "enabled"
    assert operations(home) == before


@pytest.mark.parametrize(
    ("answer", "status"), [(b"y\n", "destroyed"), (b"\n", "enabled"), (b"\x04", "enabled")]
)
def test_at_a_terminal_it_is_asked_first(home: Path, answer: bytes, status: str) -> None:
    old = rotated(home)
    ours, its = os.openpty()
    os.write(ours, answer)
    words = ["-m", "contact_sanitizer.cli.main", "--home", str(home), "keys", "destroy", str(old)]
    said = subprocess.run([sys.executable, *words], stdin=its, capture_output=True, text=True, check=False)
    os.close(ours)
    os.close(its)
    assert said.stderr.index("no sender can redeem them") < said.stderr.index("Destroy it?")
    assert (said.returncode == 0) == bool(said.stdout) == (status == "destroyed")
    assert keys(home)[0]["status"] == status
