"""Deliveries, and lists, against their events: at home, in a copy of a bucket, and in a bucket."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyrage
import pytest

from cloudworld import CLEAN, CloudWorld, cloud
from commands import command
from contact_sanitizer.audit.accounts import (
    Compared,
    Notes,
    Published,
    Recorded,
    compare_deliveries,
    compare_kept_lists,
)
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.beside import FILE, PEOPLE, Kept, deliveries_in, lists_in
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.verify import verify_log
from contact_sanitizer.aws.deliveries import S3Deliveries
from contact_sanitizer.aws.kept import S3Kept
from contact_sanitizer.aws.listshelf import S3ListShelf
from contact_sanitizer.delivery.deliveries import Deliveries
from contact_sanitizer.errors import AuditError, ContactSanitizerError
from contact_sanitizer.listid import sortable_id
from contact_sanitizer.protection.digests import note_digest
from counter import PHONE, TOKEN, counter_at
from desk import home_of, policy
from logworld import START, VERIFIERS, log_of

ONE, TWO, STRANGE = (sortable_id(START, name) for name in (b"delivery 1", b"delivery 2", b"a stranger"))
CONTENT, NOTE = b"token\nct_x\n", b"people of it"
LISTED = {"manifest.json": b"{}\n", "clean.csv": b"token\n"}


def announced(
    name: str,
    digests: Mapping[str, str],
    action: Action = Action.DELIVERY_PUBLISHED,
    rows: int | None = None,
) -> bytes:
    uid = sortable_id(START, name[-10:].encode())
    of_delivery = name if action is Action.DELIVERY_PUBLISHED else None
    common = (action, Outcome.BEGUN, START, "ops", "default", ONE, uid)
    list_id = ONE if of_delivery else name
    counts = {} if rows is None else {"rows": rows, "suppressed": 9}
    return Event(*common, list_id=list_id, delivery_id=of_delivery, digests=digests, counts=counts).line()[
        :-1
    ]


def published(*entries: bytes) -> Published:
    made = Published()
    for entry in entries:
        made.take(entry)
    return made


def both(content: bytes = CONTENT) -> dict[str, str]:
    return {"file": sha256(content).hexdigest(), "people": note_digest_of(NOTE), "content": "0" * 64}


def note_digest_of(data: bytes) -> str:
    digest = note_digest()
    digest.update(data)
    return digest.hexdigest()


def kept(name: str, **files: bytes) -> Kept:
    return Kept(name, {word: lambda data=data: io.BytesIO(data) for word, data in files.items()})  # type: ignore[misc] # a default binds each one's bytes


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(ContactSanitizerError) as raised:
        act()
    return raised.value.code


def test_a_delivery_as_it_was_announced_agrees_and_one_that_is_gone_is_elsewhere() -> None:
    log = published(announced(ONE, both()), announced(TWO, both(b"other")))
    assert compare_deliveries(log, [kept(ONE, file=CONTENT, people=NOTE)]) == Compared(1, 1)
    assert compare_deliveries(log, []) == Compared(0, 2)


@pytest.mark.parametrize("word", [FILE, PEOPLE])
def test_every_altered_byte_of_a_delivery_is_found(word: str) -> None:
    log = published(announced(ONE, both()))
    whole = {FILE: CONTENT, PEOPLE: NOTE}
    for position in range(len(whole[word])):
        bent = bytearray(whole[word])
        bent[position] ^= 1
        files = {**whole, word: bytes(bent)}
        with pytest.raises(AuditError, match="delivery_altered") as raised:
            compare_deliveries(log, [kept(ONE, **files)])
        assert ONE in raised.value.message
    assert code_of(lambda: compare_deliveries(log, [kept(ONE, file=b"")])) == "delivery_altered"


def test_a_delivery_that_nobody_announced_is_named_but_a_note_alone_was_never_handed_out() -> None:
    log = published(announced(ONE, both()))
    strange = kept(STRANGE, file=CONTENT, people=NOTE)
    assert code_of(lambda: compare_deliveries(log, [strange])) == "delivery_unannounced"
    assert compare_deliveries(log, [kept(STRANGE, people=NOTE)]) == Compared(0, 1, (), 1)
    assert code_of(lambda: compare_deliveries(log, [], [Recorded(STRANGE, "0" * 64, "0" * 64)])) == (
        "delivery_unannounced"
    )


def test_what_the_catalogue_says_of_a_delivery_has_to_be_what_was_announced() -> None:
    log = published(announced(ONE, both()))
    record = Recorded(ONE, both()["file"], both()["people"])
    assert compare_deliveries(log, [], [record]) == Compared(0, 1)
    for changed in (replace(record, file="1" * 64), replace(record, people="1" * 64)):
        assert code_of(lambda changed=changed: compare_deliveries(log, [], [changed])) == "delivery_altered"  # type: ignore[misc] # as above


def test_a_sealed_delivery_that_is_made_again_has_more_than_one_file() -> None:
    log = published(announced(ONE, both()), announced(ONE, both(b"sealed anew")))
    for content in (CONTENT, b"sealed anew"):
        assert compare_deliveries(log, [kept(ONE, file=content, people=NOTE)]).agreed == 1
    assert code_of(lambda: compare_deliveries(log, [kept(ONE, file=b"a third")])) == "delivery_altered"


def test_bare_numbers_are_unproven_and_a_file_of_a_sender_is_found_by_its_digest() -> None:
    bare = {word: digest for word, digest in both().items() if word != "file"}
    log = published(announced(ONE, bare), announced(TWO, both(b"two")))
    assert compare_deliveries(log, [kept(ONE, file=b"+8613812345678\n", people=NOTE)]) == Compared(
        0, 1, (ONE,)
    )
    assert compare_deliveries(log, [kept("", file=b"two")]) == Compared(1, 1)
    assert code_of(lambda: compare_deliveries(log, [kept("", file=b"three")])) == "delivery_unannounced"
    record = Recorded(ONE, sha256(b"three").hexdigest(), both()["people"])
    assert compare_deliveries(log, [replace(kept("", file=b"three"), place="file 9")], [record]) == Compared(
        0, 1, ("file 9",)
    )


def test_a_file_that_can_be_an_announced_one_of_bare_numbers_is_named_and_no_forgery() -> None:
    bare = {"people": "0" * 64, "content": "0" * 64}
    log = published(*(announced(name, bare, rows=2) for name in (ONE, TWO)), announced(STRANGE, bare, rows=1))

    def compared(*contents: bytes) -> Compared:
        files = [
            Kept("", {FILE: partial(io.BytesIO, data)}, f"file {number}")
            for number, data in enumerate(contents, 1)
        ]
        return compare_deliveries(log, files)

    csv, quoted = b"phone,city\n8613812345678,x\n8613812345679,y\n", b'hash,city\nab,"x\ny"\ncd,z\n'
    lines = b'{"phone": "+8613812345678"}\n{"phone": "+8613812345679"}\n'
    parquet = io.BytesIO()
    pq.write_table(pa.table({"phone": ["+8613812345678", "+8613812345679"]}), parquet)
    for content in (csv, quoted, lines, parquet.getvalue()):
        assert compared(content) == Compared(0, 3, ("file 1",))
    assert compared(csv, quoted, csv).uncompared == ("file 1", "file 2", "file 3")
    one_row = b"phone\n8613812345678\n"
    assert compared(csv, one_row, lines).uncompared == ("file 1", "file 2", "file 3")
    for forged in (
        (csv + b"8613812345670,z\n",),
        (csv, quoted, lines),
        (csv.replace(b"phone", b"token"),),
        (parquet.getvalue()[:-1],),
        (b"age-encryption.org/v1\n",),
        (b"",),
        (b"{",),
        (b"{}\n",),
        (b"\n",),
        (b"\xff\n",),
    ):
        with pytest.raises(AuditError, match="delivery_unannounced") as raised:
            compared(*forged)
        assert f"file {len(forged)} (counted by name)" in raised.value.message


def test_with_the_keys_a_file_of_bare_numbers_is_compared() -> None:
    log = published(announced(ONE, {"people": both()["people"], "content": "ab" * 32}))
    record = Recorded(ONE, sha256(CONTENT).hexdigest(), both()["people"], lambda _opened: "ab" * 32)
    assert compare_deliveries(log, [kept("", file=CONTENT)], [record]) == Compared(1, 0)
    other = replace(record, keyed=lambda _opened: "cd" * 32)
    assert code_of(lambda: compare_deliveries(log, [kept("", file=CONTENT)], [other])) == "delivery_altered"
    none = replace(record, keyed=lambda _opened: "")
    assert compare_deliveries(log, [kept(ONE, file=CONTENT)], [none]) == Compared(0, 0, (ONE,))


def test_a_file_that_may_not_be_read_is_unproven_but_one_that_cannot_be_is_an_error() -> None:
    log = published(announced(ONE, both()))

    def failing(code: str) -> Kept:
        def opened() -> io.BytesIO:
            raise AuditError(code, "the bucket says no")

        return Kept(ONE, {FILE: opened, PEOPLE: lambda: io.BytesIO(NOTE)})

    assert compare_deliveries(log, [failing("kept_denied")]) == Compared(0, 0, (ONE,))
    assert code_of(lambda: compare_deliveries(log, [failing("kept_unreadable")])) == "kept_unreadable"


def test_a_list_that_is_announced_a_second_time_stays_what_it_was() -> None:
    digests = {path.partition(".")[0]: sha256(data).hexdigest() for path, data in LISTED.items()}
    forged = {**digests, "clean": sha256(b"forged").hexdigest()}
    log = published(
        announced(ONE, digests, Action.LIST_PUBLISHED), announced(ONE, forged, Action.LIST_PUBLISHED)
    )
    sound = kept(ONE, **{path.partition(".")[0]: data for path, data in LISTED.items()})
    assert compare_kept_lists(log, [sound]) == (1, 0)
    bent = Kept(ONE, {**sound.files, "clean": lambda: io.BytesIO(b"forged")})
    assert code_of(lambda: compare_kept_lists(log, [bent])) == "list_altered"


def test_what_waits_for_the_seal_is_announced_too() -> None:
    objects = log_of([3])
    common = (START + 9_000, "ops", "default", ONE, sortable_id(START + 9_000, b"0123456789"))
    event = Event(
        Action.DELIVERY_PUBLISHED, Outcome.BEGUN, *common, list_id=ONE, delivery_id=TWO, digests=both()
    )
    objects.put(f"segments/{event.uid}", event.line(), absent=True)
    assert compare_deliveries(verify_log(objects, VERIFIERS).published, [kept(TWO, file=CONTENT)]).agreed == 1


def test_a_note_that_has_to_be_there_is_missed_and_one_that_had_to_go_is_not() -> None:
    log = published(announced(ONE, both()), announced(TWO, {"file": "0" * 64}))
    there = [kept(ONE, people=NOTE)]

    def since(moment: int, now: list[Kept]) -> Notes:
        return Notes(moment, lambda: now)

    assert compare_deliveries(log, there, notes=since(0, there)).agreed == 1
    with pytest.raises(AuditError, match="people_missing") as raised:
        compare_deliveries(log, [kept(ONE, file=CONTENT)], notes=since(START, []))
    assert ONE in raised.value.message
    assert compare_deliveries(log, [], notes=since(START + 1, [])) == Compared(0, 2)
    # delivered while the log was read
    assert compare_deliveries(log, [], notes=since(0, there)) == Compared(0, 2)


def test_folders_are_read_as_a_home_a_bucket_and_a_sender_keep_them(tmp_path: Path) -> None:
    (tmp_path / f"{ONE}.people").write_bytes(NOTE)
    (tmp_path / ".people.7.partial").write_bytes(b"half")
    (tmp_path / "default" / TWO).mkdir(parents=True)
    (tmp_path / "default" / TWO / "content").write_bytes(CONTENT)
    (tmp_path / "default" / TWO / "people").write_bytes(NOTE)
    (tmp_path / "gate.csv").write_bytes(CONTENT)
    found = [(one.name, sorted(one.files)) for one in deliveries_in(tmp_path)]
    assert found == [(TWO, [FILE, PEOPLE]), (ONE, [PEOPLE]), ("", [FILE])]
    assert list(deliveries_in(tmp_path / "none")) == list(lists_in(tmp_path / "none")) == []


# A home, as its reviewer sees it


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counter = counter_at(tmp_path_factory.mktemp("delivered"))
    key = pyrage.x25519.Identity.generate()
    counter.sender()
    counter.sender("sealed", seal_to=str(key.to_public()))
    plain = counter.made(policy(("audience: shared}", "audience: shared, phones: true}")))
    out = counter.folder / "out"
    counter.deliver(plain, out=out / "gate.csv", form=TOKEN)
    counter.deliver(plain, "sealed", out=out / "sealed.csv", form=TOKEN)
    counter.deliver(plain, "sealed", out=out / "again.csv", form=TOKEN)
    counter.deliver(plain, out=out / "bare.csv", form=PHONE)
    counter.place.close()
    return counter.folder


@pytest.fixture
def folder(delivered: Path, tmp_path: Path) -> Path:
    return shutil.copytree(delivered, tmp_path / "copy")


def notes(folder: Path) -> list[Path]:
    return sorted((folder / "home/tenants/default/deliveries").glob("*.people"))


def test_a_home_is_verified_with_its_deliveries(folder: Path) -> None:
    said = command("audit", "verify", "--json", home=folder / "home")
    assert said.document["lists"] == {"compared": 1, "elsewhere": 0}
    assert said.document["deliveries"] == {
        "compared": 3,
        "elsewhere": 0,
        "unproven": 0,
        "uncompared": [],
        "unfinished": 0,
    }
    text = command("audit", "verify", home=folder / "home").out
    assert "Deliveries: 3 are as they were announced; 0 more are not there" in text
    only = command("audit", "verify", "--log-only", "--json", home=folder / "home").document
    assert "lists" not in only
    assert "deliveries" not in only


def test_an_altered_note_or_record_of_a_delivery_is_named_and_that_is_an_event(folder: Path) -> None:
    home, note = folder / "home", notes(folder)[1]
    before = note.read_bytes()
    note.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    said = command("audit", "verify", home=home)
    assert said.code == "delivery_altered"
    assert note.stem in said.err
    note.write_bytes(before)
    assert command("audit", "verify", home=home).status == 0
    failed = command("audit", "show", "--action", "audit", "--outcome", "failure", "--json", home=home)
    assert [event["code"] for event in failed.document["events"]] == ["delivery_altered"]
    counter = counter_at(folder)
    deliveries = Deliveries(home_of(counter.place).records)
    one = next(deliveries.all())
    deliveries.change(one.delivery_id, lambda known: replace(known, sha256="0" * 64))
    assert command("audit", "verify", home=home).code == "delivery_altered"


def test_a_note_that_is_gone_from_a_home_is_named_and_that_is_an_event(folder: Path) -> None:
    home, gone = folder / "home", notes(folder)[1]
    gone.unlink()
    said = command("audit", "verify", home=home)
    assert (said.status, said.code) == (1, "people_missing")
    assert gone.stem in said.err
    assert "more" not in said.err
    for note in notes(folder):
        note.unlink()
    assert "and of 2 more" in command("audit", "verify", home=home).err
    (home / "tenants/default/deliveries").rmdir()
    assert command("audit", "verify", home=home).code == "people_missing"
    failed = command("audit", "show", "--action", "audit", "--outcome", "failure", "--json", home=home)
    assert {event["code"] for event in failed.document["events"]} == {"people_missing"}
    assert command("audit", "verify", "--deliveries", folder / "out", home=home).status == 0


def test_senders_files_are_compared_with_a_copy_of_the_log_and_a_key(folder: Path) -> None:
    log, out = folder / "home" / "audit", folder / "out"
    bare = out / "bare.csv"
    said = command("audit", "verify", log, "--deliveries", out, "--json")
    # nothing in the log says what a file of bare numbers is, only that there is one
    left = {"compared": 2, "elsewhere": 1, "unproven": 1, "uncompared": ["file 2"], "unfinished": 0}
    assert said.document["deliveries"] == left
    text = command("audit", "verify", log, "--deliveries", out)
    assert "1 delivered files cannot be compared" in text.out
    assert "  file 2 (counted by name)\n" in text.out
    assert "bare." not in said.out + said.err + text.out
    whole = {"compared": 3, "elsewhere": 0, "unproven": 0, "uncompared": [], "unfinished": 0}
    at_home = command("audit", "verify", "--deliveries", out, "--json", home=folder / "home").document
    assert at_home["deliveries"] == whole
    both = command("audit", "verify", log, "--deliveries", out, "--deliveries", out, "--json").document
    assert both["deliveries"]["uncompared"] == ["folder 1, file 2", "folder 2, file 2"]
    numbers = bare.read_bytes()
    bare.write_bytes(numbers.replace(b"8613", b"8615", 1))
    assert (
        command("audit", "verify", "--deliveries", out, home=folder / "home").code == "delivery_unannounced"
    )
    assert command("audit", "verify", log, "--deliveries", out, "--json").document["deliveries"] == left
    bare.write_bytes(numbers + numbers.splitlines(keepends=True)[-1])
    altered = command("audit", "verify", log, "--deliveries", out)
    assert altered.status == 1
    assert "error: delivery_unannounced: file 2 (counted by name)" in altered.err
    bare.unlink()
    found = command("audit", "verify", log, "--deliveries", out, "--json").document["deliveries"]
    assert found == left | {"unproven": 0, "uncompared": []}
    gate = out / "gate.csv"
    gate.write_bytes(gate.read_bytes() + b"\n")
    assert "delivery_unannounced" in command("audit", "verify", log, "--deliveries", out).err
    assert command("audit", "verify", log, "--deliveries", out / "none").code == "usage"


# A bucket


@pytest.fixture(scope="module")
def stack() -> Iterator[CloudWorld]:
    with cloud() as world:
        yield world


def shelves(world: CloudWorld, tenant: str) -> tuple[S3ListShelf, S3Deliveries]:
    s3 = world.clients.s3
    return S3ListShelf(s3, CLEAN, f"lists/{tenant}/", ""), S3Deliveries(
        s3, CLEAN, f"deliveries/{tenant}/", ""
    )


def test_a_buckets_lists_and_deliveries_are_those_that_readers_see(stack: CloudWorld) -> None:
    log = Published()
    for tenant, name in (("a", ONE), ("b", TWO)):
        lists, deliveries = shelves(stack, tenant)
        with lists.begin(name) as made:
            for path, data in LISTED.items():
                if path != "manifest.json":
                    written = made.create(path)
                    written.write(data)
                    written.close()
            made.publish(LISTED["manifest.json"])
        with deliveries.begin() as sink:
            for file, data in ((sink.content(), CONTENT), (sink.people(), NOTE)):
                file.write(data)
                file.close()
            sink.keep_people(name)
            sink.publish(name)
        digests = {path.partition(".")[0]: sha256(data).hexdigest() for path, data in LISTED.items()}
        log.take(announced(name, digests, Action.LIST_PUBLISHED))
        log.take(announced(name, both()))
    found = S3Kept(stack.clients.s3, CLEAN)
    assert compare_kept_lists(log, found.lists()) == (2, 0)
    assert compare_deliveries(log, found.deliveries()) == Compared(2, 0)
    s3 = stack.clients.s3
    # an attempt that died has left a file without a manifest: nobody sees it
    s3.put_object(Bucket=CLEAN, Key=f"lists/a/{STRANGE}/clean.csv", Body=b"half")
    assert compare_kept_lists(log, found.lists()) == (2, 0)
    # readers open the version that the manifest names
    s3.put_object(Bucket=CLEAN, Key=f"lists/a/{ONE}/clean.csv", Body=b"over it")
    assert compare_kept_lists(log, found.lists()) == (2, 0)
    s3.put_object(Bucket=CLEAN, Key=f"deliveries/b/{TWO}/content", Body=b"over it")
    assert code_of(lambda: compare_deliveries(log, found.deliveries())) == "delivery_altered"
    s3.delete_object(Bucket=CLEAN, Key=f"deliveries/b/{TWO}/content")
    assert compare_deliveries(log, found.deliveries()) == Compared(2, 0)
    s3.delete_object(Bucket=CLEAN, Key=f"deliveries/b/{TWO}/people")
    assert compare_deliveries(log, found.deliveries()) == Compared(1, 1)
    s3.put_object(Bucket=CLEAN, Key=f"lists/a/{STRANGE}/manifest.json", Body=b"{}\n")
    assert code_of(lambda: compare_kept_lists(log, found.lists())) == "list_unannounced"
