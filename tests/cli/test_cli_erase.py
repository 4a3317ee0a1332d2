from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from commands import Said, command
from trail import events, operations

POLICY = """\
format: contact-sanitizer/policy/v1
name: spring
default_region: CN
columns:
  phone: {role: phone}
consent: {purpose: marketing, channel: sms}
"""
PHONE, OTHER = "13812345678", "13912345678"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which somebody was on a list, and was delivered."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "list.csv").write_text(f"phone\n{PHONE}\n{OTHER}\n138-1234-5678\n")
    (tmp_path / "consents.csv").write_text(
        "phone,purpose,channel,effective_at,source\n"
        f"{PHONE},marketing,sms,2024-01-01,called {PHONE}\n{OTHER},marketing,sms,2024-01-01,form\n"
    )
    home = tmp_path / "home"
    for words in (
        ("consent", "import", tmp_path / "consents.csv"),
        ("senders", "add", "gate", "--licence", "X1", "--until", "2099-12-31", "--purpose", "marketing"),
        ("run", tmp_path / "list.csv", "--policy", tmp_path / "policy.yaml"),
    ):
        assert command(*words, home=home).status == 0
    (entry,) = command("lists", "--json", home=home).document["lists"]
    wish = (entry["list_id"], "--to", "gate", "--purpose", "marketing", "--out", tmp_path / "out.csv")
    assert command("deliver", *wish, home=home).status == 0
    return home


def erased(home: Path, *words: str, phone: str = PHONE) -> Said:
    return command("erase", "-", *words, home=home, give=f"{phone}\n".encode())


def redeemed(home: Path) -> list[str]:
    lines = (home.parent / "out.csv").read_text().splitlines()[1:]
    given = "\n".join(line.split(",")[0] for line in lines).encode()
    said = command("redeem", "--as", "gate", "--purpose", "marketing", home=home, give=given)
    return [line.get("phone") or line["refused"] for line in said.lines]


def test_after_an_erasure_nothing_is_known_and_the_audit_verifies(home: Path) -> None:
    assert redeemed(home) == [f"+86{PHONE}", f"+86{OTHER}"]
    said = erased(home, "--receipt", str(home.parent / "receipt.json"))
    assert (said.status, said.err) == (0, "")
    assert "1  rows of clean lists" in said.out
    assert "gate, as token, delivery" in said.out
    traced = command("trace", "-", home=home, give=PHONE.encode()).out
    assert traced.startswith("Nothing is known of this person")
    assert redeemed(home) == ["refused", f"+86{OTHER}"]
    verified = command("audit", "verify", "--json", home=home)
    assert verified.status == 0
    assert verified.document["lists"]["compared"] == 1
    receipt = json.loads((home.parent / "receipt.json").read_text())
    assert receipt["format"] == "contact-sanitizer/erasure/v1"
    assert receipt["complete"]
    assert receipt["removed"]["rows"] == 2
    assert (home.parent / "receipt.json").stat().st_mode & 0o077 == 0
    assert receipt["audit"]["event"] in {event["metadata"]["uid"] for event in events(home)}
    (entry,) = command("lists", "--json", home=home).document["lists"]
    shown = command("lists", "show", entry["list_id"], "--json", home=home).document
    assert shown["erased"] == 1


def test_a_note_that_is_put_back_as_it_was_is_found(home: Path) -> None:
    (note,) = (home / "tenants" / "default" / "deliveries").iterdir()
    before = note.read_bytes()
    assert erased(home).status == 0
    assert command("audit", "verify", home=home).status == 0
    after = note.read_bytes()
    assert after != before
    for content in (before, after[:-1] + b"x", after + b"x", after[:16]):
        note.write_bytes(content)
        assert command("audit", "verify", home=home).code == "delivery_altered"
    note.write_bytes(after)
    assert command("audit", "verify", home=home).status == 0


def test_after_a_refusal_trace_finds_nothing_but_the_suppression(home: Path) -> None:
    assert command("optout", "TD", "--from", PHONE, "--to", "brand-a", home=home).status == 0
    said = erased(home).out
    assert "refusal: tenant, opted_out" in said
    document = command("trace", "-", "--json", home=home, give=PHONE.encode()).document
    assert (document["lists"], document["deliveries"], document["redemptions"]) == ([], [], [])
    assert document["recorded"]["consents"] == []
    assert {entry["state"] for entry in document["recorded"]["entries"]} == {"in force"}
    assert "erased" not in json.dumps(document)
    again = command(
        "run", home.parent / "list.csv", "--policy", home.parent / "policy.yaml", "--json", home=home
    )
    assert again.document["counts"]["by_reason"] == {"suppressed": 2}


def test_a_number_is_in_no_output_and_in_no_event(home: Path) -> None:
    said = [erased(home), erased(home, "--json", phone=OTHER)]
    told = "".join(each.out + each.err for each in said) + json.dumps(events(home))
    for phone in (PHONE, OTHER):
        assert phone not in told
        assert phone[3:] not in told


def test_json_is_the_receipt_and_nobody_is_said_to_be_nobody(home: Path) -> None:
    document = erased(home, "--json", phone="13899990000").document
    assert set(document["removed"].values()) == {0}
    assert [each["what"] for each in document["stays"]] == ["audit"]
    assert operations(home)[-2:] == ["person.erased", "person.erased"]
    assert erased(home, phone="13899990000").out.startswith("Nothing was known of this person")


@pytest.mark.parametrize("given", ["12", "", f"{PHONE}\n{OTHER}", "nobody"])
def test_what_is_no_phone_is_refused_without_being_repeated(home: Path, given: str) -> None:
    before = operations(home)
    said = command("erase", "-", home=home, give=given.encode())
    assert said.code == "number_refused"
    assert said.out == ""
    assert not given or given not in said.err
    assert operations(home) == before


def test_a_receipt_replaces_no_file_and_is_given_again(home: Path) -> None:
    place = home.parent / "receipt.json"
    place.write_text("somebody's")
    said = erased(home, "--receipt", str(place))
    assert said.code == "out_exists"
    assert place.read_text() == "somebody's"
    document = erased(home, "--json").document
    assert document["removed"]["rows"] == 2
    assert erased(home, "--json").document["removed"]["rows"] == 0


def test_what_could_not_be_looked_into_is_said_and_the_status_is_1(home: Path) -> None:
    (entry,) = command("lists", "--json", home=home).document["lists"]
    decisions = Path(entry["place"]) / "decisions.parquet"
    data = decisions.read_bytes()
    decisions.write_bytes(data[:-1])
    said = erased(home, "--json")
    assert said.status == 1
    assert json.loads(said.err)["error"]["code"] == "erase_unfinished"
    assert not said.document["complete"]
    assert said.document["unfinished"] == [{"thing": "list", "name": entry["list_id"], "state": "damaged"}]
    plain = erased(home)
    assert plain.code == "erase_unfinished"
    assert f"NOT erased from list {entry['list_id']}" in plain.out
    decisions.write_bytes(data)
    assert erased(home).status == 0
    assert command("audit", "verify", home=home).status == 0


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_who_may_hold_the_person_is_named_and_the_status_is_1(home: Path, harm: str) -> None:
    (note,) = (home / "tenants" / "default" / "deliveries").iterdir()
    content = note.read_bytes()
    note.unlink()
    if harm == "damaged":
        note.write_bytes(content[:-1])
    place = home.parent / "receipt.json"
    said = erased(home, "--receipt", str(place))
    assert said.status == 1
    assert said.code == ("recipients_untold" if harm == "gone" else "erase_unfinished")
    assert f"gate MAY HOLD the person, as token, delivery {note.stem}" in said.out
    receipt = json.loads(place.read_text())
    assert not receipt["complete"]
    (each,) = receipt["may_hold"]
    assert (each["sender"], each["state"]) == ("gate", harm)
    assert redeemed(home) == ["refused", f"+86{OTHER}"]
    document = erased(home, "--json").document
    assert [each["delivery"] for each in document["may_hold"]] == [note.stem]


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "socket"])
def test_a_note_that_is_no_regular_file_is_named_as_damaged_and_the_rest_is_erased(
    home: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (note,) = (home / "tenants" / "default" / "deliveries").iterdir()
    content = note.read_bytes()
    note.unlink()
    if kind == "folder":
        note.mkdir()
    elif kind == "pipe":
        os.mkfifo(note)
    elif kind == "loop":
        note.symlink_to(note)
    else:
        # A socket's path may be a hundred bytes long.
        monkeypatch.chdir(note.parent)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(note.name)
        monkeypatch.undo()
    said = erased(home, "--json")
    assert (said.status, json.loads(said.err)["error"]["code"]) == (1, "erase_unfinished")
    document = said.document
    assert document["unfinished"] == [{"thing": "delivery", "name": note.stem, "state": "damaged"}]
    assert [(each["delivery"], each["state"]) for each in document["may_hold"]] == [(note.stem, "damaged")]
    assert (document["complete"], document["removed"]["rows"]) == (False, 2)
    if kind == "folder":
        note.rmdir()
    else:
        note.unlink()
    note.write_bytes(content)
    again = erased(home, "--json")
    assert (again.status, again.document["complete"], again.document["removed"]["deliveries"]) == (0, True, 1)
    assert command("audit", "verify", home=home).status == 0


def test_a_run_that_failed_keeps_nobody_from_being_erased(home: Path) -> None:
    assert command("run", home.parent / "nosuch.csv", home=home).status == 1
    said = erased(home, "--json")
    assert (said.status, said.err) == (0, "")
    assert said.document["complete"]
    assert said.document["removed"]["lists"] == 1
    assert command("audit", "verify", home=home).status == 0


def test_a_list_that_is_away_is_named_with_what_to_do(home: Path) -> None:
    (entry,) = command("lists", "--json", home=home).document["lists"]
    away = home.parent / "away"
    Path(entry["place"]).rename(away)
    said = erased(home)
    assert said.code == "erase_unfinished"
    assert f"NOT erased from list {entry['list_id']}: it is not where it was made." in said.out
    assert f"'lists forget {entry['list_id']}'" in said.out
    assert "NOT looked into" in command("trace", "-", home=home, give=PHONE.encode()).out
    away.rename(entry["place"])
    document = erased(home, "--json").document
    assert (document["complete"], document["removed"]["lists"]) == (True, 1)
    away = Path(entry["place"]).rename(away)
    assert erased(home, phone=OTHER).status == 1
    forgotten = command("lists", "forget", entry["list_id"], "--json", home=home)
    assert forgotten.document == {"list_id": entry["list_id"], "state": "forgotten"}
    assert operations(home)[-1] == "list.forgotten"
    assert "forgotten" in command("lists", home=home).out
    assert erased(home, phone=OTHER).status == 0
    assert "given up" in command("trace", "-", home=home, give=OTHER.encode()).out
    assert command("audit", "verify", home=home).status == 0
    assert command("audit", "report", home=home).status == 0
    assert command("lists", "forget", "nonsense", home=home).code == "list_unknown"


def test_a_refusal_is_left_where_that_is_asked_for(home: Path) -> None:
    assert "refusal: tenant, opted_out" in erased(home, "--leave-refusal").out
    assert "in force" in command("block", "show", "-", home=home, give=PHONE.encode()).out


def test_where_it_cannot_be_recorded_nothing_is_erased(home: Path) -> None:
    (entry,) = command("lists", "--json", home=home).document["lists"]
    clean = (Path(entry["place"]) / "clean.csv").read_bytes()
    segments = home / "audit" / "segments"
    for path in sorted(segments.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    segments.rmdir()
    segments.write_text("")
    said = erased(home)
    assert (said.status, said.out) == (1, "")
    assert said.code == "audit_unwritable"
    assert (Path(entry["place"]) / "clean.csv").read_bytes() == clean
