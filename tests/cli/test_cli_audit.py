"""`audit` as the reviewer uses it: show, verify with a copy and a key, prove; what is said of tampering."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands import Said, command
from desk import write_csv
from trail import operations, waiting

PHONE = "13812345678"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    upload = write_csv(folder / "list.csv", [["phone"], [PHONE], ["12"]])
    assert (
        command(
            "consent", "record", PHONE, "--purpose", "marketing", "--channel", "sms", home=folder / "home"
        ).status
        == 0
    )
    assert command("run", upload, home=folder / "home").status == 0
    assert command("run", folder / "none.csv", home=folder / "home").status == 1
    (folder / "key").write_text(command("audit", "key", home=folder / "home").out)
    return folder


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound / "home", tmp_path / "home")


def verify(sound: Path, log: Path, *more: str | Path) -> Said:
    return command("audit", "verify", log, "--public-key", sound / "key", *more)


def test_whoever_verifies_or_reports_on_a_copy_waits_for_no_engine() -> None:
    heavy = ["numpy", "pyarrow", "phonenumbers", "contact_sanitizer.workspace"]
    code = (
        "import sys, contact_sanitizer.cli.auditverify, contact_sanitizer.cli.auditreport;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "[]\n"


def test_show_tells_what_happened_and_filters_it(home: Path) -> None:
    document = command("audit", "show", "--json", home=home).document
    actions = [event["action"] for event in document["events"]]
    assert actions == [
        "home.created",
        "consent.recorded",
        "list.started",
        "list.published",
        "list.started",
        "list.failed",
    ]
    assert [event["index"] for event in document["events"]] == list(range(6))
    (published,) = command("audit", "show", "--action", "list.published", "--json", home=home).document[
        "events"
    ]
    listed = command("audit", "show", "--list", published["list_id"], home=home)
    assert len(listed.out.splitlines()) == 2
    assert len(command("audit", "show", "--action", "list", "--json", home=home).document["events"]) == 4
    (failed,) = command("audit", "show", "--outcome", "failure", "--json", home=home).document["events"]
    assert failed["code"] == "file_missing"
    assert (
        command("audit", "show", "--until", "2020-01-01", home=home).out == "Nothing of that kind happened.\n"
    )
    assert command("audit", "show", "--principal", "nobody", "--json", home=home).document == {"events": []}
    assert command("audit", "show", "--action", PHONE, home=home).code == "usage"


def test_show_says_which_key_was_rotated_or_destroyed(home: Path) -> None:
    first, log_key = command("keys", "list", "--json", home=home).document["keys"][0]["id"], "former="
    assert command("keys", "rotate", home=home).status == 0
    assert command("keys", "destroy", str(first), "--yes", home=home).status == 0
    shown = command("audit", "show", "--action", "key", home=home).out.splitlines()
    assert [line.split()[3:] for line in shown] == [
        ["key.rotated", f"key={first}"],
        ["key.destroyed", f"key={first}"],
    ]
    assert command("audit", "rotate-key", home=home).status == 0
    (line,) = command("audit", "show", "--action", "audit.rekeyed", home=home).out.splitlines()
    assert log_key in line
    assert " next=" in line


def test_show_says_in_which_form_a_list_was_delivered(home: Path, tmp_path: Path) -> None:
    (made, *_) = command("lists", "--json", home=home).document["lists"]
    sender = ("senders", "add", "gate", "--licence", "X1", "--until", "2099-12-31", "--purpose", "marketing")
    wish = ("--to", "gate", "--purpose", "marketing", "--format", "jsonl", "--out", tmp_path / "out.jsonl")
    assert command(*sender, home=home).status == 0
    assert command("deliver", made["list_id"], *wish, home=home).status == 0
    (line,) = command("audit", "show", "--action", "delivery.published", home=home).out.splitlines()
    assert " form=token format=jsonl " in line
    assert " sealed=no" in line


def test_a_copy_and_a_key_are_all_that_verification_needs(sound: Path, home: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(home / "audit", tmp_path / "copy")
    shutil.rmtree(home)
    said = verify(sound, copy, "--json")
    assert said.document["verified"]
    assert (said.document["events"], said.document["waiting"]) == (6, 0)
    assert verify(sound, copy, "--lists", sound / "home" / "lists", "--json").document["lists"] == {
        "compared": 1,
        "elsewhere": 0,
    }
    assert not home.exists()
    alone = command("audit", "verify", copy)
    assert alone.status == 0
    assert "--public-key" in alone.err


def test_tampering_is_named_and_ends_with_status_1(sound: Path, home: Path) -> None:
    bundle = next((home / "audit" / "tile" / "entries").rglob("[0-9]*.p/*"))
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b"consent.recorded", b"consent.withdrawn"[:16]))
    said = verify(sound, home / "audit")
    assert said.code == "event_altered"
    assert "event 1 " in said.err
    assert json.loads(verify(sound, home / "audit", "--json").out)["error"]["code"] == "event_altered"


def test_lists_that_were_made_elsewhere_are_compared_where_they_are(home: Path, tmp_path: Path) -> None:
    upload, out = write_csv(tmp_path / "list.csv", [["phone"], [PHONE]]), tmp_path / "out"
    assert command("run", upload, "--out", out, home=home).status == 0
    compared = {"compared": 2, "elsewhere": 0}
    assert command("audit", "verify", "--json", home=home).document["lists"] == compared
    (clean,) = out.glob("*/clean.csv")
    clean.write_bytes(clean.read_bytes() + b"x")
    assert command("audit", "verify", home=home).code == "list_altered"
    clean.parent.rename(tmp_path / "away")
    assert command("audit", "verify", "--json", home=home).document["lists"] == {
        "compared": 1,
        "elsewhere": 1,
    }


def test_lists_and_deliveries_of_several_folders_are_compared(home: Path, tmp_path: Path) -> None:
    two = [tmp_path / "one", tmp_path / "two"]
    lists = [word for out in two for word in ("--lists", out)]
    upload = write_csv(tmp_path / "list.csv", [["phone"], [PHONE]])
    for out in two:
        assert command("run", upload, "--out", out, home=home).status == 0
    words = ("audit", "verify", home / "audit", *lists)
    assert command(*words, "--json").document["lists"] == {"compared": 2, "elsewhere": 1}
    assert command(*words, *lists, "--json").document["lists"] == {"compared": 2, "elsewhere": 1}
    (clean,) = two[0].glob("*/clean.csv")
    clean.write_bytes(b"x")
    assert command(*words).end.code == "list_altered"
    folders = [tmp_path / "sent", tmp_path / "nothing"]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "gate.csv").write_bytes(b"no delivery")
    sent = [word for folder in folders for word in ("--deliveries", folder)]
    assert command("audit", "verify", home / "audit", *sent).end.code == "delivery_unannounced"


def test_the_homes_own_log_is_verified_with_its_lists_and_that_is_an_event(home: Path) -> None:
    said = command("audit", "verify", "--json", home=home)
    assert said.document["lists"] == {"compared": 1, "elsewhere": 0}
    assert operations(home)[-1] == "audit.verified"
    (manifest,) = (home / "lists").glob("*/manifest.json")
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert command("audit", "verify", home=home).code == "list_altered"
    failed = command(
        "audit", "show", "--outcome", "failure", "--action", "audit", "--json", home=home
    ).document
    assert [event["code"] for event in failed["events"]] == ["list_altered"]
    assert waiting(home) == []


def test_a_proof_is_checked_without_the_log(sound: Path, home: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    assert command("audit", "prove", "3", "--out", proof, home=home).status == 0
    said = command("audit", "verify", "--proof", proof, "--public-key", sound / "key", "--json")
    assert said.document["event"]["action"] == "list.published"
    assert said.document["event"]["index"] == 3
    proof.write_bytes(proof.read_bytes().replace(b"index 3", b"index 2"))
    assert command("audit", "verify", "--proof", proof, "--public-key", sound / "key").code == "proof_refused"
    assert command("audit", "prove", "99", home=home).code == "event_unknown"


def test_a_proof_takes_no_other_files_place(home: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    assert command("audit", "prove", "3", "--out", proof, home=home).status == 0
    before = proof.read_bytes()
    assert command("audit", "prove", "2", "--out", proof, home=home).code == "out_exists"
    assert proof.read_bytes() == before
    assert command("audit", "prove", "2", "--out", tmp_path, home=home).code == "out_exists"
    assert (
        command("audit", "prove", "2", "--out", tmp_path / "no" / "proof", home=home).code == "out_unwritable"
    )


def test_a_heartbeat_is_asked_for_and_missed(sound: Path, home: Path) -> None:
    assert command("audit", "seal", "--heartbeat", home=home).status == 0
    assert verify(sound, home / "audit", "--heartbeat", "86400").status == 0
    old = json.loads((home / "audit" / "checkpoint").read_text().splitlines()[4].split()[1])
    assert old > 0
    assert verify(sound, home / "audit", "--checkpoint", home / "audit" / "checkpoints" / "001").status == 0


@pytest.mark.parametrize("name", ["none", "list.csv", "home"])
def test_a_key_that_is_none_is_refused(name: str, sound: Path) -> None:
    said = command("audit", "verify", sound / "home" / "audit", "--public-key", sound / name)
    assert said.code == "public_key_invalid"


def test_a_folder_that_is_no_log_is_refused(sound: Path, tmp_path: Path) -> None:
    assert verify(sound, tmp_path / "none").code == "audit_missing"
    assert verify(sound, tmp_path).code == "checkpoint_missing"
