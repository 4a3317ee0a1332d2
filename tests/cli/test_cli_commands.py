"""What each command does and prints, as a newcomer would go through them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from commands import Said, command
from desk import write_csv
from trail import events

PHONES = [f"1381234{number:04}" for number in range(5600, 5612)]
POLICY = """\
format: contact-sanitizer/policy/v1
name: 春季 sale
default_region: CN
columns:
  phone: {role: phone}
  city: {do: keep, from: [城市]}
consent: {purpose: marketing, channel: sms}
"""
OUTPUTS = {"clean.csv", "rejects.csv", "decisions.parquet", "manifest.json"}


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """A list, a policy, consents and a blocklist, in a folder whose name is no ASCII word."""
    folder = tmp_path / "名单 uploads"
    folder.mkdir()
    write_csv(
        folder / "list.csv", [["手机号", "城市"], *([phone, "上海"] for phone in PHONES), ["12", "北京"]]
    )
    write_csv(
        folder / "consents.csv",
        [["phone", "purpose", "channel"], *([phone, "marketing", "sms"] for phone in PHONES[:10])],
    )
    write_csv(folder / "blocks.csv", [["phone", "reason"], [PHONES[0], "opted_out"], ["zzz", ""]])
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    return folder


def sanitize(uploads: Path, home: Path, *more: str | Path) -> Said:
    return command("run", uploads / "list.csv", "--policy", uploads / "policy.yaml", *more, home=home)


def test_a_newcomer_gets_from_nothing_to_a_clean_list(uploads: Path, tmp_path: Path) -> None:
    home, out = tmp_path / "我的 home", tmp_path / "out 目录"
    assert f"home {home} is ready for tenant default." in command("init", home=home).out
    assert "10 rows\n  recorded" in command("consent", "import", uploads / "consents.csv", home=home).out
    blocked = command("block", "import", uploads / "blocks.csv", home=home)
    assert blocked.out.splitlines()[0] == "2 rows"
    assert "row 3: not_a_phone" in blocked.out
    assert blocked.err == "warning: blocks_not_understood (1)\n"
    said = sanitize(uploads, home, "--out", out)
    assert (said.status, said.err) == (0, "")
    shown = {line.split()[0]: line.split()[1] for line in said.out.splitlines()[1:8] if line}
    assert shown == {
        "kept": "9",
        "dropped": "3",
        "suppressed": "1",
        "consent_missing": "2",
        "rejected": "1",
        "too_short": "1",
        "all": "rows",
    }
    (made,) = out.iterdir()
    assert f"list {made.name} in {made}" in said.out
    assert {path.name for path in made.iterdir()} == OUTPUTS
    with (made / "clean.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["city"] for row in rows} == {"上海"}
    assert len({row["token"] for row in rows}) == 9
    shown_list = command("lists", home=home).out
    assert shown_list.startswith(made.name)
    assert "春季 sale" in shown_list
    assert command("lists", "show", made.name, home=home).document == json.loads(
        (made / "manifest.json").read_text(encoding="utf-8")
    )


def test_the_same_file_twice_is_two_lists_of_the_same_bytes(uploads: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    command("consent", "import", uploads / "consents.csv", home=home)
    ids = [sanitize(uploads, home, "--json").document["list_id"] for _ in range(2)]
    first, second = (home / "lists" / name / "clean.csv" for name in ids)
    assert ids == sorted(set(ids))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().count(b"\n") == 11
    again = command("consent", "import", uploads / "consents.csv", home=home, give=b"").out
    assert "already_there" in again
    assert [entry["list_id"] for entry in command("lists", "--json", home=home).document["lists"]] == ids


def test_nobody_with_consent_is_said_so(uploads: Path, tmp_path: Path) -> None:
    said = sanitize(uploads, tmp_path / "home")
    assert "Nobody on this list has a consent on record: see 'consent import --help'." in said.out


def test_tenants_see_nothing_of_each_other(uploads: Path, tmp_path: Path) -> None:
    home, one, two = tmp_path / "home", ("--tenant", "one"), ("--tenant", "two")
    for tenant in (one, two):
        command("consent", "import", uploads / "consents.csv", *tenant, home=home)
    command("block", "add", PHONES[1], *one, home=home)
    made = [sanitize(uploads, home, "--json", *tenant).document for tenant in (one, two)]
    assert [manifest["counts"]["kept"] for manifest in made] == [9, 10]
    tokens = [
        {line.split(",")[0] for line in (home / "lists" / m["list_id"] / "clean.csv").read_text().split()[1:]}
        for m in made
    ]
    assert not tokens[0] & tokens[1]
    assert made[0]["upload"]["digest"] != made[1]["upload"]["digest"]
    for tenant, own, other in ((one, made[0], made[1]), (two, made[1], made[0])):
        lists = command("lists", "--json", *tenant, home=home).document["lists"]
        assert [entry["list_id"] for entry in lists] == [own["list_id"]]
        assert command("lists", "show", other["list_id"], *tenant, home=home).code == "list_unknown"
    assert command("block", "show", PHONES[1], "--json", *two, home=home).document == {"entries": []}
    keys = [command("keys", "list", "--json", *tenant, home=home).document["keys"] for tenant in (one, two)]
    assert keys[0][0]["id"] != keys[1][0]["id"]


def test_a_phone_can_come_by_standard_input(tmp_path: Path) -> None:
    home, given = tmp_path / "home", f" {PHONES[0]} \r\n".encode()
    assert command("block", "add", "-", "--reason", "complaint", home=home, give=given).out == "recorded\n"
    assert "complaint" in command("block", "show", "-", home=home, give=given).out
    one = command("block", "remove", "-", "--why", "mistake", "--by", "ann", home=home, give=given)
    assert "A second person has to run the same command" in one.out
    two = command("block", "remove", "-", "--why", "mistake", "--by", "bob", "--json", home=home, give=given)
    assert two.document["waiting_for_second_person"] == 0
    assert "removed" in command("block", "show", "-", home=home, give=given).out
    assert command("block", "show", "-", home=home, give=b"").code == "number_refused"
    assert command("block", "show", "-", home=home, give=b"\xff\xfe\n").code == "encoding_invalid"


def test_a_withdrawal_by_its_date_alone_outweighs_a_consent_of_that_day(tmp_path: Path) -> None:
    home, given = tmp_path / "home", b"13812345678"
    upload = write_csv(tmp_path / "list.csv", [["phone"], ["13812345678"]])
    terms = ("--purpose", "marketing", "--channel", "sms")
    said = ("consent", "record", "-", *terms, "--effective-at", "2026-03-01T09:00:00Z")
    assert command(*said, home=home, give=given).status == 0
    taken_back = ("consent", "withdraw", "-", "--effective-at", "2026-03-01")
    assert command(*taken_back, home=home, give=given).status == 0
    (event,) = [each for each in events(home) if each["api"]["operation"] == "consent.withdrawn"]
    assert event["unmapped"]["asked_at"] == 1_772_323_200_000
    counts = command("run", upload, "--json", home=home).document["counts"]
    assert counts["by_reason"] == {"consent_withdrawn": 1}


@pytest.mark.parametrize("given", [b"", b" \r\n\n"])
@pytest.mark.parametrize(
    "words",
    [
        ("block", "add", "-"),
        ("block", "add", PHONES[0], "-"),
        ("consent", "record", "-", "--purpose", "marketing", "--channel", "sms"),
        ("consent", "withdraw", "-"),
        ("optout", "TD", "--from", "-"),
    ],
)
def test_standard_input_without_a_phone_is_refused_and_nothing_is_recorded(
    tmp_path: Path, words: tuple[str, ...], given: bytes
) -> None:
    home = tmp_path / "home"
    assert command("init", home=home).status == 0
    before = events(home)
    said = command(*words, home=home, give=given)
    assert (said.code, said.out) == ("number_refused", "")
    assert events(home) == before


def test_a_consent_with_an_end_is_shown_until_when_it_holds(tmp_path: Path) -> None:
    home, terms = tmp_path / "home", ("--channel", "sms", "--effective-at", "2026-03-01", "--source", "form")
    ends = ("--purpose", "marketing", *terms, "--expires-at", "2027-03-01")
    for said in (ends, ("--purpose", "surveys", *terms)):
        assert command("consent", "record", PHONES[0], *said, home=home).status == 0
    lines = command("consent", "show", PHONES[0], home=home).out.splitlines()
    assert sorted(line.split("granted")[1].split() for line in lines) == [
        ["marketing/sms/any", "until", "2027-03-01T00:00:00.000Z", "form"],
        ["surveys/sms/any", "form"],
    ]


def test_of_several_phones_none_is_blocked_where_one_cannot_be_read(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert command("block", "add", PHONES[0], "not a phone", home=home).code == "number_refused"
    assert command("block", "show", PHONES[0], home=home).out == "No entry.\n"


def test_an_argument_that_is_no_text_is_refused(tmp_path: Path) -> None:
    # what Python makes of the byte 0xFF on a command line
    assert command("block", "add", "\udcff", home=tmp_path / "home").code == "encoding_invalid"
    assert command("optout", "\udcff", "--from", PHONES[0], home=tmp_path / "home").code == "encoding_invalid"
    said = command("consent", "withdraw", PHONES[0], "--source", "\udcff", home=tmp_path / "home")
    assert said.code == "event_refused"


def test_every_command_prints_one_json_document(uploads: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    terms = ("--purpose", "marketing", "--channel", "sms")
    expected = {
        ("init",): {"home", "tenant", "keys"},
        ("keys", "list"): {"keys"},
        ("keys", "rotate"): {"keys"},
        ("policy", "example"): {"policy"},
        ("policy", "check", str(uploads / "policy.yaml")): {"name", "sha256", "valid"},
        ("inspect", str(uploads / "list.csv")): {
            "format",
            "compression",
            "encoding",
            "delimiter",
            "bytes",
            "header_row",
            "columns",
        },
        ("consent", "import", str(uploads / "consents.csv")): {
            "rows",
            "by_outcome",
            "refused_rows",
            "warnings",
            "contract",
            "registry_change",
        },
        ("consent", "record", PHONES[0], *terms): {"result"},
        ("consent", "withdraw", PHONES[0]): {"result"},
        ("consent", "show", PHONES[0]): {"consents"},
        ("block", "import", str(uploads / "blocks.csv")): {
            "rows",
            "by_outcome",
            "refused_rows",
            "warnings",
            "contract",
            "registry_change",
        },
        ("block", "add", *PHONES[:2]): {"results"},
        ("block", "show", PHONES[0]): {"entries"},
        ("block", "remove", PHONES[0], "--why", "mistake"): {"results", "waiting_for_second_person"},
        ("optout", "TD", "--from", PHONES[0]): {"result", "recorded"},
        ("lists",): {"lists"},
        ("run", str(uploads / "list.csv"), "--policy", str(uploads / "policy.yaml")): {
            "format",
            "list_id",
            "upload",
            "policy",
            "engine",
            "keys",
            "registry_as_of",
            "counts",
            "warnings",
            "outputs",
            "started_at",
            "finished_at",
        },
    }
    for called, keys in expected.items():
        said = command(*called, "--json", home=home)
        assert (said.status, said.err) == (0, ""), called
        assert set(said.document) == keys, called
    for words in (
        ["block", "add", "zzz"],
        ["run", "absent"],
        ["policy", "check", "absent"],
        ["inspect", "absent"],
    ):
        said = command("--json", *words, home=home)
        assert said.status == 1
        assert set(said.document["error"]) == {"code", "message"}
        assert json.loads(said.err) == said.document


def test_inspect_shows_headers_and_no_cell(uploads: Path, tmp_path: Path) -> None:
    seen = command("inspect", uploads / "list.csv")
    assert "column 1     手机号  (phone)" in seen.out
    assert "上海" not in seen.out
    headless = tmp_path / "headless.csv"
    write_csv(headless, [[phone, "上海"] for phone in PHONES])
    shown = command("inspect", headless)
    assert shown.status == 0
    assert "(no header)" in shown.out
    assert "上海" not in shown.out
    assert PHONES[0] not in shown.out
    assert not (tmp_path / ".contact-sanitizer").exists()


def test_the_example_policy_passes_its_own_check(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(command("policy", "example").out, encoding="utf-8")
    said = command("policy", "check", tmp_path / "policy.yaml")
    assert said.out.startswith("policy spring-sale is valid\nsha256 ")


def test_consents_that_say_not_for_what_are_refused_with_the_way_out(tmp_path: Path) -> None:
    home, upload = tmp_path / "home", write_csv(tmp_path / "c.csv", [["phone"], [PHONES[0]]])
    said = command("consent", "import", upload, home=home)
    assert "purpose_or_channel_missing" in said.out
    assert "--purpose and --channel" in said.err
    terms = ("--purpose", "marketing", "--channel", "sms")
    again = command("consent", "import", upload, *terms, home=home)
    assert (again.err, again.out.split()[-2:]) == ("", ["recorded", "1"])


def test_results_tell_every_row_and_appear_when_all_is_done(uploads: Path, tmp_path: Path) -> None:
    home, results = tmp_path / "home", tmp_path / "results.csv"
    done = command("block", "import", uploads / "blocks.csv", "--results", results, home=home)
    assert done.status == 0
    assert results.read_text() == "row,outcome\n2,recorded\n3,refused:not_a_phone\n"
    broken = uploads / "broken.csv"
    broken.write_bytes(b"phone\n" + PHONES[0].encode() + b"\n\xff\n")
    said = command("block", "import", broken, "--results", tmp_path / "none.csv", home=home)
    assert said.code == "encoding_invalid"
    assert [path.name for path in tmp_path.glob("*none*")] == []


def test_results_never_take_the_place_of_the_list_or_of_a_folder(uploads: Path, tmp_path: Path) -> None:
    home, blocks = tmp_path / "home", uploads / "blocks.csv"
    before = blocks.read_bytes()
    for place in (blocks, uploads / "." / "blocks.csv", tmp_path, tmp_path / "absent" / "results.csv"):
        said = command("block", "import", blocks, "--results", place, home=home)
        assert said.code == "out_unwritable"
        assert blocks.read_bytes() == before
    assert command("block", "show", PHONES[0], home=home).out == "No entry.\n"


def test_a_reply_is_read_as_a_person_would(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert command("optout", "退订!", "--from", PHONES[0], home=home).out == "opt-out recorded\n"
    kept = command("optout", "好的谢谢", "--from", PHONES[1], "--json", home=home).document
    assert kept == {"result": "unrecognised", "recorded": False}
    shown = command("block", "show", PHONES[0], "--json", home=home).document["entries"]
    assert [(entry["scope"], entry["reason"], entry["state"]) for entry in shown] == [
        ("tenant", "opted_out", "in force")
    ]
    consents = command("consent", "show", PHONES[0], home=home).out
    assert "withdrawn" in consents


def test_a_login_name_with_a_long_number_can_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "u20261234")
    assert command("block", "show", PHONES[0], home=tmp_path / "home").out == "No entry.\n"


def test_a_refusal_towards_a_sender_with_a_long_number_is_recorded(tmp_path: Path) -> None:
    scope = ("--scope", "sender:106901234567")
    assert command("block", "add", PHONES[0], *scope, home=tmp_path / "home").out == "recorded\n"


def test_standard_input_gives_all_its_phones_or_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    both = ("\n".join(PHONES[:2]) + "\n").encode()
    assert command("block", "add", "-", home=home, give=both).out == "recorded\nrecorded\n"
    assert command("block", "show", PHONES[1], home=home).out.startswith("tenant")
    assert command("optout", "TD", "--from", "-", home=home, give=both).code == "number_refused"
