"""A person is forgotten: nothing leads to them, nobody else is touched, the audit verifies."""

from __future__ import annotations

import errno
import hmac
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

import pyarrow.parquet as pq
import pytest

from contact_sanitizer.catalogue import State
from contact_sanitizer.delivery.rendering import Form
from contact_sanitizer.embedded.home import sync_folder
from contact_sanitizer.embedded.listfolder import ListFolder, ListFolders
from contact_sanitizer.erasing import erase as erasing
from contact_sanitizer.erasing.absent import forget_list
from contact_sanitizer.erasing.erase import close_erasure
from contact_sanitizer.erasing.receipt import Receipt
from contact_sanitizer.errors import (
    AuditError,
    DeliveryError,
    IntakeError,
    OutputError,
    RegistryError,
    RequestError,
)
from contact_sanitizer.listid import ListId
from contact_sanitizer.registering.desk import ConsentTerms
from contact_sanitizer.workspace import Workspace
from counter import PHONES, column, counter_at, rows_of
from desk import agree, home_of, policy, run, write_csv
from erasedesk import ANN, BOB, Place, place_in

TRUSTING = policy(
    ("evidence: registry", "evidence: column"),
    ("  phone: {role: phone}\n", "  phone: {role: phone}\n  agreed: {role: consent}\n"),
    ("  consent: {role: consent, optional: true}\n", ""),
)


@pytest.fixture(params=["home", "stack"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_in(request.param, tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Place:
    return place_in("home", tmp_path)


def test_nothing_leads_to_an_erased_person_and_nobody_else_is_touched(place: Place) -> None:
    counter = place.counter
    made = counter.made()
    tokens = place.handed_out(made)
    place.work.desk("CN").reply(place.person(), "who is this", "", place.work.registry)
    decisions, clean = place.file(made, "decisions.parquet"), place.file(made, "clean.csv")
    assert not place.trace().is_unknown
    assert len(place.traces_of()) > 10
    assert place.traces_of(BOB)

    receipt = place.erase()
    close_erasure(place.person(), place.work.erase_desk)

    assert receipt.is_complete
    assert receipt.removed == {
        "consents": 1,
        "suppressions": 0,
        "replies": 1,
        "lists": 1,
        "rows": 1,
        "clean_rows": 1,
        "deliveries": 3,
        "redemptions": 2,
    }
    assert place.trace().is_unknown
    assert place.traces_of() == []
    place.verify()
    for name, given in tokens.items():
        phones = counter.redeem(given, name).phones
        assert [row for row, phone in enumerate(phones) if phone is None] == [3]
    left = place.file(made, "clean.csv")
    assert left in {clean.replace(row, b"") for row in _records(clean)}
    rows = pq.read_table(_written(place, place.file(made, "decisions.parquet"))).to_pylist()
    was = pq.read_table(_written(place, decisions)).to_pylist()
    assert rows == [row | {"subject": None} if row["row"] == 5 else row for row in was]
    manifest = place.manifest(made)
    assert (manifest.erased, manifest.counts.kept, manifest.outputs[0].rows) == (1, 10, 9)


def _records(clean: bytes) -> list[bytes]:
    """The records of a clean list as its writer ends them; one holds a line end of its own."""
    starts = [at for at in range(len(clean)) if clean[at : at + 3] == b"ct_"]
    return [clean[start:stop] for start, stop in zip(starts, [*starts[1:], len(clean)], strict=True)]


def _written(place: Place, data: bytes) -> Path:
    path = place.counter.folder / "read.parquet"
    path.write_bytes(data)
    return path


def test_lists_can_be_delivered_and_recalled_after_an_erasure(home: Place) -> None:
    counter = home.counter
    made = counter.made()
    home.handed_out(made)
    first, _ = counter.deliver(made)
    counter.block(PHONES[0])
    counter.block(ANN)
    counter.block(PHONES[9])
    assert len(counter.recalls(first.delivery.delivery_id)) == 3
    home.erase()
    told = counter.recalls(first.delivery.delivery_id)
    assert (len(told), told.cursor) == (2, 3)
    counter.withdraw(PHONES[1])
    later = counter.recalls(first.delivery.delivery_id, after=told.cursor)
    assert (len(later), later.cursor) == (1, 4)
    (hashed,) = [each for each in counter.place.erase_desk.deliveries.all() if each.form is Form.HASH]
    assert len(counter.recalls(hashed.delivery_id)) == 3
    again, out = counter.deliver(made)
    assert not again.again
    assert len(rows_of(out)) == 6
    assert home.trace(BOB).deliveries


def test_of_a_refusal_the_bare_one_stays_and_the_receipt_says_so(place: Place) -> None:
    place.counter.made()
    place.counter.withdraw(ANN)
    receipt = place.erase()
    assert [dict(each) for each in receipt.refusals] == [{"scope": "tenant", "reason": "opted_out"}]
    found = place.trace()
    assert [found.lists, found.deliveries, found.redemptions, found.history.consents] == [()] * 4
    (entry,) = found.history.entries
    assert entry.state(place.counter.now[0] // 1000) == "in force"
    (event,) = found.history.suppressions
    assert (event.recorded_by, event.source, event.sealed) == ("", "", b"")


@pytest.mark.parametrize("trusting", [False, True])
def test_the_same_upload_does_not_bring_an_erased_person_back(home: Place, trusting: bool) -> None:  # noqa: FBT001 - a case
    counter, rules = home.counter, TRUSTING if trusting else policy()
    counter.sender()
    made = counter.made(rules, agreed=not trusting)
    tokens = counter.tokens(made)
    receipt = home.erase()
    assert bool(receipt.refusals) == trusting
    again = counter.made(rules, agreed=False)
    manifest = home.manifest(again)
    reason = "suppressed" if trusting else "consent_missing"
    assert dict(manifest.counts.by_reason) == {reason: 1}
    phones = counter.redeem(tokens).phones
    assert phones[3] is None
    assert sum(phone is not None for phone in phones) == 9


def test_a_refusal_can_be_left_in_any_case(home: Place) -> None:
    home.counter.made()
    assert home.erase(leave_refusal=True).refusals
    assert home.erase("13899990000", leave_refusal=True).refusals


def test_of_a_stranger_nothing_is_removed_and_that_is_audited(place: Place) -> None:
    place.handed_out(place.counter.made())
    place.person("13899990000")
    before = place.everything()
    receipt = place.erase("13899990000")
    assert receipt.is_nothing
    assert receipt.is_complete
    assert place.everything() == before
    assert [event["status"] for event in erasures(place)] == ["begun", "Success"]
    place.verify()


def erasures(place: Place) -> list[dict[str, Any]]:
    log = place.work.world.audit.objects
    lines = [line for key in log.keys("segments/") for line in (log.get(key) or b"").splitlines()]
    said = [json.loads(line) for line in lines]
    return [event for event in said if event["api"]["operation"] == "person.erased"]


def test_the_receipt_proves_whose_erasure_an_event_is_and_nothing_else_does(home: Place) -> None:
    home.counter.made()
    receipt = home.erase()
    said = erasures(home)
    (done,) = [event for event in said if event["status"] == "Success"]
    assert done["metadata"]["uid"] == receipt.event
    opened = hmac.digest(bytes.fromhex(receipt.opening), b"+86" + ANN.encode(), "sha256").hex()
    assert done["unmapped"]["person"] == receipt.person == opened
    close_erasure(home.person(), home.work.erase_desk)
    assert not any(receipt.opening.encode() in content for content in home.everything().values())
    assert receipt.opening not in json.dumps(said)
    assert "person" not in said[1]["unmapped"]


def test_no_phone_is_in_a_receipt_or_in_the_log(home: Place) -> None:
    home.handed_out(home.counter.made())
    told = json.dumps(home.erase().document(), ensure_ascii=False) + json.dumps(erasures(home))
    person = home.person()
    for secret in (ANN, ANN[3:], person.subject.hex(), person.block.hex()):
        assert secret not in told
    assert repr(home.work.erase_desk).count(ANN) == 0


def test_the_same_receipt_is_given_until_it_is_handed_over(home: Place) -> None:
    home.handed_out(home.counter.made())
    once = home.erase()
    assert home.erase().document() == once.document()
    close_erasure(home.person(), home.work.erase_desk)
    later = home.erase()
    assert later.is_nothing
    assert later.erasure != once.erasure
    home.verify()


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_list_of_each_format_loses_exactly_the_persons_row(home: Place, form: str) -> None:
    rules = policy(
        ("  phone: {role: phone}\n", "  phone: {role: phone}\n  city: {do: keep}\n  mail: {do: encrypt}\n"),
        ("format: csv", f"format: {form}"),
    )
    made = home.counter.made(rules)
    place = home_of(home.work).home.lists / made / f"clean.{form}"
    before = rows_of(place)
    home.erase()
    assert rows_of(place) == before[:3] + before[4:]
    home.verify()


def test_people_are_erased_one_after_another_each_exactly_once(home: Place) -> None:
    counter = home.counter
    counter.sender()
    made = counter.made()
    delivery, out = counter.deliver(made)
    tokens = column(out, "token")
    for number, phone in enumerate((PHONES[5], PHONES[0], PHONES[9], PHONES[1]), 1):
        home.erase(phone)
        assert home.manifest(made).erased == number
        home.verify()
    left = [phone for phone in counter.redeem(tokens).phones if phone]
    assert left == [f"+86{PHONES[n]}" for n in (2, 3, 4, 6, 7, 8)]
    assert [home.trace(phone).is_unknown for phone in PHONES] == [n in {0, 1, 5, 9} for n in range(10)]
    counter.block(PHONES[6])
    assert len(counter.recalls(delivery.delivery.delivery_id)) == 1


def test_no_older_version_of_a_list_or_note_stays_in_a_bucket(tmp_path: Path) -> None:
    place = place_in("stack", tmp_path)
    counter = place.counter
    counter.sender()
    made = counter.made()
    counter.deliver(made)
    for number, phone in enumerate((PHONES[5], PHONES[0]), 1):
        place.erase(phone)
        assert place.manifest(made).erased == number
    kept = sorted(key.split()[0].rpartition("/")[2] for key in place.everything() if "/" in key)
    assert kept == ["clean.csv", "decisions.parquet", "manifest.json", "people", "rejects.csv"]
    assert place.file(made, "clean.csv").count(b"ct_") == 8
    place.verify()


def test_everybody_can_be_erased_from_a_list(home: Place) -> None:
    counter = home.counter
    counter.sender()
    made = counter.made()
    counter.deliver(made)
    for phone in PHONES:
        home.erase(phone)
        home.verify()
    assert home.file(made, "clean.csv") == b"token,city,mail,code\n"
    assert len(rows_of(counter.deliver(made)[1])) == 0


def test_a_person_who_is_on_a_list_more_than_once_leaves_all_rows(home: Place) -> None:
    home.counter.made(phones=[*PHONES, ANN, f"+86 {ANN}"])
    receipt = home.erase()
    assert (receipt.removed["rows"], receipt.removed["clean_rows"]) == (3, 1)
    assert home.traces_of() == []


def test_a_person_on_many_lists_is_erased_from_each(home: Place) -> None:
    agree(home.work, PHONES[:5])
    upload = write_csv(home.counter.folder / "list.csv", [["phone"], *([phone] for phone in PHONES[:5])])
    for _ in range(12):
        run(home.work, upload)
    assert home.erase().removed["lists"] == 12
    assert home.trace().is_unknown
    home.verify()


def test_destroyed_keys_keep_nobody_from_being_erased(home: Place) -> None:
    made = home.counter.made()
    home.handed_out(made)
    home.counter.destroy_key()
    receipt = home.erase()
    assert (receipt.removed["clean_rows"], receipt.removed["deliveries"]) == (1, 3)
    assert home.trace().is_unknown
    assert home.manifest(made).outputs[0].rows == 9
    home.verify()


def test_where_nothing_can_be_announced_nothing_is_changed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.handed_out(place.counter.made())
    place.person()
    before = place.everything()

    def refuse(_event: object) -> None:
        raise AuditError("audit_unwritable", "the audit log cannot be written")

    monkeypatch.setattr(type(place.work.world.audit), "append", lambda _log, event: refuse(event))
    with pytest.raises(AuditError, match="audit_unwritable"):
        place.erase()
    assert place.everything() == before


def test_what_cannot_be_announced_stays_as_it_is(home: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made = home.counter.made()
    home.handed_out(made)
    clean, kind = home.file(made, "clean.csv"), type(home.work.world.audit)
    append = kind.append

    def some(log: Any, event: Any) -> None:
        if event.list_id and not event.delivery_id:
            raise AuditError("audit_unwritable", "the audit log cannot be written")
        append(log, event)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "append", some)
        with pytest.raises(AuditError, match="audit_unwritable"):
            home.erase()
    assert home.file(made, "clean.csv") == clean
    assert home.trace().deliveries
    assert home.erase().removed["lists"] == 1
    assert home.trace().is_unknown
    home.verify()


def test_a_registry_that_does_not_answer_changes_nothing(
    home: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = home.counter.made()
    home.handed_out(made)
    clean = home.file(made, "clean.csv")

    def silent(*_: object) -> None:
        raise RegistryError("registry_unavailable", "The registry does not answer.")

    for method in ("remembered", "forget"):
        with monkeypatch.context() as patch:
            patch.setattr(type(home.work.registry), method, silent)
            with pytest.raises(RegistryError, match="registry_unavailable"):
                home.erase()
        assert home.file(made, "clean.csv") == clean
    assert [event["status"] for event in erasures(home)] == ["begun", "Failure"] * 2
    assert home.erase().removed["consents"] == 1
    assert home.traces_of() == []


def test_an_altered_list_is_named_and_does_not_become_what_was_announced(home: Place) -> None:
    altered, sound = home.counter.made(), home.counter.made(agreed=False)
    folder = home_of(home.work).home.lists / altered
    content = (folder / "clean.csv").read_bytes()
    (folder / "clean.csv").write_bytes(content.replace(b"f,", b"g,", 1))
    receipt = home.erase()
    assert [(each.name, each.state) for each in receipt.unfinished] == [(altered, "damaged")]
    assert home.manifest(sound).erased == 1
    assert home.manifest(altered).erased == 0
    with pytest.raises(AuditError, match="list_altered"):
        home.verify()
    (folder / "clean.csv").write_bytes(content)
    home.verify()
    close_erasure(home.person(), home.work.erase_desk)
    assert home.erase().is_complete
    assert home.manifest(altered).erased == 1
    assert home.trace().is_unknown


def may_hold(receipt: Receipt) -> list[tuple[str, str, str]]:
    return [(each.delivery, each.sender, each.state) for each in receipt.may_hold]


def test_a_note_that_somebody_has_cut_off_is_named_and_so_is_who_may_hold_the_person(home: Place) -> None:
    home.handed_out(home.counter.made())
    (note, *_) = sorted(home_of(home.work).places.deliveries.iterdir())
    content = note.read_bytes()
    note.write_bytes(content[:-1])
    receipt = closed(home)
    assert [(each.thing, each.name, each.state) for each in receipt.unfinished] == [
        ("delivery", note.stem, "damaged")
    ]
    assert may_hold(receipt) == [(note.stem, "gate", "damaged")]
    assert receipt.removed["deliveries"] == 2
    assert note.stem not in {each.delivery for each in receipt.recipients}
    note.write_bytes(content)
    again = home.erase()
    assert (again.is_complete, may_hold(again)) == (True, [])
    assert [each.delivery for each in again.recipients] == [note.stem]


def without_its_note(place: Place) -> str:
    """A delivery whose note of its people is gone; its id."""
    counter = place.counter
    counter.sender()
    delivered, _ = counter.deliver(counter.made())
    name = delivered.delivery.delivery_id
    if place.cloud is None:
        (home_of(place.work).places.deliveries / f"{name}.people").unlink()
    else:
        key = f"deliveries/default/{name}/people"
        place.cloud.clients.s3.delete_object(Bucket="demo-clean", Key=key)
    return name


def test_who_may_hold_the_person_is_named_where_a_note_is_lost_and_the_rest_is_erased(place: Place) -> None:
    name = without_its_note(place)
    receipt = place.erase()
    assert not receipt.is_complete
    assert not receipt.unfinished
    assert may_hold(receipt) == [(name, "gate", "gone")]
    assert (receipt.removed["lists"], receipt.removed["deliveries"]) == (1, 0)
    assert place.trace().lists == ()
    assert place.erase().document() == receipt.document()
    assert Receipt.of(json.loads(json.dumps(receipt.kept()))).document() == receipt.document()


def test_a_lost_note_says_nothing_of_who_was_never_on_its_list(home: Place) -> None:
    name = without_its_note(home)
    stranger = "13899990000"
    assert may_hold(closed(home, stranger)) == []
    # From here on somebody was on the list of whom it says nothing any more.
    assert may_hold(closed(home)) == [(name, "gate", "gone")]
    again = closed(home, stranger)
    assert again.is_nothing
    assert may_hold(again) == [(name, "gate", "gone")]
    assert "files of others" in {each["what"] for each in again.document()["stays"]}


def test_a_lost_note_of_a_list_that_is_lost_too_may_be_about_anybody(home: Place) -> None:
    name = without_its_note(home)
    (entry,) = home.work.catalogue.entries()
    shutil.rmtree(home_of(home.work).home.lists / entry.list_id)
    forget_list(ListId(entry.list_id), home.work.erase_desk)
    assert may_hold(closed(home, "13899990000")) == [(name, "gate", "gone")]


def test_notes_whose_term_is_over_leave_an_erasure_complete_and_one_line_a_sender(tmp_path: Path) -> None:
    stack = place_in("stack", tmp_path)
    without_its_note(stack)
    stack.counter.pass_time(86_400)
    later = without_its_note(stack)
    stack.counter.pass_time(91 * 86_400)
    receipt = stack.erase()
    assert receipt.is_complete
    assert may_hold(receipt) == [(later, "gate", "expired")]
    assert receipt.removed["lists"] == 2


def test_an_erasure_that_met_damage_says_so_in_the_log(home: Place) -> None:
    without_its_note(home)
    home.erase()
    *_, last = erasures(home)
    assert last["unmapped"]["counts"]["damaged"] == 1
    assert last["unmapped"]["counts"]["may_hold"] == 1


@dataclass
class Meanwhile:
    """An upload; something happens while it is read."""

    data: bytes
    happens: Callable[[], object]
    name: str = "list.csv"

    def open(self) -> BinaryIO:
        self.happens()
        return io.BytesIO(self.data)


UPLOAD = "\n".join(["phone", *PHONES]).encode()


def closed(place: Place, phone: str = ANN) -> Receipt:
    """An erasure whose receipt was handed over."""
    receipt = place.erase(phone)
    close_erasure(place.person(phone), place.work.erase_desk)
    return receipt


def unfinished(receipt: Receipt) -> list[tuple[str, str]]:
    return [(each.name, each.state) for each in receipt.unfinished]


def test_a_list_that_is_being_made_is_named_until_it_is_there(home: Place) -> None:
    said: list[Receipt] = []
    upload = Meanwhile(UPLOAD, lambda: said.append(closed(home)))
    agree(home.work, PHONES)
    made = home.work.sanitize(upload, policy())[0].list_id
    assert [unfinished(receipt) for receipt in said] == [[(made, "making")]] * len(said)
    assert said
    receipt = closed(home)
    assert receipt.is_complete
    assert receipt.removed["lists"] == 1
    assert home.traces_of() == []
    home.verify()


@pytest.mark.parametrize("upload", ["nowhere.csv", "headless.csv"])
def test_a_run_that_failed_keeps_nobody_from_being_erased(home: Place, upload: str) -> None:
    home.counter.made()
    (home.counter.folder / "headless.csv").write_text("a,b\n1,2\n")
    with pytest.raises(IntakeError):
        run(home.work, home.counter.folder / upload)
    assert "failed" in {entry.state for entry in home.work.catalogue.entries()}
    receipt = closed(home)
    assert receipt.is_complete
    assert receipt.removed["lists"] == 1
    assert home.trace().lists == ()
    assert closed(home, "13899990000").is_complete


def test_a_run_that_failed_before_its_list_appeared_asks_nothing_of_anybody(
    home: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree(home.work, PHONES)

    def full(_self: ListFolder, _manifest: bytes) -> Path:
        raise OutputError("out_full", "the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(ListFolder, "publish", full)
        with pytest.raises(OutputError, match="out_full"):
            home.work.sanitize(Meanwhile(UPLOAD, int), policy())
    (entry,) = home.work.catalogue.entries()
    assert entry.state == "failed"
    assert entry.manifest
    assert closed(home).is_complete
    shutil.rmtree(home_of(home.work).home.lists)
    assert closed(home, BOB).is_complete


def test_a_list_that_had_appeared_when_its_run_failed_is_looked_for_wherever_it_is(
    home: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree(home.work, PHONES)
    folder = home.counter.folder
    upload = write_csv(folder / "list.csv", [["phone"], *([phone] for phone in PHONES)])

    def failing(place: Path) -> None:
        if place == folder / "out":
            raise OSError(errno.EIO, "the disk")
        sync_folder(place)

    with monkeypatch.context() as patched:
        patched.setattr("contact_sanitizer.embedded.listfolder.sync_folder", failing)
        with pytest.raises(OutputError, match="out_unwritable"):
            run(home.work, upload, out=folder / "out")
    (entry,) = home.work.catalogue.entries()
    (folder / "out").rename(folder / "moved")
    assert unfinished(closed(home)) == [(entry.list_id, "gone")]
    (folder / "moved").rename(folder / "out")
    back = closed(home)
    assert back.is_complete
    assert back.removed["lists"] == 1
    home.verify()


def test_a_run_whose_folder_is_still_to_come_fails_once_it_was_given_up(
    home: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree(home.work, PHONES)
    begin = ListFolders.begin

    def late(shelf: ListFolders, list_id: ListId) -> ListFolder:
        assert closed(home).is_complete
        return begin(shelf, list_id)

    monkeypatch.setattr(ListFolders, "begin", late)
    with pytest.raises(OutputError, match="list_claimed"):
        home.work.sanitize(Meanwhile(UPLOAD, int), policy())
    assert list(home_of(home.work).home.lists.iterdir()) == []
    assert [entry.state for entry in home.work.catalogue.entries()] == ["forgotten"]
    assert closed(home).is_complete
    assert home.traces_of() == []
    home.verify()


@pytest.mark.parametrize("state", ["making", "failed"])
def test_in_a_stack_an_unfinished_list_is_named_while_it_may_be_tried_again(
    tmp_path: Path, state: State
) -> None:
    place = place_in("stack", tmp_path)
    made = place.counter.made()
    lose_list(place, made)
    place.work.catalogue.change(ListId(made), lambda entry: replace(entry, state=state))
    assert unfinished(closed(place)) == [(made, state)]
    assert unfinished(closed(place)) == [(made, state)]
    place.counter.pass_time(2 * 86_400)
    assert closed(place).is_complete


def lose_list(place: Place, list_id: str) -> None:
    """Delete a stack's list, as its lifecycle does."""
    assert place.cloud is not None
    for name in ("manifest.json", "clean.csv", "decisions.parquet", "rejects.csv"):
        key = f"lists/default/{list_id}/{name}"
        place.cloud.clients.s3.delete_object(Bucket="demo-clean", Key=key)


def test_a_list_that_is_away_is_named_until_it_is_back(home: Place) -> None:
    counter, folder = home.counter, home.counter.folder
    agree(home.work, PHONES)
    upload = write_csv(folder / "list.csv", [["phone"], *([phone] for phone in PHONES)])
    made = run(home.work, upload, out=folder / "out").manifest.list_id
    counter.made()
    (folder / "out").rename(folder / "moved")
    away = closed(home)
    assert unfinished(away) == [(made, "gone")]
    assert away.removed["lists"] == 1
    assert unfinished(closed(home)) == [(made, "gone")]
    counter.pass_time(100 * 86_400)
    assert unfinished(closed(home)) == [(made, "gone")]
    (folder / "moved").rename(folder / "out")
    back = closed(home)
    assert back.is_complete
    assert back.removed["lists"] == 1
    assert home.trace().is_unknown
    home.verify()


def test_a_list_that_lacks_its_decisions_is_named(home: Place) -> None:
    made = home.counter.made()
    (home_of(home.work).home.lists / made / "decisions.parquet").unlink()
    assert unfinished(closed(home)) == [(made, "gone")]


def test_a_list_whose_time_in_a_stack_is_over_is_no_obstacle(tmp_path: Path) -> None:
    place = place_in("stack", tmp_path)
    made = place.counter.made()
    lose_list(place, made)
    assert closed(place).is_complete
    with pytest.raises(RequestError, match="request_invalid"):
        forget_list(ListId(made), place.work.erase_desk)


def test_a_list_that_was_deleted_for_good_is_forgotten_and_found_where_it_comes_back(home: Place) -> None:
    made = ListId(home.counter.made())
    lists, desk = home_of(home.work).home.lists, home.work.erase_desk
    with pytest.raises(OutputError, match="list_exists"):
        forget_list(made, desk)
    shutil.copytree(lists / made, home.counter.folder / "backup")
    (lists / made / "manifest.json").unlink()
    with pytest.raises(OutputError, match="list_exists"):
        forget_list(made, desk)
    shutil.rmtree(lists / made)
    assert unfinished(closed(home)) == [(made, "gone")]
    forget_list(made, desk)
    forget_list(made, desk)
    assert closed(home, BOB).is_complete
    assert not home.trace(BOB).lists
    shutil.copytree(home.counter.folder / "backup", lists / made)
    assert closed(home, BOB).removed["lists"] == 1
    home.verify()


def test_a_list_that_is_being_made_is_not_forgotten(home: Place) -> None:
    said: list[str] = []

    def forget() -> None:
        (entry,) = home.work.catalogue.entries()
        with pytest.raises(OutputError) as caught:
            forget_list(ListId(entry.list_id), home.work.erase_desk)
        said.append(caught.value.code)

    home.work.sanitize(Meanwhile(UPLOAD, forget), policy())
    assert set(said) == {"list_busy"}
    with pytest.raises(OutputError, match="list_unknown"):
        forget_list(home.work.new_id(), home.work.erase_desk)


def test_who_was_handed_the_person_is_told_in_the_receipt(home: Place) -> None:
    counter = home.counter
    made = counter.made()
    home.handed_out(made)
    first = next(iter(home.work.erase_desk.deliveries.all()))
    counter.block(ANN)
    counter.recalls(first.delivery_id)
    recipients = home.erase().recipients
    assert sorted((each.sender, each.form, each.recall) for each in recipients) == [
        ("gate", "hash", "none"),
        ("gate", "token", "found"),
        ("other", "token", "none"),
    ]
    assert {each.list_id for each in recipients} == {made}


def test_a_delivery_that_read_the_list_before_it_was_written_anew_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = place.counter
    counter.sender()
    made = counter.made()
    kind = type(counter.place.world.deliveries(str(counter.folder / "x")).begin())
    check = kind.check

    def erase_first(sink: Any) -> None:
        monkeypatch.setattr(kind, "check", check)
        place.erase()
        check(sink)

    monkeypatch.setattr(kind, "check", erase_first)
    with pytest.raises(OutputError, match="list_busy"):
        counter.deliver(made, out=counter.folder / "late")
    assert not (counter.folder / "late").exists()
    assert len(rows_of(counter.deliver(made)[1])) == 9


def test_two_people_are_erased_at_once(tmp_path: Path) -> None:
    place = place_in("home", tmp_path)
    made = [place.counter.made() for _ in range(4)]
    place.handed_out(made[0])
    errors: list[BaseException] = []

    def work(phone: str) -> None:
        own = Workspace.open(tmp_path / "home", principal="tester")
        try:
            for _ in range(20):
                person, desk = own.desk("CN").person(phone), own.erase_desk
                try:
                    complete = erasing.erase(person, desk).is_complete
                except (OutputError, DeliveryError):  # the other one was at the same list
                    continue
                close_erasure(person, desk)
                if complete:
                    break
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            own.close()

    threads = [Thread(target=work, args=(phone,)) for phone in (ANN, BOB, PHONES[7])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for phone in (ANN, BOB, PHONES[7]):
        place.erase(phone)
        assert place.trace(phone).is_unknown
    assert [place.manifest(each).outputs[0].rows for each in made] == [7] * 4
    place.verify()


def test_a_list_that_is_put_back_as_it_was_is_found(home: Place) -> None:
    made = home.counter.made()
    folder = home_of(home.work).home.lists / made
    shutil.copytree(folder, home.counter.folder / "before")
    home.erase()
    home.verify()
    erased = {path.name: path.read_bytes() for path in folder.iterdir()}
    for names in (["clean.csv"], ["decisions.parquet"], ["manifest.json"], sorted(erased)):
        for name in names:
            (folder / name).write_bytes((home.counter.folder / "before" / name).read_bytes())
        with pytest.raises(AuditError, match="list_altered"):
            home.verify()
        for name, content in erased.items():
            (folder / name).write_bytes(content)
    home.verify()
    for name, content in erased.items():
        for at in range(0, len(content), max(1, len(content) // 12)):
            (folder / name).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(AuditError, match="list_altered"):
                home.verify()
        (folder / name).write_bytes(content)
    home.verify()


def test_a_withdrawn_person_may_agree_anew(home: Place) -> None:
    home.counter.made()
    home.erase()
    desk = home.work.desk("CN")
    desk.grant(home.person(), ConsentTerms("marketing", "sms", effective_at=desk.now, source="form"))
    again = home.counter.made(agreed=False)
    assert home.manifest(again).counts.kept == 10


def test_another_tenant_keeps_its_own(tmp_path: Path) -> None:
    here, there = counter_at(tmp_path), counter_at(tmp_path, "other")
    here.made()
    there.made()
    Place(here).erase()
    assert Place(here).trace().is_unknown
    assert not Place(there).trace().is_unknown
