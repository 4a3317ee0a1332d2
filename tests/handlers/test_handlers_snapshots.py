"""The function that keeps snapshots: whose turn it is, what a fault stops, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any

import pytest

from cloudworld import CLEAN, Faulty
from contact_sanitizer.aws import registry
from contact_sanitizer.aws.snapshotmaking import RESERVE_MILLISECONDS, Refreshed
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.handlers import snapshots as function
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.journal import Said, logger
from contact_sanitizer.handlers.record_choice import handler as record_choice
from contact_sanitizer.handlers.sanitize import handler as sanitize
from functiondesk import Context, FunctionDesk

TENANTS = ("acme", "beta", "default")
#: A run in which the first tenant by name has its turn first.
FIRST = 1_800_000_000_000 // (function.TURN * len(TENANTS)) * function.TURN * len(TENANTS)
PHONES = ("13812345678", "13912345678", "13712345678")
CANARY = PHONES[0]


@dataclass
class Makers:
    """Stands for every tenant's maker: what each was asked, what it answers, and how long it takes."""

    answers: dict[str, Refreshed | Exception] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    now: int = FIRST
    left: int = 900_000
    takes: int = 0

    def of(self, world: StackWorld) -> TenantsMaker:
        return TenantsMaker(self, world.tenant)

    def run(self) -> dict[str, int]:
        self.asked.clear()
        return function.handler({}, Remaining(makers=self))  # type: ignore[arg-type] # as much as is used

    @property
    def tenants(self) -> list[str]:
        return [tenant for tenant, _ in self.asked]


@dataclass(frozen=True)
class TenantsMaker:
    makers: Makers
    tenant: str

    def refresh(self, now: int, left: Callable[[], int]) -> Refreshed:
        assert left() == self.makers.left
        self.makers.asked.append((self.tenant, now))
        self.makers.left -= self.makers.takes
        answer = self.makers.answers.get(self.tenant, Refreshed(0, 0, 0))
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(frozen=True)
class Remaining(Context):
    makers: Makers = field(default_factory=Makers)

    def get_remaining_time_in_millis(self) -> int:
        return self.makers.left


@pytest.fixture
def makers(desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch) -> Makers:
    for tenant in TENANTS:
        desk.put(f"keys/{tenant}/keyring.json", b"{}", CLEAN)
    made = Makers()
    monkeypatch.setattr(function, "Maker", made.of)
    monkeypatch.setattr(stage, "CIRCUMSTANCES", replace(stage.CIRCUMSTANCES, clock=lambda: made.now))
    return made


@dataclass(frozen=True)
class Told:
    """What the function has written: the lines of its log, and its metrics by name."""

    lines: list[dict[str, object]]
    counts: dict[str, float]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], Told]:
    log = StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)

    def read() -> Told:
        written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        counts = {
            metric["Name"]: line[metric["Name"]][0]
            for line in written
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
        }
        return Told([json.loads(line) for line in log.getvalue().splitlines()], counts)

    return read


def test_every_tenant_is_looked_after_and_what_was_made_is_counted(
    makers: Makers, told: Callable[[], Told]
) -> None:
    makers.answers = {"acme": Refreshed(1, 2, 0), "default": Refreshed(3, 0, 1)}
    assert makers.run() == {"built": 4, "refreshed": 2, "paused": 1}
    assert makers.asked == [(tenant, FIRST // 1000) for tenant in TENANTS]
    assert told().counts == {"SnapshotsMade": 6.0}


def test_where_nothing_is_to_be_made_nothing_is_counted(makers: Makers, told: Callable[[], Told]) -> None:
    assert makers.run() == {"built": 0, "refreshed": 0, "paused": 0}
    assert told().counts == {}


def test_a_stack_without_tenants_has_nothing_to_do(desk: FunctionDesk) -> None:
    assert desk.tenant
    assert function.handler({}, Context())["built"] == 0  # type: ignore[arg-type] # as above


@pytest.mark.parametrize("failing", TENANTS)
def test_a_fault_with_one_tenant_keeps_no_other_from_its_turn_and_is_raised_at_the_end(
    makers: Makers, told: Callable[[], Told], failing: str
) -> None:
    makers.answers = dict.fromkeys(TENANTS, Refreshed(1, 0, 0))
    makers.answers[failing] = RegistryError("registry_unavailable", f"about {CANARY}")
    with pytest.raises(function.NotAllMade) as raised:
        makers.run()
    assert makers.tenants == list(TENANTS)
    said = told()
    assert said.counts == {"SnapshotsMade": 2.0}
    (line,) = said.lines
    assert (line["level"], line["said"], line["code"]) == ("WARNING", Said.UNMADE, "registry_unavailable")
    assert (str(raised.value), raised.value.__cause__, raised.value.__context__) == ("", None, None)


def test_what_nobody_foresaw_is_told_by_its_kind_and_place_alone(
    makers: Makers, told: Callable[[], Told]
) -> None:
    makers.answers["beta"] = ValueError(f"about {CANARY}")
    with pytest.raises(function.NotAllMade):
        makers.run()
    assert makers.tenants == list(TENANTS)
    said = told()
    assert said.counts == {"UnexpectedErrors": 1.0}
    (line,) = said.lines
    assert (line["said"], line["error"]) == (Said.UNEXPECTED, "ValueError")
    assert CANARY not in json.dumps(said.lines)


def test_no_tenant_is_begun_with_too_little_time_left_and_that_is_no_fault(
    makers: Makers, told: Callable[[], Told]
) -> None:
    makers.takes = 900_000 - RESERVE_MILLISECONDS + 1
    makers.answers["acme"] = Refreshed(0, 1, 1)
    assert makers.run() == {"built": 0, "refreshed": 1, "paused": 1}
    assert makers.tenants == ["acme"]
    assert [line["said"] for line in told().lines] == [Said.PAUSED]


def test_who_had_no_turn_has_the_next_one(makers: Makers) -> None:
    makers.takes = 900_000
    begun = []
    for turn in range(4):
        makers.now, makers.left = FIRST + turn * function.TURN, 900_000
        makers.run()
        begun += makers.tenants
    assert begun == ["acme", "beta", "default", "acme"]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every list counts as a large one."""
    monkeypatch.setattr(registry, "LARGE_FILE", 1)


def made(desk: FunctionDesk, name: str, *phones: str) -> dict[str, Any]:
    """The manifest of a list of these people, as its upload leads to it."""
    before = set(listed(desk))
    rows = "".join(f"{phone}\n" for phone in phones)
    assert desk.deliver(sanitize, desk.put(f"uploads/default/{name}", f"phone\n{rows}".encode())) == []
    (list_id,) = set(listed(desk)) - before
    manifest: dict[str, Any] = json.loads(desk.clean(list_id, "manifest.json"))
    return manifest


def listed(desk: FunctionDesk) -> list[str]:
    found = desk.cloud.clients.s3.list_objects_v2(Bucket=CLEAN, Prefix="lists/default/")
    keys = [each["Key"] for each in found.get("Contents", [])]
    return [key.split("/")[2] for key in keys if key.endswith("/manifest.json")]


@pytest.mark.usefixtures("large")
def test_what_a_list_asked_for_is_made_and_the_next_list_reads_it(
    desk: FunctionDesk, told: Callable[[], Told]
) -> None:
    desk.agree(*PHONES)
    assert run()["built"] == 0
    first = made(desk, "a", *PHONES)
    assert first["registry_as_of"]["snapshot"] is None
    assert run() == {"built": 1, "refreshed": 0, "paused": 0}
    refuse(desk, PHONES[0])
    second = made(desk, "b", *PHONES)
    assert second["registry_as_of"]["snapshot"]
    assert (first["counts"]["kept"], second["counts"]["kept"]) == (3, 2)
    assert run() == {"built": 0, "refreshed": 0, "paused": 0}
    said = told()
    assert said.counts["SnapshotsMade"] == 1.0
    assert not [phone for phone in PHONES if phone in json.dumps(said.lines)]


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("operation", ["Query", "PutObject"])
def test_a_service_that_fails_is_a_fault_and_the_next_run_makes_up_for_it(
    desk: FunctionDesk, told: Callable[[], Told], operation: str
) -> None:
    desk.agree(*PHONES)
    made(desk, "a", *PHONES)
    failing = ["before denied"]
    # the function's own connections, as its process keeps them
    Faulty(stage.clients(), lambda called, _: failing[0] if called == operation else "")
    with pytest.raises(function.NotAllMade):
        run()
    failing[0] = ""
    assert CANARY not in json.dumps(told().lines)
    assert run()["built"] == 1
    assert made(desk, "b", *PHONES)["registry_as_of"]["snapshot"]


def refuse(desk: FunctionDesk, phone: str) -> None:
    assert desk.call(record_choice, "POST /optouts", {"phone": phone, "message": "TD"}).status == 200


def run() -> dict[str, int]:
    return function.handler({}, Context())  # type: ignore[arg-type] # as above
