"""What the use cases of senders work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contact_sanitizer.job import Meter, no_meter
from contact_sanitizer.listid import ListId
from contact_sanitizer.ports import Announce, AskedRegistry, DeliveryShelf, Records
from contact_sanitizer.protection.keyring import Keyring


@dataclass(frozen=True, slots=True)
class DeliveryDesk:
    """One tenant's things for one command or request. `clock`: milliseconds since 1970 UTC."""

    records: Records
    registry: AskedRegistry
    keyring: Keyring
    shelf: DeliveryShelf
    announce: Announce
    clock: Callable[[], int]
    new_id: Callable[[], ListId]
    actor: str
    meter: Meter = no_meter
