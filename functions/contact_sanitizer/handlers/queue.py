"""The frame of every function behind a queue: one message at a time, the failed ones told again.

A message that cannot be dealt with goes back to its queue and, after so many times, to the dead letters; why
is in the record of its upload and in the log, by code.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from contact_sanitizer.arrivals import arrivals_in, message_of
from contact_sanitizer.aws.arrived import S3Arrived
from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.errors import ContactSanitizerError, RequestError
from contact_sanitizer.handlers.journal import (
    Counted,
    Said,
    count,
    keep_others_quiet,
    place_of,
    reporting,
    say,
)
from contact_sanitizer.handlers.spans import Span, span
from contact_sanitizer.handlers.stage import CIRCUMSTANCES, Call, call_of
from contact_sanitizer.job import Paused
from contact_sanitizer.receiving import Arrival, Reception, check_area, postpone
from contact_sanitizer.uploading import Upload, Uploads, UploadState

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

Left = Callable[[], int]
"""How many milliseconds the function may still take."""

Handler = Callable[[dict[str, Any], "LambdaContext"], Any]

SHORTEST_MILLISECONDS: Final = 20_000
"""With less time left nothing is begun."""


class NotYet(Exception):  # noqa: N818 - no fault: the message is to be told again
    """A message was not dealt with; nothing is in it that somebody could read."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where one function's arrivals come in.

    `area`: the first part of their keys. `kind`: that of their records. `principal`: the function's name in
    audit events. `receive`: what becomes of one, told how much time is left.
    """

    area: str
    kind: str
    principal: str
    receive: Callable[[Arrival, Call, Reception, Left], Upload]


def function_of(door: Door) -> Handler:
    """The function that takes a queue's arrivals."""
    keep_others_quiet()
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)

    def handler(event: dict[str, Any], context: LambdaContext) -> Any:
        def take(record: SQSRecord) -> None:
            _take(record.body, door, context)

        with reporting(context.aws_request_id):
            return process_partial_response(event, take, processor, context)

    return handler


def _take(body: str, door: Door, context: LambdaContext) -> None:
    """Deal with one message, or raise `NotYet`: whatever else was raised would be quoted by others."""
    try:
        for arrival in arrivals_in(body):
            check_area(arrival, door.area)
            _receive(arrival, door, context)
    except ContactSanitizerError as error:
        say(Said.POSTPONED, code=error.code)
    except NotYet:
        pass
    except Exception as error:  # noqa: BLE001 - the last fence: a third party's words could quote a cell
        say(Said.UNEXPECTED, error=type(error).__name__, place=place_of(error))
        count(Counted.UNEXPECTED)
    else:
        return
    count(Counted.MESSAGES_POSTPONED)
    raise NotYet from None


def _tell_again(arrival: Arrival, call: Call) -> None:
    """Tell a paused job's arrival anew: by coming back it would use up the times that its faults may take."""
    queue = call.world.settings.sanitize_queue
    if not queue:
        raise NotYet from None
    with told(_not_sent):
        call.world.clients.sqs.send_message(QueueUrl=queue, MessageBody=message_of(arrival))


def _not_sent(_fault: Fault) -> RequestError:
    return RequestError("internal", "the queue does not take a message; the old one comes back")


def _check_time(context: LambdaContext) -> None:
    if context.get_remaining_time_in_millis() < SHORTEST_MILLISECONDS:
        raise RequestError("time_short", "there is too little time left to begin")


def _postpone(arrival: Arrival, reception: Reception, code: str) -> None:
    """Note why it waits, wherever that came to light; where no note can be made, the log alone says it."""
    with suppress(ContactSanitizerError):
        postpone(arrival, reception, code)


def _receive(arrival: Arrival, door: Door, context: LambdaContext) -> None:
    # One id for all events that follow from an arrival, however often it is told.
    correlation = arrival.list_id
    call = call_of(arrival.tenant, door.principal, correlation)
    uploads = Uploads(call.world.records, door.kind)
    arrived = S3Arrived(call.world.clients.s3, call.world.settings.uploads)
    ids = {"correlation": correlation, "upload_id": arrival.upload_id, "list_id": arrival.list_id}
    reception = Reception(uploads, arrived, call.announce, CIRCUMSTANCES.clock)
    _check_time(context)
    try:
        with span(Span.RECEIVE, **ids):
            upload = door.receive(arrival, call, reception, context.get_remaining_time_in_millis)
    except Paused:
        say(Said.PAUSED, **ids)
        _tell_again(arrival, call)
        return
    except ContactSanitizerError as error:
        say(Said.POSTPONED, code=error.code, **ids)
        _postpone(arrival, reception, error.code)
        raise NotYet from None
    except Exception:
        _postpone(arrival, reception, "internal")
        raise
    if upload.state is UploadState.REFUSED:
        count(Counted.UPLOADS_REFUSED)
    say(Said.RECEIVED, state=upload.state.value, code=upload.code or "none", **ids)
