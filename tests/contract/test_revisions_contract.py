"""What every shelf does when a finished list, or a delivery's note, is written anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudworld import CLEAN, CloudWorld, cloud
from contact_sanitizer.aws.deliveries import S3Deliveries
from contact_sanitizer.aws.listshelf import S3ListShelf
from contact_sanitizer.embedded.deliveryfolder import DeliveryFolder
from contact_sanitizer.embedded.listfolder import ListFolders
from contact_sanitizer.errors import OutputError
from contact_sanitizer.listid import ListId
from contact_sanitizer.ports import DeliveryShelf, RevisableShelf

LIST, OTHER = ListId("01KCLEAN00000000000000TEST"), ListId("01KCLEAN00000000000000TESZ")


@dataclass(frozen=True)
class Shelves:
    lists: RevisableShelf
    deliveries: DeliveryShelf
    folder: Path
    cloud: CloudWorld | None = None

    def read(self, name: str) -> bytes:
        with self.lists.file(LIST, name).open() as file:
            return file.read()

    def note(self) -> bytes:
        with self.deliveries.people(LIST).open() as file:
            return file.read()

    def kept(self) -> list[str]:
        """The names of all that is kept, once for each version."""
        if self.cloud is None:
            files = (path for path in self.folder.rglob("*") if path.is_file())
            return sorted(path.name for path in files if path.name != "out")
        versions = self.cloud.clients.s3.list_object_versions(Bucket=CLEAN).get("Versions", [])
        return sorted(entry["Key"].rpartition("/")[2] for entry in versions)


@pytest.fixture(params=["home", "stack"])
def shelves(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelves]:
    if request.param == "home":
        notes = DeliveryFolder(tmp_path / "notes", tmp_path / "out")
        yield Shelves(ListFolders(tmp_path / "lists"), notes, tmp_path)
        return
    with cloud() as made:
        s3, key = made.clients.s3, made.data_key
        lists = S3ListShelf(s3, CLEAN, "lists/default/", key)
        yield Shelves(lists, S3Deliveries(s3, CLEAN, "deliveries/default/", key), tmp_path, made)


def publish(shelves: Shelves) -> None:
    with shelves.lists.begin(LIST) as sink:
        for name in ("clean.csv", "rejects.csv"):
            file = sink.create(name)
            file.write(f"{name} 1".encode())
            file.close()
        sink.publish(b"manifest 1")


def revise(shelves: Shelves, number: int = 2) -> None:
    with shelves.lists.revise(LIST) as revision:
        file = revision.create("clean.csv")
        file.write(f"clean.csv {number}".encode())
        file.close()
        assert shelves.read("clean.csv") == f"clean.csv {number - 1}".encode()
        revision.publish(f"manifest {number}".encode())


def test_a_revised_list_has_its_new_files_and_the_old_ones_are_gone(shelves: Shelves) -> None:
    publish(shelves)
    for number in (2, 3):
        revise(shelves, number)
        assert shelves.read("clean.csv") == f"clean.csv {number}".encode()
        assert shelves.read("rejects.csv") == b"rejects.csv 1"
        assert shelves.lists.manifest(LIST) == f"manifest {number}".encode()
        assert shelves.kept() == ["clean.csv", "manifest.json", "rejects.csv"]


def test_a_revision_that_is_given_up_changes_nothing(shelves: Shelves) -> None:
    publish(shelves)
    before = shelves.kept()
    with shelves.lists.revise(LIST) as revision:
        revision.create("clean.csv").write(b"half")
    with pytest.raises(KeyError):
        fail_after_writing(shelves)
    assert shelves.read("clean.csv") == b"clean.csv 1"
    assert shelves.lists.manifest(LIST) == b"manifest 1"
    assert shelves.kept() == before
    revise(shelves)


def fail_after_writing(shelves: Shelves) -> None:
    with shelves.lists.revise(LIST) as revision:
        file = revision.create("clean.csv")
        file.write(b"whole")
        file.close()
        raise KeyError


def test_what_is_not_there_is_not_revised(shelves: Shelves) -> None:
    publish(shelves)
    with pytest.raises(OutputError, match="list_unknown"), shelves.lists.revise(OTHER):
        pass
    shelves.lists.settle(OTHER)
    shelves.lists.settle(LIST)
    assert shelves.read("clean.csv") == b"clean.csv 1"


def deliver(shelves: Shelves) -> None:
    with shelves.deliveries.begin() as sink:
        for file, data in ((sink.content(), b"tokens"), (sink.people(), b"note 1")):
            file.write(data)
            file.close()
        sink.keep_people(LIST)
        sink.publish(LIST)


def test_a_revised_note_is_the_only_one_and_the_senders_file_is_not_kept(shelves: Shelves) -> None:
    deliver(shelves)
    for number in (2, 3):
        with shelves.deliveries.revise(LIST) as revision:
            note = revision.people()
            note.write(f"note {number}".encode())
            note.close()
            assert shelves.note() == f"note {number - 1}".encode()
            revision.publish()
        assert shelves.note() == f"note {number}".encode()
        assert len(shelves.kept()) == 1
    shelves.deliveries.settle(LIST)
    assert shelves.note() == b"note 3"


def test_a_note_that_is_given_up_changes_nothing(shelves: Shelves) -> None:
    deliver(shelves)
    before = shelves.kept()
    with shelves.deliveries.revise(LIST) as revision:
        revision.people().write(b"half")
    assert shelves.note() == b"note 1"
    assert shelves.kept() == before
    with pytest.raises(OutputError), shelves.deliveries.revise(OTHER):
        pass


def test_of_two_revisions_in_a_bucket_the_first_to_be_published_counts(tmp_path: Path) -> None:
    with cloud() as made:
        s3, key = made.clients.s3, made.data_key
        lists = S3ListShelf(s3, CLEAN, "lists/default/", key)
        shelves = Shelves(lists, S3Deliveries(s3, CLEAN, "deliveries/default/", key), tmp_path, made)
        publish(shelves)
        deliver(shelves)
        with pytest.raises(OutputError, match="list_busy"):
            be_late(shelves)
        assert shelves.read("clean.csv") == b"clean.csv 2"
        assert lists.manifest(LIST) == b"manifest 2"
        revise(shelves, 3)
        assert shelves.kept().count("clean.csv") == 1
        with pytest.raises(OutputError, match="list_busy"):
            be_slow(shelves)
        assert shelves.note() == b"fast"


def be_late(shelves: Shelves) -> None:
    with shelves.lists.revise(LIST) as late:
        file = late.create("clean.csv")
        file.write(b"late")
        file.close()
        revise(shelves)
        late.publish(b"late")


def be_slow(shelves: Shelves) -> None:
    with shelves.deliveries.revise(LIST) as slow, shelves.deliveries.revise(LIST) as fast:
        for revision, text in ((slow, b"slow"), (fast, b"fast")):
            note = revision.people()
            note.write(text)
            note.close()
        fast.publish()
        slow.publish()


def test_a_folder_whose_swap_was_interrupted_is_completed(tmp_path: Path) -> None:
    shelves = Shelves(
        ListFolders(tmp_path / "lists"), DeliveryFolder(tmp_path / "n", tmp_path / "out"), tmp_path
    )
    publish(shelves)
    root = tmp_path / "lists"
    with shelves.lists.revise(LIST) as revision:
        revision.create("clean.csv").close()
        (root / f".{LIST}.revised" / "manifest.json").write_bytes(b"manifest 2")
        (root / LIST).rename(root / f".{LIST}.replaced")
    assert shelves.lists.manifest(LIST) is None
    shelves.lists.settle(LIST)
    assert shelves.lists.manifest(LIST) == b"manifest 2"
    assert [path.name for path in root.iterdir()] == [LIST]
