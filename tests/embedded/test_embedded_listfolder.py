from __future__ import annotations

from pathlib import Path

import pytest

from contact_sanitizer.embedded.listfolder import ListFolder
from contact_sanitizer.errors import OutputError

ID = "01KAKV2DC060RK4CSM6MV3EE1S"
OTHER = "01KAKV2DC060RK4CSM6MV3EE1T"


def test_a_list_appears_whole_and_with_its_manifest(tmp_path: Path) -> None:
    with ListFolder(tmp_path / "out", ID) as folder:
        file = folder.create("clean.csv")
        file.write(b"token\n")
        file.close()
        assert not (tmp_path / "out" / ID).exists()
        place = folder.publish(b"{}")
    assert place == tmp_path / "out" / ID
    assert {path.name for path in place.iterdir()} == {"clean.csv", "manifest.json"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == [ID]


def test_without_publish_nothing_is_left(tmp_path: Path) -> None:
    with ListFolder(tmp_path, ID) as folder:
        folder.create("clean.csv").write(b"half")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_swept_and_what_a_living_one_makes_is_not(tmp_path: Path) -> None:
    dead = tmp_path / f".{OTHER}.partial"
    dead.mkdir()
    (dead / "clean.csv").write_bytes(b"half")
    unrelated = tmp_path / ".other.partial"
    unrelated.mkdir()
    with ListFolder(tmp_path, ID) as living, ListFolder(tmp_path, OTHER) as second:
        assert living.scratch.is_dir()
        assert list(second.scratch.iterdir()) == []
    assert unrelated.is_dir()
    assert not dead.exists()


def test_an_id_is_used_once(tmp_path: Path) -> None:
    with ListFolder(tmp_path, ID) as folder:
        folder.publish(b"{}")
    with pytest.raises(OutputError, match="list_exists"), ListFolder(tmp_path, ID):
        pass
    assert (tmp_path / ID / "manifest.json").exists()


def test_starting_over_forgets_what_was_written(tmp_path: Path) -> None:
    with ListFolder(tmp_path, ID) as folder:
        folder.create("clean.csv").write(b"first")
        (folder.scratch / "run").write_bytes(b"x")
        folder.restart()
        file = folder.create("clean.csv")
        file.write(b"second")
        file.close()
        place = folder.publish(b"{}")
    assert (place / "clean.csv").read_bytes() == b"second"


def test_a_place_that_cannot_be_written_is_refused_without_its_name(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="out_unwritable") as caught, ListFolder(tmp_path / "taken", ID):
        pass
    assert "taken" not in str(caught.value)
