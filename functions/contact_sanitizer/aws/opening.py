"""From a stack's name to its world, in the name of whoever is at work."""

from __future__ import annotations

from contact_sanitizer.access import principal_name, principal_word
from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.aws.traceapi import TraceApi
from contact_sanitizer.aws.uploadapi import UploadApi
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.errors import HomeError, RequestError


def open_stack(name: str, tenant: str) -> tuple[StackWorld, str]:
    """The world of a tenant, and the word for whoever AWS says is at work."""
    clients = Clients()
    with told(_no_credentials):
        settings = StackSettings.from_outputs(clients.cloudformation, name)
        identity = clients.sts.get_caller_identity()
    try:
        principal = principal_word(principal_name(identity["Arn"]), identity["UserId"])
    except RequestError:
        principal = "unknown"
    return StackWorld(settings, clients, tenant), principal


def open_uploads(name: str, url: str = "") -> UploadApi:
    """The uploads of a stack, by its API at `url`; without one its address is the stack's output."""
    return UploadApi(*_api(name, url))


def open_traces(name: str, url: str = "") -> TraceApi:
    """The traces of a stack, by its API as above."""
    return TraceApi(*_api(name, url))


def _api(name: str, url: str) -> tuple[str, Clients]:
    clients = Clients()
    with told(_no_credentials):
        address = url or StackSettings.from_outputs(clients.cloudformation, name).api_url
    if not address:
        raise HomeError("stack_unavailable", "the stack has no API")
    return address, clients


def _no_credentials(_fault: Fault) -> HomeError:
    return HomeError("stack_unavailable", "AWS cannot be asked: are there credentials and a region?")
