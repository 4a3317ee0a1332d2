from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from contact_sanitizer.delivery.recalls import acknowledge
from contact_sanitizer.errors import AuditError, CatalogueError, IntakeError, OutputError
from contact_sanitizer.intake.raw import LocalFile
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.decided import MOST_ROWS, decided_of
from contact_sanitizer.outputs.decisions import DecisionsWriter
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.protection.commitments import person_commitment
from contact_sanitizer.registering.desk import ConsentTerms, Person
from contact_sanitizer.screening.suppression import SuppressionReason
from contact_sanitizer.tracing.document import trace_document
from contact_sanitizer.tracing.trace import Leaf, Place, Trace, Unread
from contact_sanitizer.tracing.trace import trace as trace_person
from counter import PHONES, Counter, counter_at
from desk import home_of, run, write_csv

STRANGER = "13899990000"
LANDLINE = "021-62345678"


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return counter_at(tmp_path)


def person(counter: Counter, phone: str) -> Person:
    return counter.place.desk("CN").person(phone)


def traced(counter: Counter, phone: str) -> Trace:
    return trace_person(person(counter, phone), counter.desk(), counter.place.shelf_of)


def made(counter: Counter, *phones: str) -> str:
    """A list of these phones, of whom nobody is asked for consent anew."""
    upload = write_csv(counter.folder / "some.csv", [["phone"], *([phone] for phone in phones)])
    return run(counter.place, upload).manifest.list_id


def rows(found: Trace) -> list[list[tuple[int, str, tuple[str, ...]]]]:
    return [[(row.row, row.verdict, row.reasons) for row in listed.decided.rows] for listed in found.lists]


def looks(counter: Counter) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in home_of(counter.place).audit.lines()]
    found = [event for event in events if event["api"]["operation"] == "person.traced"]
    return sorted(found, key=lambda event: str(event["metadata"]["uid"]))


def list_folder(counter: Counter, list_id: str) -> Path:
    return Path(counter.place.world.shelf(None).where(ListId(list_id)))


def test_verdicts_are_told_as_they_were_decided_list_by_list(counter: Counter) -> None:
    first = counter.made(phones=PHONES[:3])
    counter.pass_time(60)
    counter.block(PHONES[1])
    counter.pass_time(60)
    spelled = f"+86 {PHONES[1]}"
    second = made(counter, PHONES[0], spelled, "12", PHONES[0], spelled, LANDLINE)
    found = traced(counter, PHONES[1])
    assert [listed.entry.list_id for listed in found.lists] == [first, second]
    assert rows(found) == [
        [(3, "kept", ())],
        [(3, "dropped", ("suppressed",)), (6, "dropped", ("suppressed",))],
    ]
    assert rows(traced(counter, PHONES[0]))[1] == [(2, "kept", ()), (5, "dropped", ("duplicate",))]
    assert rows(traced(counter, LANDLINE)) == [[(7, "rejected", ("fixed_line",))]]
    assert found.lists_read == 2


def test_what_was_on_record_is_told_as_it_was_known_then(counter: Counter) -> None:
    counter.made(phones=PHONES[:1])
    counter.pass_time(60)
    counter.block(PHONES[0])
    counter.withdraw(PHONES[0])
    counter.pass_time(60)
    made(counter, PHONES[0])
    then, later = (listed.known for listed in traced(counter, PHONES[0]).lists)
    assert (len(then.consents), len(then.entries)) == (1, 0)
    assert (len(later.consents), len(later.entries)) == (2, 1)
    assert traced(counter, PHONES[0]).history.entries == later.entries


def test_deliveries_redemptions_and_recalls_belong_to_the_story(counter: Counter) -> None:
    counter.sender()
    listed = counter.made()
    delivery = counter.deliver(listed)[0].delivery
    counter.redeem(counter.tokens(listed))
    counter.pass_time(60)

    def recall() -> tuple[bool, bool | None]:
        (told,) = traced(counter, PHONES[3]).deliveries
        assert told.delivered.delivery == delivery
        known = told.delivered.recall
        return told.recall_due, known.acknowledged if known else None

    assert recall() == (False, None)
    counter.block(PHONES[3])
    assert recall() == (True, None)
    counter.recalls(delivery.delivery_id)
    assert recall() == (False, False)
    acknowledge(delivery.delivery_id, counter.desk())
    counter.block(PHONES[4])
    counter.recalls(delivery.delivery_id)
    assert recall() == (False, True)
    assert trace_document(traced(counter, PHONES[4]))["deliveries"][0]["recall"] == "found"
    assert [each.sender for each in traced(counter, PHONES[3]).redemptions] == ["gate"]


def test_looking_for_a_due_recall_writes_none(counter: Counter) -> None:
    counter.sender()
    delivery = counter.deliver(counter.made())[0].delivery
    counter.block(PHONES[0])
    assert [each.recall_due for each in traced(counter, PHONES[0]).deliveries] == [True]
    assert not list(counter.place.world.records.named("recall", f"{delivery.delivery_id}/"))


def test_of_a_stranger_nothing_is_known_and_the_look_is_an_event(counter: Counter) -> None:
    counter.made()
    found = traced(counter, STRANGER)
    assert found.is_unknown
    assert found.lists_read == 1
    assert [look["status"] for look in looks(counter)] == ["begun", "Success"]
    assert looks(counter)[1]["unmapped"]["counts"]["lists"] == 0
    for known in (PHONES[0], PHONES[9]):
        assert not traced(counter, known).is_unknown


def test_an_event_commits_to_the_person_and_two_look_unrelated(counter: Counter) -> None:
    counter.made()
    traced(counter, PHONES[0])
    traced(counter, PHONES[1])
    commitments = [look["unmapped"]["person"] for look in looks(counter)]
    assert len(set(commitments)) == 4
    uids = [look["metadata"]["uid"] for look in looks(counter)]
    expected = [
        person_commitment(person(counter, phone).subject, uid, counter.place.keyring)
        for phone, uid in zip((PHONES[0], PHONES[0], PHONES[1], PHONES[1]), uids, strict=True)
    ]
    assert commitments == expected


def test_another_tenant_sees_nothing(counter: Counter) -> None:
    counter.sender()
    counter.deliver(counter.made())
    other = counter_at(counter.folder, "other")
    assert traced(other, PHONES[0]).is_unknown
    assert traced(other, PHONES[0]).lists_read == 0
    assert not traced(counter, PHONES[0]).is_unknown


def test_a_list_that_cannot_be_looked_into_is_named(counter: Counter) -> None:
    ids = [made(counter, PHONES[0]) for _ in range(5)]
    counter.place.catalogue.change(ListId(ids[4]), lambda entry: replace(entry, state="making"))
    (list_folder(counter, ids[4]) / "manifest.json").unlink()
    (list_folder(counter, ids[0]) / "manifest.json").unlink()
    (list_folder(counter, ids[1]) / "decisions.parquet").unlink()
    damaged = list_folder(counter, ids[2]) / "decisions.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20] + bytes(20))
    with pytest.raises(IntakeError):
        run(counter.place, write_csv(counter.folder / "no.csv", [["colour"], ["red"]]))
    found = traced(counter, PHONES[0])
    assert [each.why for each in found.unread] == [
        Unread.GONE,
        Unread.GONE,
        Unread.DAMAGED,
        Unread.MAKING,
        Unread.FAILED,
    ]
    assert [each.entry.list_id for each in found.unread][:4] == [*ids[:3], ids[4]]
    assert [listed.entry.list_id for listed in found.lists] == [ids[3]]


def test_decisions_that_somebody_has_rewritten_are_not_believed(counter: Counter) -> None:
    list_id = made(counter, PHONES[0], PHONES[1])
    path = list_folder(counter, list_id) / "decisions.parquet"
    before = path.read_bytes()
    pq.write_table(pq.read_table(path).slice(1), path)
    found = traced(counter, PHONES[0])
    assert [each.why for each in found.unread] == [Unread.DAMAGED]
    # nor with a manifest to match: the catalogue has kept the first one
    manifest = list_folder(counter, list_id) / "manifest.json"
    stated = json.loads(manifest.read_text())
    for output in stated["outputs"]:
        output["sha256"] = "0" * 64
    manifest.write_text(json.dumps(stated))
    assert [each.why for each in traced(counter, PHONES[0]).unread] == [Unread.DAMAGED]
    path.write_bytes(before)
    assert not traced(counter, PHONES[0]).unread


def test_where_the_look_cannot_be_announced_nothing_is_read(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.made()
    wanted = person(counter, PHONES[0])
    desk = counter.desk()
    read: list[str] = []

    def refuse(_event: object) -> None:
        raise AuditError("audit_unwritable", "the audit log cannot be written")

    monkeypatch.setattr(home_of(counter.place).audit, "append", refuse)
    monkeypatch.setattr(type(desk.records), "named", lambda *_: read.append("records"))
    with pytest.raises(AuditError, match="audit_unwritable"):
        trace_person(wanted, desk, counter.place.shelf_of)
    assert read == []


def test_where_its_end_cannot_be_announced_nothing_is_told(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.made()
    wanted = person(counter, PHONES[0])
    log = home_of(counter.place).audit
    append, written = log.append, []

    def once(event: Any) -> None:
        written.append(event)
        if len(written) > 1:
            raise AuditError("audit_unwritable", "the audit log cannot be written")
        append(event)

    monkeypatch.setattr(log, "append", once)
    with pytest.raises(AuditError, match="audit_unwritable"):
        trace_person(wanted, counter.desk(), counter.place.shelf_of)
    assert len(written) == 2


def test_a_delivery_whose_note_is_damaged_keeps_no_other_back(counter: Counter) -> None:
    counter.sender()
    made = counter.made()
    damaged, sound = (counter.deliver(made, format=name)[0].delivery.delivery_id for name in ("csv", "jsonl"))
    note = home_of(counter.place).places.deliveries / f"{damaged}.people"
    note.write_bytes(note.read_bytes()[:-1])
    document = trace_document(traced(counter, PHONES[0]))
    assert [each["delivery"] for each in document["deliveries"]] == [sound]
    assert [(each["delivery"], each["state"]) for each in document["unread_deliveries"]] == [
        (damaged, "damaged")
    ]
    counts = looks(counter)[1]["unmapped"]["counts"]
    assert (counts["deliveries_unread"], counts["damaged"]) == (1, 1)


def test_a_story_that_cannot_be_told_is_not_told(counter: Counter) -> None:
    counter.made()
    records = counter.place.world.records
    (record,) = records.named("list")
    records.put("list", record.name, {**record.document, "state": "?"}, after=record.version)
    with pytest.raises(CatalogueError, match="catalogue_damaged"):
        traced(counter, PHONES[0])


def test_a_delivery_whose_people_are_no_longer_kept_is_named(counter: Counter) -> None:
    counter.sender()
    delivery = counter.deliver(counter.made())[0].delivery
    (note,) = home_of(counter.place).places.deliveries.iterdir()
    note.unlink()
    document = trace_document(traced(counter, PHONES[0]))
    assert [each["delivery"] for each in document["unread_deliveries"]] == [delivery.delivery_id]
    assert (document["deliveries"], len(document["lists"])) == ([], 1)
    assert looks(counter)[1]["unmapped"]["counts"]["deliveries_unread"] == 1


def test_a_story_told_in_leaves_is_the_whole_story(counter: Counter) -> None:
    counter.sender()
    lists = [made(counter, PHONES[0]) for _ in range(3)]
    listed = counter.made()
    counter.redeem(counter.tokens(listed))
    whole = trace_document(traced(counter, PHONES[0]))
    assert (len(whole["lists"]), whole["next"]) == (4, None)
    asked: list[int] = []

    def enough(found: int) -> bool:
        asked.append(found)
        return len(asked) % 2 == 0

    leaf, leaves = Leaf(None, enough), []
    while True:
        found = trace_person(person(counter, PHONES[0]), counter.desk(), counter.place.shelf_of, leaf)
        leaves.append(trace_document(found))
        if found.told_to is None:
            break
        leaf = Leaf(Place.of(str(found.told_to)), enough)
    assert len(leaves) == 3
    for part in ("lists", "deliveries", "redemptions"):
        assert [each for one in leaves for each in one[part]] == whole[part]
    assert sum(one["lists_read"] for one in leaves) == 4
    assert lists[0] in json.dumps(leaves[0])


def test_a_trace_outlives_rotation_and_a_destroyed_key(counter: Counter) -> None:
    counter.sender()
    counter.deliver(counter.made())
    before = trace_document(traced(counter, PHONES[0]))
    counter.destroy_key()
    assert trace_document(traced(counter, PHONES[0])) == before


def test_no_phone_is_in_the_document_whatever_somebody_wrote(counter: Counter) -> None:
    counter.sender()
    desk = counter.place.desk("CN", actor=f"li 138 1234 {PHONES[0][7:]}")
    counter.deliver(counter.made())
    who = desk.person(PHONES[0])
    desk.grant(who, ConsentTerms("marketing", "sms", source=f"call from {PHONES[0]}", reference=PHONES[0]))
    desk.block(who, "tenant", SuppressionReason.COMPLAINT, source=f"+86-{PHONES[0]}")
    desk.unblock(who, f"asked from {PHONES[0]}")
    told = json.dumps(trace_document(traced(counter, PHONES[0])), ensure_ascii=False)
    assert not re.search(rf"{PHONES[0][:3]}\D?{PHONES[0][3:7]}\D?{PHONES[0][7:]}", told)
    assert told.count("[phone]") >= 3
    assert who.subject.hex() not in told
    assert repr(traced(counter, PHONES[0])) == "Trace(1 lists, 1 deliveries)"


SUBJECT = bytes(range(16))


def decisions(path: Path, groups: int, rows_a_group: int, mine: list[int]) -> str:
    """A decisions file whose rows `mine` (over all groups) are `SUBJECT`'s; returns its digest."""
    file = DigestingFile(path.open("xb"))
    writer = DecisionsWriter(file)
    for group in range(groups):
        numbers = np.arange(group * rows_a_group, (group + 1) * rows_a_group)
        subjects = np.full((rows_a_group, 16), 7, np.uint8)
        subjects[numbers % 3 == 0] = 0  # no number stated
        subjects[np.isin(numbers, mine)] = np.frombuffer(SUBJECT, np.uint8)
        reasons, drops = np.zeros((2, rows_a_group), np.uint8)
        writer.write(numbers.astype(np.int64), subjects, reasons, drops)
    writer.finish()
    file.close()
    return file.sha256


def test_rows_are_found_in_every_row_group(tmp_path: Path) -> None:
    path = tmp_path / "decisions.parquet"
    digest = decisions(path, 5, 100, [0, 99, 100, 250, 499])
    found = decided_of(SUBJECT, LocalFile(path), digest)
    assert [row.row for row in found.rows] == [0, 99, 100, 250, 499]
    assert decided_of(b"x" * 16, LocalFile(path), digest).count == 0
    with pytest.raises(OutputError, match="list_damaged"):
        decided_of(SUBJECT, LocalFile(path), "0" * 64)


def test_of_very_many_rows_the_first_are_told_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "decisions.parquet"
    digest = decisions(path, 3, 600, list(range(1800)))
    found = decided_of(SUBJECT, LocalFile(path), digest)
    assert found.count == 1800
    assert [row.row for row in found.rows] == list(range(MOST_ROWS))


def test_a_file_that_is_no_parquet_is_damaged_whatever_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "decisions.parquet"
    file = DigestingFile(path.open("xb"))
    file.write(b"row,subject\n")
    file.close()
    with pytest.raises(OutputError, match="list_damaged"):
        decided_of(SUBJECT, LocalFile(path), file.sha256)
