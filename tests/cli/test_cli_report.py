"""`audit report` as a reviewer, an operator and a regulator's clerk use it, bad input included."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from commands import Said, command
from contact_sanitizer.audit import segments
from contact_sanitizer.embedded.objectfolder import ObjectFolder
from contact_sanitizer.errors import AuditError
from contact_sanitizer.ports import Objects
from desk import write_csv
from logworld import SIGNER
from reportlog import autumn, seal_into
from trail import events

PHONE = "13812345678"
CODE = "audit.reported"


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported")
    home, upload = folder / "home", write_csv(folder / "list.csv", [["phone"], [PHONE], ["12"]])
    terms = ("--purpose", "marketing", "--channel", "sms")
    assert command("consent", "record", "-", *terms, home=home, give=PHONE.encode()).status == 0
    assert command("run", upload, home=home).status == 0
    asked = ("--asked-at", "2026-01-01")
    for line in (
        ("block", "add", "-", "--reason", "complaint", *asked),
        ("optout", "TD", "--from", "-", *asked),
        ("consent", "withdraw", "-", "--effective-at", "2026-01-01"),
    ):
        assert command(*line, home=home, give=PHONE.encode()).status == 0
    (folder / "key").write_text(command("audit", "key", home=home).out)
    return folder


@pytest.fixture
def home(worked: Path, tmp_path: Path) -> Path:
    return shutil.copytree(worked / "home", tmp_path / "home")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copied")
    (folder / "log").mkdir()
    seal_into(ObjectFolder(folder / "log"), autumn(days=35))
    (folder / "key").write_text(SIGNER.verifier.encode() + "\n")
    return folder


def report(copied: Path, *more: str | Path) -> Said:
    return command("audit", "report", copied / "log", "--public-key", copied / "key", *more)


def announced(home: Path) -> list[dict[str, Any]]:
    return [event for event in events(home) if event["api"]["operation"] == CODE]


def test_a_home_is_reported_on_and_that_is_an_event_of_it(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    said = command("audit", "report", "--html", page, "--json", home=home)
    document = said.document
    assert (document["lists"]["rows"], document["lists"]["kept"]) == (2, 1)
    assert document["verification"]["keys_from"] == "world"
    (event,) = announced(home)
    assert event["metadata"]["uid"] == document["event"]
    assert document["event"] in page.read_text()
    assert event["unmapped"]["counts"] == {"events": 7, "told": 7}
    assert document["events"]["total"] == 7
    assert command("audit", "verify", home=home).status == 0


def test_the_commands_state_when_people_asked(home: Path) -> None:
    handling = command("audit", "report", "--json", home=home).document["registry"]["handling"]
    assert {word: each["timed"] for word, each in handling.items()} == {
        "complaints": 1,
        "opt_outs": 1,
        "withdrawals": 1,
    }
    assert handling["complaints"]["slowest_seconds"] > 86_400
    told = {e["api"]["operation"]: e["unmapped"] for e in events(home)}
    assert told["block.added"]["reason"] == "complaint"
    assert told["optout.recorded"]["reason"] == "opt_out"
    assert {told[name]["asked_at"] for name in ("block.added", "optout.recorded", "consent.withdrawn")} == {
        1_767_225_600_000
    }


def test_a_complaint_of_tomorrow_is_refused_and_a_reply_of_tomorrow_is_not(home: Path) -> None:
    late = ("--asked-at", "2999-01-01")
    phone = PHONE.encode()
    before = len(events(home))
    refused = command("block", "add", "-", "--reason", "complaint", *late, home=home, give=phone)
    assert (refused.code, len(events(home))) == ("event_refused", before)
    assert command("optout", "TD", "--from", "-", *late, home=home, give=phone).status == 0
    assert "asked_at" not in events(home)[-1]["unmapped"]


def test_where_its_event_cannot_be_written_no_page_is(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_objects: Objects, _events: object) -> None:
        raise AuditError("audit_unwritable", "the audit log cannot be written, so nothing was done")

    monkeypatch.setattr(segments, "append", refuse)
    said = command("audit", "report", "--html", tmp_path / "report.html", home=home)
    assert (said.code, said.out) == ("audit_unwritable", "")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_copy_and_a_key_are_all_that_a_report_needs(copied: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    before = sorted(path for path in copied.rglob("*"))
    said = report(copied, "--period", "2026-09", "--html", page)
    assert said.out.startswith("Verified: ")
    assert "Redemptions far above usual" in said.out
    assert said.err == ""
    assert "the log does not know that somebody looked" in page.read_text()
    assert sorted(path for path in copied.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    alone = command("audit", "report", copied / "log", "--json")
    assert "--public-key" in alone.err
    assert alone.document["verification"]["keys_from"] == "folder"


def test_periods_are_by_name_or_by_their_ends(copied: Path) -> None:
    named = report(copied, "--period", "2026-09", "--json").document
    ends = report(copied, "--from", "2026-09-01", "--to", "2026-10-01", "--json").document
    assert named["lists"] == ends["lists"]
    assert (named["period"]["name"], ends["period"]["name"]) == ("2026-09", "")
    assert named["period"]["to"] == ends["period"]["to"] == "2026-10-01T00:00:00.000Z"
    october = report(copied, "--from", "2026-10-01", "--json").document
    whole = report(copied, "--json").document
    assert named["events"]["total"] + october["events"]["total"] == whole["events"]["total"]
    future = report(copied, "--period", "2030")
    assert "begins after the newest seal" in future.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--period", "2026-13"],
        ["--period", PHONE],
        ["--period", "2026", "--from", "2026-01-01"],
        ["--from", "2026-02-01", "--to", "2026-02-01"],
        ["--heartbeat", "0"],
        ["--to", "yesterday"],
    ],
)
def test_what_cannot_be_meant_is_wrong_usage_and_is_not_repeated(copied: Path, arguments: list[str]) -> None:
    said = report(copied, *arguments)
    assert (said.status, said.code) == (2, "usage")
    assert PHONE not in said.err


def test_tampering_is_all_that_is_told(copied: Path, tmp_path: Path) -> None:
    log = shutil.copytree(copied / "log", tmp_path / "log")
    bundle = log / "tile" / "entries" / "001"
    bundle.write_bytes(bundle.read_bytes().replace(b'"gate"', b'"mate"', 1))
    page = tmp_path / "r.html"
    said = command("audit", "report", log, "--public-key", copied / "key", "--html", page)
    assert (said.status, said.code, said.out) == (1, "event_altered", "")
    assert "This log does not verify" in page.read_text()
    assert "<table" not in page.read_text()
    as_json = command("audit", "report", log, "--public-key", copied / "key", "--json")
    assert json.loads(as_json.out)["error"]["code"] == "event_altered"


def test_a_home_whose_log_does_not_verify_says_so_in_its_log(home: Path, worked: Path) -> None:
    bundle = next((home / "audit" / "tile" / "entries").rglob("[0-9]*.p/*"))
    bundle.write_bytes(bundle.read_bytes().replace(b"list.started", b"list.starved"))
    said = command("audit", "report", "--public-key", worked / "key", home=home)
    assert said.status == 1
    (event,) = announced(home)
    assert (event["status"], event["status_code"]) == ("Failure", said.code)


def test_places_that_cannot_be_read_or_written_are_named_by_code(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "none" / "r.html", tmp_path / "file" / "r.html", ""):
        assert report(copied, "--html", place).code == "out_unwritable"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert command("audit", "report", tmp_path / "none").code == "audit_missing"
    assert command("audit", "report", tmp_path, "--public-key", copied / "key").code == "checkpoint_missing"
    assert report(copied, "--checkpoint", tmp_path / "none").code == "checkpoint_missing"
    assert (
        command("audit", "report", copied / "log", "--public-key", tmp_path / "file").code
        == "public_key_invalid"
    )


def test_what_is_no_plain_file_is_written_to_and_not_replaced(copied: Path, tmp_path: Path) -> None:
    kept, link = tmp_path / "kept.html", tmp_path / "link.html"
    kept.write_text("old")
    link.symlink_to(kept)
    assert report(copied, "--html", link).status == 0
    assert link.is_symlink()
    assert "Audit report" in kept.read_text()
    full = tmp_path / "full.html"
    full.symlink_to("/dev/full")
    assert report(copied, "--html", full).code == "out_unwritable"
    assert full.is_symlink()


def test_gaps_between_seals_are_told_and_are_no_fault(copied: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    said = report(copied, "--heartbeat", "86400", "--period", "2026-09", "--html", page, "--json")
    gaps = said.document["verification"]
    assert said.status == 0
    assert (gaps["gaps_count"], gaps["gaps_elsewhere"], gaps["seal_interval_seconds"]) == (4, 2, 86_400)
    assert "Verified, with gaps between seals" in page.read_text()


def test_a_tenants_report_says_whom_it_leaves_out(home: Path) -> None:
    assert command("--tenant", "acme", "consent", "show", "-", home=home, give=PHONE.encode()).status == 0
    assert "acme" in " ".join(command("audit", "report", "--json", home=home).document["notes"])
    acme = command("--tenant", "acme", "audit", "report", "--json", home=home).document
    assert {each["action"] for each in acme["events"]["actions"]} == {"home.created", "person.shown"}
    everybody = command("audit", "report", "--all-tenants", "--json", home=home).document
    assert everybody["tenant"] is None
    assert everybody["events"]["total"] == everybody["verification"]["events"]


def test_no_phone_is_in_a_report(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    said = command("audit", "report", "--html", page, "--json", home=home)
    assert PHONE not in said.out + said.err + page.read_text()
