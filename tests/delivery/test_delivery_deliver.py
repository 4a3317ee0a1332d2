from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyrage
import pytest
from blake3 import blake3

from contact_sanitizer.delivery.deliver import FORMATS
from contact_sanitizer.delivery.deliveries import Deliveries
from contact_sanitizer.delivery.senders import Quotas
from contact_sanitizer.embedded.deliveryfolder import DeliveryFiles
from contact_sanitizer.embedded.listfolder import ListFolders
from contact_sanitizer.errors import (
    AuditError,
    CatalogueError,
    ContactSanitizerError,
    DeliveryError,
    OutputError,
    RegistryError,
)
from contact_sanitizer.listid import ListId
from contact_sanitizer.ports import AuditWriter
from contact_sanitizer.protection.blocks import blocks_of
from contact_sanitizer.protection.columns import ColumnContext, decrypt_column
from contact_sanitizer.protection.hashes import hash_numbers
from contact_sanitizer.protection.tokens import TokenOpener
from counter import CITIES, HASH, LIST, PHONE, PHONES, TOKEN, YEAR, Counter, column, counter_at, rows_of
from desk import NOW, home_of, policy

PEOPLE = int(os.environ.get("CONTACT_SANITIZER_PEOPLE", "4000"))
AGREED = (("  consent: {role: consent, optional: true}\n", "  agreed: {role: consent}\n"),)
NUMBERS = [f"86{phone}" for phone in PHONES]
PHONES_TOO = policy(("audience: shared}", "audience: shared, phones: true}"))


def files_in(counter: Counter) -> list[str]:
    """What stands where deliveries go, hidden files too."""
    out = counter.folder / "out"
    return [path.name for path in out.iterdir()] if out.exists() else []


def refused(code: str, act: Callable[[], object]) -> ContactSanitizerError:
    with pytest.raises(ContactSanitizerError) as raised:
        act()
    assert raised.value.code == code
    return raised.value


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("made_as", FORMATS)
def test_everybody_is_delivered_in_the_senders_own_tokens(
    made_as: str, format_name: str, counter: Counter
) -> None:
    counter.sender()
    rules = policy(
        ("  phone: {role: phone}\n", "  phone: {role: phone}\n  city: {do: keep}\n  mail: {do: encrypt}\n"),
        ("{format: csv", "{format: " + made_as),
    )
    delivered, out = counter.deliver(counter.made(rules), format=format_name)
    rows = rows_of(out)
    assert list(rows[0]) == ["token", "city", "mail"]
    opener = TokenOpener(counter.place.keyring, "sender:gate")
    assert [opener.open(row["token"]) for row in rows] == NUMBERS
    # a cell made safe for spreadsheets on its way keeps the mark
    safe = "csv" in {made_as, format_name}
    assert [row["city"] for row in rows] == ["'=1+1" if safe and c == "=1+1" else c for c in CITIES]
    assert delivered.delivery.rows == 10
    assert delivered.delivery.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert out.stat().st_mode & 0o777 == 0o600


def test_encrypted_cells_are_bound_to_the_sender(counter: Counter) -> None:
    counter.sender()
    counter.sender("other")
    made = counter.made()
    ours, theirs = (column(counter.deliver(made, name)[1], "mail") for name in ("gate", "other"))
    assert not set(ours) & set(theirs)
    for name, cells in (("gate", ours), ("other", theirs)):
        context = ColumnContext(counter.place.keyring, f"sender:{name}", "mail")
        opened = decrypt_column(pa.array(cells), context).to_pylist()
        assert opened == [f"m{row % 3}@mail.example" for row in range(10)]


def test_two_senders_share_no_token_and_each_redeems_its_own_only(counter: Counter) -> None:
    phones = [f"139{number:08}" for number in range(12_340_000, 12_340_000 + PEOPLE)]
    counter.sender()
    counter.sender("other")
    # a consent each in the registry would take most of the test
    rules = policy(*AGREED, ("evidence: registry", "evidence: column"))
    made = counter.made(rules, phones, agreed=False)
    ours, theirs = counter.tokens(made), counter.tokens(made, "other")
    assert len(set(ours)) == len(set(theirs)) == PEOPLE
    assert not set(ours) & set(theirs)
    assert counter.redeem(ours[:1000]).phones == [f"+86{phone}" for phone in phones[:1000]]
    assert set(counter.redeem(theirs[:1000]).refusals) == {"not_redeemable"}
    assert counter.redeem(theirs[-1000:], "other").phones == [f"+86{phone}" for phone in phones[-1000:]]


def test_who_refused_after_the_list_was_made_is_left_out(counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    counter.block(PHONES[2])
    counter.withdraw(PHONES[5])
    counter.block(PHONES[7], "sender:gate")
    counter.block(PHONES[8], "sender:somebody-else")
    delivered, out = counter.deliver(made)
    opener = TokenOpener(counter.place.keyring, "sender:gate")
    kept = [NUMBERS[row] for row in range(10) if row not in {2, 5, 7}]
    assert [opener.open(token) for token in column(out, "token")] == kept
    assert delivered.delivery.refused == {"suppressed": 2, "consent_withdrawn": 1}
    assert counter.last_event["counts"] == {"rows": 7, "suppressed": 2, "consent_withdrawn": 1}
    assert counter.last_event["registry_change"] == counter.place.registry.standing().change


def test_consent_that_has_expired_since_is_none(counter: Counter) -> None:
    counter.sender(until=NOW // 1000 + 9 * YEAR)
    made = counter.made()
    counter.pass_time(2 * YEAR)
    delivered, out = counter.deliver(made)
    assert delivered.delivery.refused == {"consent_expired": 10}
    assert out.read_bytes() == b"token,city,mail,code\n"


@pytest.mark.parametrize("evidence", ["column", "either"])
def test_a_yes_in_the_file_stands_until_it_is_too_old_or_taken_back(evidence: str, counter: Counter) -> None:
    counter.sender(until=NOW // 1000 + 9 * YEAR)
    made = counter.made(policy(*AGREED, ("evidence: registry", f"evidence: {evidence}")), agreed=False)
    assert counter.deliver(made)[0].delivery.rows == 10
    counter.withdraw(PHONES[0])
    counter.block(PHONES[1])
    assert counter.deliver(made)[0].delivery.refused == {"suppressed": 1, "consent_withdrawn": 1}
    counter.pass_time(2 * YEAR)
    assert counter.deliver(made)[0].delivery.rows == 0


def test_where_either_let_somebody_in_an_expired_consent_counts_against_them(counter: Counter) -> None:
    counter.sender(until=NOW // 1000 + 9 * YEAR)
    made = counter.made(policy(*AGREED, ("evidence: registry", "evidence: either")))
    # granted by the registry in June, the list is of September: the file's yes would last longer
    counter.pass_time(730 * 86_400 - 9_000_000)
    assert counter.deliver(made)[0].delivery.refused == {"consent_expired": 10}


def test_the_same_request_is_the_same_delivery(counter: Counter) -> None:
    counter.sender(quotas=counter.sender().quotas)
    made = counter.made()
    first, out = counter.deliver(made)
    again, same = counter.deliver(made)
    third, _ = counter.deliver(made, out=out)
    assert out.read_bytes() == same.read_bytes()
    assert (first.again, again.again, third.again) == (False, True, True)
    assert first.delivery == again.delivery == third.delivery
    assert len(list(Deliveries(counter.place.world.records).all())) == 1
    assert len(list(home_of(counter.place).places.deliveries.iterdir())) == 1


def test_another_form_sender_day_or_state_of_the_registry_is_another_delivery(counter: Counter) -> None:
    counter.sender()
    counter.sender("other")
    made = counter.made()
    wishes: list[dict[str, Any]] = [{}, {"form": HASH}, {"format": "jsonl"}, {"to": "other"}]
    ids = [counter.deliver(made, **wish)[0].delivery.delivery_id for wish in wishes]
    counter.pass_time(86_400)
    ids.append(counter.deliver(made)[0].delivery.delivery_id)
    counter.block(PHONES[0])
    ids.append(counter.deliver(made)[0].delivery.delivery_id)
    assert len(set(ids)) == 6
    assert ids == sorted(ids)


def test_another_file_in_the_way_stays_as_it_is(counter: Counter, tmp_path: Path) -> None:
    counter.sender()
    made = counter.made()
    (tmp_path / "novel.txt").write_text("once")
    refused("out_exists", lambda: counter.deliver(made, out=tmp_path / "novel.txt"))
    assert counter.last_event["operation"] == "delivery.failed"
    assert list(Deliveries(counter.place.world.records).all()) == []
    assert (tmp_path / "novel.txt").read_text() == "once"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    (tmp_path / "folder").mkdir()
    refused("out_exists", lambda: counter.deliver(made, out=tmp_path / "folder"))
    refused("out_unwritable", lambda: counter.deliver(made, out=tmp_path / "novel.txt" / "deeper"))


def test_hashes_are_keyed_unless_the_policy_names_a_contract(counter: Counter) -> None:
    counter.sender()
    keyed = column(counter.deliver(counter.made(), form=HASH)[1], "hash")
    assert keyed == hash_numbers(blocks_of(NUMBERS), counter.place.keyring).to_pylist()
    bare = counter.made(policy(("audience: shared}", "audience: shared, hash: 'sha256:+E164'}")))
    assert column(counter.deliver(bare, form=HASH)[1], "hash") == [
        hashlib.sha256(f"+{number}".encode()).hexdigest() for number in NUMBERS
    ]
    assert "file" not in counter.last_event["digests"]


def test_numbers_need_the_policy_and_the_right(counter: Counter) -> None:
    counter.sender()
    made = counter.made(PHONES_TOO)
    assert column(counter.deliver(made, form=PHONE, format="jsonl")[1], "phone") == [
        f"+{number}" for number in NUMBERS
    ]
    # a spreadsheet would run a cell that begins with +
    assert column(counter.deliver(made, form=PHONE)[1], "phone") == NUMBERS
    assert set(counter.last_event["digests"]) == {"content", "people"}
    refused("form_refused", lambda: counter.deliver(counter.made(), form=PHONE))
    counter.sender(rights=("tokens", "hash"))
    refused("right_missing", lambda: counter.deliver(made, form=PHONE))


def test_a_kept_column_is_not_taken_for_the_numbers(counter: Counter) -> None:
    counter.sender()
    made = counter.made(
        policy(("  phone: {role: phone}\n", "  phone: {role: phone}\n  hash: {do: keep, optional: true}\n"))
    )
    refused("form_refused", lambda: counter.deliver(made, form=HASH))


def test_a_sealed_file_opens_for_its_sender_alone(counter: Counter) -> None:
    identity = pyrage.x25519.Identity.generate()
    counter.sender(seal_to=str(identity.to_public()))
    counter.sender("plain")
    made = counter.made()
    delivered, out = counter.deliver(made)
    assert delivered.delivery.sealed
    assert out.read_bytes().startswith(b"age-encryption.org/v1\n")
    assert b"ct_" not in out.read_bytes()
    opened = pyrage.decrypt(out.read_bytes(), [identity])
    opener = TokenOpener(counter.place.keyring, "sender:gate")
    assert [opener.open(line[:53]) for line in opened.decode().splitlines()[1:5]] == NUMBERS[:4]
    again, _ = counter.deliver(made)
    assert again.delivery.delivery_id == delivered.delivery.delivery_id
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(out.read_bytes(), [pyrage.x25519.Identity.generate()])


DENIED: dict[str, Callable[[Counter, str], object]] = {
    "sender_unknown": lambda c, made: c.deliver(made, "nobody"),
    "sender_revoked": lambda c, made: (c.place.senders.revoke("gate", 1), c.deliver(made)),
    "sender_expired": lambda c, made: (c.pass_time(YEAR), c.deliver(made)),
    "purpose_refused": lambda c, made: c.deliver(made, purpose="service"),
    "right_missing": lambda c, made: (c.sender(rights=("hash",)), c.deliver(made)),
    "form_refused": lambda c, made: c.deliver(made, form=PHONE),
    "quota_exceeded": lambda c, made: (c.sender(quotas=Quotas(rows_a_day=9)), c.deliver(made)),
    "list_unknown": lambda c, _: c.deliver("01M802DPRE5E9WD1W7ZSVYE7N3"),
    "list_key_destroyed": lambda c, made: (c.destroy_key(), c.deliver(made)),
}


@pytest.mark.parametrize("code", DENIED)
def test_what_is_refused_is_recorded_and_delivers_nothing(code: str, counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    refused(code, lambda: DENIED[code](counter, made))
    assert counter.last_event["operation"] == "delivery.denied"
    assert counter.last_event["code"] == code
    assert files_in(counter) == []
    assert list(Deliveries(counter.place.world.records).all()) == []


@pytest.mark.parametrize("typed", ["", "x", "13812345678", "../gate", "gate\udc80", "名" * 90])
def test_what_was_typed_for_a_sender_or_a_list_comes_back_nowhere(typed: str, counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    for list_id, to, purpose in (
        (made, typed, "marketing"),
        (typed, "gate", "marketing"),
        (made, "gate", typed),
    ):
        with pytest.raises((DeliveryError, OutputError)) as raised:
            counter.deliver(list_id, to, purpose=purpose)
        assert not typed or len(typed) == 1 or typed not in str(raised.value)
        assert "13812345678" not in json.dumps(counter.events)


def test_a_list_for_another_purpose_is_refused_to_a_sender_that_has_both(counter: Counter) -> None:
    counter.sender(purposes=("marketing", "service"))
    made = counter.made()
    refused("purpose_refused", lambda: counter.deliver(made, purpose="service"))


def test_another_tenants_list_is_unknown_and_its_tokens_are_no_bodys(
    counter: Counter, tmp_path: Path
) -> None:
    counter.sender()
    made = counter.made()
    tokens = counter.tokens(made)
    other = counter_at(tmp_path, "second")
    other.sender()
    refused("list_unknown", lambda: other.deliver(made))
    other.made()
    assert set(other.redeem(tokens).refusals) == {"not_redeemable"}
    assert other.last_event["counts"]["key_unknown"] == 10


def test_quotas_count_rows_a_day_and_not_what_was_delivered_already(counter: Counter) -> None:
    counter.sender(quotas=Quotas(rows_a_day=25))
    made = counter.made()
    for _ in range(3):
        counter.deliver(made)
    counter.deliver(made, format="jsonl")
    refused("quota_exceeded", lambda: counter.deliver(made, format="parquet"))
    counter.pass_time(86_400)
    counter.deliver(made, format="parquet")


def replaced_token(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    path.write_bytes(b"".join(lines))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a kept cell changed": lambda path: path.write_bytes(path.read_bytes().replace(b",g,", b",k,")),
    "rows exchanged": replaced_token,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-60]),
    "of no bytes": lambda path: path.write_bytes(b""),
    "a column lost": lambda path: path.write_bytes(path.read_bytes().replace(b"city", b"town")),
    "no list": lambda path: path.write_bytes(b"\xff\xfe\0" * 99),
    "gone": lambda path: path.unlink(),
    "a foreign token": lambda path: path.write_bytes(path.read_bytes().replace(b"ct_A", b"ct_B", 1)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_list_that_is_not_what_was_published_is_not_delivered(damage: str, counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    DAMAGES[damage](counter.folder / "home" / "lists" / made / "clean.csv")
    error = refused("list_damaged", lambda: counter.deliver(made))
    assert "g,k" not in str(error)
    assert counter.last_event["operation"] == "delivery.failed"
    assert files_in(counter) == []


def forged(clean: Path) -> None:
    """A kept cell is another, and the manifest says so too."""
    content = clean.read_bytes()
    clean.write_bytes(content.replace(b",g,", b",k,"))
    manifest = clean.with_name("manifest.json")
    text = manifest.read_text()
    for before, after in (
        (hashlib.sha256(content).hexdigest(), hashlib.sha256(clean.read_bytes()).hexdigest()),
        (blake3(content).hexdigest(), blake3(clean.read_bytes()).hexdigest()),
    ):
        assert before in text
        text = text.replace(before, after)
    manifest.write_text(text)


def test_a_list_that_was_altered_together_with_its_manifest_is_not_delivered(counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    forged(counter.folder / "home" / "lists" / made / "clean.csv")
    refused("list_damaged", lambda: counter.deliver(made))
    assert counter.last_event["operation"] == "delivery.failed"
    assert files_in(counter) == []


def test_a_list_is_read_by_the_manifest_that_was_checked_and_looked_for_once_more(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.sender()
    made = counter.made()
    read, answers = ListFolders.manifest, list[bytes | None]()

    def counted(shelf: ListFolders, list_id: ListId) -> bytes | None:
        answers.append(read(shelf, list_id))
        return answers[-1]

    monkeypatch.setattr(ListFolders, "manifest", counted)
    counter.deliver(made)
    assert len(answers) == 2
    assert len(set(answers)) == 1


def test_a_list_whose_manifest_is_gone_is_no_list(counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    (counter.folder / "home" / "lists" / made / "manifest.json").unlink()
    refused("list_unknown", lambda: counter.deliver(made))


def test_a_list_of_nobody_is_delivered_as_such(counter: Counter) -> None:
    counter.sender()
    for made_as in FORMATS:
        rules = policy(("{format: csv", "{format: " + made_as))
        made = counter.made(rules, agreed=False)
        for format_name in FORMATS:
            delivered, out = counter.deliver(made, format=format_name)
            assert delivered.delivery.rows == 0
            assert out.exists()


def test_a_registry_that_does_not_answer_delivers_nothing(counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    registry = home_of(counter.place).places.registry
    with sqlite3.connect(registry) as db:
        db.execute("DROP TABLE event")
    db.close()
    with pytest.raises(RegistryError):
        counter.deliver(made)
    assert counter.last_event["operation"] == "delivery.failed"
    assert files_in(counter) == []
    with pytest.raises(RegistryError):
        counter.redeem(["ct_x"])


class Deaf(AuditWriter):
    """A log that takes so many events and no more."""

    def __init__(self, log: AuditWriter, takes: int) -> None:
        self._log, self._takes = log, takes

    def append(self, event: object) -> None:
        self._takes -= 1
        if self._takes < 0:
            raise AuditError("audit_unwritable", "the audit log cannot be written, so nothing was done")
        self._log.append(event)  # type: ignore[arg-type]  # whatever comes

    def conclude(self, now: int, *, heartbeat: bool = False) -> None:
        """Nothing is sealed."""


@pytest.mark.parametrize("takes", [0, 1])
def test_without_its_event_no_delivery_is_visible(takes: int, counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    counter.place.world.__dict__["audit"] = Deaf(counter.place.world.audit, takes)
    with pytest.raises(AuditError):
        counter.deliver(made)
    assert files_in(counter) == []
    counter.place.world.__dict__["audit"] = Deaf(counter.place.world.audit, 0)
    with pytest.raises(AuditError):
        counter.redeem(["ct_x"])


class Killed(BaseException):
    """As if the process ended here."""


@pytest.mark.parametrize("step", ["content", "people", "keep_people", "publish"])
def test_what_was_interrupted_is_finished_by_the_next_run(
    step: str, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.sender(quotas=Quotas(rows_a_day=20))
    made = counter.made()
    out = counter.folder / "out" / "file.csv"

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(DeliveryFiles, step, die)
        with pytest.raises(Killed):
            counter.deliver(made, out=out)
    assert not out.exists()
    delivered, _ = counter.deliver(made, out=out)
    assert len(rows_of(out)) == 10
    (kept,) = Deliveries(counter.place.world.records).all()
    assert kept == delivered.delivery
    assert [path.name for path in out.parent.iterdir()] == ["file.csv"]
    notes = home_of(counter.place).places.deliveries
    assert [path.name for path in notes.iterdir()] == [f"{kept.delivery_id}.people"]


def test_a_crash_after_the_file_was_visible_leaves_a_delivery_with_recalls(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.sender()
    made = counter.made()

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Deliveries, "change", die)
        with pytest.raises(Killed):
            counter.deliver(made)
    (left,) = Deliveries(counter.place.world.records).all()
    assert left.state == "making"
    counter.block(PHONES[3])
    assert len(counter.recalls(left.delivery_id)) == 1


def test_two_deliveries_at_once_do_not_write_one_file(counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    out = counter.folder / "out" / "file.csv"
    with DeliveryFiles(home_of(counter.place).places.deliveries, out) as other:
        other.content().write(b"half")
        refused("out_unwritable", lambda: counter.deliver(made, out=out))
    counter.deliver(made, out=out)
    assert len(rows_of(out)) == 10


@pytest.mark.parametrize("damaged", [{}, {"form": "smoke"}, {"use": {}}, {"delivery_id": "x"}, {"extra": 1}])
def test_a_damaged_entry_of_a_delivery_is_named_as_such(damaged: dict[str, object], counter: Counter) -> None:
    counter.sender()
    delivered, _ = counter.deliver(counter.made())
    records, name = counter.place.world.records, delivered.delivery.delivery_id
    record = records.get("delivery", name)
    assert record is not None
    spoiled = {**record.document, **damaged} if damaged else {}
    assert records.put("delivery", name, spoiled, after=record.version)
    with pytest.raises(CatalogueError, match="catalogue_damaged"):
        counter.recalls(name)


def test_a_delivery_says_what_it_rests_on(counter: Counter) -> None:
    counter.sender()
    made = counter.made(LIST)
    delivered, out = counter.deliver(made)
    shown = delivered.delivery.shown()
    assert shown["list"] == made
    assert shown["as_of"] == "2026-09-21T14:13:20.000Z"
    assert shown["change"] == counter.place.registry.standing().change
    assert shown["form"] == TOKEN
    assert shown["bytes"] == out.stat().st_size
    assert ListId(shown["delivery"]) == delivered.delivery.delivery_id
    begun, published = (event for event in counter.events if event["operation"].startswith("delivery."))
    assert (begun["operation"], published["operation"]) == ("delivery.begun", "delivery.published")
    assert begun["delivery_id"] == published["delivery_id"] == shown["delivery"]
    assert published["audience"] == "sender:gate"
    for event in (begun, published):
        assert (event["form"], event["format"], event["sealed"]) == ("token", "csv", False)


def test_the_log_says_in_which_form_a_list_was_handed_out_or_refused(counter: Counter) -> None:
    identity = pyrage.x25519.Identity.generate()
    counter.sender(seal_to=str(identity.to_public()))
    made = counter.made()
    counter.deliver(made, form=HASH, format="jsonl")
    event = counter.last_event
    assert (event["form"], event["format"], event["sealed"]) == ("hash", "jsonl", True)
    refused("form_refused", lambda: counter.deliver(made, format="typed by somebody"))
    event = counter.last_event
    assert (event["form"], event["sealed"]) == ("token", True)
    assert "format" not in event
