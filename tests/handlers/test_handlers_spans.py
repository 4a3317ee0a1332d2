"""What functions tell X-Ray, as the daemon on loopback hears it from a process like Lambda's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CANARIES = ("13812345678", "王小明", "li.wei@example.com", "203.0.113.7", "客户名单", "demo-uploads")
HEADER = "Root=1-691ed4f4-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1"
WORK = """
import pytest
from contact_sanitizer.access import Role
from contact_sanitizer.errors import IntakeError
from contact_sanitizer.handlers import spans
from contact_sanitizer.handlers.record_choice import handler as record_choice
from contact_sanitizer.handlers.redeem import handler as redeem
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.handlers.trace import handler as trace
from contact_sanitizer.workspace import Workspace
from functiondesk import function_desk

ROLE = "arn:aws:iam::123456789012:role/marketing-upload"
ROWS = "phone,name\\n13812345678,王小明\\n12,li.wei@example.com\\n".encode()


def explode(*_arguments, **_named):
    raise ValueError("13812345678 王小明")


with pytest.MonkeyPatch.context() as patch, function_desk(patch) as desk:
    desk.agree("13812345678")
    assert desk.deliver(sanitize, desk.put("uploads/default/客户名单 13812345678.csv", ROWS)) == []
    reply = {"phone": "13812345678", "message": "TD"}
    assert desk.call(record_choice, "POST /optouts", reply).status == 200
    desk.map(ROLE, Role.SECURITY)
    assert desk.call(trace, "POST /trace", {"phone": "13812345678"}).status == 200
    patch.setattr(Workspace, "sanitize", explode)
    assert desk.deliver(sanitize, desk.put("uploads/default/b", ROWS)) == ["0"]
    ids = {"list_id": "13812345678", "phone": "13812345678"}
    with pytest.raises(IntakeError), spans.span(spans.Span.REDEEM, **ids):
        raise IntakeError("file_empty", "13812345678")
try:
    # the control: what the SDK does with an exception that it sees
    with spans._recorder.in_subsegment("control"):
        explode()
except ValueError:
    pass
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every part of a segment that the work of some functions led to."""
    script = tmp_path_factory.mktemp("work") / "work.py"
    script.write_text(WORK.replace("\\\\", "\\"), encoding="utf-8")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        daemon.bind(("127.0.0.1", 0))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(["functions", "tests"]),
            "LAMBDA_TASK_ROOT": str(script.parent),
            "_X_AMZN_TRACE_ID": HEADER,
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
        }
        command = [sys.executable, str(script)]
        done = subprocess.run(
            command, capture_output=True, env=environment, cwd=Path(__file__).parents[2], check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        daemon.settimeout(0.2)
        parts = []
        while True:
            try:
                parts.append(json.loads(daemon.recv(1 << 16).partition(b"\n")[2]))
            except TimeoutError:
                return parts


def test_each_part_of_the_work_is_a_span_with_its_ids_and_whether_it_failed(
    told: list[dict[str, Any]],
) -> None:
    names = [each["name"] for each in _all(told)]
    assert {"receive", "make list", "record choices", "trace", "redeem"} < set(names)
    failed = [each["name"] for each in _all(told) if each.get("fault")]
    assert {"make list", "redeem"} < set(failed)
    made = next(each for each in _all(told) if each["name"] == "make list")
    assert list(made["annotations"]) == ["list_id"]
    assert len(made["annotations"]["list_id"]) == 26
    (refused,) = [each for each in _all(told) if each["name"] == "redeem"]
    assert refused["annotations"] == {"list_id": "-"}


def test_nothing_personal_is_in_any_span_and_an_exception_would_have_been_seen(
    told: list[dict[str, Any]],
) -> None:
    ours = json.dumps([each for each in told if each["name"] != "control"], ensure_ascii=False)
    assert [canary for canary in CANARIES if canary in ours] == []
    assert "cause" not in ours
    (control,) = [each for each in told if each["name"] == "control"]
    text = json.dumps(control, ensure_ascii=False)
    assert all(canary in text for canary in CANARIES[:2])


def test_no_call_of_another_service_is_a_span(told: list[dict[str, Any]]) -> None:
    ours = {"receive", "make list", "record choices", "trace", "redeem", "control"}
    assert {each["name"] for each in _all(told)} == ours


def _all(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    inner = [each for part in parts for each in _all(part.get("subsegments", []))]
    return [*parts, *inner]
