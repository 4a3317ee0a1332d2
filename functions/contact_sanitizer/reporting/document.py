"""A report as one JSON object, `contact-sanitizer/audit-report/v1`; the page shows it and no more."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from contact_sanitizer import __version__
from contact_sanitizer.audit.notes import Verifier
from contact_sanitizer.audit.verify import Gap
from contact_sanitizer.errors import AuditError
from contact_sanitizer.reporting.period import Period
from contact_sanitizer.reporting.report import Report, Scope
from contact_sanitizer.reporting.showing import MOST_TOLD, moment

FORMAT: Final = "contact-sanitizer/audit-report/v1"

CANNOT_KNOW: Final = (
    "Who read an object with rights of their own: in a stack CloudTrail knows, on a laptop nobody does.",
    "What a sender did with a number that it was given.",
    "Whether an announced effect took place: events are written before, so a crash leaves an event alone.",
    "Recalls that nobody looked for: a refusal is known as a recall from when somebody did.",
    "What came after its newest seal, if all that is gone: say how often a seal is due (--heartbeat).",
    "Whether whoever holds the key wrote the history anew: keep a checkpoint elsewhere (--checkpoint).",
    "Who the people are: it holds no phone and no name, and two events about one person look unrelated.",
    "When people really asked: that is what whoever recorded it has stated.",
)


class KeySource(StrEnum):
    """Where the key came from that the log was verified with."""

    GIVEN = "given"
    WORLD = "world"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Making:
    """How a report comes about. `at`, `heartbeat`: milliseconds; `event`: the report's own audit event.

    `known`: a checkpoint from another time was compared. `by`, `event` are None where nobody could be told.
    """

    at: int
    keys: Sequence[Verifier]
    keys_from: KeySource
    by: str | None = None
    event: str | None = None
    heartbeat: int | None = None
    known: bool = False


def report_document(report: Report, making: Making) -> dict[str, Any]:
    """The object of a log in which everything fits."""
    gaps = [gap for gap in report.verified.gaps if _overlaps(gap, report.scope.period)]
    newest = report.verified.newest
    verification = {
        "verified": True,
        "log": newest.origin,
        "events": newest.size,
        "root": b64encode(newest.root).decode(),
        "checkpoints": report.verified.checkpoints,
        "from": moment(report.verified.since),
        "to": moment(newest.time),
        "waiting": report.verified.waiting,
        "gaps": [{"from": moment(gap.start), "to": moment(gap.end)} for gap in gaps[:MOST_TOLD]],
        "gaps_count": len(gaps),
        "gaps_elsewhere": len(report.verified.gaps) - len(gaps),
        # A log whose key was changed is signed by those that it announced as well.
        "keys": _names(report.verified.keys or making.keys),
    }
    return {
        **_heading(report.scope, making, verification),
        "notes": list(_notes(report)),
        **report.figures(),
        "cannot_know": list(CANNOT_KNOW),
    }


def fault_document(error: AuditError, scope: Scope, making: Making) -> dict[str, Any]:
    """The object of a log in which something does not fit: that is all that it says."""
    return _heading(scope, making, {"verified": False, "code": error.code, "message": error.message})


def _heading(scope: Scope, making: Making, verification: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_at": moment(making.at),
        "made_by": making.by,
        "event": making.event,
        "engine": __version__,
        "tenant": scope.tenant,
        "period": {
            "name": scope.period.name,
            "from": moment(scope.period.start),
            "to": moment(scope.period.end),
        },
        "verification": {
            "keys": _names(making.keys),
            **verification,
            "keys_from": making.keys_from.value,
            "kept_checkpoint": making.known,
            "seal_interval_seconds": making.heartbeat // 1000 if making.heartbeat else None,
        },
    }


def _names(keys: Sequence[Verifier]) -> list[str]:
    return [f"{key.name}+{key.key_id.hex()}" for key in keys]


def _overlaps(gap: Gap, period: Period) -> bool:
    return (period.end is None or gap.start < period.end) and (period.start is None or gap.end > period.start)


def _notes(report: Report) -> Iterator[str]:
    """What a reader has to know of the period before the figures."""
    period, verified, tally = report.scope.period, report.verified, report.tally
    since, newest = moment(verified.since), moment(verified.newest.time)
    if verified.newest.size == 0:
        yield "The log holds no event yet."
    if period.start is not None and period.start > verified.newest.time:
        yield f"The period begins after the newest seal ({newest}): the log holds nothing of it yet."
    elif period.end is not None and period.end > verified.newest.time:
        yield f"The period ends after the newest seal ({newest}): what came later is not in this report."
    if period.end is not None and period.end <= verified.since:
        yield f"The log begins at {since}, after the period: it knows nothing of it."
    elif period.start is not None and period.start < verified.since:
        yield f"The log begins at {since}: it knows nothing of the part of the period before."
    if verified.waiting:
        yield f"{verified.waiting:,} written, but not sealed yet: not in this report."
    if tally.others:
        names = ", ".join(f"{name} ({count:,})" for name, count in tally.others.most_common(20))
        yield f"Events of other tenants are not in this report: {names}."
