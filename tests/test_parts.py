"""A job that runs out of time goes on from its last part, and comes to the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from contact_sanitizer.intake import formats
from contact_sanitizer.job import Manner, Paused
from contact_sanitizer.listid import ListId, sortable_id
from contact_sanitizer.outputs.settled import Settled
from contact_sanitizer.parts import ObjectParts, decode, encode
from contact_sanitizer.policy import Policy
from contact_sanitizer.workspace import Workspace
from desk import KEEPING, NOW, agree, workspace

PEOPLE = [f"138123{number:05}" for number in range(0, 40_000, 97)]


class Shelf:
    """Objects in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, key: str, data: bytes, *, absent: bool) -> bool:
        assert not absent
        self.kept[key] = data
        return True

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        return iter(sorted(key for key in self.kept if key.startswith(prefix) and key > after))

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = formats.ReadOptions.__init__

    def small(self: formats.ReadOptions, *args: object, **kwargs: object) -> None:
        whole(self, *args, **{"batch_bytes": 2_000, **kwargs})  # type: ignore[arg-type]  # the one option more

    monkeypatch.setattr(formats.ReadOptions, "__init__", small)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    opened = workspace(tmp_path / "home")
    agree(opened, PEOPLE)
    return opened


def written(folder: Path, *, late: bool) -> Path:
    """A list with duplicates and refusals, also of people who were kept far above."""
    chance = random.Random(5)  # noqa: S311 - a made-up list
    rows = [
        f"{chance.choice(PEOPLE)},{'mail me at a@example.com' if n % 9 == 0 else 'x'},是" for n in range(700)
    ]
    rows[350] = "13812399999,x,否"
    if late:
        rows[2], rows[690] = f"{PEOPLE[5]},x,是", f"{PEOPLE[5]} 退订,x,是"
    upload = folder / "list.csv"
    upload.write_text("\n".join(["手机号,note,是否同意", *rows]), encoding="utf-8")
    return upload


def files_of(where: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(where).iterdir()}


def made(place: Workspace, upload: Path, list_id: ListId, rules: Policy, resume: Manner) -> dict[str, bytes]:
    return files_of(place.sanitize(upload, rules, None, resume, list_id)[1])


def resuming(shelf: Shelf, pause: Callable[[], bool]) -> Manner:
    return Manner(resume=lambda belongs: ObjectParts(shelf, "work/", belongs, pause))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("step", [1, 3])
def test_a_job_that_is_stopped_again_and_again_ends_with_the_same_bytes(
    place: Workspace, tmp_path: Path, step: int, *, late: bool
) -> None:
    upload, shelf = written(tmp_path, late=late), Shelf()
    stopped, asked = 0, 0

    def pause() -> bool:
        nonlocal asked
        asked += 1
        return asked % step == 0

    stopped_id = sortable_id(NOW, b"stopped000")
    while True:
        try:
            resumed = made(place, upload, stopped_id, KEEPING, resuming(shelf, pause))
            break
        except Paused:
            stopped += 1
            assert [entry.state for entry in place.catalogue.entries()] == ["making"]
            assert stopped < 100
    assert stopped > 1
    assert shelf.kept == {}
    other = workspace(tmp_path / "home")
    straight = made(other, upload, sortable_id(NOW, b"straight00"), KEEPING, Manner())
    for name in ("clean.csv", "rejects.csv", "decisions.parquet"):
        assert resumed[name] == straight[name]
    assert resumed["manifest.json"].count(b"\n") == straight["manifest.json"].count(b"\n")


def test_damaged_parts_and_those_of_another_settlement_are_made_anew(
    place: Workspace, tmp_path: Path
) -> None:
    upload, shelf = written(tmp_path, late=False), Shelf()
    list_id = sortable_id(NOW, b"damaged000")
    asked = iter([False] * 4 + [True])
    with pytest.raises(Paused):
        made(place, upload, list_id, KEEPING, resuming(shelf, lambda: next(asked)))
    assert len(shelf.kept) == 5
    keys = sorted(shelf.kept)
    shelf.kept[keys[1]] = shelf.kept[keys[1]][:-7]
    shelf.kept[keys[2]] = shelf.kept[keys[2]].replace(b'"belongs": "', b'"belongs": "0')
    resumed = made(place, upload, list_id, KEEPING, resuming(shelf, lambda: False))
    straight = made(place, upload, sortable_id(NOW, b"straight00"), KEEPING, Manner())
    assert resumed["decisions.parquet"] == straight["decisions.parquet"]
    assert resumed["clean.csv"] == straight["clean.csv"]


def test_a_part_is_read_back_as_it_was_written() -> None:
    rows = np.arange(3)
    subjects = np.arange(48, dtype=np.uint8).reshape(3, 16)
    reasons = np.array([0, 5, 0], np.uint8)
    tokens = np.full((2, 53), 65, np.uint8)
    columns = [pa.array(["苏州", ""], pa.string())]
    said = Settled(
        rows,
        subjects,
        reasons,
        reasons,
        tokens,
        columns,
        subjects[:1],
        subjects[1:],
        {"email": 1},
        {"per_row": 2},
    )
    read = decode(encode(said, "x"), "x")
    assert read is not None
    assert decode(encode(said, "x"), "y") is None
    for name in ("records", "subjects", "reasons", "drops", "tokens", "noted", "withdrawn"):
        assert np.array_equal(getattr(read, name), getattr(said, name))
    assert read.columns == columns
    assert (read.redacted, read.counts) == ({"email": 1}, {"per_row": 2})
