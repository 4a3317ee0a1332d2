"""`audit report` on a stack: what its own function sealed, verified with the key that KMS knows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from commands import Said, command
from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.handlers.journal import metrics
from contact_sanitizer.handlers.record_choice import handler as record_choice
from contact_sanitizer.handlers.seal import handler as seal
from functiondesk import Context, FunctionDesk, function_desk


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionDesk]:
    with function_desk(monkeypatch) as made:
        monkeypatch.setattr(StackSettings, "from_outputs", lambda *_: made.settings)
        monkeypatch.setattr("contact_sanitizer.aws.opening.Clients", partial(Clients, "eu-central-1"))
        monkeypatch.setattr(metrics, "flush_metrics", metrics.clear_metrics)
        yield made


def report(*arguments: str | Path) -> Said:
    return command("--stack", "demo", "audit", "report", *arguments)


def test_a_stack_reports_what_is_sealed_and_says_what_waits(desk: FunctionDesk, tmp_path: Path) -> None:
    _ = desk.workspace
    reply = {"phone": "13812345678", "message": "TD", "asked_at": "2020-01-01T08:00:00+08:00"}
    assert desk.call(record_choice, "POST /optouts", reply).status == 200
    wrong = reply | {"asked_at": "2999-01-01T00:00:00Z"}
    assert desk.call(record_choice, "POST /optouts", wrong).status == 200
    assert desk.call(record_choice, "POST /optouts", reply | {"asked_at": "yesterday"}).status == 400
    seal({}, Context())  # type: ignore[arg-type] # as much as is used
    desk.call(record_choice, "POST /optouts", {"phone": "13812345678", "message": "R"})
    page = tmp_path / "report.html"
    said = report("--html", page, "--json").document
    assert said["verification"]["keys_from"] == "world"
    assert said["verification"]["seal_interval_seconds"] == 60
    assert said["verification"]["waiting"] == 1
    assert "not sealed yet" in " ".join(said["notes"])
    opt_outs = said["registry"]["handling"]["opt_outs"]
    assert (opt_outs["count"], opt_outs["timed"], opt_outs["without_asked_at"]) == (2, 1, 1)
    assert [event["metadata"]["uid"] for event in desk.audit if _is_report(event)] == [said["event"]]
    assert "13812345678" not in page.read_text()


def test_a_stack_whose_seal_never_ran_is_said_to_have_no_log(desk: FunctionDesk, tmp_path: Path) -> None:
    assert desk.settings
    said = report("--html", tmp_path / "report.html")
    assert said.code == "checkpoint_missing"
    assert "This log does not verify" in (tmp_path / "report.html").read_text()


def _is_report(event: dict[str, dict[str, object]]) -> bool:
    return event["api"]["operation"] == "audit.reported"
