from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contact_sanitizer.access import Role
from contact_sanitizer.aws.auditlog import StackLog
from contact_sanitizer.aws.noticebus import NoticeBus
from contact_sanitizer.delivery.notices import noticed_recalls
from contact_sanitizer.delivery.recalls import Pending, Untold
from contact_sanitizer.delivery.senders import Right, Sender
from contact_sanitizer.errors import AuditError, DeliveryError
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.deliver import handler as deliver
from contact_sanitizer.handlers.lists import handler as lists
from contact_sanitizer.handlers.notices import handler as notices
from contact_sanitizer.handlers.recalls import handler as recalls
from contact_sanitizer.handlers.record_choice import handler as record_choice
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.intake.raw import LocalFile
from contact_sanitizer.registering.blocklists import BlockDefaults
from contact_sanitizer.registering.desk import ConsentTerms
from contact_sanitizer.registering.fileimports import HashedList
from functiondesk import Context, FunctionDesk

ROLE = "arn:aws:iam::123456789012:role/marketing-upload"
PHONES = ("13812345678", "13912345678", "13712345678")
HOUR = 3_600_000
BUS = "demo-notices"


class Day:
    """A clock that can be moved, and what was put on the bus."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real, self.ahead, self.said = stage.CIRCUMSTANCES.clock, 0, [dict[str, Any]()][:0]
        self.failing = False
        circumstances = replace(stage.CIRCUMSTANCES, clock=lambda: real() + self.ahead)
        monkeypatch.setattr(stage, "CIRCUMSTANCES", circumstances)
        tell = NoticeBus.tell

        def told(bus: NoticeBus, notice: Any) -> None:
            if self.failing:
                raise DeliveryError("notice_unsent", "a notice could not be told; the next look tells it")
            tell(bus, notice)
            self.said.append(json.loads(json.dumps(notice)))

        monkeypatch.setattr(NoticeBus, "tell", told)

    def look(self, left: int = 290_000) -> list[dict[str, Any]]:
        """One run of the function; returns what it told."""
        before = len(self.said)
        assert notices({}, Context(left=left))["told"] == len(self.said[before:])  # type: ignore[arg-type] # as much as is used
        return self.said[before:]


@pytest.fixture
def day(desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch) -> Day:
    desk.cloud.clients.events.create_event_bus(Name=BUS)
    monkeypatch.setenv("CS_NOTICE_BUS", BUS)
    stage.settings.cache_clear()
    return Day(monkeypatch)


@pytest.fixture
def delivery(desk: FunctionDesk, day: Day) -> str:
    """A delivery of three people; the caller is its sender."""
    assert day.said == []
    desk.agree(*PHONES)
    desk.workspace.senders.register(
        Sender("gate", "LIC-1", 4_000_000_000, ("marketing",), (Right.TOKENS,), registered_at=1)
    )
    rows = "".join(f"{phone}\n" for phone in PHONES)
    assert desk.deliver(sanitize, desk.put("uploads/default/a", f"phone\n{rows}".encode())) == []
    desk.map(ROLE, Role.SENDER, sender="gate")
    list_id = desk.call(lists, "GET /lists").document["lists"][0]["list_id"]
    wish = {"sender": "gate", "purpose": "marketing"}
    made: str = desk.call(deliver, f"POST /lists/{list_id}/deliveries", wish).document["delivery"]
    return made


def refuse(desk: FunctionDesk, phone: str) -> None:
    assert desk.call(record_choice, "POST /optouts", {"phone": phone, "message": "TD"}).status == 200


def test_a_refusal_that_touches_a_delivery_is_told_once_and_without_a_name(
    desk: FunctionDesk, day: Day, delivery: str
) -> None:
    assert day.look() == []
    refuse(desk, PHONES[0])
    (notice,) = day.look()
    assert notice.pop("since")
    assert notice == {
        "format": "contact-sanitizer/recalls-pending/v1",
        "tenant": "default",
        "sender": "gate",
        "delivery": delivery,
        "recalls": 1,
        "unacknowledged": 1,
        "overdue": False,
    }
    assert day.look() == []
    (said,) = desk.said("recalls.notified")
    assert said["unmapped"]["counts"] == {"recalls": 1, "unacknowledged": 1, "overdue": 0}
    page = desk.call(recalls, f"GET /deliveries/{delivery}/recalls").document
    assert len(page["recalls"]) == 1
    refuse(desk, PHONES[1])
    assert [each["recalls"] for each in day.look()] == [2]


def test_who_was_not_delivered_is_no_notice_and_costs_no_look_at_others(
    desk: FunctionDesk, day: Day, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert delivery
    refuse(desk, "13512345678")
    asked: list[int] = []
    registry = type(desk.world.registry)
    screening = registry.screening

    def counting(*args: Any) -> Any:
        view = screening(*args)
        screen = view.screen

        def told(people: Any) -> Any:
            asked.append(len(people))
            return screen(people)

        monkeypatch.setattr(view, "screen", told)
        return view

    monkeypatch.setattr(registry, "screening", counting)
    assert day.look() == []
    assert asked == []
    refuse(desk, PHONES[0])
    assert len(day.look()) == 1
    assert set(asked) == {1}


def test_a_refusal_on_a_list_of_foreign_hashes_is_told(
    desk: FunctionDesk, day: Day, delivery: str, tmp_path: Path
) -> None:
    assert day.look() == []
    blocked = tmp_path / "hashes.csv"
    blocked.write_text("hash\n" + hashlib.sha256(f"+86{PHONES[2]}".encode()).hexdigest() + "\n")
    hashed = HashedList("sha256:+E164")
    imports = desk.workspace.imports("CN", lambda _row, _outcome: None)
    report = imports.blocks(LocalFile(blocked), BlockDefaults(), hashed)
    assert dict(report.by_outcome) == {"recorded": 1}
    assert [each["delivery"] for each in day.look()] == [delivery]


def test_after_very_many_changes_everybody_is_looked_at(
    desk: FunctionDesk, day: Day, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contact_sanitizer.delivery.notices.MOST_CHANGES", 1)
    refuse(desk, "13512345678")
    refuse(desk, PHONES[0])
    assert [(each["delivery"], each["recalls"]) for each in day.look()] == [(delivery, 1)]


def test_a_consent_that_runs_out_is_told_within_a_day(desk: FunctionDesk, day: Day, delivery: str) -> None:
    soon = stage.CIRCUMSTANCES.clock() // 1000 + 3_600
    place = desk.workspace.desk("CN")
    terms = ConsentTerms("marketing", "sms", effective_at=place.now, expires_at=soon, source="form")
    place.grant(place.person(PHONES[0]), terms)
    assert day.look() == []
    day.ahead = 2 * HOUR
    assert day.look() == []
    day.ahead = 25 * HOUR
    assert [each["delivery"] for each in day.look()] == [delivery]


def test_what_nobody_acknowledges_is_overdue_and_told_again_each_day(
    desk: FunctionDesk, day: Day, delivery: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(desk, PHONES[0])
    assert [each["overdue"] for each in day.look()] == [False]
    day.ahead = 25 * HOUR
    capsys.readouterr()
    assert [each["overdue"] for each in day.look()] == [True]
    assert '"RecallsOverdue":[1.0]' in capsys.readouterr().out
    day.ahead = 26 * HOUR
    assert day.look() == []
    (waiting,) = noticed_recalls(desk.world.records)
    assert isinstance(waiting, Pending)
    assert (waiting.delivery_id, waiting.sender, waiting.unacknowledged) == (delivery, "gate", 1)
    assert desk.call(recalls, f"POST /deliveries/{delivery}/recalls/ack", {}).status == 200
    assert list(noticed_recalls(desk.world.records)) == []
    day.ahead = 60 * HOUR
    capsys.readouterr()
    assert day.look() == []
    assert "RecallsOverdue" not in capsys.readouterr().out


def test_a_notice_that_the_bus_does_not_take_is_told_by_the_next_look(
    desk: FunctionDesk, day: Day, delivery: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(desk, PHONES[0])
    day.failing = True
    assert day.look() == []
    assert '"NoticesFailed":[1.0]' in capsys.readouterr().out
    day.failing = False
    assert [each["delivery"] for each in day.look()] == [delivery]


def test_a_bus_that_is_not_there_is_counted(
    desk: FunctionDesk, day: Day, delivery: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert delivery
    refuse(desk, PHONES[0])
    desk.cloud.clients.events.delete_event_bus(Name=BUS)
    assert day.look() == []
    assert '"NoticesFailed":[1.0]' in capsys.readouterr().out


def test_what_cannot_be_announced_is_not_told(
    desk: FunctionDesk, day: Day, delivery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise AuditError("audit_unwritable", "the audit log cannot be written")

    refuse(desk, PHONES[0])
    with monkeypatch.context() as patch:
        patch.setattr(StackLog, "append", refused)
        assert day.look() == []
    assert [each["delivery"] for each in day.look()] == [delivery]


def test_one_delivery_that_cannot_be_read_keeps_no_other_back(
    desk: FunctionDesk, day: Day, delivery: str, capsys: pytest.CaptureFixture[str]
) -> None:
    list_id = desk.call(lists, "GET /lists").document["lists"][0]["list_id"]
    wish = {"sender": "gate", "purpose": "marketing", "format": "jsonl"}
    other = desk.call(deliver, f"POST /lists/{list_id}/deliveries", wish).document["delivery"]
    desk.cloud.clients.s3.put_object(
        Bucket="demo-clean", Key=f"deliveries/default/{delivery}/people", Body=b"x"
    )
    refuse(desk, PHONES[0])
    assert [each["delivery"] for each in day.look()] == [other]
    assert '"NoticesFailed":[1.0]' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "code"), [(None, "people_gone"), (b"x", "people_damaged")], ids=["gone", "damaged"]
)
def test_people_who_cannot_be_read_are_counted_and_told_until_they_can_be(
    desk: FunctionDesk,
    day: Day,
    delivery: str,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    code: str,
) -> None:
    s3 = desk.cloud.clients.s3
    place: Any = {"Bucket": "demo-clean", "Key": f"deliveries/default/{delivery}/people"}
    sound = s3.get_object(**place)["Body"].read()
    s3.delete_object(**place) if content is None else s3.put_object(**place, Body=content)
    refuse(desk, PHONES[0])
    for _ in range(3):
        capsys.readouterr()
        assert day.look() == []
        assert '"NoticesFailed":[1.0]' in capsys.readouterr().out
        assert list(noticed_recalls(desk.world.records)) == [Untold(delivery, "gate", code)]
        day.ahead += 25 * HOUR
    (said,) = desk.said("recalls.denied")
    lost = code.replace("gone", "missing")
    assert (said["status_code"], said["unmapped"]["delivery_id"]) == (lost, delivery)
    assert list(noticed_recalls(desk.world.records, stage.CIRCUMSTANCES.clock())) == []
    s3.put_object(**place, Body=sound)
    assert [each["delivery"] for each in day.look()] == [delivery]
    (waiting,) = noticed_recalls(desk.world.records)
    assert isinstance(waiting, Pending)


def test_a_delivery_whose_people_are_no_longer_kept_is_not_looked_at(
    desk: FunctionDesk, day: Day, delivery: str
) -> None:
    assert delivery
    refuse(desk, PHONES[0])
    day.ahead = 91 * 24 * HOUR
    assert day.look() == []


def test_where_time_is_short_nothing_is_begun_and_the_next_look_goes_on(
    desk: FunctionDesk, day: Day, delivery: str
) -> None:
    refuse(desk, PHONES[0])
    assert day.look(left=10_000) == []
    assert [each["delivery"] for each in day.look()] == [delivery]
