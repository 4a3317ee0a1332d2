"""What only a process of its own shows: streams that break, locales, signals, two at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands import command
from desk import write_csv

COMMAND = str(Path(sys.executable).parent / "contact-sanitizer")
PHONES = [f"1381234{number:04}" for number in range(5600, 5612)]
POLICY = """\
format: contact-sanitizer/policy/v1
name: 春季 sale
default_region: CN
columns:
  phone: {role: phone}
consent: {purpose: marketing, channel: sms}
"""
# the command, which is sent a signal when the first batch is in the registry
STOPPED = """\
import os, signal
from contact_sanitizer.cli.main import main
from contact_sanitizer.embedded.registry import SqliteRegistry

record = SqliteRegistry.record

def record_and_be_stopped(*args, **kwargs):
    recorded = record(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGTERM)
    return recorded

SqliteRegistry.record = record_and_be_stopped
main()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a list and a policy."""
    folder = tmp_path_factory.mktemp("process") / "名单 uploads"
    folder.mkdir()
    write_csv(folder / "list.csv", [["手机号"], *([phone] for phone in PHONES)])
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    return folder


def sanitize(place: Path) -> list[str]:
    words = ["--home", str(place / "家 home"), "run", str(place / "list.csv")]
    return [*words, "--policy", str(place / "policy.yaml")]


@pytest.mark.parametrize("what", ["phone", "policy example", "run"])
def test_an_output_that_nobody_reads_ends_the_command_quietly(what: str, place: Path) -> None:
    words = sanitize(place) if what == "run" else what.split()
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nowhere:
        done = subprocess.run(
            [COMMAND, *words],
            input=b"13812345678\n" * 9000,
            stdout=nowhere,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("what", ["phone", "run"])
def test_an_output_without_room_is_told_in_one_line(what: str, place: Path) -> None:
    words = sanitize(place) if what == "run" else [what]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [COMMAND, *words], input=b"1\n", stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: out_full: ")
    assert done.stderr.count(b"\n") == 1


LATIN = {"PYTHONIOENCODING": "latin-1"}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("locale", [LATIN, ASCII], ids=["latin", "ascii"])
def test_chinese_comes_out_under_any_locale(locale: dict[str, str], place: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))}
    as_json = ["--json"] if locale is LATIN else []
    words = [COMMAND, *sanitize(place), *as_json]
    done = subprocess.run(words, capture_output=True, check=True, env=environment | locale)
    assert done.stderr == b""
    if as_json:
        assert json.loads(done.stdout)["policy"]["name"] == "春季 sale"
    else:
        assert b"\nlist 0" in done.stdout


def test_a_place_whose_name_is_no_text_is_as_good_as_any(place: Path) -> None:
    home = os.fsencode(place) + b"/home\xff"
    listed = os.fsencode(place / "list.csv")
    shown = subprocess.run([COMMAND, "--home", home, "run", listed], capture_output=True, check=True)
    assert rb"\udcff" in shown.stdout
    told = command("--home", os.fsdecode(home), "lists", "--json")
    (entry,) = told.document["lists"]
    assert os.fsencode(entry["place"]).startswith(home + b"/lists/")


def test_an_import_that_is_stopped_says_so_and_the_next_one_finishes(tmp_path: Path) -> None:
    home, upload = tmp_path / "home", tmp_path / "blocks.csv"
    write_csv(upload, [["phone"], *([f"150{number:08}"] for number in range(12_000))])
    command("init", home=home)
    words = [sys.executable, "-c", STOPPED, "--home", str(home), "block", "import", str(upload)]
    done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode().strip().startswith("error: interrupted: ")
    assert b"Traceback" not in done.stderr
    report = command("block", "import", upload, "--json", home=home).document
    assert report["rows"] == 12_000
    assert report["by_outcome"] == {"already_there": 10_000, "recorded": 2_000}
    shown = command("block", "show", "15000011999", "--json", home=home).document
    assert len(shown["entries"]) == 1


def test_two_runs_at_once_make_one_home_and_two_lists(place: Path, tmp_path: Path) -> None:
    words = [COMMAND, "--home", str(tmp_path / "home"), "run", str(place / "list.csv"), "--json"]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    made = [process.communicate(timeout=120) for process in running]
    assert [said for _, said in made] == [b""] * 2
    ids = sorted(json.loads(out)["list_id"] for out, _ in made)
    entries = command("lists", "--json", home=tmp_path / "home").document["lists"]
    assert [(entry["list_id"], entry["state"]) for entry in entries] == [(name, "made") for name in ids]
    keys = {json.loads(out)["keys"]["primary"] for out, _ in made}
    assert len(keys) == 1
    assert [path.name for path in (tmp_path / "home" / "tenants").iterdir()] == ["default"]
    clean = {(tmp_path / "home" / "lists" / name / "clean.csv").read_bytes() for name in ids}
    assert len(clean) == 1
