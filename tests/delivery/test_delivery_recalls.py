from __future__ import annotations

from pathlib import Path

import pytest

from contact_sanitizer.delivery.deliver import DeliveryRequest, deliver
from contact_sanitizer.delivery.people import MAGIC
from contact_sanitizer.delivery.recalls import Pending, Untold, acknowledge, pending_recalls
from contact_sanitizer.errors import DeliveryError
from contact_sanitizer.ports import Screening
from contact_sanitizer.protection.tokens import TokenOpener
from contact_sanitizer.screening.recording import Candidates
from counter import HASH, PHONE, PHONES, YEAR, Counter, column
from desk import NOW, home_of, policy


@pytest.fixture
def delivery_id(counter: Counter) -> str:
    counter.sender()
    return counter.deliver(counter.made())[0].delivery.delivery_id


def test_nobody_is_recalled_before_anybody_refuses(counter: Counter, delivery_id: str) -> None:
    recalls = counter.recalls(delivery_id)
    assert (recalls.names, recalls.cursor, recalls.acknowledged) == ([], 0, 0)
    assert counter.last_event["operation"] == "recalls.shown"


def test_who_refuses_after_the_delivery_is_recalled_in_the_senders_tokens(
    counter: Counter, delivery_id: str
) -> None:
    counter.block("13899990000")
    counter.block(PHONES[4])
    counter.withdraw(PHONES[6])
    counter.block(PHONES[7], "sender:gate")
    recalls = counter.recalls(delivery_id)
    opener = TokenOpener(counter.place.keyring, "sender:gate")
    assert {opener.open(token) for token in recalls.names} == {f"86{PHONES[row]}" for row in (4, 6, 7)}
    assert recalls.cursor == 3
    assert next(recalls.lines()) == {"token": recalls.names[0], "recalled_at": "2026-09-21T14:13:20.000Z"}
    assert counter.last_event["counts"] == {"recalls": 3, "all": 3}


def test_a_cursor_goes_on_where_it_was(counter: Counter, delivery_id: str) -> None:
    counter.block(PHONES[4])
    first = counter.recalls(delivery_id)
    counter.block(PHONES[1])
    counter.block(PHONES[2])
    second = counter.recalls(delivery_id, after=first.cursor)
    assert (len(second), second.cursor) == (2, 3)
    assert counter.recalls(delivery_id, after=3).names == []
    assert counter.recalls(delivery_id).names == first.names + second.names


def test_a_person_stays_recalled_whatever_comes_later(counter: Counter, delivery_id: str) -> None:
    counter.block(PHONES[4])
    before = counter.recalls(delivery_id).names
    desk = counter.place.desk("CN")
    desk.unblock(desk.person(PHONES[4]), "a mistake")
    assert counter.recalls(delivery_id).names == before
    assert counter.recalls(delivery_id, after=1).names == []


def test_consent_that_expires_is_recalled_too(counter: Counter, delivery_id: str) -> None:
    counter.pass_time(2 * YEAR)
    assert len(counter.recalls(delivery_id)) == 10


@pytest.mark.parametrize("form", [HASH, PHONE])
def test_a_recall_names_a_person_as_the_file_does(form: str, counter: Counter) -> None:
    counter.sender()
    made = counter.made(policy(("audience: shared}", "audience: shared, phones: true}")))
    delivered, out = counter.deliver(made, form=form)
    counter.block(PHONES[8])
    recalls = counter.recalls(delivered.delivery.delivery_id)
    assert recalls.names == [column(out, form)[8]]
    assert form in next(recalls.lines())


def test_recalls_of_tokens_outlive_their_key(counter: Counter, delivery_id: str) -> None:
    counter.destroy_key()
    counter.block(PHONES[4])
    assert len(counter.recalls(delivery_id)) == 1


def test_recalls_of_hashes_cannot_be_named_without_their_key(counter: Counter) -> None:
    counter.sender()
    delivered, _ = counter.deliver(counter.made(), form=HASH)
    counter.destroy_key()
    counter.block(PHONES[4])
    with pytest.raises(DeliveryError, match="list_key_destroyed"):
        counter.recalls(delivered.delivery.delivery_id)
    assert counter.last_event["operation"] == "recalls.denied"


def test_an_old_register_keeps_no_recall_back(counter: Counter) -> None:
    from contact_sanitizer.screening.recording import ImportMark  # noqa: PLC0415 - beside its one use

    counter.sender()
    mark = ImportMark("x", 0, NOW // 1000, frozenset({"global"}))
    counter.place.registry.record([], mark)
    rules = policy(("scopes: [global, tenant]", "scopes: [global, tenant], max_age_days: {global: 31}"))
    delivered, _ = counter.deliver(counter.made(rules))
    counter.pass_time(90 * 86_400)
    counter.block(PHONES[4])
    assert len(counter.recalls(delivered.delivery.delivery_id)) == 1


def test_a_refusal_during_the_delivery_is_in_it_or_in_its_recalls(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.sender()
    made = counter.made()
    screening = counter.place.registry.screening

    def refusing_meanwhile(*wanted: object) -> Screening:
        counter.block(PHONES[0])
        opened = screening(*wanted)  # type: ignore[arg-type]  # passed on as it came
        counter.block(PHONES[1])
        ask = opened.screen

        def then(candidates: Candidates) -> object:
            counter.block(PHONES[2])
            bits = ask(candidates)
            counter.block(PHONES[3])
            return bits

        monkeypatch.setattr(opened, "screen", then)
        return opened

    with monkeypatch.context() as patch:
        patch.setattr(counter.place.registry, "screening", refusing_meanwhile)
        request = DeliveryRequest(made, "gate", "marketing")
        out = counter.folder / "out.csv"
        delivered = deliver(request, counter.desk(out), counter.place.shelf_of).delivery
    opener = TokenOpener(counter.place.keyring, "sender:gate")
    in_file = {opener.open(token) for token in column(out, "token")}
    recalled = {opener.open(token) for token in counter.recalls(delivered.delivery_id).names}
    assert f"86{PHONES[0]}" not in in_file
    assert recalled == {f"86{PHONES[row]}" for row in (1, 2, 3)}
    assert recalled <= in_file


def test_acknowledging_gives_a_receipt_that_stays(counter: Counter, delivery_id: str) -> None:
    counter.block(PHONES[4])
    counter.block(PHONES[5])
    counter.recalls(delivery_id)
    receipt = acknowledge(delivery_id, counter.desk(), 1)
    assert (receipt.cursor, receipt.by, receipt.at) == (1, "tester", NOW)
    assert acknowledge(delivery_id, counter.desk(), 1) == receipt
    assert counter.recalls(delivery_id).acknowledged == 1
    later = acknowledge(delivery_id, counter.desk())
    assert later.cursor == 2
    assert later.receipt != receipt.receipt
    assert acknowledge(delivery_id, counter.desk(), 0) == later
    assert counter.last_event["operation"] == "recalls.acknowledged"


@pytest.mark.parametrize("cursor", [-1, 3, 10**30])
def test_a_cursor_that_is_none_is_refused(cursor: int, counter: Counter, delivery_id: str) -> None:
    counter.block(PHONES[4])
    counter.recalls(delivery_id)
    with pytest.raises(DeliveryError, match="cursor_refused"):
        acknowledge(delivery_id, counter.desk(), cursor)
    with pytest.raises(DeliveryError, match="cursor_refused"):
        counter.recalls(delivery_id, after=cursor)
    assert counter.last_event["code"] == "cursor_refused"


@pytest.mark.parametrize("unknown", ["", "x", "01M802DPRE5E9WD1W7ZSVYE7N3"])
def test_an_unknown_delivery_has_no_recalls(unknown: str, counter: Counter) -> None:
    with pytest.raises(DeliveryError, match="delivery_unknown"):
        counter.recalls(unknown)
    with pytest.raises(DeliveryError, match="delivery_unknown"):
        acknowledge(unknown, counter.desk())
    assert counter.last_event["operation"] == "recalls.denied"


def test_what_nobody_acknowledged_is_pending_since_the_refusal(counter: Counter, delivery_id: str) -> None:
    assert list(pending_recalls(counter.desk())) == []
    refused_at = counter.pass_time(3600)
    counter.block(PHONES[4])
    counter.pass_time(7200)
    (pending,) = pending_recalls(counter.desk())
    assert isinstance(pending, Pending)
    assert (pending.delivery_id, pending.sender, pending.unacknowledged) == (delivery_id, "gate", 1)
    assert pending.since == refused_at
    acknowledge(delivery_id, counter.desk())
    assert list(pending_recalls(counter.desk())) == []


def damaged_notes(note: bytes) -> list[bytes]:
    return [
        b"",
        note[:-1],
        note[: len(MAGIC)],
        b"x" + note[1:],
        note[:30] + bytes([note[30] ^ 1]) + note[31:],
        note[: len(MAGIC)] + b"\xff" * 8 + note[len(MAGIC) + 8 :],
        note + note[len(MAGIC) :],
    ]


def test_a_damaged_note_recalls_nobody_and_says_so(counter: Counter, delivery_id: str) -> None:
    path: Path = home_of(counter.place).places.deliveries / f"{delivery_id}.people"
    sound = path.read_bytes()
    counter.block(PHONES[4])
    for spoiled in damaged_notes(sound):
        path.write_bytes(spoiled)
        with pytest.raises(DeliveryError, match="people_damaged"):
            counter.recalls(delivery_id)
    path.write_bytes(sound)
    assert len(counter.recalls(delivery_id)) == 1


def test_of_a_delivery_whose_people_are_no_longer_kept_what_was_found_stays(
    counter: Counter, delivery_id: str
) -> None:
    counter.block(PHONES[4])
    assert len(counter.recalls(delivery_id)) == 1
    counter.block(PHONES[5])
    (home_of(counter.place).places.deliveries / f"{delivery_id}.people").unlink()
    with pytest.raises(DeliveryError, match="people_gone"):
        counter.recalls(delivery_id)
    untold, pending = pending_recalls(counter.desk())
    assert isinstance(pending, Pending)
    assert (untold, pending.unacknowledged) == (Untold(delivery_id, "gate", "people_gone"), 1)
    assert counter.last_event["code"] == "people_missing"


def test_one_note_that_cannot_be_read_keeps_no_other_deliverys_recalls_back(
    counter: Counter, delivery_id: str
) -> None:
    others = [counter.deliver(counter.made())[0].delivery.delivery_id for _ in range(2)]
    counter.block(PHONES[4])
    notes: Path = home_of(counter.place).places.deliveries
    (notes / f"{delivery_id}.people").unlink()
    damaged = notes / f"{others[0]}.people"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    found = {each.delivery_id: each for each in pending_recalls(counter.desk())}
    assert found[delivery_id] == Untold(delivery_id, "gate", "people_gone")
    assert found[others[0]] == Untold(others[0], "gate", "people_damaged")
    assert isinstance(found[others[1]], Pending)
    codes = [event["code"] for event in counter.events if event["operation"] == "recalls.denied"]
    assert sorted(codes) == ["people_damaged", "people_missing"]


def test_people_that_had_to_go_are_no_finding_but_damaged_ones_are(
    counter: Counter, delivery_id: str
) -> None:
    note: Path = home_of(counter.place).places.deliveries / f"{delivery_id}.people"
    note.write_bytes(note.read_bytes()[:-1])
    assert [each.delivery_id for each in pending_recalls(counter.desk(), NOW + 1)] == [delivery_id]
    note.unlink()
    assert list(pending_recalls(counter.desk(), NOW + 1)) == []
    assert [each.delivery_id for each in pending_recalls(counter.desk(), NOW)] == [delivery_id]
