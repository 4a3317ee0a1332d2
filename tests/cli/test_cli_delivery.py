from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import command
from counter import PHONES, rows_of

POLICY = """\
format: contact-sanitizer/policy/v1
name: spring
default_region: CN
columns:
  phone: {role: phone}
consent: {purpose: marketing, channel: sms}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "list.csv").write_text("phone\n" + "\n".join(PHONES) + "\n")
    consents = [f"{phone},marketing,sms,2024-01-01" for phone in PHONES]
    (tmp_path / "consents.csv").write_text("\n".join(["phone,purpose,channel,effective_at", *consents]))
    home = tmp_path / "home"
    assert command("consent", "import", tmp_path / "consents.csv", home=home).status == 0
    words = ("--licence", "京B2-20240001", "--until", "2099-12-31", "--purpose", "marketing")
    assert command("senders", "add", "gate", *words, home=home).out == (
        "gate may fetch until 2099-12-31T23:59:59.999Z\n"
    )
    return home


@pytest.fixture
def list_id(home: Path) -> str:
    said = command(
        "run", home.parent / "list.csv", "--policy", home.parent / "policy.yaml", "--json", home=home
    )
    made: str = said.document["list_id"]
    return made


def test_a_list_is_delivered_redeemed_recalled_and_acknowledged(home: Path, list_id: str) -> None:
    out = home.parent / "out.jsonl"
    words = ("deliver", list_id, "--to", "gate", "--purpose", "marketing", "--out", out)
    delivered = command(*words, "--format", "jsonl", "--json", home=home).document
    assert (delivered["rows"], delivered["refused"], delivered["made_before"]) == (10, {}, False)
    tokens = [row["token"] for row in rows_of(out)]
    assert command("block", "add", "-", home=home, give=PHONES[3].encode()).status == 0

    given = "\r\n".join([*tokens[:4], "junk", "\udcff" * 2]).encode("utf-8", "surrogateescape")
    said = command("redeem", "--as", "gate", "--purpose", "marketing", home=home, give=given)
    assert said.lines[:3] == [
        {"token": token, "phone": f"+86{phone}"} for token, phone in zip(tokens, PHONES[:3], strict=False)
    ]
    assert said.lines[3:5] == [
        {"token": tokens[3], "refused": "refused"},
        {"token": "junk", "refused": "not_redeemable"},
    ]
    assert said.err == "refused: 3\n"

    name = delivered["delivery"]
    (recall,) = command("recalls", name, home=home).lines
    assert recall["token"] == tokens[3]
    (pending,) = command("recalls", "pending", "--hours", "0", "--json", home=home).document["pending"]
    assert (pending["delivery"], pending["unacknowledged"], pending["overdue"]) == (name, 1, True)
    assert command("recalls", "ack", name, "--json", home=home).document["cursor"] == 1
    assert command("recalls", "pending", home=home).out == "Every recall was acknowledged.\n"
    after = command("recalls", name, "--after", "1", "--json", home=home).document
    assert after == {"delivery": name, "recalls": [], "cursor": 1, "acknowledged": 1}


def test_a_delivery_whose_note_is_gone_or_damaged_is_named_and_the_others_are_told(
    home: Path, list_id: str
) -> None:
    names = []
    for number, format_ in enumerate(("csv", "jsonl", "parquet")):
        words = (
            "--purpose",
            "marketing",
            "--format",
            format_,
            "--out",
            home.parent / f"out{number}",
            "--json",
        )
        names.append(command("deliver", list_id, "--to", "gate", *words, home=home).document["delivery"])
    gone, damaged, sound = names
    notes = home / "tenants/default/deliveries"
    (notes / f"{gone}.people").unlink()
    note = notes / f"{damaged}.people"
    note.write_bytes(note.read_bytes()[:-1])
    command("block", "add", "-", home=home, give=PHONES[3].encode())
    said = command("recalls", "pending", "--json", home=home)
    told = json.loads(said.out)
    assert [each["delivery"] for each in told["pending"]] == [sound]
    assert told["untold"] == [
        {"delivery": gone, "sender": "gate", "state": "gone"},
        {"delivery": damaged, "sender": "gate", "state": "damaged"},
    ]
    assert (said.status, json.loads(said.err)["error"]["code"]) == (1, "recalls_untold")
    text = command("recalls", "pending", home=home)
    assert f"NOT looked into: delivery {gone} to gate: the note of its people is gone" in text.out
    assert f"NOT looked into: delivery {damaged} to gate: " in text.out
    assert (text.status, text.code) == (1, "recalls_untold")
    command("recalls", "ack", sound, home=home)
    assert (
        "Every recall that could be looked for was acknowledged."
        in command("recalls", "pending", home=home).out
    )


def test_the_deliverys_summary_says_what_was_left_out(home: Path, list_id: str) -> None:
    command("block", "add", PHONES[0], home=home)
    out = home.parent / "out.csv"
    said = command("deliver", list_id, "--to", "gate", "--purpose", "marketing", "--out", out, home=home).out
    assert said.startswith("delivered 9 rows to gate, as of ")
    assert "  left out 1: suppressed\n" in said
    again = command("deliver", list_id, "--to", "gate", "--purpose", "marketing", "--out", out, home=home).out
    assert again.endswith("The same delivery had been made today already.\n")


def test_senders_are_listed_shown_and_revoked(home: Path, list_id: str) -> None:
    assert "gate" in command("senders", "list", home=home).out
    assert "京B2-20240001" in command("senders", "show", "gate", home=home).out
    assert command("senders", "revoke", "gate", home=home).out == "gate revoked\n"
    (document,) = command("senders", "list", "--json", home=home).document["senders"]
    assert document["state"] == "revoked"
    words = ("--to", "gate", "--purpose", "marketing", "--out", home.parent / "x")
    assert command("deliver", list_id, *words, home=home).code == "sender_revoked"
    refused = command("redeem", "--as", "gate", "--purpose", "marketing", home=home, give=b"x\n")
    assert (refused.code, refused.out) == ("sender_revoked", "")


def test_more_tokens_than_a_call_takes_are_redeemed_in_turn(home: Path, list_id: str) -> None:
    out = home.parent / "out.csv"
    command("deliver", list_id, "--to", "gate", "--purpose", "marketing", "--out", out, home=home)
    tokens = [row["token"] for row in rows_of(out)] * 250
    file = home.parent / "tokens.txt"
    file.write_text("\n".join([*tokens, "x" * 10_000, tokens[0]]))
    said = command("redeem", "--as", "gate", "--purpose", "marketing", file, home=home)
    assert [line.get("phone") for line in said.lines] == [
        *[f"+86{phone}" for phone in PHONES] * 250,
        None,
        f"+86{PHONES[0]}",
    ]


def test_a_quota_ends_a_redemption_and_keeps_what_was_printed(home: Path) -> None:
    words = ("--licence", "X", "--until", "2099-12-31", "--purpose", "marketing")
    command("senders", "add", "gate", *words, "--redemptions-a-day", "1500", "--replace", home=home)
    said = command("redeem", "--as", "gate", "--purpose", "marketing", home=home, give=b"junk\n" * 2000)
    assert said.code == "quota_exceeded"
    assert len(said.lines) == 1000
    assert json.loads(said.out.splitlines()[0]) == {"token": "junk", "refused": "not_redeemable"}


def test_a_home_may_be_moved_with_its_lists(home: Path, list_id: str) -> None:
    moved = home.rename(home.with_name("moved"))
    words = ("--to", "gate", "--purpose", "marketing", "--out", home.parent / "out.csv")
    assert command("deliver", list_id, *words, home=moved).status == 0
    assert command("erase", "-", "--json", home=moved, give=PHONES[0].encode()).document["complete"] is True
    assert command("audit", "verify", "--json", home=moved).document["lists"]["elsewhere"] == 0


def test_a_redemption_is_lines_with_json_too(home: Path, list_id: str) -> None:
    out = home.parent / "out.csv"
    command("deliver", list_id, "--to", "gate", "--purpose", "marketing", "--out", out, home=home)
    tokens = [row["token"] for row in rows_of(out)][:2]
    redeem = ("redeem", "--as", "gate", "--purpose", "marketing", "--json")
    said = command(*redeem, home=home, give="\n".join([*tokens, "junk"]).encode())
    assert [json.loads(line) for line in said.out.splitlines()] == [
        *({"token": token, "phone": f"+86{phone}"} for token, phone in zip(tokens, PHONES, strict=False)),
        {"token": "junk", "refused": "not_redeemable"},
    ]
    assert said.err == ""


def test_what_is_like_no_command_is_taken_for_a_delivery(home: Path) -> None:
    assert command("recalls", "WRONGID", home=home).code == "delivery_unknown"
    said = command("recalls", "pendng", home=home)
    assert (said.code, said.status) == ("usage", 2)
    assert "perhaps pending" in said.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["senders", "show", "nobody"], "sender_unknown"),
        (["recalls", "01M802DPRE5E9WD1W7ZSVYE7N3"], "delivery_unknown"),
        (["recalls", "ack", "13812345678"], "delivery_unknown"),
        (["recalls", "13812345678"], "delivery_unknown"),
        (["redeem", "--as", "gate", "--purpose", "marketing", "/nowhere"], "file_missing"),
        (["redeem", "--as", "gate", "--purpose", "13812345678", "/dev/null"], "file_unreadable"),
        (["deliver", "x", "--to", "gate", "--purpose", "marketing", "--out", "y"], "list_unknown"),
        (["senders", "add", "x", "--licence", "y", "--until", "never", "--purpose", "z"], "usage"),
        (
            ["senders", "add", "13812345678", "--licence", "y", "--until", "2099-1-1", "--purpose", "z"],
            "sender_invalid",
        ),
    ],
)
def test_mistakes_are_named_and_nothing_typed_is_repeated(words: list[str], code: str, home: Path) -> None:
    said = command(*words, home=home)
    assert said.code == code
    assert "13812345678" not in said.err + said.out
