"""What functions say: log lines of allowed fields, and counts.

Promises: a line holds one of our events, ids, codes and numbers; a field of any other name or form is left
out, and what a third party logs is reduced to its package's name. A metric is a count with the stack's name.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import MetricUnit

LOGGER: Final = "contact-sanitizer"
NAMESPACE: Final = "ContactSanitizer"

_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\Z")
_REQUEST = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_WORD = re.compile(r"(?!.*\d{7})[A-Za-z0-9_.:\-]{1,80}\Z")
_FORMS: Final = MappingProxyType(
    {
        "correlation": _ID,
        "upload_id": _ID,
        "list_id": _ID,
        "delivery_id": _ID,
        "request_id": _REQUEST,
        "operation": _WORD,
        "code": _WORD,
        "error": _WORD,
        "place": _WORD,
        "state": _WORD,
    }
)
_NUMBERS: Final = frozenset({"status"})


class Said(StrEnum):
    """The events of the log."""

    ANSWERED = "answered"
    REFUSED = "refused"
    RECEIVED = "received"
    POSTPONED = "postponed"
    PAUSED = "paused"
    UNNOTICED = "unnoticed"
    UNMADE = "unmade"
    UNEXPECTED = "unexpected"


class Counted(StrEnum):
    """The metrics; the alarms of the stack look at them."""

    UPLOADS_REQUESTED = "UploadsRequested"
    UPLOADS_REFUSED = "UploadsRefused"
    LISTS_MADE = "ListsMade"
    ROWS_READ = "RowsRead"
    ROWS_KEPT = "RowsKept"
    REGISTER_ROWS = "RegisterRows"
    CHOICES_RECORDED = "ChoicesRecorded"
    CHOICES_REFUSED = "ChoicesRefused"
    DELIVERIES_MADE = "DeliveriesMade"
    ROWS_DELIVERED = "RowsDelivered"
    TOKENS_REDEEMED = "TokensRedeemed"
    TOKENS_REFUSED = "TokensRefused"
    CALLS_DENIED = "CallsDenied"
    CALLS_REFUSED = "CallsRefused"
    MESSAGES_POSTPONED = "MessagesPostponed"
    SEALS = "Seals"
    SNAPSHOTS_MADE = "SnapshotsMade"
    NOTICES_TOLD = "NoticesTold"
    NOTICES_FAILED = "NoticesFailed"
    NOTICES_LEFT = "NoticesLeft"
    RECALLS_OVERDUE = "RecallsOverdue"
    UNEXPECTED = "UnexpectedErrors"


class AllowedFields(LambdaPowertoolsFormatter):
    """Writes what is allowed and leaves out the rest, whoever logs it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"level": record.levelname, "at": at}
        if not isinstance(record.msg, Said):
            package = record.name.partition(".")[0]
            return json.dumps({**line, "said": "foreign", "package": _plain(_WORD, package)})
        line |= allowed({**self.log_format, **vars(record)})
        return json.dumps({**line, "said": record.msg.value}, sort_keys=True)


def allowed(stated: Mapping[str, object]) -> dict[str, str | int]:
    """Of what is stated that which may be told: known names, and values of their form; `-` for others."""
    told: dict[str, str | int] = {}
    for name, form in _FORMS.items():
        if (value := stated.get(name)) is not None:
            told[name] = _plain(form, value)
    for name in _NUMBERS:
        if type(value := stated.get(name)) is int:
            told[name] = value
    return told


def _plain(form: re.Pattern[str], value: object) -> str:
    text = str(value)
    return text if form.match(text) else "-"


logger: Final = Logger(service=LOGGER, level="INFO", logger_formatter=AllowedFields())
# Its own handler writes its lines; the root's, which the runtime brings, would write them once more.
logging.getLogger(LOGGER).propagate = False
metrics: Final = Metrics(namespace=NAMESPACE, service=os.environ.get("CS_STACK") or LOGGER)


def say(said: Said, **fields: Any) -> None:
    """One line of the log."""
    if said in {Said.POSTPONED, Said.UNNOTICED, Said.UNMADE, Said.UNEXPECTED}:
        logger.warning(said, extra=fields)
    else:
        logger.info(said, extra=fields)


def count(counted: Counted, number: int = 1) -> None:
    """Add to a metric."""
    if number:
        metrics.add_metric(name=counted.value, unit=MetricUnit.Count, value=number)


@contextmanager
def reporting(request_id: str, **ids: str) -> Iterator[None]:
    """One invocation: its ids in every line of the log, its counts written at its end."""
    logger.append_keys(request_id=request_id, **ids)
    try:
        yield
    finally:
        logger.remove_keys(list(ids))
        # Powertools warns of an invocation that counts nothing, which is none of a fault here.
        if metrics.provider.metric_set:
            metrics.flush_metrics()


def keep_others_quiet() -> None:
    """Let what third parties log pass through our formatter too; the runtime's own would print it whole."""
    root = logging.getLogger()
    root.handlers = root.handlers or [logging.StreamHandler()]
    for handler in root.handlers:
        handler.setFormatter(AllowedFields())
    root.setLevel(logging.WARNING)


def place_of(error: BaseException) -> str:
    """Where in our own code an unexpected error came from; no value is in it."""
    trace, place = error.__traceback__, "outside"
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.startswith("contact_sanitizer"):
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
