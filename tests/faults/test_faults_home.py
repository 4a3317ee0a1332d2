"""A home that is damaged, exposed, locked, newer or full is refused by name, and works again afterwards."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from commands import command
from trail import operations, waiting

PHONE = "13812345678"
HOME = "home of 张"
WRITING = [
    ("block", "add", PHONE),
    ("consent", "record", PHONE, "--purpose", "marketing", "--channel", "sms"),
    ("consent", "withdraw", PHONE),
    ("consent", "show", PHONE),
    ("block", "show", PHONE),
    ("optout", "TD", "--from", PHONE),
    ("keys", "rotate"),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a block and a made list, closed."""
    home, upload = tmp_path_factory.mktemp("sound") / HOME, tmp_path_factory.mktemp("upload") / "list.csv"
    upload.write_text(f"phone\n{PHONE}\n13912345678\n")
    assert command("block", "add", PHONE, home=home).status == 0
    assert command("run", upload, home=home).status == 0
    return home


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return shutil.copytree(sound, tmp_path / HOME)


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(f"phone\n{PHONE}\n13912345678\n")
    return path


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes: what a full disk looks like."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def contents(home: Path) -> dict[str, bytes]:
    """Every file of a home, but for what SQLite keeps beside its file while it reads."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix not in {".sqlite-shm", ".sqlite-wal"}
    }


def refused(home: Path, *words: str | Path) -> str:
    """The code of a refusal that names neither the home nor anybody."""
    said = command(*words, home=home)
    assert said.status == 1
    assert not {HOME, PHONE, "张", str(home.parent)} & set(said.err.split())
    assert PHONE not in said.err
    assert str(home) not in said.err
    return said.code


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def edited(path: Path, change: Callable[[bytes], bytes]) -> None:
    mode = path.stat().st_mode
    path.write_bytes(change(path.read_bytes()))
    path.chmod(mode)


MARKS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "home_damaged"),
    "no JSON": (b"{", "home_damaged"),
    "no UTF-8": (b"\xff", "home_damaged"),
    "a list": (b"[]", "home_damaged"),
    "nested": (b"[" * 200_000, "home_damaged"),
    "foreign": (b'{"format": "other/v1"}', "home_damaged"),
    "newer": (b'{"format": "contact-sanitizer/home/v2"}', "home_newer"),
}


@pytest.mark.parametrize("case", MARKS)
def test_a_home_whose_mark_is_wrong_is_left_alone(case: str, home: Path, upload: Path) -> None:
    data, code = MARKS[case]
    (home / "home.json").write_bytes(data)
    before = contents(home)
    for words in (["lists"], ["run", upload], ["init"], ["block", "add", PHONE]):
        assert refused(home, *words) == code
    assert contents(home) == before


def test_a_home_that_lost_its_mark_is_not_taken_for_an_empty_folder(home: Path) -> None:
    (home / "home.json").unlink()
    assert refused(home, "init") == "home_damaged"
    (home / "home.json").mkdir()
    assert refused(home, "init") == "home_unwritable"


def test_somebody_elses_folder_does_not_become_a_home(tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("x")
    assert refused(tmp_path, "init") == "home_damaged"
    assert [path.name for path in tmp_path.iterdir()] == ["novel.txt"]


@pytest.mark.parametrize("place", [".", "audit", "tenants", "tenants/default"])
def test_a_file_where_a_folder_should_be_is_refused(place: str, home: Path) -> None:
    shutil.rmtree(home / place)
    (home / place).write_bytes(b"")
    expected = {"home_unwritable", "audit_missing"}
    assert refused(home, "block", "add", PHONE) in expected
    assert (home / place).read_bytes() == b""


@pytest.mark.parametrize("place", ["/proc/home", "/dev/null", "/dev/null/home"])
def test_a_home_that_cannot_be_made_is_refused(place: str) -> None:
    assert refused(Path(place), "init") == "home_unwritable"


@pytest.mark.parametrize("left", [[".home.json.77.tmp"], ["home.json", "audit/"], []])
def test_what_a_crash_at_the_first_command_left_does_no_harm(left: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in left:
        if name.endswith("/"):
            (home / name).mkdir()
        else:
            (home / name).write_bytes(b'{"format": "contact-sanitizer/home/v1"}')
    if "audit/" in left:
        (home / "tenants" / ".default.77.partial").mkdir(parents=True)
    assert command("block", "add", PHONE, home=home).out == "recorded\n"


@pytest.mark.parametrize("size", [0, 1, 40, 300, 900, 4_000, 20_000, 33_000])
def test_a_home_that_finds_no_room_is_made_by_the_next_command(size: int, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with files_of_at_most(size):
        said = command("init", home=home)
    if said.status:
        assert said.code in {
            "home_unwritable",
            "audit_unwritable",
            "keyring_unwritable",
            "registry_unwritable",
            "registry_unavailable",
        }
    assert command("block", "add", PHONE, home=home).out == "recorded\n"
    names = [path.name for path in home.rglob("*")]
    assert not [name for name in names if name.endswith((".tmp", ".partial", ".pending"))]


REGISTRY = "tenants/default/registry.sqlite"
KEYS = "tenants/default/keys.json"
CATALOGUE = "tenants/default/catalogue.sqlite"


def in_catalogue(home: Path, statement: str, *values: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(home / CATALOGUE)) as db:
        rows = db.execute(statement, values).fetchall()
        db.commit()
    return rows


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
        db.commit()


def in_registry(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / REGISTRY)) as db:
        db.execute(statement)
        db.commit()


REGISTRIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (lambda home: (home / REGISTRY).unlink(), "registry_unavailable"),
    "a folder": (lambda home: replaced_by_folder(home / REGISTRY), "registry_unavailable"),
    "text": (lambda home: (home / REGISTRY).write_bytes(b"hello " * 999), "registry_damaged"),
    "first page lost": (
        lambda home: edited(home / REGISTRY, lambda d: bytes(4096) + d[4096:]),
        "registry_damaged",
    ),
    "cut short": (lambda home: edited(home / REGISTRY, lambda d: d[: len(d) // 2]), "registry_damaged"),
    "newer": (lambda home: in_registry(home, "PRAGMA user_version = 2"), "registry_newer"),
    "another program's": (lambda home: in_registry(home, "PRAGMA application_id = 7"), "registry_damaged"),
    "a table lost": (lambda home: in_registry(home, "DROP TABLE event"), "registry_damaged"),
}


def test_a_registry_of_no_bytes_is_not_taken_for_a_new_one(home: Path) -> None:
    (home / REGISTRY).write_bytes(b"")
    assert refused(home, "block", "show", PHONE) == "registry_damaged"


@pytest.mark.parametrize("case", REGISTRIES)
def test_a_registry_that_cannot_be_relied_on_stops_every_command(
    case: str, home: Path, upload: Path, tmp_path: Path
) -> None:
    spoil, code = REGISTRIES[case]
    spoil(home)
    before = contents(home)
    for words in (["run", upload, "--out", tmp_path / "out"], ["init"], WRITING[0], WRITING[4]):
        assert refused(home, *words) == code, words
    assert list(tmp_path.glob("out/*")) == []
    after = contents(home)
    assert after.get(REGISTRY) == before.get(REGISTRY)


def test_a_registry_that_another_process_holds_is_refused_and_free_again_afterwards(
    home: Path, upload: Path
) -> None:
    with closing(sqlite3.connect(home / REGISTRY, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        assert refused(home, "block", "add", PHONE) == "registry_locked"
    manifest = command("run", upload, "--json", home=home).document
    assert manifest["counts"]["by_reason"] == {"suppressed": 1, "consent_missing": 1}


def keys_changed(home: Path, **changes: object) -> None:
    edited(home / KEYS, lambda data: json.dumps(json.loads(data) | changes).encode())


def keys_linked(home: Path) -> None:
    (home / KEYS).rename(home / "elsewhere.json")
    (home / KEYS).symlink_to(home / "elsewhere.json")


KEYRINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (lambda home: (home / KEYS).unlink(), "keyring_missing"),
    "open to the group": (lambda home: (home / KEYS).chmod(0o640), "keyring_exposed"),
    "open to all": (lambda home: (home / KEYS).chmod(0o604), "keyring_exposed"),
    "a link": (keys_linked, "keyring_exposed"),
    "a folder": (lambda home: replaced_by_folder(home / KEYS), "keyring_damaged"),
    "empty": (lambda home: edited(home / KEYS, lambda _: b""), "keyring_damaged"),
    "no JSON": (lambda home: edited(home / KEYS, lambda data: data[:-9]), "keyring_damaged"),
    "nested": (lambda home: edited(home / KEYS, lambda _: b"[" * 200_000), "keyring_damaged"),
    "newer": (lambda home: keys_changed(home, format="contact-sanitizer/keyring/v2"), "keyring_newer"),
}


@pytest.mark.parametrize("case", KEYRINGS)
def test_a_keyring_that_cannot_be_relied_on_stops_every_command(case: str, home: Path, upload: Path) -> None:
    spoil, code = KEYRINGS[case]
    spoil(home)
    if case == "a folder":
        (home / KEYS).chmod(0o700)
    for words in (["run", upload], ["keys", "list"], ["keys", "rotate"], ["init"], WRITING[0]):
        assert refused(home, *words) == code, words
    assert len(list((home / "lists").iterdir())) == 1


ENTRIES = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    b"[" * 200_000,
    b'{"list_id": 7}',
    {"place": 7},
    {"rows": "many"},
    {"kept": -1},
    {"started_at": 10**30},
    {"state": "odd"},
    {"extra": 1},
    {"list_id": "01M7ZT0DJDF2J8BMSQKKBD2K7R"},
]


@pytest.mark.parametrize("change", ENTRIES, ids=lambda change: repr(change)[:30])
def test_a_damaged_entry_of_the_catalogue_is_named_and_stops_no_run(
    change: bytes | dict[str, object], home: Path, upload: Path
) -> None:
    ((name, sound),) = in_catalogue(home, "SELECT name, document FROM record WHERE kind = 'list'")
    data = change if isinstance(change, bytes) else json.dumps(json.loads(sound) | change).encode()
    text = data.decode(errors="replace")
    in_catalogue(home, "UPDATE record SET document = ? WHERE kind = 'list'", text)
    said = command("lists", home=home)
    assert said.code == "catalogue_damaged"
    if isinstance(change, dict):
        assert name in said.err
    assert refused(home, "lists", "show", name) == "catalogue_damaged"
    assert command("run", upload, home=home).status == 0
    in_catalogue(home, "UPDATE record SET document = ? WHERE name = ?", sound, name)
    assert len(command("lists", "--json", home=home).document["lists"]) == 2


@pytest.mark.parametrize("spoiled", [b"{", b"\xff", b"[" * 200_000])
def test_a_damaged_manifest_is_no_list(spoiled: bytes, home: Path) -> None:
    ((name,),) = in_catalogue(home, "SELECT name FROM record WHERE kind = 'list'")
    place = home / "lists" / name
    kept = (place / "manifest.json").read_bytes()
    (place / "manifest.json").write_bytes(spoiled)
    assert refused(home, "lists", "show", place.name) == "list_unknown"
    (place / "manifest.json").write_bytes(kept)


def test_a_catalogue_that_cannot_be_written_publishes_nothing(
    home: Path, upload: Path, tmp_path: Path
) -> None:
    in_catalogue(home, "CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'x'); END")
    assert refused(home, "run", upload, "--out", tmp_path / "out") == "catalogue_unavailable"
    assert list(tmp_path.glob("out/*")) == []
    assert list(tmp_path.glob("out/.*")) == []


CATALOGUES: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (lambda path: path.unlink(), "catalogue_unavailable"),
    "a folder": (replaced_by_folder, "catalogue_unavailable"),
    "of no bytes": (lambda path: path.write_bytes(b""), "catalogue_damaged"),
    "text": (lambda path: path.write_bytes(b"hello " * 999), "catalogue_damaged"),
    "cut short": (lambda path: edited(path, lambda data: data[: len(data) // 2]), "catalogue_damaged"),
    "newer": (lambda path: changed(path, "PRAGMA user_version = 2"), "catalogue_newer"),
    "another program's": (lambda path: changed(path, "PRAGMA application_id = 7"), "catalogue_damaged"),
    "a table lost": (lambda path: changed(path, "DROP TABLE record"), "catalogue_damaged"),
}


@pytest.mark.parametrize("case", CATALOGUES)
def test_a_catalogue_that_cannot_be_relied_on_stops_what_needs_it(
    case: str, home: Path, upload: Path, tmp_path: Path
) -> None:
    spoil, code = CATALOGUES[case]
    spoil(home / CATALOGUE)
    for words in (["run", upload, "--out", tmp_path / "out"], ["lists"]):
        assert refused(home, *words) == code, words
    assert list(tmp_path.glob("out/*")) == []


def log_is_file(segments: Path) -> None:
    segments.rmdir()
    segments.write_bytes(b"")


def log_is_link(segments: Path) -> None:
    segments.rmdir()
    (segments.parent.parent / "elsewhere").mkdir()
    segments.symlink_to(segments.parent.parent / "elsewhere")


def log_is_pipe(segments: Path) -> None:
    segments.rmdir()
    os.mkfifo(segments)


@pytest.mark.parametrize("spoil", [log_is_file, log_is_link, log_is_pipe])
def test_where_the_audit_log_cannot_be_written_nothing_happens(
    spoil: Callable[[Path], None], home: Path, upload: Path, tmp_path: Path
) -> None:
    blocks = tmp_path / "blocks.csv"
    blocks.write_text("phone\n13912345678\n")
    spoil(home / "audit" / "segments")
    before = contents(home)
    imports = [("block", "import", blocks), ("consent", "import", blocks)]
    for words in (
        *WRITING,
        *imports,
        ("run", upload, "--out", tmp_path / "out"),
        ("--tenant", "new", "init"),
    ):
        assert refused(home, *words) == "audit_unwritable", words
    assert contents(home) == before
    assert not (tmp_path / "out").exists()
    assert not (home / "tenants" / "new").exists()


def test_an_event_that_finds_no_room_leaves_the_log_as_it_was(home: Path) -> None:
    before = contents(home)
    with files_of_at_most(200):
        assert refused(home, "keys", "rotate") == "audit_unwritable"
    assert contents(home) == before
    assert command("keys", "rotate", home=home).status == 0


def test_a_seal_that_finds_no_room_is_said_and_made_up_for_by_the_next_command(home: Path) -> None:
    before = operations(home)
    with files_of_at_most(1_500):
        said = command("keys", "rotate", home=home)
    assert said.status == 1
    assert said.err.startswith("error: audit_unsealed: ")
    assert len(waiting(home)) == 1
    assert command("lists", home=home).status == 0
    assert waiting(home) == []
    assert operations(home) == [*before, "key.rotated"]


def test_a_home_that_lost_its_audit_log_is_refused_and_never_given_a_new_one(home: Path) -> None:
    shutil.rmtree(home / "audit")
    before = contents(home)
    assert refused(home, "block", "add", PHONE) == "audit_missing"
    assert refused(home, "--tenant", "new", "init") == "audit_missing"
    assert contents(home) == before


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_signing_key_that_others_may_read_signs_nothing(mode: int, home: Path) -> None:
    (home / "audit-key.json").chmod(mode)
    said = command("block", "show", PHONE, home=home)
    assert "error: audit_key_exposed: " in said.err
    (home / "audit-key.json").chmod(0o600)
    assert command("lists", home=home).status == 0
    assert waiting(home) == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"[" * 4_000, b'{"format": "other"}'])
def test_a_damaged_signing_key_signs_nothing(data: bytes, home: Path) -> None:
    edited(home / "audit-key.json", lambda _: data)
    said = command("block", "show", PHONE, home=home)
    assert "error: audit_key_damaged: " in said.err


@pytest.mark.parametrize(
    "name", ["", ".", "..", "A", "a/b", "a b", "-a", "张", "x" * 33, "a\n", "t1234567", "shop-13812345678"]
)
def test_a_name_that_is_no_tenants_makes_none(name: str, home: Path) -> None:
    before = contents(home)
    said = command("--tenant", name, "init", home=home)
    assert said.code == "tenant_invalid"
    assert len(name) < 2 or name not in said.err
    assert contents(home) == before
