"""A stack whose audit log takes an event no more: what that event announces does not happen."""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloudworld import CLEAN
from commands import command
from contact_sanitizer.access import Role
from contact_sanitizer.audit.actions import Action
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.copies import system_clock
from contact_sanitizer.delivery.senders import Quotas, Right, Sender
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.api import Handler
from contact_sanitizer.handlers.deliver import handler as deliver
from contact_sanitizer.handlers.import_registry import handler as import_registry
from contact_sanitizer.handlers.lists import handler as lists
from contact_sanitizer.handlers.notices import handler as notices
from contact_sanitizer.handlers.recalls import handler as recalls
from contact_sanitizer.handlers.record_choice import handler as record_choice
from contact_sanitizer.handlers.redeem import handler as redeem
from contact_sanitizer.handlers.request_upload import handler as request_upload
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.handlers.show_upload import handler as show_upload
from contact_sanitizer.handlers.trace import handler as trace
from contact_sanitizer.policy_text import DEFAULT_POLICY
from contact_sanitizer.screening.suppression import SuppressionReason
from faultdesk import KEY, ROWS, FaultDesk, arrival_of
from functiondesk import Context
from memorycloud import MemoryCloud
from trailcast import record, role, write_trail
from unaudited import log_lost_at

ROLE = "arn:aws:iam::123456789012:role/marketing-upload"
PHONES = ("13812345678", "13912345678", "13612345678", "13712345678")
SENDER = Sender(
    "gate",
    "LIC-1",
    4_000_000_000,
    purposes=("marketing",),
    rights=(Right.TOKENS,),
    quotas=Quotas(redemptions_a_day=5),
    registered_at=1,
)
WISH = {"sender": "gate", "purpose": "marketing"}
CHOICE = {"phone": "13512345678", "purpose": "marketing", "channel": "sms"}
UPLOADING = ("default#upload", "work/")
CAME_BACK = "came back"
BUS = "demo-notices"
FAULTS = ("denied", "500", "timeout")
FULL = bool(os.environ.get("CONTACT_SANITIZER_CLOUD_FAULTS"))


@dataclass(frozen=True)
class Ended:
    """How a use case ended: its code, empty where it did what it was asked for, and what it showed."""

    code: str
    shown: str


@dataclass
class Scene:
    """A stack with people, a list, a sender, a delivery with a recall, a dead letter and a key of before."""

    faults: FaultDesk
    folder: Path
    list_id: str = ""
    delivery: str = ""
    tokens: tuple[str, ...] = ()
    key: int = 0

    def call(self, handler: Handler, route: str, body: Any = None, **iam: str) -> Ended:
        route = route.format(list=self.list_id, delivery=self.delivery)
        if isinstance(body, dict) and "tokens" in body:
            body = body | {"tokens": [*self.tokens]}
        answer = self.faults.desk.call(handler, route, body, **iam)
        if answer.status < 300:
            return Ended("", answer.text)
        assert (answer.status == 503) is (answer.document["code"] == "audit_unwritable"), answer.text
        return Ended(answer.document["code"], "")

    def take(self, handler: Handler, key: str, content: bytes) -> Callable[[], Ended]:
        """Puts the object now, for the function to take later."""
        message = self.faults.desk.put(key, content)
        return lambda: Ended(CAME_BACK if self.faults.desk.deliver(handler, message) else "", "")

    def command(self, words: str, give: str = "") -> Ended:
        said = command(*words.format(folder=self.folder, key=self.key).split(), give=give.encode() + b"\n")
        return Ended(said.end.code if said.status else "", said.out)


@dataclass(frozen=True)
class Case:
    """A use case, and the action of which the log is not told.

    `before`: that was done as the events before it say, under keys that begin like this. `fails`: how it ends
    where the log takes everything. `look`: it only tells something.
    """

    action: Action
    do: Callable[[Scene], Ended]
    before: tuple[str, ...] = ()
    fails: str = ""
    look: bool = False
    put: tuple[Handler, str, bytes] | None = None
    refused: str = "audit_unwritable"

    def ready(self, scene: Scene) -> Callable[[], Ended]:
        """What is left to do, when what it needs is there."""
        return scene.take(*self.put) if self.put else partial(self.do, scene)


def api(action: Action, handler: Handler, route: str, body: Any = None, **more: Any) -> Case:
    iam = more.pop("iam", {})
    return Case(action, lambda scene: scene.call(handler, route, body, **iam), **more)


def cli(action: Action, words: str, give: str = "", **more: Any) -> Case:
    return Case(action, lambda scene: scene.command(f"--stack demo {words}", give), **more)


def queued(action: Action, handler: Handler, key: str, content: bytes, **more: Any) -> Case:
    put = handler, key, content
    return Case(action, lambda _scene: Ended("", ""), put=put, refused=CAME_BACK, **more)


def notify(scene: Scene) -> Ended:
    """The function that tells senders of recalls; what it could not tell it tells the next time."""
    scene.faults.calls.begin()
    told = notices({}, Context())["told"]  # type: ignore[arg-type] # as much as is used
    assert ("PutEvents" in scene.faults.calls.sent) is bool(told)
    return Ended("" if told else CAME_BACK, "")


IMPORTED = ("default#import", "default#head", "default#p#", "default#change")
MADE = ("default#list", "default#used", "lists/", *UPLOADING)
CASES = [
    cli(Action.HOME_CREATED, "--tenant new init"),
    api(Action.UPLOAD_REQUESTED, request_upload, "POST /uploads", {}),
    api(Action.UPLOAD_SHOWN, show_upload, "GET /uploads/{list}", look=True),
    api(Action.LIST_SHOWN, lists, "GET /lists/{list}", look=True),
    queued(Action.LIST_STARTED, sanitize, KEY, ROWS, before=UPLOADING),
    queued(Action.LIST_PUBLISHED, sanitize, KEY, ROWS, before=("default#list", *UPLOADING)),
    queued(Action.LIST_FAILED, sanitize, KEY, b"a,b\n1,2\n", before=("default#list", *UPLOADING)),
    queued(Action.UPLOAD_DENIED, sanitize, KEY, b"a,b\n1,2\n", before=("default#list", *UPLOADING)),
    queued(Action.UPLOAD_DELETED, sanitize, KEY, ROWS, before=MADE),
    queued(
        Action.CONSENT_IMPORTED,
        import_registry,
        "registry/default/consents/a.csv",
        b"phone,purpose,channel\n13512345678,marketing,sms\n",
        before=("default#import",),
    ),
    queued(
        Action.BLOCK_IMPORTED,
        import_registry,
        "registry/default/blocks/a.csv",
        b"phone\n13512345678\n",
        before=("default#import",),
    ),
    queued(
        Action.REGISTRY_IMPORTED,
        import_registry,
        "registry/default/blocks/a.csv",
        b"phone\n13512345678\n",
        before=IMPORTED,
    ),
    queued(
        Action.UPLOAD_DELETED,
        import_registry,
        "registry/default/blocks/a.csv",
        b"phone\n13512345678\n",
        before=IMPORTED,
    ),
    api(
        Action.CONSENT_RECORDED,
        record_choice,
        "POST /consents",
        {"items": [CHOICE | {"status": "granted"}]},
    ),
    api(
        Action.CONSENT_WITHDRAWN,
        record_choice,
        "POST /consents",
        {"items": [CHOICE | {"status": "withdrawn"}]},
    ),
    api(
        Action.OPTOUT_RECORDED,
        record_choice,
        "POST /optouts",
        {"phone": PHONES[0], "message": "TD", "sender": "gate"},
    ),
    api(
        Action.OPTOUT_RECORDED,
        record_choice,
        "POST /optouts",
        {"phone": PHONES[0], "message": "perhaps", "sender": "gate"},
    ),
    cli(Action.BLOCK_ADDED, "block add -", PHONES[0]),
    cli(Action.BLOCK_REMOVED, "block remove - --why mistaken", PHONES[2]),
    cli(Action.PERSON_SHOWN, "consent show -", PHONES[0], look=True),
    cli(Action.KEY_ROTATED, "keys rotate"),
    cli(Action.KEY_DESTROYED, "keys destroy {key} --yes"),
    cli(Action.SENDER_REGISTERED, "senders add other --licence X1 --until 2027-12-31 --purpose marketing"),
    cli(Action.SENDER_REVOKED, "senders revoke gate"),
    cli(Action.POLICY_CHANGED, "policy put {folder}/policy.yaml --as spring"),
    cli(Action.PRINCIPAL_ADMITTED, "principals add arn:aws:iam::123456789012:role/other --role uploader"),
    cli(Action.PRINCIPAL_REMOVED, f"principals remove {ROLE}"),
    cli(Action.QUEUE_REDRIVEN, "redrive --all"),
    api(Action.DELIVERY_BEGUN, deliver, "POST /lists/{list}/deliveries", WISH),
    api(
        Action.DELIVERY_PUBLISHED,
        deliver,
        "POST /lists/{list}/deliveries",
        WISH | {"format": "jsonl"},
        # A note of whose numbers the tokens are lies there before anybody can redeem them.
        before=("default#used", "default#content", "default#delivery", "deliveries/default/"),
    ),
    api(
        Action.DELIVERY_DENIED,
        deliver,
        "POST /lists/{list}/deliveries",
        WISH | {"purpose": "service"},
        fails="purpose_refused",
    ),
    api(
        Action.TOKENS_REDEEMED,
        redeem,
        "POST /tokens/redeem",
        WISH | {"tokens": []},
        # A redemption that was not answered may be counted: a quota errs on the side of whom it protects.
        before=("default#counter",),
    ),
    api(
        Action.TOKENS_DENIED,
        redeem,
        "POST /tokens/redeem",
        WISH | {"tokens": [], "purpose": "service"},
        fails="purpose_refused",
    ),
    api(Action.RECALLS_FOUND, recalls, "GET /deliveries/{delivery}/recalls"),
    api(
        Action.RECALLS_SHOWN,
        recalls,
        "GET /deliveries/{delivery}/recalls",
        before=("default#recall",),
        look=True,
    ),
    api(Action.RECALLS_ACKNOWLEDGED, recalls, "POST /deliveries/{delivery}/recalls/ack", {"cursor": 0}),
    api(
        Action.RECALLS_DENIED,
        recalls,
        "POST /deliveries/{delivery}/recalls/ack",
        {"cursor": 9},
        fails="cursor_refused",
    ),
    api(Action.PERSON_TRACED, trace, "POST /trace", {"phone": PHONES[0]}, look=True),
    api(
        Action.ACCESS_DENIED,
        trace,
        "POST /trace",
        {"phone": PHONES[0]},
        iam={"userArn": "arn:aws:iam::210987654321:role/nobody", "accountId": "210987654321"},
        fails="not_allowed",
    ),
    cli(Action.PERSON_ERASED, "erase -", PHONES[0]),
    Case(Action.RECALLS_NOTIFIED, notify, before=("default#recall",), refused=CAME_BACK),
    cli(Action.AUDIT_VERIFIED, "audit verify", look=True),
    cli(Action.AUDIT_RECONCILED, "audit reconcile {folder}/trail", fails="reads_flagged"),
    cli(Action.AUDIT_REPORTED, "audit report --html {folder}/page.html", look=True),
]
ELSEWHERE = frozenset({Action.DELIVERY_FAILED, Action.AUDIT_REKEYED, Action.LIST_FORGOTTEN})
"""What the suite of homes shows; the use case is the same."""


@pytest.fixture
def scene(faults: FaultDesk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    desk, sqs = faults.desk, faults.desk.cloud.clients.sqs
    queue, letters = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("queue", "letters"))
    desk.settings = replace(desk.settings, sanitize_queue=queue, sanitize_dead_letters=letters)
    desk.workspace.senders.register(SENDER)
    key = desk.workspace.keyring.primary.id
    desk.workspace.rotate_keys()
    desk.map(ROLE, *Role, sender="gate")
    (tmp_path / "policy.yaml").write_text(DEFAULT_POLICY)
    read = record(system_clock(), role("eve"), "lists/default/01M7ZT0DJDF2J8BMSQKKBD2K7R/clean.csv")
    write_trail(tmp_path / "trail", [read])
    desk.cloud.clients.events.create_event_bus(Name=BUS)
    monkeypatch.setenv("CS_NOTICE_BUS", BUS)
    stage.settings.cache_clear()
    monkeypatch.setattr(StackWorld, "function_roles", lambda _: frozenset[str]())
    monkeypatch.setattr(
        "contact_sanitizer.aws.opening.open_stack",
        lambda _name, tenant: (StackWorld(desk.settings, desk.cloud.clients, tenant), "tester"),
    )
    made = desk.put(KEY, ROWS)
    assert faults.attempt(made)
    sqs.send_message(QueueUrl=letters, MessageBody=json.dumps(desk.put("uploads/default/dead.csv", ROWS)))
    found = Scene(faults, tmp_path, arrival_of(made).list_id, key=key)
    answer = desk.call(deliver, f"POST /lists/{found.list_id}/deliveries", WISH)
    assert answer.status == 200, answer.text
    found.delivery = answer.document["delivery"]
    content = f"deliveries/default/{found.delivery}/content"
    assert content in urllib.parse.unquote(answer.document["url"])
    lines = desk.cloud.clients.s3.get_object(Bucket=CLEAN, Key=content)["Body"].read().decode().splitlines()
    found.tokens = tuple(lines[1:])
    people = desk.workspace.desk("CN")
    # Found by nobody yet: who looks for recalls notes it.
    people.block(people.person(PHONES[1]), "tenant", SuppressionReason.OPTED_OUT)
    desk.world.audit.seal(system_clock(), {})
    return found


def lose(faults: FaultDesk, kind: str) -> None:
    faults.calls.audit_log = kind


def check_refused(case: Case, scene: Scene, kind: str) -> None:
    faults, do = scene.faults, case.ready(scene)
    before = faults.held(case.before)
    try:
        with log_lost_at(case.action, partial(lose, faults, kind)) as heard:
            ended = do()
    finally:
        lose(faults, "")
    assert case.action in heard, heard
    assert ended == Ended(case.refused, "")
    assert sorted(entry[:2] for entry in faults.held(case.before) ^ before) == []


def check_done(case: Case, scene: Scene) -> None:
    faults, do = scene.faults, case.ready(scene)
    before, announced = faults.held(), len(faults.desk.said(case.action))
    ended = do()
    assert ended.code == case.fails
    assert len(faults.desk.said(case.action)) > announced
    if case.look:
        assert ended.shown
    elif not case.fails:
        assert faults.held() != before


@pytest.mark.parametrize(
    ("faults", "kind"),
    [*(("quick", kind) for kind in FAULTS), *(("stubbed", kind) for kind in FAULTS[: 3 if FULL else 1])],
    indirect=["faults"],
)
def test_what_cannot_be_announced_does_not_happen(
    scene: Scene, account: MemoryCloud, request: pytest.FixtureRequest, kind: str
) -> None:
    in_memory = "quick" in request.node.callspec.id
    failed: list[tuple[Action, str]] = []
    for case in CASES:
        start = account.state()
        try:
            check_refused(case, scene, kind)
            account.bring_back(start)
            if in_memory:
                check_done(case, scene)
                account.bring_back(start)
        except AssertionError as error:
            failed.append((case.action, str(error)[:500]))
    assert failed == []


def test_every_action_has_a_case_and_who_adds_one_adds_its_case() -> None:
    assert {case.action for case in CASES} | ELSEWHERE == {*Action}
