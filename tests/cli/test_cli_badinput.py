"""Files and policies that cannot be used: a stable code, one sentence, nothing told, nothing left behind."""

from __future__ import annotations

import gzip
import io
import os
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import Said, command
from trail import events

CANARY = "13812345678"
NAME = "王小明"
ROWS = f"phone,name\n{CANARY},{NAME}\n13912345678,x\n".encode()


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def zipped(**files: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return whole.getvalue()


UNUSABLE = {
    "empty": (b"", {"file_empty"}),
    "blank": (b"\n\n \n", {"file_empty", "phone_column_missing"}),
    "binary": (bytes(range(256)) * 40, {"file_binary", "encoding_invalid"}),
    "image": (b"\x89PNG\r\n\x1a\n" + bytes(4000), {"file_binary", "format_unsupported"}),
    "pdf": (b"%PDF-1.7\n" + bytes(400), {"file_binary", "format_unsupported"}),
    "old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4000), None),
    "not utf-8": (ROWS * 3 + b"\xff\xff\xff" + ROWS, {"encoding_invalid"}),
    "open quote": (ROWS + b'"' + ROWS * 9, {"quote_unterminated"}),
    "no phone column": (f"name,town\n{NAME},x\n".encode(), {"phone_column_missing"}),
    "two phone columns": (f"phone,mobile\n{CANARY},{CANARY}\n".encode(), {"phone_column_ambiguous"}),
    "truncated gzip": (gz(ROWS * 900)[:-9], {"file_truncated", "file_damaged"}),
    "truncated zip": (zipped(a=ROWS)[:-9], None),
    "two files in a zip": (zipped(a=ROWS, b=ROWS), {"archive_not_single"}),
    "bomb": (gz(bytes(300_000_000)), None),
    "truncated parquet": (b"PAR1" + bytes(500), None),
    "damaged workbook": (zipped(**{"xl/workbook.xml": b"<a", "[Content_Types].xml": b"<"}), None),
    "a list of tokens": (b"token,name\nct_" + b"A" * 48 + b",x\n", None),
}


def quiet(said: Said) -> bool:
    return not any(
        word in said.out + said.err for word in (CANARY, CANARY[2:], NAME, "13912345678", "upload")
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("badinput") / "home"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes: what a full disk looks like."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_file_that_is_no_list_is_refused_by_every_command(case: str, home: Path, tmp_path: Path) -> None:
    data, codes = UNUSABLE[case]
    upload, out = tmp_path / f"upload-{CANARY}", tmp_path / "out"
    upload.write_bytes(data)
    said = command("run", upload, "--out", out, home=home)
    assert said.code in (codes or {said.code} - {"internal"})
    assert quiet(said)
    assert not out.exists() or list(out.iterdir()) == []
    imported = command("block", "import", upload, home=home)
    assert imported.code in (codes or {said.code, "column_missing"})
    assert quiet(imported)
    seen = command("inspect", upload)
    assert seen.status in {0, 1}
    assert "internal" not in seen.err
    assert quiet(seen)


def test_what_is_no_regular_file_is_refused_at_once(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for place in (tmp_path, tmp_path / "pipe", tmp_path / "loop", Path("/dev/null")):
        for words in (["run"], ["inspect"]):
            assert command(*words, place, home=home).code == "file_unreadable"
    for words in (["run"], ["inspect"], ["consent", "import"], ["block", "import"]):
        said = command(*words, tmp_path / CANARY, home=home)
        assert said.code == "file_missing"
        assert quiet(said)


def test_a_refused_run_is_on_record_and_the_next_one_works(home: Path, tmp_path: Path) -> None:
    upload = tmp_path / "list.csv"
    upload.write_bytes(ROWS + b"\xff\n")
    assert command("run", upload, "--tenant", "again", home=home).status == 1
    upload.write_bytes(ROWS)
    assert command("run", upload, "--tenant", "again", home=home).status == 0
    lists = command("lists", "--tenant", "again", "--json", home=home).document["lists"]
    assert [entry["state"] for entry in lists] == ["failed", "made"]
    shown = command("lists", "show", lists[0]["list_id"], "--tenant", "again", home=home)
    assert shown.code == "list_unknown"


@pytest.mark.parametrize("place", ["taken", "taken/below", "/proc/none", "/dev/null", "x" * 300])
def test_a_place_for_the_list_that_cannot_be_written_is_refused(
    place: str, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_bytes(ROWS)
    (tmp_path / "taken").write_bytes(b"mine")
    said = command("run", tmp_path / "list.csv", "--out", tmp_path / place, home=home)
    assert said.code == "out_unwritable"
    assert quiet(said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.csv", "taken"]
    assert (tmp_path / "taken").read_bytes() == b"mine"


@pytest.mark.parametrize("size", [3_000, 40_000, 60_000])
def test_a_full_disk_leaves_nothing_that_looks_like_a_list(size: int, tmp_path: Path) -> None:
    home, out, upload = tmp_path / "home", tmp_path / "out", tmp_path / "list.csv"
    command("init", home=home)
    upload.write_bytes(b"phone\n" + b"".join(b"1391234%04d\n" % number for number in range(9_000)))
    before = events(home)
    with files_of_at_most(size):
        said = command("run", upload, "--out", out, home=home)
    assert said.code in {"out_full", "registry_unwritable", "registry_unavailable"}
    assert not out.exists() or list(out.iterdir()) == []
    assert events(home)[: len(before)] == before
    assert command("run", upload, "--out", out, "--json", home=home).document["counts"]["rows"] == 9_000
    assert len(list(out.iterdir())) == 1


def test_results_that_find_no_room_do_not_appear(tmp_path: Path) -> None:
    home, upload = tmp_path / "home", tmp_path / "blocks.csv"
    command("init", home=home)
    upload.write_bytes(b"phone\n" + b"".join(b"1391234%04d\n" % number for number in range(3_000)))
    with files_of_at_most(33_000):
        said = command("block", "import", upload, "--results", tmp_path / "results.csv", home=home)
    assert said.code in {"out_full", "registry_unwritable"}
    assert not list(tmp_path.glob("*results*"))
    again = command("block", "import", upload, "--results", tmp_path / "results.csv", home=home)
    assert again.status == 0
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 3_001


POLICIES = {
    "": ("policy_syntax", "line 1"),
    "format: [": ("policy_syntax", "line 1"),
    "format: contact-sanitizer/policy/v9\nname: a\n": ("policy_invalid", "line 1, key format"),
    "\tx": ("policy_syntax", "line 1"),
    "[]": ("policy_invalid", "line 1"),
    "columns: 3\nextra: 1\n": ("policy_invalid", "line 1"),
}
WHOLE = """\
format: contact-sanitizer/policy/v1
name: a
default_region: CN
columns:
  phone: {role: phone}
consent: {purpose: marketing, channel: sms}
"""
CHANGES = [
    ("default_region: CN", "default_region: ZZ", "line 3, key default_region"),
    ("  phone: {role: phone}", "  phone: {role: phone}\n  city: {do: burn}", "line 6, key columns.city.do"),
    ("  phone: {role: phone}", "  phone: {do: keep}", "line 4, key columns"),
    ("name: a\n", "name: a\nallow_types: [fax]\n", "line 3, key allow_types.0"),
    ("name: a\n", "name: a\ncolour: red\n", "line 3, key colour"),
    ("channel: sms", "channel: sms, evidence: column", "line 6, key consent.evidence"),
    ("consent: {purpose: marketing, channel: sms}\n", "", "key consent"),
]


@pytest.mark.parametrize("text", POLICIES, ids=repr)
def test_a_policy_that_is_none_is_refused_with_its_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(text, encoding="utf-8")
    code, where = POLICIES[text]
    said = command("policy", "check", tmp_path / "policy")
    assert said.code == code
    assert where in said.err


@pytest.mark.parametrize(("old", "new", "where"), CHANGES)
def test_a_policy_says_the_key_and_line_that_is_wrong(old: str, new: str, where: str, tmp_path: Path) -> None:
    assert old in WHOLE
    (tmp_path / "policy").write_text(WHOLE.replace(old, new), encoding="utf-8")
    said = command("policy", "check", tmp_path / "policy")
    assert said.code == "policy_invalid"
    assert where in said.err
    (tmp_path / "policy").write_text(WHOLE, encoding="utf-8")
    assert command("policy", "check", tmp_path / "policy").status == 0


def test_a_run_with_a_policy_that_cannot_be_used_touches_nothing(tmp_path: Path) -> None:
    upload, home = tmp_path / "list.csv", tmp_path / "home"
    upload.write_bytes(ROWS)
    for policy, code in (
        (tmp_path / CANARY, "policy_missing"),
        (tmp_path, "policy_unreadable"),
        (upload, "policy_invalid"),
        (Path("/dev/zero"), "policy_unreadable"),
    ):
        said = command("run", upload, "--policy", policy, home=home)
        assert said.code == code
        assert quiet(said)
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


def test_a_policy_whose_column_is_not_in_the_file_refuses_the_file(home: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(ROWS)
    (tmp_path / "policy").write_text(WHOLE.replace("phone}\n", "phone}\n  town: {do: keep}\n"))
    said = command("run", tmp_path / "list.csv", "--policy", tmp_path / "policy", home=home)
    assert said.code == "column_missing"
    assert "town" in said.err


@pytest.mark.parametrize("text", [f"*{CANARY}", f"a: *x{CANARY}", f"a: !x{CANARY} b"])
def test_a_list_that_is_taken_for_a_policy_is_not_quoted(text: str, tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(text, encoding="utf-8")
    said = command("policy", "check", tmp_path / "policy")
    assert said.code == "policy_syntax"
    assert quiet(said)
