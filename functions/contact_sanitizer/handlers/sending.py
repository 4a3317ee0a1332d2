"""For whom a caller of the senders' functions may speak."""

from __future__ import annotations

from contact_sanitizer.access import Role
from contact_sanitizer.delivery.senders import SenderDesk
from contact_sanitizer.errors import DeliveryError
from contact_sanitizer.handlers.stage import Call, deny
from contact_sanitizer.screening.rule import name_of


def speak_for(call: Call, sender: str, operation: str) -> None:
    """Pass where the caller may act for this sender; `RequestError` (`not_allowed`) otherwise, as an event.

    It may where it was written down as this sender's, or the sender was registered with it as a principal.
    """
    known = call.admission.sender
    if known and name_of(known) == name_of(sender):
        return
    try:
        if call.caller in SenderDesk(call.world.records, call.announce).find(sender).principals:
            return
    except DeliveryError:
        pass
    deny(call.announce, operation)


def reviews(call: Call) -> bool:
    """Whether the caller was written down to look at everybody's deliveries."""
    return call.admission.serves_as(Role.SECURITY) or call.admission.serves_as(Role.OPERATOR)
