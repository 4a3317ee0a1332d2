"""What a function works in: the stack's settings and clients, made once a process, and one call's world."""

from __future__ import annotations

import os
import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from contact_sanitizer.access import Admission, Caller, Role
from contact_sanitizer.announcing import Announcer, Circumstances
from contact_sanitizer.audit.events import Action, Outcome
from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.aws.world import StackWorld, audit_of, directory_of
from contact_sanitizer.errors import RequestError
from contact_sanitizer.handlers.journal import Counted, count
from contact_sanitizer.listid import ListId

if TYPE_CHECKING:
    from contact_sanitizer.registering.imports import Occasion
    from contact_sanitizer.workspace import Workspace

NOBODY = "-"
"""The tenant of events that are no tenant's: no tenant's name is this."""


def _clock() -> int:
    return time.time_ns() // 1_000_000


CIRCUMSTANCES = Circumstances(_clock, os.urandom)


@cache
def settings() -> StackSettings:
    """What the function's environment says of its stack."""
    return StackSettings.from_environment(os.environ)


@cache
def clients() -> Clients:
    """The connections of this process."""
    return Clients()


@dataclass(frozen=True, slots=True)
class Call:
    """One call that may go on: who calls (`caller`: as it stands in the records), and in which world."""

    admission: Admission
    world: StackWorld
    announce: Announcer
    caller: str = ""

    def workspace(self, *, make: bool = True, occasion: Occasion | None = None) -> Workspace:
        """The engine's use cases in this world; with `make` the default tenant is made where it is missing.

        Without it a tenant that was never made is a `KeyringError` (`keyring_missing`). `occasion`: what its
        imports follow from.
        """
        from contact_sanitizer.workspace import Workspace  # noqa: PLC0415 - the engine, for those who need it

        return Workspace.in_stack(
            self.world,
            make=make and self.world.tenant == settings().default_tenant,
            clock=CIRCUMSTANCES.clock,
            randomness=CIRCUMSTANCES.randomness,
            principal=self.announce.principal,
            call=self.announce.correlation,
            occasion=occasion,
        )


def admit(caller: Caller, roles: AbstractSet[Role], operation: str, correlation: ListId) -> Call:
    """The call, where its caller may make it; a refusal is an event and a count."""
    try:
        admission = directory_of(settings(), clients()).admit(caller, roles)
    except RequestError as error:
        if error.code != "not_allowed":
            raise
        log = audit_of(settings(), clients())
        deny(Announcer(log, CIRCUMSTANCES, caller.word, NOBODY, correlation), operation)
    return _call(admission, correlation, caller.name)


def deny(announce: Announcer, operation: str) -> NoReturn:
    """Refuse a call: an event, a count, and `RequestError` (`not_allowed`)."""
    count(Counted.CALLS_DENIED)
    error = RequestError("not_allowed", "this is not for you: ask the operator for a role that may do it")
    announce(Action.ACCESS_DENIED, outcome=Outcome.FAILURE, reason=operation, code=error.code)
    raise error


def call_of(tenant: str, principal: str, correlation: ListId) -> Call:
    """The call of a function that nobody but the stack itself calls."""
    return _call(Admission(tenant, principal, None), correlation)


def _call(admission: Admission, correlation: ListId, caller: str = "") -> Call:
    world = StackWorld(settings(), clients(), admission.tenant)
    announce = Announcer(world.audit, CIRCUMSTANCES, admission.word, admission.tenant, correlation)
    return Call(admission, world, announce, caller)
