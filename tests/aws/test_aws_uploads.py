"""An upload read from S3 by ranges."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from cloudworld import UPLOADS, CloudWorld, Faulty
from contact_sanitizer.aws import uploads
from contact_sanitizer.aws.arrived import S3Arrived
from contact_sanitizer.aws.uploads import S3Upload
from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.raw import RawFile
from contact_sanitizer.receiving import Arrival

KEY = "uploads/default/客户 名单+1.csv"
CONTENT = random.Random(7).randbytes(5_000)  # noqa: S311 - test data from a seed


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PIECE", 1_000)
    monkeypatch.setattr(uploads, "_GULP", 300)


def put(world: CloudWorld, content: bytes = CONTENT) -> str:
    return world.clients.s3.put_object(Bucket=UPLOADS, Key=KEY, Body=content)["VersionId"]


def found(world: CloudWorld, version: str = "") -> S3Upload:
    return S3Upload.find(world.clients.s3, UPLOADS, KEY, version)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(IntakeError) as caught:
        call()
    assert "13812345678" not in str(caught.value)
    return caught.value.code


def test_an_upload_reads_like_a_file_at_any_place_and_size(world: CloudWorld) -> None:
    put(world)
    chance, model = random.Random(3), io.BytesIO(CONTENT)  # noqa: S311 - test data from a seed
    with found(world).open() as file:
        for _ in range(300):
            place = chance.choice([0, chance.randrange(6_000), 999, 1_000, 1_001, 5_000])
            assert file.seek(place) == model.seek(place)
            size = chance.choice([0, 1, 7, 1_000, 2_500, 9_999])
            assert file.read(size) == model.read(size)
            assert file.tell() == model.tell()
        assert file.seek(-5, io.SEEK_END) == model.seek(-5, io.SEEK_END)
        assert file.read() == model.read()
        assert file.read(1) == b""


def test_intake_reads_an_upload_as_it_reads_a_file(world: CloudWorld) -> None:
    put(world)
    seen = bytearray()
    with RawFile(found(world), Limits(), seen.extend) as raw:
        assert raw.size == len(CONTENT)
        assert raw.peek(10, 2_000) == CONTENT[2_000:2_010]
        assert raw.whole().read() == CONTENT
    assert seen == CONTENT


def test_memory_is_bounded_and_every_byte_is_fetched_once_by_a_reader_in_order(world: CloudWorld) -> None:
    put(world)
    faulty = Faulty(world.clients, lambda _, __: "")
    with found(world).open() as file:
        while file.read(64):
            pass
        assert len(file._pieces) <= 3  # type: ignore[attr-defined] # what it keeps is no part of a file
    assert faulty.sent.count("GetObject") == 5


def test_the_version_that_arrived_is_read_although_it_was_replaced(world: CloudWorld) -> None:
    first = put(world)
    put(world, b"another list")
    with found(world, first).open() as file:
        assert file.read() == CONTENT
    with found(world).open() as file:
        assert file.read() == b"another list"


def test_an_upload_without_versions_that_changes_is_refused_not_mixed(world: CloudWorld) -> None:
    put(world)
    whole = found(world)
    upload = S3Upload(whole.s3, UPLOADS, KEY, "", whole.etag, whole.size)
    with upload.open() as file:
        file.read(10)
        put(world, CONTENT[::-1])
        assert code_of(file.read) == "object_changed"


@pytest.mark.parametrize("how", ["deleted", "erased", "never", "marked"])
def test_a_missing_upload_is_told(world: CloudWorld, how: str) -> None:
    version = "" if how == "never" else put(world)
    s3 = world.clients.s3
    if how == "deleted":
        s3.delete_object(Bucket=UPLOADS, Key=KEY)
        version = ""
    elif how == "erased":
        s3.delete_object(Bucket=UPLOADS, Key=KEY, VersionId=version)
    elif how == "marked":
        version = s3.delete_object(Bucket=UPLOADS, Key=KEY)["VersionId"]
    assert code_of(lambda: found(world, version)) == "object_missing"


def test_an_upload_that_is_deleted_while_it_is_read_is_told(world: CloudWorld) -> None:
    version = put(world)
    with found(world, version).open() as file:
        file.read(10)
        world.clients.s3.delete_object(Bucket=UPLOADS, Key=KEY, VersionId=version)
        assert code_of(file.read) == "object_missing"


def test_an_object_of_no_bytes_is_read_and_told_only_of_an_upload(world: CloudWorld) -> None:
    version = put(world, b"")
    with found(world, version).open() as file:
        assert (file.read(), file.read(10), file.seek(0, 2)) == (b"", b"", 0)
    arrived = S3Arrived(world.clients.s3, UPLOADS)
    arrival = Arrival(UPLOADS, KEY, version, "", "", 0)
    assert code_of(lambda: arrived.find(arrival)) == "file_empty"
    arrived.delete(arrival)
    assert code_of(lambda: found(world, version)) == "object_missing"


@pytest.mark.parametrize("kind", ["timeout", "500", "throttle", "denied"])
def test_an_upload_that_cannot_be_read_is_told(world: CloudWorld, kind: str) -> None:
    put(world)
    upload = found(world)
    Faulty(world.clients, lambda _, __: f"before {kind}")
    assert code_of(lambda: found(world)) == "object_unreadable"
    with upload.open() as file:
        assert code_of(file.read) == "object_unreadable"


class Breaking:
    """Bodies that break off after so many bytes, so many times."""

    def __init__(self, world: CloudWorld, at: int, times: int) -> None:
        self._at, self.left = at, times
        world.clients.s3.meta.events.register("after-call.s3.GetObject", self._wrap)

    def _wrap(self, parsed: dict[str, Any], **_: Any) -> None:
        whole = parsed["Body"].read()
        parsed["Body"] = BreakingBody(whole, self._at if self.left else len(whole), broken=self.left > 0)
        self.left -= 1


class BreakingBody(io.BytesIO):
    def __init__(self, content: bytes, at: int, *, broken: bool) -> None:
        super().__init__(content[:at])
        self._broken = broken

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        if not part and self._broken:
            raise ReadTimeoutError(endpoint_url="https://13812345678.invalid")
        return part


def test_a_body_that_breaks_off_is_resumed_where_it_broke(world: CloudWorld) -> None:
    put(world)
    upload = found(world)
    breaking = Breaking(world, 450, 3)
    with upload.open() as file:
        assert file.read() == CONTENT
    assert breaking.left < 0


def test_a_body_that_always_breaks_off_is_refused(world: CloudWorld) -> None:
    put(world)
    upload = found(world)
    Breaking(world, 0, 1_000)
    with upload.open() as file:
        assert code_of(file.read) == "object_unreadable"
