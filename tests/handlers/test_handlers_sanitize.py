from __future__ import annotations

import io
import json
from typing import Any

import pytest

from cloudworld import CLEAN, UPLOADS
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.errors import ContactSanitizerError, KeyringError, RegistryError
from contact_sanitizer.handlers import sanitize as module
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.lists import handler as lists
from contact_sanitizer.handlers.request_upload import handler as request_upload
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.handlers.show_upload import handler as show_upload
from contact_sanitizer.intake import formats
from contact_sanitizer.job import Paused
from contact_sanitizer.policy_text import DEFAULT_POLICY
from contact_sanitizer.uploading import UploadState
from functiondesk import FunctionDesk

ROWS = b"phone\n13812345678\n13912345678\n12\n"


def uploaded(
    desk: FunctionDesk, content: bytes = ROWS, policy: str = "default"
) -> tuple[str, dict[str, Any]]:
    """An upload by form; returns its id, and the message that tells of it."""
    offer = desk.call(request_upload, "POST /uploads", {"policy": policy}).document
    return offer["upload_id"], desk.put(offer["fields"]["key"], content)


def state(desk: FunctionDesk, upload_id: str) -> tuple[str, str | None]:
    shown = desk.call(show_upload, f"GET /uploads/{upload_id}").document
    return shown["state"], shown["code"]


def test_an_upload_becomes_a_list_and_its_raw_bytes_go(desk: FunctionDesk) -> None:
    desk.agree("13812345678")
    upload_id, message = uploaded(desk)
    assert desk.deliver(sanitize, message) == []
    shown = desk.call(show_upload, f"GET /uploads/{upload_id}").document
    assert shown["state"] == "made"
    assert shown["counts"] == {"rows": 3, "kept": 1, "dropped": 1, "rejected": 1}
    clean = desk.clean(shown["list_id"]).decode()
    assert clean.startswith("token\nct_")
    assert "13812" not in clean
    assert desk.clean(shown["list_id"], "rejects.csv").decode().startswith("row,reason\n3,")
    assert desk.versions("uploads/") == 0
    told = [said["api"]["operation"] for said in desk.audit]
    assert [one for one in told if one.startswith(("list.", "upload.d"))] == [
        "list.started",
        "list.published",
        "upload.deleted",
    ]
    listed = desk.call(lists, "GET /lists").document["lists"]
    assert [(entry["list_id"], entry["state"]) for entry in listed] == [(shown["list_id"], "made")]


def test_the_same_event_again_changes_nothing(desk: FunctionDesk) -> None:
    desk.agree("13812345678")
    _, message = uploaded(desk)
    assert desk.deliver(sanitize, message, message) == []
    events = [line["metadata"]["uid"] for line in desk.audit]
    objects = desk.cloud.clients.s3.list_object_versions(Bucket=CLEAN, Prefix="lists/")["Versions"]
    assert desk.deliver(sanitize, message) == []
    assert [line["metadata"]["uid"] for line in desk.audit] == events
    assert desk.cloud.clients.s3.list_object_versions(Bucket=CLEAN, Prefix="lists/")["Versions"] == objects
    assert len({entry["Key"] for entry in objects}) == len(objects) == 4


@pytest.mark.parametrize("name", ["a b+c.csv", "客户名单 (1).csv", "13812345678.csv"])
def test_an_object_put_by_hand_under_any_name_becomes_a_list(desk: FunctionDesk, name: str) -> None:
    message = desk.put(f"uploads/default/{name}", ROWS)
    assert desk.deliver(sanitize, message) == []
    (entry,) = desk.call(lists, "GET /lists").document["lists"]
    assert entry["state"] == "made"
    assert desk.versions("uploads/") == 0


def test_without_a_version_in_the_event_the_very_object_is_found_by_its_etag(desk: FunctionDesk) -> None:
    upload_id, message = uploaded(desk)
    del message["detail"]["object"]["version-id"]
    assert desk.deliver(sanitize, message) == []
    assert state(desk, upload_id) == ("made", None)
    assert desk.versions("uploads/") == 0
    assert desk.deliver(sanitize, message) == []


def test_without_a_version_a_replaced_object_is_refused(desk: FunctionDesk) -> None:
    upload_id, message = uploaded(desk)
    del message["detail"]["object"]["version-id"]
    desk.put(message["detail"]["object"]["key"], b"phone\n13612345678\n")
    assert desk.deliver(sanitize, message) == []
    assert state(desk, upload_id) == ("refused", "object_changed")


def test_a_replaced_object_is_read_in_the_version_that_arrived(desk: FunctionDesk) -> None:
    upload_id, message = uploaded(desk)
    later = desk.put(message["detail"]["object"]["key"], b"phone\n13612345678\n")
    assert desk.deliver(sanitize, message) == []
    assert desk.call(show_upload, f"GET /uploads/{upload_id}").document["counts"]["rows"] == 3
    # A form that is used twice: its second object is refused, told and kept until it expires.
    assert desk.deliver(sanitize, later, later) == []
    assert [said["unmapped"]["code"] for said in desk.said("upload.denied")] == ["upload_reused"]
    assert state(desk, upload_id) == ("made", None)
    assert desk.versions("uploads/") == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file_empty"),
        (b"\x7fELF\x00\x01\x02\x03" * 100, "file_binary"),
        (b"a,b\n1,2\n", "phone_column_missing"),
    ],
)
def test_what_is_no_list_is_refused_for_good(desk: FunctionDesk, content: bytes, code: str) -> None:
    upload_id, message = uploaded(desk, content)
    assert desk.deliver(sanitize, message) == []
    assert state(desk, upload_id) == ("refused", code)
    assert [said["unmapped"]["code"] for said in desk.said("upload.denied")] == [code]
    assert desk.deliver(sanitize, message) == []
    assert len(desk.said("upload.denied")) == 1


def test_a_deleted_object_is_refused(desk: FunctionDesk) -> None:
    upload_id, message = uploaded(desk)
    told = message["detail"]["object"]
    desk.cloud.clients.s3.delete_object(Bucket=UPLOADS, Key=told["key"], VersionId=told["version-id"])
    assert desk.deliver(sanitize, message) == []
    assert state(desk, upload_id) == ("refused", "object_missing")


def test_a_policy_that_went_away_refuses_and_one_that_keeps_raw_bytes_keeps_them(desk: FunctionDesk) -> None:
    keeping = DEFAULT_POLICY.replace("raw: {keep: none}", "") + "\nraw: {keep: until_expiry}\n"
    desk.world.policies.put("keeping", keeping.encode())
    upload_id, message = uploaded(desk, policy="keeping")
    assert desk.deliver(sanitize, message) == []
    assert state(desk, upload_id) == ("made", None)
    assert desk.versions("uploads/") == 1
    gone_id, gone = uploaded(desk, policy="keeping")
    desk.world.policies.objects.delete("keeping.yaml")
    assert desk.deliver(sanitize, gone) == []
    assert state(desk, gone_id) == ("refused", "policy_missing")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("registry", RegistryError("registry_unavailable", "the registry does not answer")),
        ("keys", KeyringError("keyring_denied", "KMS refuses")),
    ],
)
def test_what_may_pass_is_told_again_and_waits_with_its_reason(
    desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch, name: str, error: ContactSanitizerError
) -> None:
    _ = desk.workspace  # the tenant was made before the fault
    upload_id, message = uploaded(desk)

    def broken(_self: StackWorld) -> object:
        raise error

    with monkeypatch.context() as faulty:
        faulty.setattr(StackWorld, name, property(broken))
        assert desk.deliver(sanitize, message) == ["0"]
    assert state(desk, upload_id) == ("waiting", error.code)
    assert desk.versions("uploads/") == 1
    assert desk.deliver(sanitize, message) == []
    assert state(desk, upload_id) == ("made", None)


def test_with_too_little_time_nothing_is_begun(desk: FunctionDesk) -> None:
    upload_id, message = uploaded(desk)
    assert desk.deliver(sanitize, message, left=5_000) == ["0"]
    assert state(desk, upload_id) == ("requested", None)
    assert desk.said("list.started") == []


def test_of_a_batch_only_the_failed_messages_come_back(desk: FunctionDesk) -> None:
    _, good = uploaded(desk)
    elsewhere = desk.put("uploads/13812345678/list.csv", ROWS)
    register = desk.put("registry/default/consents/a.csv", ROWS)
    assert desk.deliver(sanitize, "13812345678", good, elsewhere, register) == ["0", "2", "3"]
    assert len(desk.call(lists, "GET /lists").document["lists"]) == 1


def test_an_unexpected_fault_comes_back_and_shows_nothing(
    desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    upload_id, message = uploaded(desk)

    def explode(*_: object) -> None:
        raise ZeroDivisionError("13812345678")

    monkeypatch.setattr(module, "_make", explode)
    assert desk.deliver(sanitize, message) == ["0"]
    assert state(desk, upload_id) == ("waiting", "internal")
    said = capsys.readouterr()
    assert "13812345678" not in said.out + said.err


def test_without_the_audit_log_no_list_is_made(desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    _ = desk.workspace
    _, message = uploaded(desk)
    put = desk.cloud.clients.s3.put_object

    def refuse(**arguments: Any) -> Any:
        if arguments["Bucket"] == "demo-audit":
            raise OSError
        return put(**arguments)

    monkeypatch.setattr(desk.cloud.clients.s3, "put_object", refuse)
    assert desk.deliver(sanitize, message) == ["0"]
    assert desk.cloud.clients.s3.list_objects_v2(Bucket=CLEAN, Prefix="lists/")["KeyCount"] == 0
    assert desk.versions("uploads/") == 1


def test_a_list_has_the_bytes_that_the_command_line_makes(desk: FunctionDesk) -> None:
    desk.agree("13812345678", "13912345678")
    upload_id, message = uploaded(desk)
    assert desk.deliver(sanitize, message) == []
    list_id = desk.call(show_upload, f"GET /uploads/{upload_id}").document["list_id"]
    manifest, place = desk.workspace.sanitize(io_source(ROWS), desk.world.policies.get("default"))
    assert manifest.counts.kept == 2
    assert desk.clean(manifest.list_id) == desk.clean(list_id)
    assert json.loads(desk.clean(list_id, "manifest.json"))["counts"] == manifest.document()["counts"]
    assert place


def io_source(content: bytes) -> Any:
    class Bytes:
        name = "list"

        def open(self) -> io.BytesIO:
            return io.BytesIO(content)

    return Bytes()


def test_states_only_move_forward() -> None:
    assert [state for state in UploadState if state.is_final] == [UploadState.MADE, UploadState.REFUSED]


def test_a_list_that_runs_out_of_time_tells_itself_again_and_comes_to_the_same_bytes(
    desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = formats.ReadOptions.__init__

    def small(self: formats.ReadOptions, *args: object, **kwargs: object) -> None:
        whole(self, *args, **{"batch_bytes": 2_000, **kwargs})  # type: ignore[arg-type] # the one option more

    monkeypatch.setattr(formats.ReadOptions, "__init__", small)
    queue = desk.cloud.clients.sqs.create_queue(QueueName="own")["QueueUrl"]
    monkeypatch.setenv("CS_SANITIZE_QUEUE", queue)
    stage.settings.cache_clear()
    rows = b"phone\n" + b"".join(b"138%08d\n" % (number * 7919) for number in range(600))
    upload_id, message = uploaded(desk, rows)
    told, turns = json.dumps(message), 0
    while state(desk, upload_id)[0] != "made":
        # So little is left that each turn makes one part.
        assert desk.deliver(sanitize, told, left=30_000) == []
        turns += 1
        for received in desk.cloud.clients.sqs.receive_message(QueueUrl=queue).get("Messages", []):
            told = received["Body"]
            desk.cloud.clients.sqs.delete_message(QueueUrl=queue, ReceiptHandle=received["ReceiptHandle"])
    assert 2 < turns < 10
    assert desk.cloud.clients.s3.list_objects_v2(Bucket=CLEAN, Prefix="work/")["KeyCount"] == 0
    list_id = desk.call(show_upload, f"GET /uploads/{upload_id}").document["list_id"]
    manifest, _ = desk.workspace.sanitize(io_source(rows), desk.world.policies.get("default"))
    assert desk.clean(list_id, "rejects.csv") == desk.clean(manifest.list_id, "rejects.csv")
    assert len(desk.said("list.started")) == 2


def test_without_a_queue_of_its_own_a_paused_list_comes_back(
    desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause(*_: object) -> None:
        raise Paused

    _, message = uploaded(desk)
    monkeypatch.setattr(module, "_make", pause)
    assert desk.deliver(sanitize, message) == ["0"]
