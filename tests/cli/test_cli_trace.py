from __future__ import annotations

import json
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
PHONE = "13812345678"
SPELLINGS = (PHONE, "138-1234-5678", "138 1234 5678", "8765432183")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which somebody was on a list, was delivered, and refused since."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "list.csv").write_text(f"phone\n{PHONE}\n13912345678\n138-1234-5678\n021-62345678\n")
    (tmp_path / "consents.csv").write_text(
        "phone,purpose,channel,effective_at,source\n"
        f"{PHONE},marketing,sms,2024-01-01,called {PHONE}\n13912345678,marketing,sms,2024-01-01,form\n"
    )
    home = tmp_path / "home"
    for words in (
        ("consent", "import", tmp_path / "consents.csv"),
        ("senders", "add", "gate", "--licence", "X1", "--until", "2099-12-31", "--purpose", "marketing"),
        ("run", tmp_path / "list.csv", "--policy", tmp_path / "policy.yaml"),
    ):
        assert command(*words, home=home).status == 0
    return home


def traced(home: Path, *words: str, phone: str = PHONE) -> Said:
    said = command("trace", "-", *words, home=home, give=f"{phone}\n".encode())
    assert (said.status, said.err) == (0, "")
    return said


def delivered(home: Path) -> str:
    (entry,) = command("lists", "--json", home=home).document["lists"]
    out = home.parent / "out.csv"
    words = (entry["list_id"], "--to", "gate", "--purpose", "marketing", "--out", out)
    tokens = command("deliver", *words, "--json", home=home).document
    given = "\n".join(line.split(",")[0] for line in out.read_text().splitlines()[1:]).encode()
    assert command("redeem", "--as", "gate", "--purpose", "marketing", home=home, give=given).status == 0
    return str(tokens["delivery"])


def test_a_persons_story_is_told_oldest_first(home: Path) -> None:
    delivery = delivered(home)
    assert command("optout", "TD", "--from", PHONE, home=home).status == 0
    told = traced(home).out
    assert f"Recall due: gate was delivered {delivery}" in told
    assert command("recalls", delivery, home=home).status == 0
    lines = traced(home).out.splitlines()
    moments = [line[:24] for line in lines if line[:2] == "20"]
    assert moments == sorted(moments)
    words = [line[26:36].strip() for line in lines if line[:2] == "20"]
    assert words[0] == "consent"
    assert sorted(words) == ["block", "consent", "consent", "delivered", "list", "recalled", "redeemed"]
    facts = [line.strip() for line in lines]
    assert "row 2 kept" in facts
    assert "row 4 dropped: duplicate" in facts
    assert "known then: granted marketing/sms/any as of 2024-01-01T00:00:00.000Z" in facts
    assert "the sender has not acknowledged it" in facts
    assert lines[-1] == "Lists looked into: 1."
    assert command("recalls", "ack", delivery, home=home).status == 0
    assert "the sender has acknowledged it" in traced(home).out


def test_a_row_that_was_rejected_although_it_states_a_number_is_told(home: Path) -> None:
    assert "row 5 rejected: fixed_line" in traced(home, phone="021-62345678").out


def test_json_tells_the_same(home: Path) -> None:
    delivery = delivered(home)
    document = traced(home, "--json").document
    assert document["format"] == "contact-sanitizer/trace/v1"
    (listed,) = document["lists"]
    assert [(row["row"], row["verdict"], row["reasons"]) for row in listed["rows"]] == [
        (2, "kept", []),
        (4, "dropped", ["duplicate"]),
    ]
    assert [consent["status"] for consent in listed["known"]["consents"]] == ["granted"]
    (told,) = document["deliveries"]
    assert (told["delivery"], told["sender"], told["recall"]) == (delivery, "gate", "none")
    assert [each["sender"] for each in document["redemptions"]] == ["gate"]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_phone_is_told_and_none_is_in_the_log(home: Path, form: tuple[str, ...]) -> None:
    delivered(home)
    command("block", "add", "-", "--source", f"mail of {PHONE}", home=home, give=PHONE.encode())
    said = traced(home, *form).out
    log = json.dumps(events(home))
    for spelling in SPELLINGS:
        assert spelling not in said
        assert spelling not in log
    assert "[phone]" in said


def test_nobody_is_said_to_be_nobody_and_the_look_is_recorded(home: Path) -> None:
    said = traced(home, phone="13899990000").out
    assert said.splitlines()[0].startswith("Nothing is known of this person")
    assert operations(home)[-2:] == ["person.traced", "person.traced"]
    assert [event["status"] for event in events(home)][-2:] == ["begun", "Success"]


def test_another_tenants_list_is_not_looked_into(home: Path) -> None:
    said = traced(home, "--tenant", "other").out
    assert said.startswith("Nothing is known of this person")
    assert said.endswith("Lists looked into: 0.\n")


def test_a_list_that_is_gone_is_named(home: Path) -> None:
    (entry,) = command("lists", "--json", home=home).document["lists"]
    (Path(entry["place"]) / "manifest.json").unlink()
    last = traced(home).out.splitlines()[-1]
    assert last.startswith(f"NOT looked into: list {entry['list_id']} of ")
    assert last.endswith("cannot be told")


@pytest.mark.parametrize(
    ("state", "phrase"), [("gone", "no longer there"), ("damaged", "not what was written")]
)
def test_a_delivery_that_cannot_be_looked_into_is_named_and_the_rest_is_told(
    home: Path, state: str, phrase: str
) -> None:
    delivery = delivered(home)
    note = home / f"tenants/default/deliveries/{delivery}.people"
    note.unlink() if state == "gone" else note.write_bytes(note.read_bytes()[:-1])
    said = command("trace", "-", home=home, give=PHONE.encode())
    assert (said.status, said.code) == (1, "trace_incomplete")
    assert "row 2 kept" in said.out
    (line,) = [line for line in said.out.splitlines() if line.startswith("NOT")]
    assert line.startswith(f"NOT looked into: delivery {delivery} of ")
    assert phrase in line
    said = command("trace", "-", "--json", home=home, give=PHONE.encode())
    (unread,) = json.loads(said.out)["unread_deliveries"]
    assert (unread["delivery"], unread["state"], said.status) == (delivery, state, 1)


@pytest.mark.parametrize("given", ["12", "", f"{PHONE}\n13912345678", "nobody"])
def test_what_is_no_phone_is_refused_without_being_repeated(home: Path, given: str) -> None:
    said = command("trace", "-", home=home, give=given.encode())
    assert said.code == "number_refused"
    assert said.out == ""
    assert not given or given not in said.err


def test_a_region_says_where_a_number_belongs(home: Path) -> None:
    command("block", "add", "-", home=home, give=b"+1 202-555-0143")
    assert "added tenant operator" in traced(home, "--region", "us", phone="2025550143").out
    assert "Nothing is known" in traced(home, phone="2025550143").out


def test_where_the_look_cannot_be_recorded_nothing_is_told(home: Path) -> None:
    segments = home / "audit" / "segments"
    for path in sorted(segments.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    segments.rmdir()
    segments.write_text("")
    said = command("trace", "-", home=home, give=PHONE.encode())
    assert (said.status, said.out) == (1, "")
    assert said.code == "audit_unwritable"
