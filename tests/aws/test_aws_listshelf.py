"""Lists in a bucket: there whole, once, or not at all."""

from __future__ import annotations

import random
from collections.abc import Callable
from hashlib import sha256

import pytest

from cloudworld import CLEAN, CloudWorld, Faulty
from contact_sanitizer.aws import listparts
from contact_sanitizer.aws.listshelf import S3ListShelf
from contact_sanitizer.errors import IntakeError, OutputError
from contact_sanitizer.listid import ListId

LIST = ListId("01KCLEAN00000000000000TEST")
# S3 refuses smaller parts than this, the last one aside
PART = 5 << 20
LARGE = random.Random(5).randbytes(2 * PART + 123)  # noqa: S311 - test data from a seed


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listparts, "PART", PART)


@pytest.fixture
def shelf(world: CloudWorld) -> S3ListShelf:
    return S3ListShelf(world.clients.s3, CLEAN, "lists/default/", world.data_key)


def make(shelf: S3ListShelf, manifest: bytes = b"{}\n", clean: bytes = LARGE) -> None:
    with shelf.begin(LIST) as sink:
        large, small = sink.create("clean.csv"), sink.create("rejects.csv")
        for start in range(0, len(clean), 1_000_003):
            large.write(clean[start : start + 1_000_003])
        small.write(b"row,reason\n")
        small.close()
        large.close()
        assert large.sha256 == sha256(clean).hexdigest()
        sink.publish(manifest)


def read(shelf: S3ListShelf, name: str) -> bytes:
    with shelf.file(LIST, name).open() as file:
        return file.read()


def unfinished(world: CloudWorld) -> int:
    return len(world.clients.s3.list_multipart_uploads(Bucket=CLEAN).get("Uploads", []))


def keys(world: CloudWorld) -> list[str]:
    found = world.clients.s3.list_objects_v2(Bucket=CLEAN).get("Contents", [])
    return [entry["Key"].rpartition("/")[2] for entry in found]


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises((OutputError, IntakeError)) as caught:
        call()
    assert "13812345678" not in str(caught.value)
    return caught.value.code


def test_a_published_list_reads_back(shelf: S3ListShelf, world: CloudWorld) -> None:
    make(shelf)
    assert shelf.manifest(LIST) == b"{}\n"
    assert read(shelf, "clean.csv") == LARGE
    assert read(shelf, "rejects.csv") == b"row,reason\n"
    assert read(shelf, "manifest.json") == b"{}\n"
    assert unfinished(world) == 0
    assert code_of(lambda: shelf.begin(LIST)) == "list_exists"
    head = world.clients.s3.head_object(Bucket=CLEAN, Key=f"lists/default/{LIST}/clean.csv")
    assert head["SSEKMSKeyId"] == world.data_key


def test_an_empty_file_is_a_file(shelf: S3ListShelf) -> None:
    make(shelf, clean=b"")
    assert read(shelf, "rejects.csv") == b"row,reason\n"
    # A list of JSON Lines nobody of which is left has no bytes, and can still be delivered.
    assert read(shelf, "clean.csv") == b""


def test_nothing_is_visible_before_it_is_published_nor_after_it_was_given_up(
    shelf: S3ListShelf, world: CloudWorld
) -> None:
    with shelf.begin(LIST) as sink:
        file = sink.create("clean.csv")
        file.write(LARGE)
        file.close()
        scratch = sink.scratch
        assert scratch.is_dir()
        assert keys(world) == []
        assert unfinished(world) == 1
    assert (keys(world), unfinished(world), scratch.exists()) == ([], 0, False)
    assert shelf.manifest(LIST) is None
    assert code_of(shelf.file(LIST, "clean.csv").open) == "file_missing"


def test_a_list_that_is_begun_anew_holds_nothing_of_its_first_making(
    shelf: S3ListShelf, world: CloudWorld
) -> None:
    with shelf.begin(LIST) as sink:
        sink.create("clean.csv").write(LARGE[::-1])
        sink.restart()
        file = sink.create("clean.csv")
        file.write(b"token\n")
        file.close()
        sink.publish(b"{}")
    assert read(shelf, "clean.csv") == b"token\n"
    assert unfinished(world) == 0


def test_what_a_dead_attempt_left_is_replaced_and_never_read(shelf: S3ListShelf, world: CloudWorld) -> None:
    key = f"lists/default/{LIST}/clean.csv"
    world.clients.s3.put_object(Bucket=CLEAN, Key=key, Body=b"left over")
    assert code_of(shelf.file(LIST, "clean.csv").open) == "file_missing"
    make(shelf)
    # another worker that comes too late to publish may still complete its files
    world.clients.s3.put_object(Bucket=CLEAN, Key=key, Body=b"too late")
    assert read(shelf, "clean.csv") == LARGE


def test_of_two_makers_of_one_list_one_publishes(shelf: S3ListShelf) -> None:
    with shelf.begin(LIST) as one, shelf.begin(LIST) as two, shelf.begin(LIST) as three:
        for sink, content in ((one, b"1"), (two, b"2"), (three, b"1")):
            file = sink.create("clean.csv")
            file.write(content)
            file.close()
        one.publish(b"{1}")
        assert code_of(lambda: two.publish(b"{2}")) == "list_exists"
        three.publish(b"{1}")  # the same list, made twice: nothing to object to
    assert shelf.manifest(LIST) == b"{1}"
    assert read(shelf, "clean.csv") == b"1"


CALLS = ["HeadObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "PutObject"]


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("fault", ["before timeout", "before 500", "after timeout", "after throttle"])
def test_a_list_whose_making_fails_at_a_call_is_whole_or_absent_and_is_made_again(
    shelf: S3ListShelf, world: CloudWorld, operation: str, fault: str
) -> None:
    broken = [True]
    Faulty(world.clients, lambda called, _: fault if called == operation and broken[0] else "")
    assert code_of(lambda: make(shelf)) == "out_unwritable"
    # an upload whose id was lost on its way can only be cleared up by the bucket's lifecycle
    assert unfinished(world) == 0 or (operation == "CreateMultipartUpload" and fault.startswith("after"))
    broken[0] = False
    if shelf.manifest(LIST) is None:
        make(shelf)
    assert read(shelf, "clean.csv") == LARGE
    assert read(shelf, "rejects.csv") == b"row,reason\n"


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "PutObject"])
def test_a_refused_list_is_told(shelf: S3ListShelf, world: CloudWorld, operation: str) -> None:
    Faulty(world.clients, lambda called, _: "before denied" if called == operation else "")
    assert code_of(lambda: make(shelf)) == "out_unwritable"
    assert shelf.manifest(LIST) is None


def test_who_may_not_look_for_a_list_still_makes_it_once(shelf: S3ListShelf, world: CloudWorld) -> None:
    Faulty(world.clients, lambda called, _: "before denied" if called == "HeadObject" else "")
    make(shelf)
    assert code_of(lambda: make(shelf, manifest=b"{other}")) == "list_exists"


def test_a_shelf_that_does_not_answer_says_so(shelf: S3ListShelf, world: CloudWorld) -> None:
    Faulty(world.clients, lambda _, __: "before 500")
    assert code_of(lambda: shelf.manifest(LIST)) == "out_unwritable"
    assert code_of(shelf.file(LIST, "clean.csv").open) == "object_unreadable"
