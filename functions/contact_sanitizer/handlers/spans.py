"""Spans: which part of a function's work took how long, for X-Ray, and nothing about whom.

Promises: a span holds one of our names, ids of allowed forms, and whether it failed. No client is patched
(the SDK would write down keys and addresses of every call), no answer is recorded, and no span sees an
exception: the SDK would write down its text. Light functions have none; Lambda says how long they take.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final

from aws_lambda_powertools import Tracer

from contact_sanitizer.handlers.journal import LOGGER, allowed
from contact_sanitizer.job import Paused


class Span(StrEnum):
    """The parts."""

    RECEIVE = "receive"
    MAKE_LIST = "make list"
    IMPORT = "import register"
    RECORD = "record choices"
    DELIVER = "deliver"
    RECALLS = "show recalls"
    REDEEM = "redeem"
    TRACE = "trace"
    NOTICES = "give notice"
    SNAPSHOTS = "make snapshots"


# Powertools' own type of it does not know the flag of a fault.
_recorder: Final[Any] = Tracer(service=LOGGER, auto_patch=False).provider


@contextmanager
def span(name: Span, **ids: object) -> Iterator[None]:
    """A part of the present function's work; what fails in it goes on from here as it is."""
    failure: BaseException | None = None
    with _recorder.in_subsegment(name.value) as part:
        for key, value in allowed(ids).items():
            part.put_annotation(key, value)
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - it is raised again, where the SDK does not see it
            failure = error
            if not isinstance(error, Paused):
                part.add_fault_flag()
    if failure is not None:
        raise failure
