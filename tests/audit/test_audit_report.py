"""What a report counts, against what was put into the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.notes import Verifier, parse_verifiers
from contact_sanitizer.delivery.recalls import acknowledge
from contact_sanitizer.errors import AuditError, DeliveryError
from contact_sanitizer.registering.blocklists import BlockDefaults
from contact_sanitizer.registering.consentlists import ConsentDefaults
from contact_sanitizer.registering.desk import ConsentTerms
from contact_sanitizer.reporting.charts import chart_of, rounded_up
from contact_sanitizer.reporting.document import KeySource, Making, report_document
from contact_sanitizer.reporting.period import Period, parse_period
from contact_sanitizer.reporting.report import Scope, make_report
from contact_sanitizer.screening.suppression import SuppressionReason
from counter import PHONES, counter_at
from counter import Counter as Office
from desk import NOW, write_csv
from logworld import STRANGER, VERIFIERS
from reportlog import DAY, FIRST, HOUR, Diary, autumn, figures, reported, sealed

OCTOBER = parse_period("2026-10") or Period()


def test_a_period_is_a_year_quarter_month_or_day_of_utc() -> None:
    assert Period(1_790_812_800_000, 1_793_491_200_000, "2026-10") == OCTOBER
    assert parse_period("2026-12-31") == Period(1_798_675_200_000, 1_798_761_600_000, "2026-12-31")
    assert (
        (parse_period("2026-Q4") or OCTOBER).end == (parse_period("2026") or OCTOBER).end == 1_798_761_600_000
    )
    assert parse_period("2024-02-29") is not None
    start, end = OCTOBER.start or 0, OCTOBER.end or 0
    assert (start in OCTOBER, start - 1 in OCTOBER, end - 1 in OCTOBER, end in OCTOBER) == (
        True, False, True, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "2026-13",
        "2026-00",
        "2026-Q5",
        "2026-02-29",
        "2026-1",
        "0000",
        "1969",
        "9999",
        "",
        "２０２６",
        "2026-10 ",
    ],
)
def test_what_is_no_period_is_none(text: str) -> None:
    assert parse_period(text) is None


def sample() -> Diary:
    """A day on which each thing that is counted happens."""
    diary = Diary()
    counts = {"rows": 100, "kept": 80, "consent_missing": 9, "opt_out_note": 2, "too_short": 9}
    made = diary.make_list(FIRST, counts)
    failed = diary.new_id(FIRST)
    diary.tell(FIRST, Action.LIST_STARTED, "marketing", list_id=failed)
    diary.deny(FIRST, Action.LIST_FAILED, "file_missing", "marketing", list_id=failed)
    diary.deny(FIRST, Action.UPLOAD_DENIED, "limit_rows", "function/sanitize")
    delivery = diary.deliver(FIRST + HOUR, made, "gate", {"rows": 78, "suppressed": 2})
    diary.events.append(replace(diary.events[-1], uid=diary.new_id(FIRST + HOUR)))
    diary.redeem(FIRST + 2 * HOUR, "gate", tokens=10, redeemed=6, refused=1, token_forged=2, other_audience=1)
    diary.deny(FIRST + 2 * HOUR, Action.TOKENS_DENIED, "quota_exceeded", "role/gate", sender="gate")
    diary.recalls(FIRST + 3 * HOUR, delivery, "gate", found=3)
    diary.recalls(FIRST + 5 * HOUR, delivery, "gate", found=4, known=3)
    return diary


def test_lists_rows_and_reasons_add_up() -> None:
    lists = figures(sample().events)["lists"]
    assert (lists["begun"], lists["published"], lists["failed"]) == (2, 1, 1)
    assert (lists["rows"], lists["kept"], lists["dropped"], lists["rejected"]) == (100, 80, 11, 9)
    assert [(each["reason"], each["outcome"], each["rows"]) for each in lists["reasons"]] == [
        ("consent_missing", "dropped", 9),
        ("too_short", "rejected", 9),
        ("opt_out_note", "dropped", 2),
    ]
    assert lists["uploads_refused_by_code"] == {"limit_rows": 1}
    newest, oldest = lists["newest"]
    assert (newest["state"], newest["code"]) == ("failed", "file_missing")
    assert (oldest["state"], oldest["rows"], oldest["deliveries"]) == ("published", 100, 1)


def test_fetches_are_told_by_sender_and_a_repeated_delivery_counts_once() -> None:
    fetches = figures(sample().events)["fetches"]
    (gate,) = fetches["senders"]
    assert (gate["deliveries"], gate["deliveries_told_again"], gate["rows"], gate["left_out"]) == (
        1,
        1,
        78,
        2,
    )
    assert (gate["tokens"], gate["redeemed"], gate["refused"]) == (10, 6, 1)
    assert gate["not_its_own"] == {"other_audience": 1, "token_forged": 2}
    assert gate["requests_refused_by_code"] == {"quota_exceeded": 1}
    assert gate["callers"] == ["role/gate"]
    assert fetches["rows"] == 78


def test_recalls_are_pending_from_when_they_were_found_and_late_after_a_day() -> None:
    diary = sample()
    recalls = figures(diary.events)["recalls"]
    (delivery,) = recalls["deliveries"]
    assert (recalls["found"], recalls["acknowledged"], recalls["pending"]) == (4, 3, 1)
    assert delivery["waiting_since"] == "2026-09-01T05:00:00.000Z"
    assert (delivery["late"], delivery["longest_wait_seconds"]) == (False, (19 * HOUR - 1) // 1000)
    later = make_report(sealed(diary.events, until=FIRST + 2 * DAY), VERIFIERS, Scope()).figures()["recalls"]
    assert (later["late"], later["deliveries"][0]["late"]) == (1, True)


def test_an_erasure_is_one_however_many_lists_it_goes_through() -> None:
    diary = Diary()
    diary.tell(FIRST, Action.PERSON_ERASED, "eve", person="ab" * 16)
    for _ in range(3):
        diary.tell(
            FIRST, Action.PERSON_ERASED, "eve", list_id=diary.new_id(FIRST), digests={"clean": "ab" * 32}
        )
    diary.deny(FIRST, Action.PERSON_ERASED, "interrupted", "eve")
    diary.tell(FIRST + HOUR, Action.PERSON_ERASED, "eve", Outcome.SUCCESS)
    told = figures(diary.events)
    assert (told["registry"]["erasures"], told["registry"]["erasures_cut_off"]) == (1, 1)
    assert [each["at"] for each in told["events"]["changes"]] == [
        "2026-09-01T00:00:00.000Z",
        "2026-09-01T01:00:00.000Z",
    ]
    assert told["events"]["total"] == 6


def test_notices_of_recalls_are_counted_and_find_nothing_by_themselves() -> None:
    diary = sample()
    delivery = diary.events[-1].delivery_id
    counts = {"recalls": 4, "unacknowledged": 1, "overdue": 0}
    diary.tell(FIRST + 6 * HOUR, Action.RECALLS_NOTIFIED, delivery_id=delivery, sender="gate", counts=counts)
    recalls = figures(diary.events)["recalls"]
    assert (recalls["found"], recalls["notices"], recalls["deliveries"][0]["notices"]) == (4, 1, 1)


def test_a_recall_that_was_acknowledged_late_is_told_though_nothing_is_pending() -> None:
    diary = Diary()
    delivery = diary.deliver(FIRST, diary.make_list(FIRST, {"rows": 1, "kept": 1}), "gate", {"rows": 1})
    diary.recalls(FIRST + HOUR, delivery, "gate", found=1)
    diary.recalls(FIRST + 2 * DAY, delivery, "gate", found=2)
    diary.recalls(FIRST + 2 * DAY + HOUR, delivery, "gate", found=2, known=2)
    (told,) = figures(diary.events)["recalls"]["deliveries"]
    assert (told["pending"], told["late"], told["longest_wait_seconds"]) == (0, True, 2 * DAY // 1000)


def test_handling_times_are_those_of_people_not_of_events() -> None:
    diary = Diary()
    for hours in (1, 2, 3, 400):
        at = FIRST + 500 * HOUR
        about: dict[str, Any] = {"reason": "complaint", "asked_at": at - hours * HOUR}
        diary.tell(at, Action.BLOCK_ADDED, counts={"complaint": 1}, **about)
    diary.tell(FIRST + 501 * HOUR, Action.OPTOUT_RECORDED, counts={"complaint": 1}, reason="complaint")
    at = FIRST + 502 * HOUR
    diary.tell(at, Action.CONSENT_WITHDRAWN, counts={"events": 99}, asked_at=at - 30 * HOUR)
    diary.tell(at, Action.CONSENT_WITHDRAWN, counts={"events": 1}, asked_at=at - 90 * HOUR)
    registry = figures(diary.events)["registry"]
    complaints, withdrawals = (registry["handling"][word] for word in ("complaints", "withdrawals"))
    assert (complaints["count"], complaints["timed"], complaints["without_asked_at"]) == (5, 4, 1)
    assert (complaints["within_a_day"], complaints["within_ten_days"]) == (3, 3)
    seconds = [complaints[f"{word}_seconds"] for word in ("median", "p95", "slowest")]
    assert seconds == [2 * 3600, 400 * 3600, 400 * 3600]
    assert [withdrawals[f"{w}_seconds"] // 3600 for w in ("median", "p95", "slowest")] == [30, 30, 90]
    assert registry["handling"]["opt_outs"]["median_seconds"] is None
    assert registry["consents_withdrawn"] == 100


def test_what_happened_before_the_period_counts_only_for_what_is_usual_and_pending() -> None:
    diary = sample()
    told = reported(diary.events, Scope(Period(FIRST + 4 * HOUR))).figures()
    assert told["events"]["total"] == 1
    assert told["events"]["before_period"] == len(diary.events) - 1
    assert told["lists"]["begun"] == told["fetches"]["deliveries"] == 0
    assert (told["recalls"]["found"], told["recalls"]["acknowledged"], told["recalls"]["pending"]) == (
        1,
        3,
        1,
    )


def test_another_tenants_events_are_left_out_and_said_and_nobodys_are_in() -> None:
    diary, other, nobody = sample(), Diary(tenant="acme"), Diary(tenant="-")
    other.tell(FIRST + 6 * HOUR, Action.HOME_CREATED)
    nobody.deny(FIRST + 7 * HOUR, Action.ACCESS_DENIED, "not_allowed", "role/x")
    events = [*diary.events, *other.events, *nobody.events]
    found = reported(events, Scope(tenant="default"))
    assert found.tally.others == {"acme": 1}
    assert found.figures()["events"]["total"] == len(events) - 1
    notes = report_document(found, Making(FIRST, VERIFIERS, KeySource.GIVEN))["notes"]
    assert notes == ["Events of other tenants are not in this report: acme (1)."]
    assert figures(events)["events"]["total"] == len(events)


ACTIONS = sorted(Action)


@given(
    st.lists(
        st.tuples(st.integers(0, 40 * DAY), st.sampled_from(ACTIONS), st.sampled_from(Outcome)), max_size=40
    ),
    st.integers(0, 40 * DAY),
)
@settings(max_examples=25, derandomize=True, deadline=None)
def test_every_event_is_counted_once_in_whichever_period_it_falls(
    told: list[tuple[int, Action, Outcome]], cut: int
) -> None:
    diary = Diary()
    for at, action, outcome in sorted(told):
        diary.tell(FIRST + at, action, outcome=outcome, sender="gate", counts={"rows": 2, "complaint": 1})
    whole, first, second = (
        figures(diary.events, Scope(period))
        for period in (Period(), Period(end=FIRST + cut), Period(start=FIRST + cut))
    )
    totals = [each["events"]["total"] for each in (whole, first, second)]
    assert totals == [len(told), sum(at < cut for at, *_ in told), sum(at >= cut for at, *_ in told)]
    by_action = Counter((action.value, outcome.value) for _, action, outcome in told)
    assert by_action == {
        (each["action"], outcome.value): each[outcome.value]
        for each in whole["events"]["actions"]
        for outcome in Outcome
        if each[outcome.value]
    }
    assert sum(bucket["events"] for bucket in whole["volumes"]["buckets"]) == len(told)
    for part, word in (("registry", "blocks_removed"), ("fetches", "requests_refused"), ("recalls", "found")):
        assert whole[part][word] == first[part][word] + second[part][word]


@pytest.mark.parametrize(
    ("days", "unit", "many"), [(1, "day", 1), (92, "day", 92), (93, "week", 14), (800, "month", 27)]
)
def test_long_periods_are_told_by_week_or_month_without_a_hole(days: int, unit: str, many: int) -> None:
    diary = Diary()
    diary.tell(FIRST, Action.HOME_CREATED)
    diary.tell(FIRST + (days - 1) * DAY, Action.HOME_CREATED)
    volumes = figures(diary.events)["volumes"]
    assert (volumes["unit"], len(volumes["buckets"])) == (unit, many)
    starts = [bucket["from"] for bucket in volumes["buckets"]]
    assert starts == sorted(set(starts))
    assert sum(bucket["events"] for bucket in volumes["buckets"]) == 2


def test_opt_outs_and_complaints_are_in_the_volumes_however_they_came() -> None:
    diary = Diary()
    diary.tell(FIRST, Action.OPTOUT_RECORDED, counts={"opt_out": 1})
    diary.tell(FIRST, Action.OPTOUT_RECORDED, counts={"complaint": 1})
    diary.tell(FIRST, Action.OPTOUT_RECORDED, counts={"unrecognised": 1})
    for reason in ("complaint", "complaint", "opted_out", "operator"):
        diary.tell(FIRST, Action.BLOCK_ADDED, counts={reason: 1})
    imported = {"rows": 90, "complaint": 20, "opted_out": 40, "regulator": 30}
    diary.tell(FIRST + DAY, Action.REGISTRY_IMPORTED, outcome=Outcome.SUCCESS, counts=imported)
    told = figures(diary.events)
    assert [bucket["opt_outs"] for bucket in told["volumes"]["buckets"]] == [5, 20]
    registry = told["registry"]
    assert registry["handling"]["complaints"]["count"] + registry["complaints_in_files"] == 23


def test_an_import_that_failed_is_told_as_such_and_once_unless_it_succeeded_later() -> None:
    diary = Diary()
    failed: dict[str, Any] = {"outcome": Outcome.FAILURE, "code": "limit_rows"}
    diary.tell(FIRST, Action.CONSENT_IMPORTED)
    diary.tell(FIRST + 1, Action.REGISTRY_IMPORTED, **failed)
    for _ in range(2):
        import_id = diary.new_id(FIRST)
        diary.tell(FIRST, Action.BLOCK_IMPORTED, list_id=import_id)
        for later in (1, 2):
            diary.tell(FIRST + later, Action.REGISTRY_IMPORTED, list_id=import_id, **failed)
    counts = {"rows": 2, "operator": 2}
    diary.tell(FIRST + 3, Action.REGISTRY_IMPORTED, outcome=Outcome.SUCCESS, list_id=import_id, counts=counts)
    diary.tell(FIRST + HOUR, Action.BLOCK_IMPORTED)
    assert figures(diary.events)["registry"]["imports"] == {
        "consent_files": 1,
        "block_files": 3,
        "failed": 2,
        "without_result": 1,
        "recorded": {"operator": 2, "rows": 2},
    }


def test_an_empty_log_and_one_of_a_single_event_have_reports() -> None:
    empty = reported([])
    document = report_document(empty, Making(FIRST, VERIFIERS, KeySource.WORLD))
    assert document["notes"] == ["The log holds no event yet."]
    assert (document["verification"]["events"], document["volumes"]["buckets"]) == (0, [])
    diary = Diary()
    diary.tell(FIRST, Action.HOME_CREATED)
    assert figures(diary.events)["events"]["total"] == 1


@pytest.mark.parametrize(
    ("period", "said"),
    [
        ("2027", "begins after the newest seal"),
        ("2026-10-31", "begins after the newest seal"),
        ("2026", "ends after the newest seal"),
        ("2026-Q3", "knows nothing of the part of the period before"),
        ("2025", "it knows nothing of it"),
    ],
)
def test_a_period_that_reaches_out_of_the_log_is_told_so(period: str, said: str) -> None:
    found = reported(autumn(), Scope(parse_period(period) or OCTOBER))
    notes = report_document(found, Making(FIRST, VERIFIERS, KeySource.GIVEN))["notes"]
    assert any(said in note for note in notes), notes


def stranger() -> list[Verifier]:
    return [STRANGER.verifier]


def test_a_log_that_does_not_verify_has_no_report() -> None:
    objects = sealed(autumn(days=9))
    with pytest.raises(AuditError, match="checkpoint_unsigned"):
        make_report(objects, stranger(), Scope())
    (bundle,) = [key for key in objects.data if key.startswith("tile/entries/")][-1:]
    objects.data[bundle] = objects.data[bundle].replace(b'"gate"', b'"cate"', 1)
    with pytest.raises(AuditError) as caught:
        make_report(objects, VERIFIERS, Scope())
    assert caught.value.code in {"event_altered", "entries_damaged"}


BAD = [
    (b'"rows":100', b'"rows":"9"'),
    (b'"sender":"gate"', b'"sender":[0,0]'),
    (b'"unmapped":{', b'"unmappes":{'),
    (b'"status_id":99', b'"status_id":98'),
    (b'"asked_at"', b'"asked_at'),
]


@pytest.mark.parametrize(("good", "bad"), BAD)
def test_a_sealed_line_that_is_no_event_is_named_and_nothing_is_told(good: bytes, bad: bytes) -> None:
    diary = sample()
    diary.tell(FIRST + 7 * HOUR, Action.BLOCK_ADDED, asked_at=FIRST, counts={"complaint": 1})

    class Odd:
        def __init__(self, line: bytes) -> None:
            self.at, self._line = FIRST, line

        def line(self) -> bytes:
            return self._line

    lines = [event.line() for event in diary.events]
    index = next(n for n, line in enumerate(lines) if good in line)
    odd: list[Any] = [Odd(line.replace(good, bad) if n == index else line) for n, line in enumerate(lines)]
    with pytest.raises(AuditError, match=f"event {index} is not written") as caught:
        reported(odd)
    assert caught.value.code == "event_malformed"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return counter_at(tmp_path)


def test_a_report_on_real_work_tells_what_its_use_cases_returned(office: Office, tmp_path: Path) -> None:
    office.sender()
    list_id = office.made()
    entry = office.place.catalogue.get(list_id)  # type: ignore[arg-type] # as the manifest spells it
    made, _ = office.deliver(list_id)
    tokens = office.tokens(list_id)
    office.block(PHONES[2])
    desk = office.place.desk("CN")
    asked = NOW // 1000 - 7200
    desk.block(desk.person(PHONES[3]), "tenant", SuppressionReason.COMPLAINT, asked_at=asked)
    desk.reply(desk.person(PHONES[4]), "TD", "gate", office.place.registry, asked - 3600)
    desk.withdraw(desk.person(PHONES[5]), ConsentTerms(effective_at=asked))
    redeemed = office.redeem([*tokens[:6], "ct_nothing"])
    recalls = office.recalls(made.delivery.delivery_id)
    acknowledge(made.delivery.delivery_id, office.desk())
    with pytest.raises(DeliveryError):
        office.deliver(list_id, purpose="surveys")
    consents = write_csv(
        tmp_path / "c.csv", [["phone", "status"], *[[p, "granted"] for p in PHONES[:3]], ["12", ""]]
    )
    said = ConsentDefaults(purpose="surveys", channel="sms")
    office.place.imports("CN", lambda _row, _outcome: None).consents(consents, said)
    blocks = write_csv(
        tmp_path / "b.csv", [["phone", "reason"], [PHONES[6], "complaint"], [PHONES[7], "regulator"]]
    )
    for _ in range(2):
        office.place.imports("CN", lambda _row, _outcome: None).blocks(blocks, BlockDefaults())
    log = office.place.world.audit
    log.conclude(office.now[0])
    told = make_report(log.objects, parse_verifiers(log.public_keys()), Scope()).figures()
    assert entry is not None
    assert (told["lists"]["rows"], told["lists"]["kept"]) == (entry.rows, entry.kept)
    (gate,) = told["fetches"]["senders"]
    assert (gate["deliveries"], gate["rows"], gate["requests_refused"]) == (1, made.delivery.rows, 1)
    assert gate["redeemed"] == sum(phone is not None for phone in redeemed.phones)
    assert (gate["refused"], gate["not_its_own"]) == (4, {"token_malformed": 1})
    assert told["recalls"]["found"] == told["recalls"]["acknowledged"] == len(recalls) == 4
    registry = told["registry"]
    assert registry["consents_recorded"] == len(PHONES) + 3
    assert registry["handling"]["complaints"]["median_seconds"] == 7200
    assert registry["handling"]["opt_outs"]["slowest_seconds"] == 10_800
    assert registry["handling"]["withdrawals"]["timed"] == 1
    assert registry["complaints_in_files"] == 1
    assert registry["imports"] == {
        "consent_files": 1,
        "block_files": 2,
        "failed": 0,
        "without_result": 0,
        "recorded": {"complaint": 1, "granted": 3, "refused": 1, "regulator": 1, "rows": 8},
    }


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (3, 4), (9, 10), (10, 10), (11, 20), (41_000, 50_000)]
)
def test_the_axis_ends_at_a_number_that_reads_well(value: int, top: int) -> None:
    assert rounded_up(value) == top


def test_every_value_above_zero_has_a_bar_that_can_be_seen() -> None:
    buckets = [{"from": f"2026-09-0{n + 1}", "rows": value} for n, value in enumerate([0, 1, 1_000_000])]
    chart = chart_of("Rows", "rows", buckets)
    assert [(bar.label, bar.height) for bar in chart.bars] == [
        ("2026-09-02: 1", 1.0),
        ("2026-09-03: 1,000,000", 100.0),
    ]
    assert all(bar.x >= 0 and bar.x + bar.width <= 100 and bar.y + bar.height == 100 for bar in chart.bars)


def test_two_who_find_the_same_recalls_at_once_are_put_right_by_the_next_look() -> None:
    diary = Diary()
    delivery = diary.deliver(FIRST, diary.make_list(FIRST, {"rows": 9, "kept": 9}), "gate", {"rows": 9})
    about: dict[str, Any] = {"delivery_id": delivery, "sender": "gate"}
    for minute in (1, 2):
        diary.tell(FIRST + minute, Action.RECALLS_FOUND, **about, counts={"recalls": 3})
    assert figures(diary.events)["recalls"]["pending"] == 6
    diary.recalls(FIRST + HOUR, delivery, "gate", found=3)
    recalls = figures(diary.events)["recalls"]
    assert (recalls["found"], recalls["pending"]) == (3, 3)
    assert recalls["deliveries"][0]["waiting_since"] == "2026-09-01T00:00:00.001Z"
    diary.recalls(FIRST + 2 * HOUR, delivery, "gate", found=3, known=3)
    (told,) = figures(diary.events)["recalls"]["deliveries"]
    assert (told["pending"], told["waiting_since"], told["longest_wait_seconds"]) == (0, None, 7199)
