"""kill -9 at many moments of a run: no partial list is visible, nothing is lost, the next run finishes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contact_sanitizer.listid import parse_list_id

COMMAND = str(Path(sys.executable).parent / "contact-sanitizer")
KILLS = int(os.environ.get("CONTACT_SANITIZER_KILLS", "12"))
OUTPUTS = {"clean.csv", "rejects.csv", "decisions.parquet", "manifest.json"}


def whole_lists(out: Path) -> list[Path]:
    """The visible lists; each has all its files, and the digests of its manifest."""
    lists = [path for path in sorted(out.glob("*")) if not path.name.startswith(".")] if out.exists() else []
    for path in lists:
        assert parse_list_id(path.name)
        assert {file.name for file in path.iterdir()} == OUTPUTS
        for output in json.loads((path / "manifest.json").read_text())["outputs"]:
            assert (path / output["name"]).stat().st_size == output["bytes"]
    return lists


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path, float]:
    folder = tmp_path_factory.mktemp("kill")
    upload = folder / "list.csv"
    lines = (f"1500{number:07},padding {number}\n" for number in range(1_000_000, 1_150_000))
    upload.write_text("phone,note\n" + "".join(lines))
    home, out = folder / "home", folder / "out"
    command = [COMMAND, "--home", str(home), "run", str(upload), "--out", str(out)]
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return command, out, time.monotonic() - started


def test_a_killed_run_shows_nothing_and_the_next_one_finishes(scene: tuple[list[str], Path, float]) -> None:
    command, out, whole = scene
    chance = random.Random(11)  # noqa: S311 - moments, not secrets
    first = (whole_lists(out)[0] / "clean.csv").read_bytes()
    before = len(whole_lists(out))
    killed = 0
    for number in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * (number + chance.random()) / KILLS)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        whole_lists(out)
    assert killed > 0
    done = subprocess.run([*command, "--json"], check=True, capture_output=True)
    lists = whole_lists(out)
    assert len(lists) > before
    assert lists[-1].name == json.loads(done.stdout)["list_id"]
    assert (lists[-1] / "clean.csv").read_bytes() == first
    assert not list(out.glob(".*"))


def test_an_interrupted_run_says_so_and_cleans_up(scene: tuple[list[str], Path, float]) -> None:
    command, out, whole = scene
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list(out.glob(".*.partial")) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60 + whole)
    if process.returncode:
        assert process.returncode == 1
        assert said.decode().strip().startswith("error: interrupted: ")
        assert b"Traceback" not in said
    assert not list(out.glob(".*"))
