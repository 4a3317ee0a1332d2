"""A trace as one JSON object, `contact-sanitizer/trace/v1`: no phone; what people wrote is redacted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from contact_sanitizer.delivery.traces import PersonRedeemed
from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.protection.pii import redact_text
from contact_sanitizer.screening.consent import ConsentEvent
from contact_sanitizer.screening.recording import PersonHistory
from contact_sanitizer.screening.rule import FOREVER
from contact_sanitizer.screening.suppression import SuppressionEntry, SuppressionEvent
from contact_sanitizer.tracing.trace import DeliveryTraced, PersonListed, Trace

FORMAT: Final = "contact-sanitizer/trace/v1"


def trace_document(trace: Trace) -> dict[str, Any]:
    """The object that `--json` prints and the API answers with; each array oldest first."""
    return {
        "format": FORMAT,
        "traced_at": rfc3339(trace.at),
        "lists_read": trace.lists_read,
        "lists": [_listed(listed) for listed in trace.lists],
        "unread": [
            {
                "list_id": each.entry.list_id,
                "started_at": rfc3339(each.entry.started_at),
                "state": each.why.value,
            }
            for each in trace.unread
        ],
        "deliveries": [_delivered(delivery) for delivery in trace.deliveries],
        "unread_deliveries": [
            {
                "delivery": each.delivery.delivery_id,
                "as_of": rfc3339(each.delivery.as_of),
                "state": each.why.value,
            }
            for each in trace.unread_deliveries
        ],
        "redemptions": [_redeemed(redemption) for redemption in trace.redemptions],
        "recorded": _history(trace.history, trace.at // 1000),
        "next": str(trace.told_to) if trace.told_to else None,
    }


def _listed(listed: PersonListed) -> dict[str, Any]:
    entry = listed.entry
    return {
        "list_id": entry.list_id,
        "started_at": rfc3339(entry.started_at),
        "policy": _plain(entry.policy),
        "policy_sha256": entry.policy_sha256,
        "row_count": listed.decided.count,
        "rows": [asdict(row) | {"reasons": list(row.reasons)} for row in listed.decided.rows],
        "known": _history(listed.known, entry.started_at // 1000),
    }


def _delivered(traced: DeliveryTraced) -> dict[str, Any]:
    delivery, recall = traced.delivered.delivery, traced.delivered.recall
    state = "due" if traced.recall_due else "none"
    if recall is not None:
        state = "acknowledged" if recall.acknowledged else "found"
    return {
        "delivery": delivery.delivery_id,
        "list_id": delivery.list_id,
        "as_of": rfc3339(delivery.as_of),
        "sender": _plain(delivery.sender),
        "purpose": _plain(delivery.purpose),
        "form": delivery.form.value,
        "state": delivery.state,
        "recall": state,
        "recalled_at": rfc3339(recall.found_at) if recall else None,
    }


def _redeemed(redeemed: PersonRedeemed) -> dict[str, Any]:
    return {
        "redemption": redeemed.redemption_id,
        "sender": _plain(redeemed.sender),
        "at": rfc3339(redeemed.at),
    }


def _history(history: PersonHistory, now: int) -> dict[str, Any]:
    return {
        "consents": [_consent(event) for event in history.consents],
        "suppressions": [_suppression(event) for event in history.suppressions],
        "entries": [_entry(entry, now) for entry in history.entries],
    }


def _consent(event: ConsentEvent) -> dict[str, Any]:
    return {
        "recorded_at": _seconds(event.recorded_at),
        "status": event.status.name.lower(),
        "purpose": _plain(event.purpose),
        "channel": _plain(event.channel),
        "sender": _plain(event.sender),
        "effective_at": _seconds(event.effective_at),
        "expires_at": _seconds(event.expires_at),
        "source": _plain(event.source),
        "recorded_by": _plain(event.recorded_by),
    }


def _suppression(event: SuppressionEvent) -> dict[str, Any]:
    return {
        "recorded_at": _seconds(event.recorded_at),
        "act": event.act.name.lower(),
        "scope": _plain(event.scope),
        "reason": event.reason.value,
        "expires_at": _seconds(event.expires_at),
        "source": _plain(event.source),
        "recorded_by": _plain(event.recorded_by),
    }


def _entry(entry: SuppressionEntry, now: int) -> dict[str, Any]:
    return {
        "scope": _plain(entry.scope),
        "reason": entry.reason.value,
        "since": _seconds(entry.since),
        "until": None if entry.until == FOREVER else _seconds(entry.until),
        "state": entry.state(now),
    }


def _seconds(moment: int | None) -> str | None:
    return None if moment is None else rfc3339(moment * 1000)


def _plain(text: str) -> str:
    """What somebody wrote, without a number or an address that they may have written there."""
    return redact_text(text)[0]
