from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path

import pytest

from contact_sanitizer.embedded.keyfile import KeyFile
from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.keyring import KeyStatus
from contact_sanitizer.protection.keyring_json import dump_keyring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


def refused(path: Path) -> str:
    with pytest.raises(KeyringError) as error:
        KeyFile(path).load()
    assert str(path) not in str(error.value)
    return error.value.code


def test_a_created_keyring_loads_and_is_the_owners_alone(path: Path, now: datetime) -> None:
    umask = os.umask(0)
    try:
        created = KeyFile(path).create("acme", now)
    finally:
        os.umask(umask)
    assert KeyFile(path).load() == created
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_two_key_files_never_hold_the_same_key(tmp_path: Path, now: datetime) -> None:
    rings = [KeyFile(tmp_path / str(number)).create("acme", now) for number in range(5)]
    assert len({ring.primary.id for ring in rings}) == 5
    assert len({ring.primary.root for ring in rings}) == 5


def test_randomness_can_be_given(path: Path, now: datetime) -> None:
    ring = KeyFile(path).create("acme", now, lambda size: b"\x07" * size)
    assert (ring.primary.id, ring.primary.root) == (0x07070707, b"\x07" * 32)


def test_an_existing_file_is_never_overwritten_by_a_new_keyring(path: Path, now: datetime) -> None:
    path.write_text("precious")
    with pytest.raises(KeyringError) as error:
        KeyFile(path).create("acme", now)
    assert error.value.code == "keyring_unwritable"
    assert path.read_text() == "precious"
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_said_to_be_unwritable(tmp_path: Path, now: datetime) -> None:
    with pytest.raises(KeyringError) as error:
        KeyFile(tmp_path / "none" / "keyring.json").create("acme", now)
    assert error.value.code == "keyring_unwritable"


def test_rotation_and_destruction_are_stored(path: Path, now: datetime) -> None:
    file = KeyFile(path)
    first = file.create("acme", now).primary
    rotated = file.rotate(now)
    assert file.load() == rotated
    assert rotated.key(first.id).status is KeyStatus.ENABLED
    destroyed = file.destroy(first.id)
    assert file.load() == destroyed
    assert destroyed.key(first.id).root is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_refused_destruction_leaves_the_file_as_it_was(path: Path, now: datetime) -> None:
    ring = KeyFile(path).create("acme", now)
    before = path.read_bytes()
    with pytest.raises(KeyringError):
        KeyFile(path).destroy(ring.primary.id)
    assert path.read_bytes() == before


def test_what_a_crash_left_is_removed_before_a_root_is_destroyed(path: Path, now: datetime) -> None:
    file = KeyFile(path)
    first = file.create("acme", now).primary
    (path.parent / f".{path.name}.x1y2.pending").write_text(dump_keyring(file.rotate(now)))
    file.destroy(first.id)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666])
def test_a_file_that_others_may_touch_is_refused(mode: int, path: Path, now: datetime) -> None:
    KeyFile(path).create("acme", now)
    path.chmod(mode)
    assert refused(path) == "keyring_exposed"


def test_a_file_that_only_the_owner_reads_is_taken(path: Path, now: datetime) -> None:
    created = KeyFile(path).create("acme", now)
    path.chmod(0o400)
    assert KeyFile(path).load() == created


def test_a_missing_file_is_said_to_be_missing(path: Path) -> None:
    assert refused(path) == "keyring_missing"


def test_a_link_is_refused_whatever_it_points_to(path: Path, tmp_path: Path, now: datetime) -> None:
    KeyFile(tmp_path / "real.json").create("acme", now)
    path.symlink_to(tmp_path / "real.json")
    assert refused(path) == "keyring_exposed"
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert refused(path) == "keyring_exposed"


def test_a_folder_or_a_pipe_is_no_key_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert refused(tmp_path / "folder") == "keyring_damaged"
    assert refused(tmp_path / "pipe") == "keyring_damaged"


def test_every_truncation_is_refused(path: Path, now: datetime) -> None:
    KeyFile(path).create("acme", now)
    content = path.read_bytes()
    for size in range(0, len(content) - 1, 7):
        path.write_bytes(content[:size])
        assert refused(path) == "keyring_damaged"


def test_a_file_too_large_to_be_a_keyring_is_refused(path: Path) -> None:
    path.write_bytes(b" " * ((1 << 20) + 1))
    path.chmod(0o600)
    assert refused(path) == "keyring_damaged"


def test_a_newer_format_is_named_as_newer(path: Path, now: datetime) -> None:
    KeyFile(path).create("acme", now)
    path.write_text(path.read_text().replace("keyring/v1", "keyring/v12"))
    assert refused(path) == "keyring_newer"
