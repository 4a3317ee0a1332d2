"""One list however often it is made: attempts at one upload, at once or after a crash, come to the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from contact_sanitizer.errors import ContactSanitizerError, OutputError
from contact_sanitizer.listid import ListId, sortable_id
from contact_sanitizer.outputs.manifest import Manifest
from contact_sanitizer.screening.suppression import SuppressionReason
from contact_sanitizer.workspace import Workspace
from desk import NOW, agree, home_of, policy, workspace, write_csv

ANA, BEN = "13812345678", "13912345679"
LIST = sortable_id(NOW, b"a replayed")


@dataclass
class Stopped(BaseException):
    """The process ends here."""


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    opened = workspace(tmp_path / "home")
    agree(opened, [ANA, BEN])
    return opened


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "list.csv", [["手机号"], [ANA], [BEN], ["12"]])


def make(place: Workspace, upload: Path) -> tuple[Manifest, dict[str, bytes]]:
    manifest, where = place.sanitize(upload, policy(), list_id=LIST)
    return manifest, {path.name: path.read_bytes() for path in Path(where).iterdir()}


def operations(place: Workspace) -> list[str]:
    events = {line: json.loads(line) for line in home_of(place).audit.lines()}
    listed = [e for e in events.values() if e["unmapped"].get("list_id") == LIST]
    # The clock stands still here, so the log cannot know what came first.
    return sorted((event["api"]["operation"] for event in listed), reverse=True)


def stop_at(target: object, name: str, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    whole: Callable[..., object] = getattr(target, name)

    def stopping(*args: object, **kwargs: object) -> object:
        if after:
            whole(*args, **kwargs)
        raise Stopped

    monkeypatch.setattr(target, name, stopping)


def test_a_second_attempt_finds_the_list_and_changes_nothing(place: Workspace, upload: Path) -> None:
    first = make(place, upload)
    assert make(place, upload) == first
    assert operations(place) == ["list.started", "list.published"]
    assert [(entry.state, entry.kept) for entry in place.catalogue.entries()] == [("made", 2)]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["claim", "change", "publish"])
def test_an_attempt_that_died_is_finished_by_the_next_with_the_same_bytes(
    place: Workspace, upload: Path, step: str, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    from contact_sanitizer.catalogue import Catalogue  # noqa: PLC0415 - the seams that are cut
    from contact_sanitizer.embedded.listfolder import ListFolder  # noqa: PLC0415 - as above

    with monkeypatch.context() as cut:
        stop_at(ListFolder if step == "publish" else Catalogue, step, cut, after=after)
        with pytest.raises(Stopped):
            make(place, upload)
    desk = place.desk("CN")
    desk.block(desk.person(BEN), "tenant", SuppressionReason.OPTED_OUT)
    place.rotate_keys()
    manifest, files = make(place, upload)
    assert make(place, upload) == (manifest, files)
    began_before = not (step == "claim" and not after)
    assert manifest.counts.kept == (2 if began_before else 1)
    finished = [name for name in operations(place) if name != "list.failed"]
    assert set(finished) == {"list.started", "list.published"}
    assert len(finished) == 2


def test_an_attempt_under_another_policy_is_refused(place: Workspace, upload: Path) -> None:
    make(place, upload)
    other = policy(("purpose: marketing", "purpose: service"))
    with pytest.raises(OutputError, match="list_claimed"):
        place.sanitize(upload, other, list_id=LIST)


def test_a_failed_attempt_is_no_hindrance(place: Workspace, upload: Path) -> None:
    content = upload.read_bytes()
    upload.write_bytes(b"")
    with pytest.raises(ContactSanitizerError, match="file_empty"):
        make(place, upload)
    assert [entry.state for entry in place.catalogue.entries()] == ["failed"]
    upload.write_bytes(content)
    assert make(place, upload)[0].counts.kept == 2
    assert [entry.state for entry in place.catalogue.entries()] == ["made"]


def test_a_manifest_is_read_back_as_it_was_and_nothing_else_is_one(place: Workspace, upload: Path) -> None:
    manifest, files = make(place, upload)
    assert Manifest.decode(files["manifest.json"]) == manifest
    assert manifest.list_id == ListId(LIST)
    for spoiled in (b"", b"{}", b"[]", files["manifest.json"][:-1], b"[" * 100_000):
        with pytest.raises(OutputError, match="list_damaged"):
            Manifest.decode(spoiled)
