"""What people do with `--stack` and their own policy alone, on the deployed application."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from cloudcast import Cast, on_stack
from demo import EXAMPLES
from rehearsal import STACK


@pytest.fixture(scope="module")
def phone() -> str:
    """Somebody on the sample list."""
    with (EXAMPLES / "contacts.csv").open(encoding="gb18030", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    return next(cell for cell in cells if cell.isdecimal() and len(cell) == 11 and cell.startswith("1"))


def test_security_traces_a_person_and_nobody_else_does(cast: Cast, made: dict[str, Any], phone: str) -> None:
    answer = cast.stack.call(cast.security, "POST", "/trace", {"phone": phone})
    assert answer.status == 200, answer
    assert made["list_id"] in {each["list_id"] for each in answer.json["lists"]}
    assert (answer.json["next"], answer.json["unread_deliveries"]) == (None, [])
    assert {each["state"] for each in answer.json["unread"]} <= {"failed"}
    assert phone.encode() not in answer.body
    for person in (cast.uploader, cast.sender, cast.operator, cast.stranger, None):
        assert cast.stack.call(person, "POST", "/trace", {"phone": phone}).status == 403


def test_security_traces_and_verifies_with_the_command_line(
    cast: Cast, made: dict[str, Any], phone: str, tmp_path: Path
) -> None:
    sealed = cast.stack.invoke("SealFunction")
    said = on_stack(cast, cast.security, "trace", "-", give=phone.encode())
    assert said.status == 0, said
    assert made["list_id"] in said.out
    assert phone not in said.out + said.err
    key = on_stack(cast, cast.security, "audit", "key")
    assert key.out.startswith(f"contact-sanitizer/{STACK}+")
    verified = on_stack(cast, cast.security, "audit", "verify", "--json")
    assert verified.status == 0, verified
    assert verified.document["events"] >= sealed["size"] > 0
    shown = on_stack(cast, cast.security, "audit", "show", "--action", "audit.verified", "--json")
    assert [event["outcome"] for event in shown.document["events"]][-1:] == ["success"]
    proof = tmp_path / "proof"
    assert on_stack(cast, cast.security, "audit", "prove", "0", "--out", proof).status == 0
    assert on_stack(cast, cast.security, "audit", "verify", "--proof", proof).status == 0
    page = tmp_path / "report.html"
    assert on_stack(cast, cast.security, "audit", "report", "--html", page).status == 0
    assert made["list_id"] in page.read_text(encoding="utf-8")
    assert on_stack(cast, cast.security, "keys", "list").code == "keyring_denied"
    assert made["list_id"] in on_stack(cast, cast.security, "lists").out
    assert on_stack(cast, cast.security, "recalls", "pending").status == 0


def test_an_uploader_uploads_with_the_command_line_and_does_nothing_else(cast: Cast, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes((EXAMPLES / "contacts.csv").read_bytes())
    said = on_stack(cast, cast.uploader, "upload", file, "--json")
    assert said.status == 0, said
    assert said.document["state"] == "made"
    assert on_stack(cast, cast.uploader, "audit", "show").code in {"audit_unwritable", "audit_missing"}
    assert on_stack(cast, cast.uploader, "trace", "-", give=b"13812345678").code == "not_allowed"
    assert on_stack(cast, cast.stranger, "upload", file).code in {"not_allowed", "stack_unavailable"}


@pytest.mark.parametrize(
    "words",
    [
        ("senders", "list"),
        ("principals",),
        ("keys", "list"),
        ("policy", "put", EXAMPLES / "policy.yaml", "--as", "spring"),
        ("redrive",),
        ("consent", "record", "-", "--purpose", "marketing", "--channel", "sms"),
        ("optout", "TD", "--from", "-"),
    ],
    ids=lambda words: " ".join(map(str, words[:2])),
)
def test_an_operator_does_its_work_with_the_command_line(cast: Cast, words: tuple[str | Path, ...]) -> None:
    said = on_stack(cast, cast.operator, *words, give=b"13512345678")
    assert said.status == 0, said
