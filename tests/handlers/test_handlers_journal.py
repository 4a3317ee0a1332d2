from __future__ import annotations

import json
import logging
import sys

import pytest

from contact_sanitizer.handlers.journal import (
    AllowedFields,
    Counted,
    Said,
    count,
    keep_others_quiet,
    logger,
    metrics,
    reporting,
    say,
)
from contact_sanitizer.handlers.request_upload import handler as request_upload
from contact_sanitizer.handlers.sanitize import handler as sanitize
from functiondesk import FunctionDesk

CANARIES = ("13812345678", "王小明", "li.wei@example.com", "AROAEXAMPLEEXAMPLE12", "203.0.113.7", "客户名单")


def line(record: logging.LogRecord) -> dict[str, object]:
    made: dict[str, object] = json.loads(AllowedFields().format(record))
    return made


def record(message: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("contact-sanitizer", logging.INFO, __file__, 1, message, None, None)
    vars(made).update(fields)
    return made


def test_only_allowed_fields_in_their_form_are_written() -> None:
    said = line(
        record(
            Said.RECEIVED,
            code="file_empty",
            upload_id="13812345678",
            list_id="01KAKV2DC060RK4CSM6MV3EE1S",
            state="13812345678",
            phone="13812345678",
            status="13812345678",
        )
    )
    assert said.pop("at")
    assert said == {
        "level": "INFO",
        "said": "received",
        "code": "file_empty",
        "upload_id": "-",
        "list_id": "01KAKV2DC060RK4CSM6MV3EE1S",
        "state": "-",
    }


def test_what_third_parties_log_is_reduced_to_whose_it_is() -> None:
    said = line(record("the key uploads/default/13812345678.csv"))
    assert "13812" not in json.dumps(said)
    assert (said["said"], said["package"]) == ("foreign", "contact-sanitizer")


def test_counts_are_written_at_the_end_of_an_invocation(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting("c6af9ac6-7b61-11e6-9a41-93e8deadbeef"):
        count(Counted.ROWS_READ, 3)
        count(Counted.ROWS_KEPT, 0)
    written = json.loads(capsys.readouterr().out)
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "ContactSanitizer"
    assert [metric["Name"] for metric in directive["Metrics"]] == ["RowsRead"]
    assert written["RowsRead"] == [3.0]
    with reporting("c6af9ac6-7b61-11e6-9a41-93e8deadbeef"):
        pass
    assert capsys.readouterr().out == ""
    assert not metrics.provider.metric_set


def test_a_line_is_written_once_though_the_runtime_has_a_handler_of_its_own(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger.registered_handler, "stream", sys.stdout)
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(sys.stdout)])
    keep_others_quiet()
    say(Said.REFUSED, code="file_empty", phone="13812345678")
    (written,) = capfd.readouterr().out.splitlines()
    assert json.loads(written)["code"] == "file_empty"
    assert "13812" not in written


def test_no_canary_is_in_any_line_or_count_of_a_day_s_work(
    desk: FunctionDesk, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger.registered_handler, "stream", sys.stdout)
    # The runtime of Lambda has one such handler.
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(sys.stdout)])
    keep_others_quiet()
    rows = "phone,name\n13812345678,王小明\n12,li.wei@example.com\n".encode()
    desk.call(request_upload, "POST /uploads", {})
    desk.call(request_upload, "POST /uploads", '{"13812345678": "王小明"}')
    desk.call(request_upload, "POST /13812345678", "王小明")
    desk.call(request_upload, "POST /uploads", {}, accountId="999999999999")
    for name in ("客户名单 13812345678.csv", "b"):
        message = desk.put(f"uploads/default/{name}", rows)
        assert desk.deliver(sanitize, message, "13812345678 王小明") == ["1"]
    logging.getLogger("botocore").warning("13812345678")
    say(Said.REFUSED, code="13812345678")
    said = capfd.readouterr()
    assert all(word in said.out for word in ("answered", "refused", "received", "postponed", "foreign"))
    assert "RowsRead" in said.out
    assert [canary for canary in CANARIES if canary in said.out + said.err] == []
    trail = json.dumps(desk.audit, ensure_ascii=False)
    assert [canary for canary in CANARIES if canary in trail] == []
    records = json.dumps(
        desk.cloud.clients.dynamodb.scan(TableName=desk.settings.catalogue)["Items"], ensure_ascii=False
    )
    assert [canary for canary in CANARIES if canary in records] == []
