"""Uploads that arrived become lists: the queue of S3's events."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from contact_sanitizer.handlers.journal import Counted, count
from contact_sanitizer.handlers.queue import Door, Left, function_of
from contact_sanitizer.handlers.spans import Span, span
from contact_sanitizer.handlers.stage import Call
from contact_sanitizer.intake.raw import Source
from contact_sanitizer.job import Manner
from contact_sanitizer.listid import ListId
from contact_sanitizer.parts import ObjectParts
from contact_sanitizer.policy import Policy
from contact_sanitizer.receiving import Arrival, Reception, receive_list
from contact_sanitizer.uploading import UPLOAD, Upload
from contact_sanitizer.workspace import Workspace

_COUNTS: Final = ("rows", "kept", "dropped", "rejected")


RESERVE_MILLISECONDS: Final = 90_000
"""With less time left a list is left to the next turn, after the part that is being made."""


def _receive(arrival: Arrival, call: Call, reception: Reception, left: Left) -> Upload:
    work = call.world.objects(f"work/{call.world.tenant}/")
    resume = partial(ObjectParts, work, f"{arrival.list_id}/", pause=lambda: left() < RESERVE_MILLISECONDS)
    manner = Manner(resume=resume)
    with call.workspace() as workspace:
        made, make = partial(_made, workspace, manner), partial(_make, workspace, manner)
        return receive_list(arrival, reception, call.world.policies, made, make)


def _made(workspace: Workspace, manner: Manner, list_id: ListId) -> Mapping[str, int] | None:
    manifest = workspace.conclude(list_id, manner)
    return None if manifest is None else _counts(manifest.document()["counts"])


def _make(
    workspace: Workspace, manner: Manner, upload: Source, policy: Policy, list_id: ListId
) -> Mapping[str, int]:
    with span(Span.MAKE_LIST, list_id=list_id):
        manifest, _ = workspace.sanitize(upload, policy, manner=manner, list_id=list_id)
    count(Counted.LISTS_MADE)
    count(Counted.ROWS_READ, manifest.counts.rows)
    count(Counted.ROWS_KEPT, manifest.counts.kept)
    return _counts(manifest.document()["counts"])


def _counts(stated: Mapping[str, Any]) -> Mapping[str, int]:
    return {name: int(stated[name]) for name in _COUNTS}


DOOR: Final = Door("uploads", UPLOAD, "function/sanitize", _receive)

handler = function_of(DOOR)
