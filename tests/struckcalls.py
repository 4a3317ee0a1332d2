"""Calls of AWS that are struck.

A call is everything that one use of a client sends, repeats included. A killed process sends nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Protocol
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ReadTimeoutError
from moto.core.models import botocore_stubber

from cloudworld import AUDIT, answer_of
from interleaving import Interleaving

MOMENTS: Final = ("before", "after")
KINDS: Final = ("kill", "timeout", "500", "throttle", "lost")


class Killed(BaseException):
    """The process ends here."""


@dataclass(frozen=True, slots=True)
class Strike:
    """What befalls the call number `at`: before the service sees it, or after it did all.

    `lost` is one timeout, after which the client's own repeat gets through; the others last.
    """

    at: int
    moment: str
    kind: str


class Sending(Protocol):
    """One time that a client sends a request."""

    @property
    def operation(self) -> str:
        """What is asked for."""
        ...

    @property
    def call(self) -> object:
        """What tells the repeats of one call from another call."""
        ...

    @property
    def place(self) -> tuple[str, str]:
        """Bucket and key, empty where it is about none."""
        ...

    def fail(self, kind: str) -> Any:
        """Answer, or raise, as a request that fails like this."""
        ...


Watch = Callable[[Sending], None]


@dataclass
class Process:
    """What one process has sent so far, and what befalls it."""

    strike: Strike | None = None
    sent: list[str] = field(default_factory=list)
    known: dict[object, int] = field(default_factory=dict)
    dead: bool = False

    def struck(self, sending: Sending) -> Strike | None:
        """Count a sending; what befalls it, or None."""
        if self.dead:
            raise Killed
        repeated = sending.call in self.known
        number = self.known.setdefault(sending.call, len(self.known))
        if not repeated:
            self.sent.append(sending.operation)
        strike = self.strike
        if strike is None or strike.at != number or (repeated and strike.kind == "lost"):
            return None
        return strike


class Calls:
    """The calls of each process since its `begin`, and the one that is struck.

    Of processes that are interleaved, a call is that of the one whose turn it is.
    """

    def __init__(self) -> None:
        self.interleaving: Interleaving | None = None
        #: How the audit log's bucket answers to a writing; empty: as it should.
        self.audit_log = ""
        #: Told of each request that a service has served.
        self.watch: Watch = lambda _sending: None
        self._lock = Lock()
        self._processes: dict[int, Process] = {}
        self.begin()

    @property
    def sent(self) -> list[str]:
        """The operations that the present process asked for, in order."""
        return self._processes[self._here].sent

    def begin(self, strike: Strike | None = None) -> None:
        """A new process."""
        self._processes[self._here] = Process(strike)
        self._overtaking: tuple[int, Callable[[], None]] | None = None

    def overtake(self, at: int, work: Callable[[], None]) -> None:
        """Let somebody else do their work while the call number `at` is on its way."""
        self._overtaking = at, work

    def meet(self, sending: Sending, send: Callable[[], Any]) -> Any:
        """Pass a request on, or not."""
        if self.interleaving is not None:
            self.interleaving.yield_turn()
        process = self._processes[self._here]
        if self.audit_log and sending.operation == "PutObject" and sending.place[0] == AUDIT:
            return sending.fail(self.audit_log)
        if self._overtaking and self._overtaking[0] <= len(process.sent):
            work = self._overtaking[1]
            self._overtaking = None
            work()
        with self._lock:
            strike = process.struck(sending)
        if strike is None or strike.moment == "after":
            answer = send()
            self.watch(sending)
        if strike is None:
            return answer
        if strike.kind == "kill":
            process.dead = True
            raise Killed
        return sending.fail(strike.kind)

    @property
    def _here(self) -> int:
        return -1 if self.interleaving is None else self.interleaving.turn


@dataclass(frozen=True, slots=True)
class StubbedSending:
    """One request on its way to moto."""

    event_name: str
    request: AWSPreparedRequest

    @property
    def operation(self) -> str:
        return self.event_name.rsplit(".", 1)[1]

    @property
    def call(self) -> object:
        return self.request.headers.get("amz-sdk-invocation-id")

    @property
    def place(self) -> tuple[str, str]:
        parts = urlsplit(self.request.url)
        # The bucket is in the host's name or begins the path.
        host, path = parts.netloc.partition(".")[0], unquote(parts.path.lstrip("/"))
        bucket, _, key = path.partition("/")
        return (bucket, key) if host == "s3" else (host, path)

    def fail(self, kind: str) -> Any:
        if kind in {"timeout", "lost"}:
            raise ReadTimeoutError(endpoint_url=self.request.url)
        return answer_of(kind, self.event_name.split(".")[1], self.request)


@contextmanager
def struck() -> Iterator[Calls]:
    """The calls of everything in the block, inside of moto's cloud."""
    calls, kind = Calls(), type(botocore_stubber)
    inner: Callable[..., Any] = kind.__call__

    def meet(stubber: object, event_name: str, request: AWSPreparedRequest, **more: Any) -> Any:
        sending = StubbedSending(event_name, request)
        return calls.meet(sending, lambda: inner(stubber, event_name, request, **more))

    with patch.object(kind, "__call__", meet):
        yield calls
