"""At least once, any order, killed anywhere: one list, the same bytes, one event."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from contact_sanitizer.arrivals import arrivals_in
from contact_sanitizer.handlers import queue, stage
from contact_sanitizer.receiving import Arrival
from contact_sanitizer.screening.suppression import SuppressionReason
from faultdesk import KINDS, MOMENTS, REDELIVERIES, FaultDesk, Strike, circumstances, struck
from functiondesk import FunctionDesk

FULL = bool(os.environ.get("CONTACT_SANITIZER_CLOUD_FAULTS"))
SLICES = 16 if FULL else 2
SAMPLE = 20
KEY = "uploads/default/list.csv"
ROWS = (
    b"phone,note\n13812345678,a\n13912345678,b\n13612345678,c\n12,d\n13712345678 \xe9\x80\x80\xe8\xae\xa2,e\n"
)


@pytest.fixture
def faults(desk: FunctionDesk, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultDesk]:
    now = circumstances(7)
    monkeypatch.setattr(stage, "CIRCUMSTANCES", now)
    monkeypatch.setattr(queue, "CIRCUMSTANCES", now)
    for module in ("registry_items", "registry_commit"):
        monkeypatch.setattr(f"contact_sanitizer.aws.{module}.pause", lambda _turn: None)
    desk.agree("13812345678", "13912345678", "13612345678", "13712345678")
    people = desk.workspace.desk("CN")
    people.block(people.person("13612345678"), "tenant", SuppressionReason.OPTED_OUT)
    with struck() as calls:
        yield FaultDesk(desk, calls)


def arrival_of(message: dict[str, Any]) -> Arrival:
    (arrival,) = arrivals_in(json.dumps(message))
    return arrival


def converge(faults: FaultDesk, message: dict[str, Any], strike: Strike | None) -> dict[str, bytes]:
    """Deliver until it is consumed, looking at each step as a reader does; the list's files."""
    list_id = arrival_of(message).list_id
    for turn in range(REDELIVERIES + 1):
        consumed = faults.attempt(message, None if turn else strike)
        files = faults.readable(list_id)
        if consumed:
            break
    assert consumed, strike
    check_end(faults, message, strike)
    assert files is not None
    return files


def check_end(faults: FaultDesk, message: dict[str, Any], about: object) -> None:
    arrival = arrival_of(message)
    upload, entry = faults.upload(arrival.upload_id), faults.entry(arrival.list_id)
    assert upload is not None, about
    assert (upload.state.value, upload.code) == ("made", ""), about
    assert entry is not None, about
    assert (entry.state, entry.rows, entry.kept) == ("made", 5, 2), about
    assert faults.desk.versions(arrival.key) == 0, about
    assert faults.parts() == 0, about


def strikes(calls: int) -> list[Strike]:
    return [Strike(at, moment, kind) for at in range(calls) for moment in MOMENTS for kind in KINDS]


@pytest.mark.parametrize("part", range(SLICES))
def test_struck_at_any_call_a_list_is_made_once_whole_and_with_the_same_bytes(
    faults: FaultDesk, part: int
) -> None:
    sent = faults.trace(faults.desk.put(KEY, ROWS))
    reference = converge(faults, faults.desk.put(KEY, ROWS), None)
    todo = strikes(len(sent))
    if not FULL:
        todo = random.Random(11).sample(todo, SAMPLE * SLICES)  # noqa: S311 - a sample
    failed: list[tuple[Strike, str, str]] = []
    for strike in todo[part::SLICES]:
        faults.forget_audit()
        try:
            assert converge(faults, faults.desk.put(KEY, ROWS), strike) == reference
        except AssertionError as error:
            failed.append((strike, sent[strike.at], str(error)[:200]))
    assert failed == []
