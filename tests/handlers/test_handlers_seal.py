from __future__ import annotations

import pytest

from cloudworld import Faulty
from contact_sanitizer.audit.checkpoint import open_checkpoint
from contact_sanitizer.audit.notes import parse_verifiers
from contact_sanitizer.audit.verify import verify_log
from contact_sanitizer.errors import AuditError
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.checkpoint import handler as checkpoint
from contact_sanitizer.handlers.request_upload import handler as request_upload
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.handlers.seal import handler as seal
from functiondesk import Context, FunctionDesk


def sealed() -> int:
    return seal({}, Context())["size"]  # type: ignore[arg-type] # as much as is used


def worked(desk: FunctionDesk) -> None:
    offer = desk.call(request_upload, "POST /uploads", {"policy": "default"}).document
    desk.deliver(sanitize, desk.put(offer["fields"]["key"], b"phone\n13812345678\n"))


def test_what_functions_announced_is_sealed_under_the_key_in_kms_and_verifies(desk: FunctionDesk) -> None:
    worked(desk)
    first = sealed()
    worked(desk)
    assert sealed() > first > 3
    log = desk.world.audit
    keys = parse_verifiers(log.public_keys())
    verified = verify_log(log.objects, keys)
    assert verified.newest.size == sealed()
    assert parse_verifiers((log.objects.get("public-key") or b"").decode()) == keys


def test_a_seal_where_nothing_happened_is_a_sign_of_life(desk: FunctionDesk) -> None:
    assert (sealed(), sealed()) == (0, 0)
    kept = list(desk.world.audit.objects.keys("checkpoints/"))
    assert len(kept) >= 2


def test_a_seal_where_nothing_happened_signs_and_writes_no_more_than_it_must(desk: FunctionDesk) -> None:
    worked(desk)
    sealed()
    calls = Faulty(stage.clients(), lambda _operation, _count: "")
    sealed()
    assert calls.sent.count("Sign") == 1
    assert calls.sent.count("PutObject") == 2


def test_a_changed_tile_stops_the_seal_and_is_found(desk: FunctionDesk) -> None:
    worked(desk)
    sealed()
    log = desk.world.audit
    (tile,) = list(log.objects.keys("tile/0/"))
    content = bytearray(log.objects.get(tile) or b"")
    content[5] ^= 1
    log.objects.put(tile, bytes(content), absent=False)
    worked(desk)
    with pytest.raises(AuditError):
        sealed()
    with pytest.raises(AuditError):
        verify_log(log.objects, parse_verifiers(log.public_keys()))


def test_anybody_who_may_call_gets_the_checkpoint(desk: FunctionDesk) -> None:
    assert desk.call(checkpoint, "GET /audit/checkpoint").status >= 400
    worked(desk)
    size = sealed()
    answer = desk.call(checkpoint, "GET /audit/checkpoint")
    assert answer.status == 200
    keys = parse_verifiers(desk.world.audit.public_keys())
    assert open_checkpoint(answer.text.encode(), keys).size == size


def test_a_key_that_may_not_sign_stops_the_seal_and_nothing_is_lost(desk: FunctionDesk) -> None:
    worked(desk)
    answers = ["before denied"]
    # the function's own connections, as its process keeps them
    Faulty(stage.clients(), lambda operation, _: answers[0] if operation == "Sign" else "")
    with pytest.raises(AuditError, match="audit_unsealed"):
        sealed()
    answers[0] = ""
    assert sealed() > 1
