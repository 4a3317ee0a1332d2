"""The command line on a stack: the API on loopback, answered by the functions themselves."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from commands import Said, command
from contact_sanitizer.access import Role
from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.cli import upload as upload_module
from contact_sanitizer.handlers.journal import metrics
from contact_sanitizer.handlers.request_upload import handler as request_upload
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.handlers.show_upload import handler as show_upload
from contact_sanitizer.handlers.trace import handler as trace
from contact_sanitizer.policy_text import DEFAULT_POLICY
from contact_sanitizer.uploading import Uploads, UploadState
from functiondesk import FunctionDesk, event, function_desk

ARN = "arn:aws:iam::123456789012:role/marketing-upload"
LIST = "phone\n13812345678\n13912345678\n12\n"


class Gate(BaseHTTPRequestHandler):
    """The API and the store of forms, over HTTP."""

    desk: FunctionDesk
    refusing: int = 0
    signed: list[str]

    def do_GET(self) -> None:
        self._answer(show_upload)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/form":
            self._store(body)
        else:
            self._answer(trace if self.path == "/trace" else request_upload, body.decode())

    def _answer(self, handler: Any, body: str | None = None) -> None:
        self.signed.append(self.headers["Authorization"])
        sample = event("http_iam_role")
        sample["requestContext"]["http"] |= {"method": self.command, "path": self.path}
        sample |= {"rawPath": self.path, "body": body}
        answer = self.desk.send(handler, sample)
        text = answer.text
        if answer.status == 200 and "fields" in text:
            text = json.dumps(answer.document | {"url": f"http://{self.headers['Host']}/form"})
        self._say(answer.status, text)

    def _store(self, body: bytes) -> None:
        if self.refusing:
            self._say(self.refusing, "<Error><Message>13812345678</Message></Error>")
            return
        boundary = self.headers["Content-Type"].partition("boundary=")[2].encode()
        parts = body.split(b"--" + boundary)[1:-1]
        fields = {}
        for part in parts:
            head, _, value = part.strip(b"\r\n").partition(b"\r\n\r\n")
            fields[re.findall(rb'name="([^"]+)"', head)[0].decode()] = value
        assert list(fields)[-1] == "file", "S3 looks at no field behind the file"
        message = self.desk.put(fields["key"].decode(), fields["file"])
        self._say(201, "")
        assert self.desk.deliver(sanitize, message) == []

    def _say(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class names it
        """Nothing."""


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Gate]]:
    """A stack whose API listens on loopback."""
    with function_desk(monkeypatch) as desk:
        letters, queue = (
            desk.cloud.clients.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("letters", "queue")
        )
        desk.settings = replace(desk.settings, sanitize_queue=queue, sanitize_dead_letters=letters)
        monkeypatch.setattr(StackSettings, "from_outputs", lambda *_: desk.settings)
        monkeypatch.setattr("contact_sanitizer.aws.opening.Clients", partial(Clients, "eu-central-1"))
        # The functions' own output is not the command's.
        monkeypatch.setattr(metrics, "flush_metrics", metrics.clear_metrics)
        monkeypatch.setattr(upload_module, "_PAUSES", (0.01,))
        made = type("Gate", (Gate,), {"desk": desk, "signed": []})
        server = ThreadingHTTPServer(("127.0.0.1", 0), made)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("CONTACT_SANITIZER_API_URL", f"http://127.0.0.1:{server.server_port}")
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def on_stack(*arguments: str | Path, give: bytes | None = None) -> Said:
    return command("--stack", "demo", *arguments, give=give)


def test_a_list_is_uploaded_waited_for_and_summed_up(gate: type[Gate], tmp_path: Path) -> None:
    gate.desk.agree("13812345678")
    file = tmp_path / "13812345678.csv"
    file.write_text(LIST)
    said = on_stack("upload", file)
    assert said.status == 0, said
    assert "kept                 1   33.3%" in said.out
    assert "rejects.csv" in said.out
    assert "13812" not in said.out + said.err
    assert all(one.startswith("AWS4-HMAC-SHA256 ") and "/execute-api/" in one for one in gate.signed)
    shown = on_stack("lists", "--json").document["lists"]
    assert [entry["state"] for entry in shown] == ["made"]
    whole = on_stack("lists", "show", shown[0]["list_id"]).document
    assert whole["counts"]["kept"] == 1


@pytest.mark.parametrize(("content", "code"), [("a,b\n1,2\n", "phone_column_missing"), ("", "file_empty")])
def test_a_refused_upload_fails_with_its_reason(
    gate: type[Gate], tmp_path: Path, content: str, code: str
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(content)
    said = on_stack("upload", file)
    assert said.code == "upload_refused"
    assert code in said.err
    assert gate.desk.said("upload.denied")


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_form_that_is_refused_is_told_without_the_store_s_words(
    gate: type[Gate], tmp_path: Path, status: int
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    gate.refusing = status
    said = on_stack("upload", file)
    assert said.code == "upload_failed"
    assert "13812" not in said.err


def test_what_cannot_be_uploaded_is_told(gate: type[Gate], tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    assert command("upload", file, home=tmp_path / "home").code == "request_invalid"
    assert on_stack("run", file).code == "request_invalid"
    assert on_stack("upload", tmp_path / "none.csv").code == "file_missing"
    assert on_stack("upload", file, "--policy", "none-such").code == "upload_refused"
    gate.desk.map(ARN, Role.SENDER)
    assert on_stack("upload", file).code == "not_allowed"


def test_an_api_that_is_not_there_is_told(
    gate: type[Gate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gate.desk
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    monkeypatch.setattr("contact_sanitizer.aws.signedapi._RETRY", 0)
    monkeypatch.setenv("CONTACT_SANITIZER_API_URL", "http://127.0.0.1:9")
    assert on_stack("upload", file).code == "upload_failed"
    monkeypatch.setenv("CONTACT_SANITIZER_API_URL", "")
    assert on_stack("upload", file).code == "stack_unavailable"


def test_the_commands_of_a_home_work_on_a_stack(gate: type[Gate], tmp_path: Path) -> None:
    assert on_stack("keys", "list").code == "keyring_missing"
    assert on_stack("init").status == 0
    old, new = on_stack("keys", "rotate", "--json").document["keys"]
    assert on_stack("keys", "destroy", str(new["id"]), "--yes").end.code == "key_refused"
    for again in (False, True):
        said = on_stack("keys", "destroy", str(old["id"]), "--yes", "--json").document
        assert said["already_destroyed"] is again
        assert [key["status"] for key in said["keys"]] == ["destroyed", "primary"]
    words = ["--purpose", "marketing", "--channel", "sms"]
    assert on_stack("consent", "record", "-", *words, give=b"13812345678\n").status == 0
    assert on_stack("block", "add", "-", give=b"13912345678\n").status == 0
    assert on_stack("optout", "TD", "--from", "-", give=b"13712345678\n").status == 0
    shown = on_stack("consent", "show", "-", "--json", give=b"13812345678\n").document
    assert [entry["status"] for entry in shown["consents"]] == ["granted"]
    consents = tmp_path / "consents.csv"
    consents.write_text("phone,purpose,channel\n13612345678,marketing,sms\n")
    assert on_stack("consent", "import", consents, "--json").document["by_outcome"] == {"recorded": 1}
    assert {said["metadata"]["tenant_uid"] for said in gate.desk.audit} == {"default"}


def test_security_traces_by_the_api_leaf_after_leaf(gate: type[Gate], tmp_path: Path) -> None:
    gate.desk.agree("13812345678")
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"phone\n13812345678\n{name}\n")
        assert on_stack("upload", tmp_path / name).status == 0
    gate.desk.map(ARN, Role.SECURITY)
    gate.desk.left = 1_000
    said = on_stack("trace", "-", give=b"13812345678\n")
    assert (said.status, said.out.count("row 2 kept")) == (0, 2), said
    assert "Lists looked into: 2." in said.out
    assert len(gate.desk.said("person.traced")) == 4
    document = on_stack("trace", "-", "--json", give=b"13812345678\n").document
    assert (document["lists_read"], len(document["lists"]), document["next"]) == (2, 2, None)
    assert "13812" not in said.out + said.err
    assert "Nothing is known" in on_stack("trace", "-", give=b"13912345678\n").out
    assert on_stack("trace", "-", give=b"12\n").code == "request_invalid"
    gate.desk.map(ARN, Role.UPLOADER)
    assert on_stack("trace", "-", give=b"13812345678\n").code == "not_allowed"


def test_a_token_of_an_identity_provider_goes_in_place_of_a_signature(
    gate: type[Gate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list").write_text(LIST)
    monkeypatch.setenv("CONTACT_SANITIZER_API_TOKEN", "head.claims.signature")
    assert on_stack("upload", tmp_path / "list").status == 0
    assert set(gate.signed) == {"Bearer head.claims.signature"}


def test_a_tenant_that_nobody_made_has_no_world(gate: type[Gate]) -> None:
    assert gate.desk
    assert on_stack("--tenant", "mistyped", "keys", "list").code == "keyring_missing"
    assert on_stack("--tenant", "t13812345678", "keys", "list").code == "tenant_invalid"


def test_a_policy_is_put_for_uploads_to_come(gate: type[Gate], tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(DEFAULT_POLICY)
    assert on_stack("policy", "put", file, "--as", "spring").status == 0
    assert gate.desk.world.policies.get("spring").sha256
    assert [said["api"]["operation"] for said in gate.desk.audit] == ["policy.changed"]
    assert on_stack("policy", "put", file, "--as", "../x").code == "policy_missing"
    file.write_text("13812345678")
    assert "13812" not in on_stack("policy", "put", file).err
    assert command("policy", "put", file, home=tmp_path / "home").status == 1


def test_principals_are_written_down_and_removed(gate: type[Gate]) -> None:
    session = "arn:aws:sts::123456789012:assumed-role/marketing-upload/li.wei@example.com"
    assert on_stack("principals", "add", session, "--role", "uploader", "--tenant", "brand-a").status == 0
    (entry,) = on_stack("principals", "--json").document["principals"]
    assert entry == {"name": ARN, "tenant": "brand-a", "roles": ["uploader"], "sender": ""}
    assert on_stack("principals", "remove", ARN).status == 0
    assert on_stack("principals", "--json").document["principals"] == []
    assert gate.desk.call(request_upload, "POST /uploads", {}).status == 403
    assert on_stack("principals", "add", "13812345678", "--role", "uploader").code == "principal_invalid"
    scopes = [said["unmapped"].get("scope") for said in gate.desk.audit[:2]]
    assert scopes == ["role/123456-789012/marketing-upload"] * 2


def test_dead_letters_are_shown_without_their_keys_and_tried_again(gate: type[Gate]) -> None:
    desk, sqs = gate.desk, gate.desk.cloud.clients.sqs
    letters, queue = desk.settings.sanitize_dead_letters, desk.settings.sanitize_queue
    message = desk.put("uploads/default/13812345678.csv", LIST.encode())
    elsewhere = desk.put("uploads/other/13812345678.csv", LIST.encode())
    for body in (json.dumps(message), json.dumps(elsewhere), "13812345678"):
        sqs.send_message(QueueUrl=letters, MessageBody=body)
    found = on_stack("redrive", "--json")
    assert "13812" not in found.out
    assert [case["reason"] for case in found.document["messages"]] == ["not_begun", "message_invalid"]
    assert "not_begun" in on_stack("redrive").out
    assert on_stack("redrive", "--message", "none", "--json").document == {"moved": 0}
    assert on_stack("redrive", "--all", "--json").document == {"moved": 1}
    (moved,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(moved["Body"]) == message
    assert [said["unmapped"]["counts"] for said in desk.said("queue.redriven")] == [{"messages": 1}]
    assert len(on_stack("redrive", "--json").document["messages"]) == 1
    assert desk.deliver(sanitize, moved["Body"]) == []


def test_why_an_upload_waits_is_shown_beside_its_letter(gate: type[Gate]) -> None:
    desk = gate.desk
    message = desk.put("uploads/default/a.csv", LIST.encode())
    assert desk.deliver(sanitize, message) == []
    (record,) = desk.world.records.named("upload")
    waiting = partial(replace, state=UploadState.WAITING, code="registry_unavailable")
    Uploads(desk.world.records).change(record.name, waiting)
    desk.cloud.clients.sqs.send_message(
        QueueUrl=desk.settings.sanitize_dead_letters, MessageBody=json.dumps(message)
    )
    (case,) = on_stack("redrive", "--json").document["messages"]
    assert (case["state"], case["reason"]) == ("waiting", "registry_unavailable")


def test_waiting_ends_at_its_time(gate: type[Gate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    monkeypatch.setattr(gate, "_store", lambda self, _body: self._say(201, ""))
    sent = on_stack("upload", file, "--wait", "0", "--json")
    assert sent.document["state"] == "requested"
    monkeypatch.setattr(upload_module, "_PAUSES", (2.0,))
    assert on_stack("upload", file, "--wait", "1").code == "upload_pending"


def test_a_person_is_traced_through_a_stack_s_lists(gate: type[Gate], tmp_path: Path) -> None:
    gate.desk.agree("13812345678")
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    assert on_stack("upload", file).status == 0
    said = on_stack("trace", "-", give=b"13812345678")
    assert said.status == 0, said
    assert "row 2 kept" in said.out
    assert said.out.endswith("Lists looked into: 1.\n")
    assert "13812345678" not in said.out
