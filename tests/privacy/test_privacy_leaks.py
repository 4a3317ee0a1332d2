"""Canaries in every column: after runs that succeed and runs that fail, none is found anywhere."""

from __future__ import annotations

import binascii
import csv
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from canaries import spellings
from contact_sanitizer.delivery.recalls import acknowledge
from counter import HASH, PHONE, counter_at
from counter import PHONES as COUNTED
from desk import policy

COMMAND = str(Path(sys.executable).parent / "contact-sanitizer")
PHONES = [f"1381234{number:04}" for number in range(5000, 5040)]
NAMES = [f"卡娜丽{chr(0x4E00 + number * 7)}" for number in range(40)]
IDS = [f"99000019850101{number:04}" for number in range(1000, 1040)]
EMAILS = [f"canary{number}@mail.example" for number in range(40)]

POLICY = """\
format: contact-sanitizer/policy/v1
name: leaks
default_region: CN
columns:
  phone: {role: phone}
  agreed: {role: consent, from: [同意]}
  name: {do: mask, from: [姓名]}
  secret: {do: encrypt, from: [备注]}
  hashed: {do: hash, from: [邮箱]}
  kept: {do: keep, from: [城市]}
consent: {purpose: marketing, channel: sms, evidence: column}
"""


CANARIES = {
    **{form: "phone" for phone in PHONES for form in spellings(phone)},
    **{
        form: "name"
        for name in NAMES
        for form in (name.encode(), name.encode("gb18030"), name.encode("unicode-escape"))
    },
    **{form: "id" for number in IDS for form in (number.encode(), binascii.hexlify(number.encode()))},
    **{form: "email" for email in EMAILS for form in (email.encode(), urllib.parse.quote(email).encode())},
}


def found_in(data: bytes) -> set[str]:
    return {kind for form, kind in CANARIES.items() if form in data}


def everything_under(*folders: Path) -> bytes:
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return b"\n".join([path.name.encode() + b"\n" + path.read_bytes() for path in paths if path.is_file()])


def write_list(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["手机号", "姓名", "身份证号", "邮箱", "同意", "城市", "备注"])
        for phone, name, number, email in zip(PHONES, NAMES, IDS, EMAILS, strict=True):
            kept = f"see {phone} or {email}, {number}"
            rows.writerow([phone, name, number, email, "是", kept, f"{name} {phone}"])
        rows.writerow([f"{PHONES[0]}/{PHONES[1]}", NAMES[0], IDS[0], EMAILS[0], "是", "", ""])
        rows.writerow([f"{PHONES[2]}(已退订)", NAMES[1], IDS[1], EMAILS[1], PHONES[3], "", ""])


def run(*arguments: str, home: Path, give: str = "") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [COMMAND, "--home", str(home), *arguments], input=give.encode(), capture_output=True, check=False
    )


def test_the_scan_finds_what_is_planted() -> None:
    for form, kind in CANARIES.items():
        assert kind in found_in(b"..." + form + b"...")
    assert found_in(b"nothing to see, 12345") == set()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A home after every command that takes personal data, failures included, and all that was printed."""
    folder = tmp_path_factory.mktemp("leaks")
    home, out, uploads = folder / "home", folder / "out", folder / "uploads"
    uploads.mkdir()
    upload, policy = uploads / f"{NAMES[0]}-{PHONES[0]}.csv", uploads / "policy.yaml"
    policy.write_text(POLICY)
    write_list(upload)
    broken = uploads / f"{PHONES[1]}.csv"
    broken.write_bytes(upload.read_bytes() + b'"' + PHONES[1].encode() + b"\n")
    bad_bytes = uploads / f"{PHONES[2]}.csv"
    bad_bytes.write_bytes(upload.read_bytes() + b"\xff" + PHONES[2].encode() + b"\n")
    blocks = uploads / "blocks.csv"
    blocks.write_text(
        "phone,reason\n" + "".join(f"{p},opted_out\n" for p in PHONES[:3]) + f"{PHONES[4]}x,zzz\n"
    )
    consents = uploads / "consents.csv"
    consents.write_text("phone,purpose,channel\n" + "".join(f"{p},marketing,sms\n" for p in PHONES[:9]))
    listed = ["--policy", str(policy), "--out", str(out)]
    runs = [
        run("run", str(upload), *listed, home=home),
        run("run", str(upload), *listed, "--json", home=home),
        run("run", str(broken), *listed, home=home),
        run("run", str(bad_bytes), *listed, home=home),
        run("run", str(uploads / f"{PHONES[5]}.csv"), *listed, home=home),
        run("consent", "import", str(consents), "--results", str(folder / "out" / "results.csv"), home=home),
        run("block", "import", str(blocks), home=home),
        run("block", "add", PHONES[6], home=home),
        run("block", "add", PHONES[6] + "77", home=home),
        run("block", "remove", PHONES[6], "--why", "mistake", home=home),
        run("block", "show", PHONES[6], home=home),
        run("consent", "record", "-", "--purpose", "a", "--channel", "b", home=home, give=PHONES[7]),
        run("consent", "withdraw", PHONES[7], home=home),
        run("consent", "show", PHONES[7], home=home),
        run("optout", f"call me at {PHONES[8]} {NAMES[8]}", "--from", PHONES[8], home=home),
        run("optout", "TD", "--from", PHONES[8], home=home),
        run("frobnicate", PHONES[8], home=home),
        run("block", "add", PHONES[8], "--expires-at", PHONES[8], home=home),
        run("run", PHONES[8], NAMES[8], "--out", NAMES[8], home=home),
        run("lists", home=home),
    ]
    codes = [result.returncode for result in runs]
    assert codes == [0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 0]
    printed = b"\n".join(result.stdout + result.stderr for result in runs)
    assert b"Traceback" not in printed
    return folder, printed


def test_nothing_printed_holds_personal_data(scene: tuple[Path, bytes]) -> None:
    assert found_in(scene[1]) == set()


def test_nothing_written_holds_personal_data(scene: tuple[Path, bytes]) -> None:
    folder, _ = scene
    data = everything_under(folder / "home", folder / "out")
    assert b"ct_" in data
    assert found_in(data) == set()


def test_the_clean_list_was_not_empty(scene: tuple[Path, bytes]) -> None:
    folder, _ = scene
    lists = sorted((folder / "out").glob("*/clean.csv"))
    assert len(lists) == 2
    assert all(len(path.read_text().splitlines()) > 30 for path in lists)


def test_a_home_holds_no_number_that_was_delivered_or_redeemed(tmp_path: Path) -> None:
    counter = counter_at(tmp_path)
    counter.sender()
    made = counter.made(
        policy(("audience: shared}", "audience: shared, phones: true, hash: 'sha256:+E164'}"))
    )
    tokens = counter.tokens(made)
    ids = [counter.deliver(made, form=form)[0].delivery.delivery_id for form in (PHONE, HASH)]
    counter.block(COUNTED[0])
    counter.redeem(tokens)
    for delivery_id in ids:
        counter.recalls(delivery_id)
        acknowledge(delivery_id, counter.desk())
    counter.place.close()
    forms = {form for phone in COUNTED for form in spellings(phone)}
    left, handed_out = everything_under(tmp_path / "home"), everything_under(tmp_path / "out")
    assert not [form for form in forms if form in left]
    assert [form for form in forms if form in handed_out]
