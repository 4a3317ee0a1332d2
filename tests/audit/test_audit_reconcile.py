"""CloudTrail's reads against the log: those of real functions are accounted for, others are flagged."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudworld import CLEAN, UPLOADS, cloud
from commands import Said, command
from contact_sanitizer import workspace
from contact_sanitizer.access import Role
from contact_sanitizer.audit import segments
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.reading import all_entries
from contact_sanitizer.audit.seal import Sealer, begin_log
from contact_sanitizer.aws.trailfiles import S3Trail
from contact_sanitizer.delivery.senders import Right, Sender
from contact_sanitizer.embedded.objectfolder import ObjectFolder
from contact_sanitizer.errors import AuditError
from contact_sanitizer.handlers.deliver import handler as deliver
from contact_sanitizer.handlers.lists import handler as lists
from contact_sanitizer.handlers.recalls import handler as recalls
from contact_sanitizer.handlers.redeem import handler as redeem
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.handlers.trace import handler as trace
from contact_sanitizer.listid import sortable_id
from contact_sanitizer.receiving import Arrival
from contact_sanitizer.reconciling.reconcile import Circle, Flag, Reconciled, Span, reconcile
from contact_sanitizer.reconciling.told import Announcements
from contact_sanitizer.reconciling.trail import Read, Thing, files_in, is_trail_file, reads_in, thing_at
from functiondesk import FunctionDesk, function_desk
from logworld import MINUTE, SIGNER, START
from trailcast import ACCOUNT, BUCKETS, Shadow, record, role, user, write_trail

LIST = sortable_id(START, b"list made!")
DELIVERY = sortable_id(START + 60_000, b"delivered!")
OF_LIST = f"lists/default/{LIST}/clean.csv"
OF_PEOPLE = f"deliveries/default/{DELIVERY}/people"
FETCHED = f"deliveries/default/{DELIVERY}/content"
FUNCTIONS = {
    name: f"demo-{name}Role-1X"
    for name in ("Sanitize", "ImportRegistry", "Deliver", "Recalls", "Redeem", "Trace", "Lists")
}
CIRCLE = Circle(ACCOUNT, frozenset(f"role/123456-789012/{name}" for name in FUNCTIONS.values()))
DELIVER, REDEEM, EVE, SUE = role(FUNCTIONS["Deliver"]), role(FUNCTIONS["Redeem"]), role("eve"), role("sue")
AT = START + 60 * MINUTE


def event(action: Action, at: int, principal: str, **more: Any) -> Event:
    uid = sortable_id(at, f"{action}{at}{principal}".encode()[-10:])
    return Event(action, more.pop("outcome", Outcome.BEGUN), at, principal, "default", uid, uid, **more)


SAM, OF_EVE = "role/123456-789012/sam", "role/123456-789012/eve"
COPIED = f"/{CLEAN}/{OF_LIST}?versionId=3"
TOLD = [
    event(Action.DELIVERY_BEGUN, AT - 1_000, SAM, list_id=LIST, delivery_id=DELIVERY),
    event(Action.DELIVERY_PUBLISHED, AT, SAM, list_id=LIST, delivery_id=DELIVERY),
    event(Action.TOKENS_REDEEMED, AT + 2 * MINUTE, SAM),
    event(Action.PERSON_TRACED, AT + 3 * MINUTE, "role/123456-789012/sue"),
]
FINE = [
    record(AT - 2 * 60 * MINUTE, DELIVER, "keys/default/keyring.json"),
    record(AT - 500, DELIVER, OF_LIST),
    record(AT + 60_000, DELIVER, FETCHED, link=True),
    record(AT + 2 * MINUTE, REDEEM, OF_PEOPLE),
    record(AT + 3 * MINUTE, SUE, f"lists/default/{LIST}/decisions.parquet"),
    record(AT + 2 * 60 * MINUTE, DELIVER, "keys/default/keyring.json"),
]


def announced(events: Sequence[Event] = TOLD) -> Announcements:
    return Announcements.of(each.line()[:-1] for each in events)


def read(records: Sequence[dict[str, Any]]) -> list[Read]:
    data = gzip.compress(json.dumps({"Records": records}).encode())
    return list(reads_in(lambda: io.BytesIO(data), 1, BUCKETS))


def compared(
    records: Sequence[dict[str, Any]], events: Sequence[Event] = TOLD, span: Span | None = None
) -> Reconciled:
    return reconcile(read(records), announced(events), CIRCLE, span or Span())


def flags(found: Reconciled) -> list[tuple[str, str, str]]:
    return [(finding.flag, finding.thing.kind, finding.principal) for finding in found.findings]


def test_what_was_announced_is_accounted_for() -> None:
    found = compared(FINE)
    assert found.findings == ()
    assert found.counts == {"other": 2, "reads": 4, "accounted": 4}


CASES: dict[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
    "a stranger reads a list": (record(AT, EVE, OF_LIST), ("read_unannounced", "list", OF_EVE)),
    "a stranger reads a delivery": (
        record(AT, EVE, FETCHED),
        ("read_unannounced", "delivery", OF_EVE),
    ),
    "a user is named without a name": (
        record(AT, user("AIDAEXAMPLE"), OF_LIST),
        ("read_unannounced", "list", "user/123456-789012/AIDAEXAMPLE"),
    ),
    "the sender itself has no rights to a list": (
        record(AT + 40 * MINUTE, role("sam"), OF_LIST),
        ("read_unannounced", "list", SAM),
    ),
    "a function reads at another time": (
        record(AT + 40 * MINUTE, DELIVER, OF_LIST),
        ("read_unannounced", "list", "role/123456-789012/demo-DeliverRole-1X"),
    ),
    "a redemption opens no file of a sender": (
        record(AT + 20 * MINUTE, REDEEM, FETCHED),
        ("read_unannounced", "delivery", "role/123456-789012/demo-RedeemRole-1X"),
    ),
    "an upload": (
        record(AT, EVE, "uploads/default/a/list", UPLOADS),
        ("read_unannounced", "upload", OF_EVE),
    ),
    "another account": (
        record(AT, role("eve", "444455556666"), OF_LIST),
        ("read_foreign", "list", "role/444455-556666/eve"),
    ),
    "nobody": (
        record(AT, {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}, OF_LIST),
        ("read_unannounced", "list", "unknown"),
    ),
    "the root": (
        record(AT, {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}, OF_LIST),
        ("read_unannounced", "list", "unknown"),
    ),
    "a service": (
        record(AT, {"type": "AWSService", "invokedBy": "macie.amazonaws.com"}, OF_LIST),
        ("read_unannounced", "list", "service/macie.amazonaws.com"),
    ),
    "a link long after": (
        record(AT + 21 * MINUTE, DELIVER, FETCHED, link=True),
        ("link_unannounced", "delivery", "role/123456-789012/demo-DeliverRole-1X"),
    ),
    "a link before": (
        record(AT - 16 * MINUTE, DELIVER, FETCHED, link=True),
        ("link_unannounced", "delivery", "role/123456-789012/demo-DeliverRole-1X"),
    ),
    "a link to a whole list": (
        record(AT, DELIVER, OF_LIST, link=True),
        ("link_unannounced", "list", "role/123456-789012/demo-DeliverRole-1X"),
    ),
    "a stranger's own link": (
        record(AT, EVE, FETCHED, link=True),
        ("read_unannounced", "delivery", OF_EVE),
    ),
    "a copy": (
        record(
            AT, EVE, "x", "elsewhere", eventName="CopyObject",
            requestParameters={"bucketName": "elsewhere", "key": "x", "x-amz-copy-source": COPIED},
        ),
        ("read_unannounced", "list", OF_EVE),
    ),
    "a selection": (
        record(AT, EVE, OF_LIST, eventName="SelectObjectContent"),
        ("read_unannounced", "list", OF_EVE),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_nobody_announced_is_flagged(case: str) -> None:
    strange, flagged = CASES[case]
    found = compared([*FINE, strange])
    assert flags(found) == [flagged]
    assert found.flagged == 1


def test_functions_look_through_notes_of_people_for_recalls_and_nobody_else_does() -> None:
    late = AT + 50 * MINUTE
    assert compared([*FINE, record(late, role(FUNCTIONS["Recalls"]), OF_PEOPLE)]).findings == ()
    assert flags(compared([*FINE, record(late, EVE, OF_PEOPLE)])) == [
        ("read_unannounced", "delivery", OF_EVE)
    ]


def test_the_same_thing_by_the_same_principal_is_one_finding() -> None:
    found = compared([*FINE, *(record(AT + second * 1000, EVE, OF_LIST) for second in range(50))])
    (finding,) = found.findings
    assert (finding.times, finding.first, finding.last) == (50, AT, AT + 49_000)
    assert found.counts[Flag.READ_UNANNOUNCED] == 1


def test_a_delivery_that_nobody_fetched_is_flagged_and_so_is_a_hole_in_the_trail() -> None:
    unfetched = [each for each in FINE if "/content" not in each["requestParameters"]["key"]]
    assert flags(compared(unfetched)) == [("delivery_unfetched", "delivery", "unknown")]
    unseen = [each for each in unfetched if each["requestParameters"]["key"] != OF_LIST]
    unseen = [each for each in unseen if "decisions" not in each["requestParameters"]["key"]]
    assert flags(compared(unseen)) == [("delivery_unseen", "delivery", "unknown")]


def test_a_delivery_from_the_command_line_needs_no_link() -> None:
    ends = [FINE[0], FINE[-1]]
    found = compared([*ends, record(AT - 500, role("sam"), OF_LIST)])
    assert found.findings == ()


def test_an_attempt_that_s3_refused_is_counted_and_no_read() -> None:
    found = compared(
        [*FINE, record(AT, EVE, OF_LIST, errorCode="AccessDenied", errorMessage="Access Denied")]
    )
    assert (found.flagged, found.counts["refused"]) == (0, 1)


def test_reads_outside_of_the_time_and_of_other_buckets_do_not_count() -> None:
    others = [
        record(AT, EVE, OF_LIST, "another-bucket"),
        record(AT, EVE, OF_LIST, eventName="HeadObject"),
        record(AT, EVE, OF_LIST, eventSource="kms.amazonaws.com"),
        record(AT, EVE, OF_LIST, eventName="PutObject"),
    ]
    assert compared([*FINE, *others]).counts["reads"] == 4
    found = compared([*FINE, record(AT - 90 * MINUTE, EVE, OF_LIST)], span=Span(start=AT - MINUTE))
    assert (found.flagged, found.counts["outside"]) == (0, 2)
    assert compared(FINE, span=Span(end=AT - 50 * MINUTE)).counts == {"other": 1, "outside": 5}


def test_an_upload_is_known_by_the_list_that_its_version_leads_to() -> None:
    arrival = Arrival(UPLOADS, "uploads/default/客户 13812345678.csv", "3/L4kqtJlcpXroDTDmJ", "e", "s", AT)
    assert thing_at(UPLOADS, arrival.key, arrival.version) == Thing("upload", arrival.list_id[-16:])
    began = event(Action.LIST_STARTED, AT, "function/sanitize", list_id=arrival.list_id)
    ended = event(Action.LIST_PUBLISHED, AT + 90 * MINUTE, "function/sanitize", list_id=arrival.list_id)
    reader = role(FUNCTIONS["Sanitize"])
    long = [
        record(AT + minute * MINUTE, reader, arrival.key, UPLOADS, version=arrival.version)
        for minute in range(0, 100, 10)
    ]
    assert compared(long, [began, ended]).findings == ()
    other = record(AT, reader, arrival.key, UPLOADS, version="another")
    assert flags(compared([other], [began, ended]))[0][:2] == ("read_unannounced", "upload")


def test_an_import_that_is_told_again_accounts_for_its_reads_in_between() -> None:
    arrival = Arrival(UPLOADS, "registry/default/consents/a.csv", "3/L4kqtJlcpXroDTDmJ", "e", "s", AT)
    about = {"principal": "function/import_registry", "list_id": arrival.list_id}
    began = event(Action.CONSENT_IMPORTED, AT, **about)
    ended = event(Action.REGISTRY_IMPORTED, AT + 90 * MINUTE, outcome=Outcome.SUCCESS, **about)
    reader = role(FUNCTIONS["ImportRegistry"])
    again = record(AT + 40 * MINUTE, reader, arrival.key, UPLOADS, version=arrival.version)
    assert compared([again], [began, ended]).findings == ()
    other = record(AT + 40 * MINUTE, reader, arrival.key, UPLOADS, version="another")
    assert flags(compared([other], [began, ended]))[0][:2] == ("read_unannounced", "register")


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "gzip cut off": gzip.compress(json.dumps({"Records": FINE}).encode())[:-20],
    "gzip altered": gzip.compress(json.dumps({"Records": FINE}).encode())[:40] + b"x" * 40,
    "no JSON": gzip.compress(b"Records"),
    "another object": gzip.compress(b'{"Others": []}'),
    "no end": gzip.compress(b'{"Records": [{"a": 1}'),
    "records of text": gzip.compress(b'{"Records": ["a"]}'),
    "a list of lists": gzip.compress(b'{"Records": ' + b"[" * 50_000),
    "no UTF-8": gzip.compress(b'{"Records": [{"a": "\xff"}]}'),
    "no time": gzip.compress(json.dumps({"Records": [{**FINE[1], "eventTime": "soon"}]}).encode()),
    "no identity": gzip.compress(
        json.dumps(
            {"Records": [{name: value for name, value in FINE[1].items() if name != "userIdentity"}]}
        ).encode()
    ),
    "a key that is none": gzip.compress(
        json.dumps({"Records": [{**FINE[1], "requestParameters": {"bucketName": CLEAN}}]}).encode()
    ),
    "a record without an end": gzip.compress(b'{"Records": [{"a": "' + b"x" * 3_000_000),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_broken_is_refused(case: str) -> None:
    with pytest.raises(AuditError, match="trail_damaged") as raised:
        list(reads_in(lambda: io.BytesIO(BROKEN[case]), 7, BUCKETS))
    assert "file 7 " in raised.value.message


@given(st.text(max_size=60))
@settings(max_examples=60, derandomize=True)
def test_no_key_agent_or_session_is_ever_told(key: str) -> None:
    found = compared([record(AT, EVE, f"lists/{key}-13812345678", userAgent=key)])
    assert "13812345678" not in repr(found)
    assert set(found.counts) == {"other"}


def test_hostile_words_are_told_as_plain_ones() -> None:
    hostile = role("eve\u001b[31m<script>")
    hostile["arn"] = f"arn:aws:sts::{ACCOUNT}:assumed-role/eve\u001b[31m<script>&13812345678/x"
    found = compared(
        [record(AT, hostile, OF_LIST), record(AT, {"type": "AWSService", "invokedBy": "\u001b"}, OF_LIST)]
    )
    words = {finding.principal for finding in found.findings}
    assert all(word.isascii() and word.isprintable() and "<" not in word for word in words)
    assert not any("13812345678" in word for word in words)


def test_ten_times_the_records_take_no_more_memory() -> None:
    one = json.dumps(record(AT, DELIVER, OF_LIST)).encode()

    def peak(count: int) -> int:
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
            file.write(b'{"Records": [' + one)
            for _ in range(count - 1):
                file.write(b", " + one)
            file.write(b"]}")
        data, told = buffer.getvalue(), announced()
        tracemalloc.start()
        try:
            found = reconcile(reads_in(lambda: io.BytesIO(data), 1, BUCKETS), told, CIRCLE, Span())
            assert found.counts["accounted"] == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(4_000) < 2 * peak(400) + 200_000


# What real functions read, as S3 would tell it


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionDesk]:
    with function_desk(monkeypatch) as made:
        yield made


def work(desk: FunctionDesk, shadow: Shadow) -> str:
    """A list made, looked at, delivered, fetched by its link, redeemed, recalled and traced."""
    caller = "arn:aws:iam::123456789012:role/marketing-upload"
    desk.agree("13812345678", "13912345678")
    sender = Sender("gate", "LIC-1", 4_000_000_000, ("marketing",), (Right.TOKENS,), registered_at=1)
    desk.workspace.senders.register(sender)
    wish = {"sender": "gate", "purpose": "marketing"}

    def as_function(name: str, act: Callable[[], Any]) -> Any:
        with shadow.at_work(FUNCTIONS[name]):
            return act()

    message = desk.put("uploads/default/客户.csv", b"phone\n13812345678\n13912345678\n")
    assert as_function("Sanitize", lambda: desk.deliver(sanitize, message)) == []
    desk.map(caller, Role.SENDER, Role.UPLOADER, Role.SECURITY, sender="gate")
    (made,) = as_function("Lists", lambda: desk.call(lists, "GET /lists")).document["lists"]
    as_function("Lists", lambda: desk.call(lists, f"GET /lists/{made['list_id']}"))
    delivery = as_function(
        "Deliver", lambda: desk.call(deliver, f"POST /lists/{made['list_id']}/deliveries", wish)
    ).document
    key = f"deliveries/default/{delivery['delivery']}/content"
    content = desk.cloud.clients.s3.get_object(Bucket=CLEAN, Key=key)["Body"].read().decode()
    last = shadow.records.pop()
    identity = role(FUNCTIONS["Deliver"])
    shadow.records.append(
        {**last, "userIdentity": identity, "additionalEventData": {"AuthenticationMethod": "QueryString"}}
    )
    tokens = {**wish, "tokens": content.splitlines()[1:]}
    answer = as_function("Redeem", lambda: desk.call(redeem, "POST /tokens/redeem", tokens))
    assert answer.document["results"][0]["phone"] == "+8613812345678"
    as_function("Recalls", lambda: desk.call(recalls, f"GET /deliveries/{delivery['delivery']}/recalls"))
    as_function("Trace", lambda: desk.call(trace, "POST /trace", {"phone": "13812345678"}))
    return str(delivery["delivery"])


def test_all_that_the_functions_read_is_accounted_for_and_a_strangers_read_among_it_is_not(
    desk: FunctionDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = Shadow(desk.cloud.clients)
    delivery_id = work(desk, shadow)
    trail = write_trail(tmp_path / "trail", shadow.records)
    kinds = {each["requestParameters"]["key"].split("/")[0] for each in shadow.records}
    assert {"uploads", "lists", "deliveries", "keys"} <= kinds
    monkeypatch.setattr(workspace, "Workspace", _Opened(desk))
    monkeypatch.setattr(type(desk.world), "function_roles", lambda _: CIRCLE.functions)
    said = command("audit", "reconcile", trail, "--stack", "demo", "--json")
    assert said.document["flagged"] == 0, said.document
    assert said.document["counts"]["accounted"] == said.document["counts"]["reads"] > 5
    assert desk.said("audit.reconciled")[-1]["status"] == "Success"
    shadow.records.append(record(AT, EVE, f"deliveries/default/{delivery_id}/content"))
    trail = write_trail(tmp_path / "trail", shadow.records)
    said = command("audit", "reconcile", trail, "--stack", "demo")
    assert (said.status, said.code) == (1, "reads_flagged")
    assert f"delivery {delivery_id} content  by role/123456-789012/eve" in said.out
    (failed,) = desk.said("audit.reconciled")[1:]
    assert (failed["status"], failed["status_code"]) == ("Failure", "reads_flagged")


class _Opened:
    """Stands where the command line looks for the class: opens this very stack."""

    def __init__(self, desk: FunctionDesk) -> None:
        self._desk = desk

    def open_stack(self, _name: str, _tenant: str, *, make: bool) -> Any:
        assert not make
        return self._desk.workspace


def test_a_trail_in_a_bucket_is_read_as_one_in_a_folder(tmp_path: Path) -> None:
    folder = write_trail(tmp_path, FINE)
    with cloud() as world:
        for path in folder.rglob("*.json.gz"):
            world.clients.s3.put_object(
                Bucket=UPLOADS, Key=f"trail/{path.relative_to(folder)}", Body=path.read_bytes()
            )
        files = list(S3Trail(world.clients.s3, UPLOADS, "trail/").files())
        there = [each for file in files for each in reads_in(file, 1, BUCKETS)]
        assert there == [each for file in files_in(folder) for each in reads_in(file, 1, BUCKETS)]
        assert len(there) == len(FINE)
        with pytest.raises(AuditError, match="trail_missing"):
            list(S3Trail(world.clients.s3, "no-such-bucket", "").files())


# A copy of the log


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    objects = ObjectFolder(tmp_path / "log")
    begin_log(objects, SIGNER, START)
    for each in TOLD:
        segments.append(objects, [each])
    Sealer(objects, SIGNER).seal(AT + 90 * MINUTE)
    assert len(list(all_entries(objects))) == len(TOLD)
    (tmp_path / "key").write_text(SIGNER.verifier.encode())
    return tmp_path


def reconciled(place: Path, *more: str, trail: Path | None = None) -> Said:
    named = [("--role", f"arn:aws:iam::{ACCOUNT}:role/service/{name}") for name in FUNCTIONS.values()]
    roles = [word for pair in named for word in pair]
    buckets = ("--uploads", UPLOADS, "--clean", CLEAN, "--account", ACCOUNT)
    key = ("--log", place / "log", "--public-key", place / "key")
    return command("audit", "reconcile", trail or place / "trail", *key, *buckets, *roles, *more)


def test_a_copy_of_the_log_and_of_the_trail_are_enough(copied: Path) -> None:
    write_trail(copied / "trail", FINE)
    said = reconciled(copied)
    assert said.status == 0
    assert "4 reads of uploads, lists and deliveries" in said.out
    assert "Every read was announced" in said.out
    assert "no log to write to" in said.err
    write_trail(copied / "trail", [*FINE, *(case for case, _ in CASES.values())])
    said = reconciled(copied, "--json")
    assert said.status == 1
    assert said.document["flagged"] == len({flagged for _, flagged in CASES.values()})
    assert {found["flag"] for found in said.document["findings"]} >= {"read_unannounced", "read_foreign"}
    assert "13812345678" not in said.out + said.err
    text = reconciled(copied)
    assert "read from another account" in text.out
    assert "13812345678" not in text.out + text.err


def test_what_is_missing_or_broken_is_said(copied: Path) -> None:
    assert "trail_missing" in reconciled(copied).err
    write_trail(copied / "trail", FINE)
    broken = min(path for path in (copied / "trail").rglob("*.json.gz") if is_trail_file(str(path)))
    broken.write_bytes(broken.read_bytes()[:-9])
    said = reconciled(copied)
    assert said.status == 1
    assert "trail_damaged: file 1 of the trail" in said.err
    assert reconciled(copied, "--until", "2020-01-01").status == 1
    assert command("audit", "reconcile", copied / "trail").code == "usage"
    assert command("audit", "reconcile", copied / "trail", "--log", copied / "log").status == 2
    bundle = next((copied / "log" / "tile" / "entries").rglob("[0-9]*.p/*"))
    bundle.write_bytes(bundle.read_bytes().replace(b"person.traced", b"person.erased"))
    assert "event_altered" in reconciled(copied).err
