from __future__ import annotations

from dataclasses import replace

import pytest

from cloudworld import Faulty
from contact_sanitizer.audit.checkpoint import open_checkpoint
from contact_sanitizer.audit.events import Action, Event, Outcome
from contact_sanitizer.audit.lookback import STATE, parse_state
from contact_sanitizer.audit.notes import parse_verifiers
from contact_sanitizer.audit.segments import append, waiting
from contact_sanitizer.audit.verify import verify_log
from contact_sanitizer.errors import AuditError
from contact_sanitizer.handlers import stage
from contact_sanitizer.handlers.checkpoint import handler as checkpoint
from contact_sanitizer.handlers.request_upload import handler as request_upload
from contact_sanitizer.handlers.sanitize import handler as sanitize
from contact_sanitizer.handlers.seal import handler as seal
from contact_sanitizer.listid import ListId, moment_of, sortable_id
from functiondesk import Context, FunctionDesk

MINUTE = 60_000
HOUR = 60 * MINUTE


@pytest.fixture(autouse=True)
def minutes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whether the seal looks back is up to the minute: here it does where a test says so."""
    real, wanted = stage.CIRCUMSTANCES.clock, [1]

    def clock() -> int:
        return real() // HOUR * HOUR + HOUR + wanted[0] * MINUTE

    monkeypatch.setattr(stage, "CIRCUMSTANCES", replace(stage.CIRCUMSTANCES, clock=clock))
    return wanted


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


def test_a_plan_is_read_once_by_a_process(desk: FunctionDesk) -> None:
    for _ in range(3):
        worked(desk)
        sealed()
    calls = Faulty(stage.clients(), lambda _operation, _count: "")
    sealed()
    first = calls.sent.count("GetObject")
    calls.sent.clear()
    sealed()
    assert calls.sent.count("GetObject") <= first < 12


def test_a_segment_that_no_seal_noticed_is_found_by_looking_back(
    desk: FunctionDesk, minutes: list[int]
) -> None:
    worked(desk)
    size = sealed()
    log = desk.world.audit
    at = stage.CIRCUMSTANCES.clock() - 400 * 24 * HOUR
    uid = sortable_id(at, b"\x07" * 10)
    late = Event(Action.LIST_SHOWN, Outcome.BEGUN, at, "ops", "default", uid, uid)
    append(log.objects, [late])
    assert sealed() == size
    minutes[0] = 5
    sizes = [sealed() for _ in range(4)]
    assert sizes[-1] == size + 1
    verified = verify_log(log.objects, parse_verifiers(log.public_keys()))
    assert (verified.newest.size, verified.waiting) == (size + 1, 0)
    looked = parse_state(log.objects.get(STATE) or b"", 0)
    assert (looked.done, looked.suspects, looked.after >= uid) == (True, (), True)


def test_what_a_redriven_job_announces_is_sealed_though_its_ids_are_old(desk: FunctionDesk) -> None:
    worked(desk)
    log = desk.world.audit
    names = list(waiting(log.objects))
    assert moment_of(ListId(names[0])) < stage.CIRCUMSTANCES.clock() - 24 * HOUR
    assert sealed() == len(names)
    assert verify_log(log.objects, parse_verifiers(log.public_keys())).waiting == 0
    worked(desk)
    more = list(waiting(log.objects))
    assert sealed() == len(more) > len(names)
    assert verify_log(log.objects, parse_verifiers(log.public_keys())).waiting == 0


def test_what_was_to_be_said_days_ago_is_sealed_when_it_is_said_also_by_whoever_may_note_nothing(
    desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was cut off before it told of its end tells it in the words of then."""
    worked(desk)
    size, log = sealed(), desk.world.audit
    at = stage.CIRCUMSTANCES.clock() - 3 * 24 * HOUR
    for number in (1, 2):
        uid = sortable_id(at, bytes([number]) * 10)
        log.append(Event(Action.LIST_PUBLISHED, Outcome.BEGUN, at, "ops", "default", uid, uid))
        assert sealed() == size + number
    uid = sortable_id(at, b"\x03" * 10)

    def refuse(*_: object) -> None:
        raise AuditError("audit_unwritable", "the audit log's bucket refuses access")

    monkeypatch.setattr("contact_sanitizer.audit.segments.note_late", refuse)
    log.append(Event(Action.LIST_PUBLISHED, Outcome.BEGUN, at, "ops", "default", uid, uid))
    assert f"segments/{uid}" in set(log.objects.keys("segments/"))
    assert sealed() == size + 2


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
