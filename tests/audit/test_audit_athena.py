"""Every saved query, parsed as Athena's and run over real objects, against a plain computation."""

from __future__ import annotations

import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from cloudworld import AUDIT, CLEAN
from contact_sanitizer.audit import segments
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.seal import Sealer, begin_log
from contact_sanitizer.audit.verify import verify_log
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.listid import sortable_id
from contact_sanitizer.outputs.decisions import SCHEMA
from contact_sanitizer.protection.blocks import blocks_of
from contact_sanitizer.protection.subjects import subjects
from contact_sanitizer.reconciling.trail import COPYING, READING
from functiondesk import FunctionDesk, function_desk
from logworld import SIGNER, VERIFIERS, MemoryObjects
from queries import Lake, columns, duckdb_type, saved_query, table, translated
from templates import ATHENA, plain, resources, statements, template
from trailcast import record, role, write_trail

DAY: Final = 86_400_000
HOUR: Final = 3_600_000
NOW: Final = time.time_ns() // 1_000_000
NOON: Final = NOW // DAY * DAY - DAY // 2
"""Noon of yesterday: whole days before it are whole days of the queries, whatever time it is."""
QUERIES: Final = sorted(resources("AWS::Athena::NamedQuery", ATHENA))
PURPOSE, SUPPRESSED = "marketing", "suppressed"


def ids(chance: random.Random, at: int) -> str:
    return sortable_id(at, chance.randbytes(10))


def event(chance: random.Random, action: Action, at: int, principal: str, **more: Any) -> Event:
    uid = ids(chance, at)
    return Event(action, more.pop("outcome", Outcome.BEGUN), at, principal, "default", uid, uid, **more)


def story(chance: random.Random) -> list[Event]:
    """Forty days of a stack with two senders, of which one redeems too much on one day."""
    told: list[Event] = []

    def tell(action: Action, at: int, principal: str, **more: Any) -> None:
        told.append(event(chance, action, at, principal, **more))

    for ago in range(40, 0, -1):
        at, sender = NOON - ago * DAY, ("gate", "voice")[ago % 2]
        list_id, delivery_id = ids(chance, at), ids(chance, at + 1)
        counts = {"rows": 100 + ago, "kept": 60, "empty": 40 - ago % 7, "suppressed": ago % 7 + ago}
        tell(Action.LIST_STARTED, at, "function/sanitize", list_id=list_id)
        about = {"list_id": list_id, "purpose": PURPOSE}
        tell(Action.LIST_PUBLISHED, at + 1, "function/sanitize", counts=counts, **about)
        delivery = {**about, "delivery_id": delivery_id, "sender": sender}
        for again in range(1 + ago % 3):
            rows = {"rows": 50 + ago, "suppressed": again}
            tell(Action.DELIVERY_PUBLISHED, at + HOUR + again, f"role/{sender}", counts=rows, **delivery)
        numbers = 900 if ago == 5 else 60 + chance.randrange(20)
        redeemed = {"tokens": numbers + 3, "redeemed": numbers}
        tell(Action.TOKENS_REDEEMED, at + 2 * HOUR, "role/gate", sender="gate", counts=redeemed)
        if ago % 4 == 0:
            denied = {"outcome": Outcome.FAILURE, "code": "quota_exceeded", "counts": {"tokens": 7}}
            tell(Action.TOKENS_DENIED, at + 3 * HOUR, "role/voice", sender="voice", **denied)
        recalled = {"delivery_id": delivery_id, "sender": sender}
        told_counts = {"recalls": 2, "all": 4}
        tell(Action.RECALLS_SHOWN, at + 4 * HOUR, f"role/{sender}", counts=told_counts, **recalled)
        if ago % 3:
            receipt = {"acknowledged": 4 - ago % 3 + 1, "all": 4}
            tell(Action.RECALLS_ACKNOWLEDGED, at + 5 * HOUR, f"role/{sender}", counts=receipt, **recalled)
    return told


TOLD: Final = story(random.Random(7))  # noqa: S311 - made-up events


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Buckets' copies: a log that was sealed daily, and one list's decisions."""
    folder = tmp_path_factory.mktemp("lake")
    objects = MemoryObjects()
    begin_log(objects, SIGNER, TOLD[0].at)
    sealer = Sealer(objects, SIGNER, window=DAY)
    days: dict[int, list[Event]] = defaultdict(list)
    for each in TOLD:
        days[each.at // DAY].append(each)
    for day, events in days.items():
        for each in events:
            segments.append(objects, [each])
        sealer.seal(day * DAY + DAY - 1)
    assert verify_log(objects, VERIFIERS).newest.size == len(TOLD)
    for key, data in objects.data.items():
        path = folder / AUDIT / "log" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return _with_decisions(folder)


def _with_decisions(folder: Path) -> Lake:
    import pyarrow as pa  # noqa: PLC0415 - here only
    import pyarrow.parquet as pq  # noqa: PLC0415 - here only

    rows = [
        {
            "row": 2,
            "subject": b"s" * 16,
            "verdict": "dropped",
            "reason": "suppressed",
            "reasons": ["suppressed"],
        },
        {"row": 3, "subject": b"t" * 16, "verdict": "kept", "reason": None, "reasons": []},
        {"row": 9, "subject": None, "verdict": "rejected", "reason": "empty", "reasons": ["empty"]},
    ]
    place = folder / CLEAN / "lists" / "default" / LIST
    place.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), place / "decisions.parquet")
    (place / "clean.csv").write_bytes(b"token\n")
    _write_reads(folder)
    return Lake(folder)


LIST: Final = next(str(each.list_id) for each in TOLD if each.at > NOON - 3 * DAY and each.list_id)
DELIVERY: Final = next(each for each in TOLD if each.list_id == LIST and each.delivery_id)
OURS = role("demo-DeliverRole-1XYZ")


def _write_reads(folder: Path) -> None:
    at, key = DELIVERY.at, f"lists/default/{LIST}/clean.csv"
    fetched = f"deliveries/default/{DELIVERY.delivery_id}/content"
    records = [
        record(at - 1000, OURS, key),
        record(at + 60_000, OURS, fetched, link=True),
        record(at + 40 * 60_000, OURS, key),
        record(at + 40 * 60_000, OURS, fetched.replace("content", "people")),
        record(at, role("eve"), key),
        record(at + 1000, role("eve"), key),
        record(at, role("eve"), "keys/default/keyring.json"),
        record(at, role("eve"), key, errorCode="AccessDenied"),
    ]
    write_trail(folder / "trail", records)
    day = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y/%m/%d")
    made = next((folder / "trail").rglob("CloudTrail")) / "eu-central-1"
    place = folder / "demo-reads" / "AWSLogs" / "123456789012" / "CloudTrail" / "eu-central-1" / day
    place.mkdir(parents=True)
    for path in made.rglob("*.json.gz"):
        path.rename(place / path.name)


def since(days: int) -> list[Event]:
    """The events whose seal was on one of the last days."""
    first = datetime.now(UTC).date() - timedelta(days=days)
    return [each for each in TOLD if day_of(each.at) >= first]


def day_of(at: int) -> date:
    return datetime.fromtimestamp(at / 1000, UTC).date()


def moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def test_events_by_principal(lake: Lake) -> None:
    counted = Counter((each.principal, each.action.value, _status(each)) for each in since(30))
    assert len(counted) > 8
    answer = lake.ask("EventsByPrincipal")
    assert {(row["principal"], row["action"], row["status"]): row["events"] for row in answer} == counted
    gate = [
        each.at
        for each in since(30)
        if (each.principal, each.action) == ("role/gate", Action.TOKENS_REDEEMED)
    ]
    (row,) = [row for row in answer if (row["principal"], row["action"]) == ("role/gate", "tokens.redeemed")]
    assert (row["first_at"], row["last_at"]) == (moment(min(gate)), moment(max(gate)))


def _status(each: Event) -> str:
    return {Outcome.BEGUN: "begun", Outcome.SUCCESS: "Success", Outcome.FAILURE: "Failure"}[each.outcome]


def test_denials(lake: Lake) -> None:
    denied = [each for each in since(30) if each.outcome is Outcome.FAILURE]
    (row,) = lake.ask("Denials")
    assert (row["principal"], row["action"], row["code"]) == ("role/voice", "tokens.denied", "quota_exceeded")
    assert (row["times"], row["first_at"]) == (len(denied), moment(denied[0].at))


def test_fetches_by_sender_count_a_delivery_once(lake: Lake) -> None:
    people: dict[str, dict[str, int]] = defaultdict(dict)
    for each in since(30):
        if each.action is Action.DELIVERY_PUBLISHED:
            people[str(each.sender)][str(each.delivery_id)] = each.counts["rows"]
    expected = [(name, PURPOSE, len(made), sum(made.values())) for name, made in sorted(people.items())]
    answer = lake.ask("FetchesBySender")
    assert [(row["sender"], row["purpose"], row["deliveries"], row["people"]) for row in answer] == expected
    assert len(expected) == 2


def test_redemptions_above_usual(lake: Lake) -> None:
    numbers: Counter[date] = Counter()
    for each in TOLD:
        if each.action is Action.TOKENS_REDEEMED:
            numbers[day_of(each.at)] += each.counts["redeemed"]
    (row,) = lake.ask("RedemptionsAboveUsual")
    on = day_of(NOON - 5 * DAY)
    assert (row["sender"], row["redeemed_on"], row["numbers"]) == ("gate", on, 900)
    before = sum(numbers[on - timedelta(days=ago)] for ago in range(1, 15))
    assert float(row["usual"]) == pytest.approx(before / 14)


def test_refusals_by_reason_and_week(lake: Lake) -> None:
    refused: Counter[tuple[date, str]] = Counter()
    for each in since(30):
        if each.action is Action.LIST_PUBLISHED:
            on = day_of(each.at)
            for reason in ("empty", "suppressed"):
                refused[on - timedelta(days=on.weekday()), reason] += each.counts[reason]
    answer = lake.ask("RefusalsByReason")
    assert {(row["week"], row["reason"]): row["refused"] for row in answer} == refused
    assert len(answer) >= 8


def test_recalls_that_wait_for_their_receipt(lake: Lake) -> None:
    told = {str(each.delivery_id): each for each in since(30) if each.action is Action.RECALLS_SHOWN}
    receipts = {
        str(each.delivery_id): each.counts["acknowledged"]
        for each in since(30)
        if each.action is Action.RECALLS_ACKNOWLEDGED
    }
    late = {
        name: (4 - receipts.get(name, 0), moment(each.at))
        for name, each in told.items()
        if receipts.get(name, 0) < 4 and each.at < time.time() * 1000 - DAY
    }
    answer = lake.ask("RecallsLate")
    assert {row["delivery"]: (row["unacknowledged"], row["told_since"]) for row in answer} == late
    assert {left for left, _ in late.values()} == {1, 4}


def test_one_persons_rows(lake: Lake) -> None:
    words = {"TENANT": "default", "LIST": LIST, "SUBJECT": (b"s" * 16).hex()}
    assert lake.ask("DecisionsOfOne", **words) == [
        {"row": 2, "verdict": "dropped", "reason": "suppressed", "reasons": ["suppressed"]}
    ]
    assert lake.ask("DecisionsOfOne", **{**words, "SUBJECT": "00" * 16}) == []
    assert lake.ask("DecisionsOfOne", **{**words, "TENANT": "other"}) == []


def test_reads_that_no_event_explains(lake: Lake) -> None:
    answer = lake.ask("ReadsWithoutEvent")
    assert [(row["reader"], row["thing"], row["reads"]) for row in answer] == [
        ("role/123456-789012/eve", LIST, 2),
        ("role/123456-789012/demo-DeliverRole-1XYZ", LIST, 1),
    ]
    assert answer[0]["first_at"] == moment(DELIVERY.at // 1000 * 1000)


@pytest.mark.parametrize("name", QUERIES)
def test_every_saved_query_is_asked_here_and_looks_at_one_span_of_days(name: str) -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert f'"{name}"' in text
    query = saved_query(name)
    assert translated(query)
    assert "day >=" in query or "list_id =" in query


def test_a_query_that_is_none_of_athenas_is_refused() -> None:
    with pytest.raises(Exception, match=r"Expecting|Required|Invalid"):
        translated("SELECT FROM WHERE")


# What functions wrote


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionDesk]:
    with function_desk(monkeypatch) as made:
        yield made


def test_what_functions_wrote_is_what_the_tables_read(desk: FunctionDesk, tmp_path: Path) -> None:
    desk.agree("13812345678")
    assert desk.deliver(sanitize, desk.put("uploads/default/a", b"phone\n13812345678\n12\n")) == []
    desk.world.audit.seal(time.time_ns() // 1_000_000, {})
    s3 = desk.cloud.clients.s3
    for bucket in (AUDIT, CLEAN):
        for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            path = tmp_path / bucket / entry["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
    lake = Lake(tmp_path)
    folder = tmp_path / AUDIT / "log" / "lines"
    lines = [
        json.loads(line) for path in folder.rglob("0" * 16 + "*") for line in path.read_text().splitlines()
    ]
    assert sorted(lines, key=str) == sorted(desk_events(desk), key=str)
    (published,) = [line for line in lines if line["api"]["operation"] == "list.published"]
    answer = {(row["action"], row["events"]) for row in lake.ask("EventsByPrincipal")}
    assert ("list.published", 1) in answer
    assert [(row["reason"], row["refused"]) for row in lake.ask("RefusalsByReason")] == [("too_short", 1)]
    list_id = published["unmapped"]["list_id"]
    blocks = blocks_of(["8613812345678"])
    subject = subjects(blocks, desk.workspace.keyring)[0].tobytes().hex()
    (row,) = lake.ask("DecisionsOfOne", TENANT="default", LIST=list_id, SUBJECT=subject)
    assert (row["row"], row["verdict"]) == (2, "kept")


def desk_events(desk: FunctionDesk) -> list[dict[str, Any]]:
    """The events as their writers put them."""
    s3 = desk.cloud.clients.s3
    keys = [e["Key"] for e in s3.list_objects_v2(Bucket=AUDIT, Prefix="log/segments/")["Contents"]]
    lines = [
        line for key in keys for line in s3.get_object(Bucket=AUDIT, Key=key)["Body"].read().splitlines()
    ]
    return [json.loads(line) for line in lines]


# The template


def test_every_member_of_an_event_has_a_column() -> None:
    whole = Event(
        Action.LIST_PUBLISHED, Outcome.BEGUN, 1, "ops", "default", LIST, LIST, LIST, LIST, LIST, "v" * 20,
        "0" * 64, "p", "c", "s", "s", "a", "0" * 32, "r", 1, (1,), 1, "c", {"rows": 1}, {"file": "0" * 64},
        "hash", "csv", True,
    )  # fmt: skip
    stated = json.loads(whole.line())
    declared = columns("events")["unmapped"]
    assert all(f'"{name}" ' in declared for name in stated["unmapped"])
    assert declared.count('" ') == len(stated["unmapped"])
    assert {"time", "actor", "api", "metadata", "status_id", "status_code"} <= columns("events").keys()


def test_the_decisions_have_the_columns_that_are_written() -> None:
    assert list(columns("decisions")) == SCHEMA.names


@pytest.mark.parametrize("name", ["events", "reads"])
def test_days_are_projected_and_not_listed(name: str) -> None:
    parameters = table(name)["Parameters"]
    assert parameters["projection.enabled"] == "true"
    assert parameters["projection.day.type"] == "date"
    assert parameters["projection.day.format"] == "yyyy/MM/dd"
    assert parameters["projection.day.range"].endswith(",NOW")


def test_types_of_hive_are_read_as_they_nest() -> None:
    assert duckdb_type("struct<a:map<string,bigint>,b:array<string>>") == (
        'STRUCT("a" MAP(VARCHAR, BIGINT), "b" VARCHAR[])'
    )


def test_results_are_encrypted_and_go_and_nobody_chooses_otherwise() -> None:
    (group,) = resources("AWS::Athena::WorkGroup", ATHENA).values()
    configuration = group["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["ResultConfiguration"]["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"
    results = resources("AWS::S3::Bucket", ATHENA)["ResultsBucket"]
    assert results["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == {"Ref": "ResultDays"}
    for bucket in resources("AWS::S3::Bucket", ATHENA).values():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}


def test_the_trail_tells_reads_of_peoples_data_and_cannot_be_altered_unseen() -> None:
    (trail,) = resources("AWS::CloudTrail::Trail", ATHENA).values()
    assert trail["EnableLogFileValidation"] is True
    (selector,) = trail["AdvancedEventSelectors"]
    fields = {field["Field"]: field for field in selector["FieldSelectors"]}
    assert set(fields["eventName"]["Equals"]) == READING | COPYING
    places = [plain(place) for place in fields["resources.ARN"]["StartsWith"]]
    assert places == [
        "arn:s3:::${UploadsBucket}/",
        "arn:s3:::${CleanBucket}/lists/",
        "arn:s3:::${CleanBucket}/deliveries/",
    ]


def test_who_queries_reads_no_list_and_no_delivery() -> None:
    (policy,) = resources("AWS::IAM::ManagedPolicy", ATHENA).values()
    reading = [each for each in statements(_plain_document(policy)) if "s3:GetObject" in each["Action"]]
    places = [place for each in reading for place in each["Resource"] if "CleanBucket" in place]
    assert places == ["arn:s3:::${CleanBucket}/lists/*/decisions.parquet"]
    assert template(ATHENA)["Parameters"]["MakeTrail"]["Default"] == "true"


def _plain_document(policy: Any) -> Any:
    """The policy with what is put together from two parts as one text."""

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(inner) for inner in value]
        two = isinstance(value, dict) and isinstance(value.get("Fn::Sub"), list)
        return value["Fn::Sub"][0] if two else value

    stated = policy["PolicyDocument"]["Statement"]
    return {"Statement": [{**each, "Resource": one(each["Resource"])} for each in stated]}
