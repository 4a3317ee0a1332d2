"""Notices on an event bus: whoever has a rule there is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.errors import DeliveryError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE: Final = "contact-sanitizer"
RECALLS_PENDING: Final = "recalls.pending"


@dataclass(frozen=True, slots=True)
class NoticeBus:
    """One bus of EventBridge. Promises: a notice that was not taken is an error."""

    events: EventBridgeClient
    name: str

    def tell(self, notice: Mapping[str, Any]) -> None:
        """Put a notice, a JSON object, on the bus; `DeliveryError` (`notice_unsent`) where that fails."""
        entry: PutEventsRequestEntryTypeDef = {
            "EventBusName": self.name,
            "Source": SOURCE,
            "DetailType": RECALLS_PENDING,
            "Detail": json.dumps(notice, sort_keys=True),
        }
        with told(_unsent):
            answer = self.events.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise _unsent(Fault.UNAVAILABLE)


def _unsent(_fault: Fault) -> DeliveryError:
    return DeliveryError("notice_unsent", "a notice could not be told; the next look tells it")
