"""Files that are no list, or hide one: missing, binary, truncated, encrypted, compressed, bombs."""

from __future__ import annotations

import gzip
import io
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.listfile import ColumnWish, Limits, ReadOptions, Role, open_list

Read = Callable[..., Any]

PHONE = ColumnWish("phone", Role.PHONE)
LIST = b"phone,a\n13812345678,x\n13812345679,y\n"
PHONES = ["13812345678", "13812345679"]
OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def archive_of(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(IntakeError) as caught:  # noqa: SIM117 - the refusal may come while reading
        with open_list(path, (PHONE,), ReadOptions(limits or Limits())) as opened:
            list(opened.batches())
    assert caught.value.__cause__ is None
    assert path.name not in str(caught.value)
    return caught.value.code


def code_of(folder: Path, content: bytes, limits: Limits | None = None) -> str:
    path = folder / "secret-name"
    path.write_bytes(content)
    return refusal(path, limits)


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == "file_missing"
    assert refusal(tmp_path) == "file_unreadable"
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "file_unreadable"
    assert refusal(tmp_path / "nul\0byte") == "file_unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "locked"
    path.write_bytes(LIST)
    path.chmod(0)
    assert refusal(path) == "file_unreadable"


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n\n", b" , ,\n\t\n", b"\xef\xbb\xbf", b'"",""\n', gzip.compress(b""), gzip.compress(b"\n")],
)
def test_a_file_of_nothing_is_empty(tmp_path: Path, content: bytes) -> None:
    assert code_of(tmp_path, content) == "file_empty"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "file_binary"),
        (b"%PDF-1.7\nxx", "file_binary"),
        (b"\x7fELF" + bytes(100), "file_binary"),
        (bytes(random.Random(1).randrange(1, 32) for _ in range(500)), "file_binary"),  # noqa: S311 - seeded test data, no secret  # noqa: S311 - seeded test data, no secret
        (random.Random(2).randbytes(5_000), "file_binary"),  # noqa: S311 - seeded test data, no secret
        (OLE2 + bytes(2_000), "format_unsupported"),
        (OLE2 + bytes(2_000) + "EncryptedPackage".encode("utf-16-le") + bytes(200), "file_encrypted"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "format_unsupported"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(50), "format_unsupported"),
        (b"<html><table><tr><td>phone</td></tr></table></html>", "file_mislabelled"),
        (b'<?xml version="1.0"?><list/>', "file_mislabelled"),
        (b'[{"phone": "13812345678"}]', "format_unsupported"),
        (b'{\n  "phone": "13812345678"\n}\n', "format_unsupported"),
        (b"PAR1" + bytes(100), "file_truncated"),
        (b"PK\x03\x04" + bytes(100), "file_truncated"),
        (archive_of(), "archive_not_single"),
        (archive_of(("a.csv", LIST), ("b.csv", LIST)), "archive_not_single"),
        (archive_of(("a.zip", archive_of(("a.csv", LIST)))), "archive_not_single"),
        (gzip.compress(gzip.compress(LIST)), "archive_not_single"),
        (gzip.compress(archive_of(("a.csv", LIST))), "archive_not_single"),
        (gzip.compress(b"%PDF-1.7"), "file_binary"),
        (gzip.compress(LIST)[:-9], "file_truncated"),
        (gzip.compress(LIST)[:12], "file_truncated"),
        (gzip.compress(LIST) + b"rubbish", "file_damaged"),
    ],
)
def test_what_is_no_list_has_its_code(tmp_path: Path, content: bytes, code: str) -> None:
    assert code_of(tmp_path, content) == code


def test_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LIST))
    packed[-6] ^= 1
    assert code_of(tmp_path, bytes(packed)) == "file_damaged"
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.csv", LIST)
    assert code_of(tmp_path, stored.getvalue().replace(b"13812345678", b"13812345670")) == "file_damaged"


def test_an_encrypted_archive_is_said_to_be_so(tmp_path: Path) -> None:
    content = bytearray(archive_of(("a.csv", LIST)))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert code_of(tmp_path, bytes(content)) == "file_encrypted"


def test_gzip_and_single_file_archives_are_read_through(read: Read) -> None:
    half = len(LIST) // 2
    for content, compression in (
        (gzip.compress(LIST), "gzip"),
        (gzip.compress(LIST[:half]) + gzip.compress(LIST[half:]) + bytes(512), "gzip"),
        (archive_of(("a.csv", LIST)), "zip"),
        (archive_of(("__MACOSX/._a.csv", b"x"), ("folder/", b""), ("folder/a.csv", LIST)), "zip"),
    ):
        for size in (3, 1 << 20):
            outcome = read(content, options=ReadOptions(batch_bytes=size))
            assert (outcome.phones, outcome.description.compression) == (PHONES, compression)


def test_bombs_are_refused_before_they_inflate(tmp_path: Path) -> None:
    zeros = b"phone\n" + b"1\n" * 15_000_000
    assert code_of(tmp_path, gzip.compress(zeros, 1)) == "limit_ratio"
    assert code_of(tmp_path, archive_of(("a.csv", zeros))) == "limit_ratio"
    small = Limits(max_inflated_bytes=1_000)
    assert code_of(tmp_path, gzip.compress(b"phone\n" + b"1\n" * 600), small) == "limit_inflated_bytes"
    assert (
        code_of(tmp_path, archive_of(("a.csv", b"phone\n" + b"1\n" * 600)), small) == "limit_inflated_bytes"
    )


def test_an_archive_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    content = bytearray(archive_of(("a.csv", b"phone\n" + b"1\n" * 600)))
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(mark) + place
        content[at : at + 4] = (20).to_bytes(4, "little")
    assert code_of(tmp_path, bytes(content), Limits(max_inflated_bytes=1_000)) == "file_damaged"


def test_an_archive_of_many_thousand_files_is_refused_by_its_directory(tmp_path: Path) -> None:
    names = (("f" * 60 + str(number), b"") for number in range(9_000))
    assert code_of(tmp_path, archive_of(*names)) == "archive_not_single"


def test_a_file_above_its_limit_is_refused_unread(tmp_path: Path) -> None:
    assert code_of(tmp_path, LIST, Limits(max_bytes=len(LIST) - 1)) == "limit_bytes"
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(6 * 10**9)
    assert refusal(tmp_path / "sparse") == "limit_bytes"


def test_the_limit_itself_is_allowed(read: Read) -> None:
    assert (
        read(LIST, options=ReadOptions(Limits(max_bytes=len(LIST), max_rows=2, max_columns=2))).phones
        == PHONES
    )


@pytest.mark.parametrize(
    ("name", "disagrees"),
    [
        ("list.xlsx", True),
        ("list.csv.gz", True),
        ("list.xls", True),
        ("list.csv", False),
        ("a.b", False),
        ("list.TXT", False),
    ],
)
def test_a_name_that_disagrees_with_the_content_is_a_warning(
    read: Read, name: str, *, disagrees: bool
) -> None:
    outcome = read(LIST, name=name)
    assert outcome.phones == PHONES
    assert bool(outcome.warnings.get("name_disagrees")) is disagrees


def test_nothing_that_shows_a_file_shows_a_cell_a_header_or_its_name(tmp_path: Path) -> None:
    path = tmp_path / "Zhang-San.csv"
    path.write_bytes("phone,13900001111\n13812345678,王五\n".encode())
    with open_list(path, (PHONE,), ReadOptions()) as opened:
        shown = [repr(opened), repr(opened.description), str(opened.bound), *map(repr, opened.batches())]
    for secret in ("Zhang", "13900001111", "13812345678", "王五"):
        assert secret not in "".join(shown)


def test_mutated_files_of_every_format_raise_only_our_errors(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - seeded test data, no secret  # noqa: S311 - seeded test data, no secret
    seeds = [
        LIST,
        LIST.decode().encode("utf-16"),
        gzip.compress(LIST),
        archive_of(("a.csv", LIST)),
        b'{"phone": "1"}\n' * 3,
    ]
    codes = set()
    for number in range(400):
        content = bytearray(seeds[number % len(seeds)])
        for _ in range(chance.randrange(1, 5)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path = tmp_path / "mutant"
        path.write_bytes(content[: chance.randrange(1, len(content) + 1)])
        try:
            with open_list(path, (PHONE,), ReadOptions(batch_bytes=7)) as opened:
                list(opened.batches())
        except IntakeError as error:
            codes.add(error.code)
    assert len(codes) > 5
