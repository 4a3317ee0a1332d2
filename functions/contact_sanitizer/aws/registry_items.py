"""The registry's items in its table, and reading them.

::

    pk                    sk                what
    TENANT#head           head              change number, registers, contracts; `version` counts its writings
    TENANT#p#C#HH         subject (hex)     a person's history; C: contract (0: keyed), HH: its first byte
    TENANT#change         number (20 digits) whose histories one commit changed, up to this change number
    TENANT#import         import id         how far an import has come
    TENANT#reply          number (12 digits) a reply that waits for a person

People stand in 256 partitions a contract, ascending within each, so that all can be read in their order.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.aws.histories import damaged
from contact_sanitizer.errors import RegistryError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: What BatchGetItem takes at once.
_KEYS_A_CALL: Final = 100
_ROUNDS: Final = 8
_PAUSE: Final = 0.05
#: A contract's code and a subject, in the item of a change.
CHANGED_BYTES: Final = 17
_LONGEST_PAUSE: Final = 2.0

Item = Mapping[str, Any]
PersonKey = tuple[int, bytes]
"""A contract's code and a subject under it."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of the registry as a whole. `version` 0: it was never made."""

    version: int = 0
    change: int = 0
    loaded_at: Mapping[str, int] = field(default_factory=dict)
    contracts: tuple[int, ...] = ()
    forgotten: int = 0
    replies: int = 0
    senders: tuple[str, ...] | None = ()
    """To which senders anybody ever refused; None where that was not kept."""

    def item(self, tenant: str) -> dict[str, Any]:
        """The head as the next writing of its item."""
        facts = {
            "loaded_at": dict(self.loaded_at),
            "contracts": list(self.contracts),
            "forgotten": self.forgotten,
            "replies": self.replies,
            **({} if self.senders is None else {"senders": list(self.senders)}),
        }
        return {
            **head_key(tenant),
            "version": {"N": str(self.version + 1)},
            "change": {"N": str(self.change)},
            "facts": {"S": json.dumps(facts, sort_keys=True)},
        }

    def may_refuse(self, sender: str) -> bool:
        """Whether anybody may have refused to that sender alone."""
        return self.senders is None or sender in self.senders

    def loaded(self, scopes: Iterable[str], at: int) -> Head:
        """The head after these registers were loaded at that moment."""
        later = {scope: max(at, self.loaded_at.get(scope, 0)) for scope in scopes}
        return replace(self, loaded_at={**self.loaded_at, **later})


@dataclass(frozen=True, slots=True)
class RegistryTable:
    """The items of one tenant. Every fault is a `RegistryError`; what was not read is never "not there"."""

    dynamodb: DynamoDBClient
    name: str
    tenant: str

    def head(self) -> Head:
        """The head as it is now; `RegistryError` (`registry_unavailable`) where there is no registry."""
        item = self.item(head_key(self.tenant))
        if item is None:
            # a registry that was emptied must not pass for one that forbids nothing
            raise RegistryError("registry_unavailable", "There is no registry for this tenant.")
        try:
            facts = json.loads(item["facts"]["S"])
            return Head(
                int(item["version"]["N"]),
                int(item["change"]["N"]),
                {str(scope): int(at) for scope, at in facts["loaded_at"].items()},
                tuple(int(code) for code in facts["contracts"]),
                int(facts["forgotten"]),
                int(facts["replies"]),
                tuple(str(name) for name in facts["senders"]) if "senders" in facts else None,
            )
        except (KeyError, ValueError, TypeError, AttributeError):
            raise damaged() from None

    def item(self, key: Item) -> Item | None:
        """One item as it is now, or None."""
        with told(read_fault):
            answer = self.dynamodb.get_item(TableName=self.name, Key=key, ConsistentRead=True)
        return answer.get("Item")

    def histories(self, keys: Sequence[PersonKey], pool: Executor) -> dict[PersonKey, bytes]:
        """The packed histories of distinct people; who is unknown is left out. All are read, or it raises."""
        found: dict[PersonKey, bytes] = {}
        calls = [keys[start : start + _KEYS_A_CALL] for start in range(0, len(keys), _KEYS_A_CALL)]
        for item in chain.from_iterable(_all_of(pool, self._some, calls)):
            found[person_of(item)] = history_in(item)
        return found

    def pages(self, partition: str, start: str = "", **more: Any) -> Iterator[Item]:
        """The items of a partition whose `sk` comes after `start`, ascending."""
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="pk = :pk AND sk > :sk",
            ExpressionAttributeValues={":pk": {"S": partition}, ":sk": {"S": start or " "}},
            ConsistentRead=True,
            **more,
        )
        with told(read_fault):
            for page in pages:
                yield from page.get("Items", [])

    def _some(self, keys: Sequence[PersonKey]) -> list[Item]:
        """The items of at most a hundred people."""
        found: list[Item] = []
        wanted: Any = [person_key(self.tenant, key) for key in keys]
        for turn in range(_ROUNDS):
            with told(read_fault):
                answer: Any = self.dynamodb.batch_get_item(
                    RequestItems={self.name: {"Keys": wanted, "ConsistentRead": True}}
                )
            some = answer["Responses"].get(self.name, [])
            found += some
            left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if not left:
                return found
            wanted = left
            if not some:
                pause(turn)
        raise read_fault(Fault.UNAVAILABLE)


def _all_of(
    pool: Executor, read: Callable[[Sequence[PersonKey]], list[Item]], calls: Sequence[Sequence[PersonKey]]
) -> Iterator[list[Item]]:
    if len(calls) == 1:
        return iter([read(calls[0])])
    try:
        return pool.map(read, calls)
    except RuntimeError:  # the readers were let go of
        raise RegistryError("registry_unavailable", "The registry was closed.") from None


def head_key(tenant: str) -> dict[str, Any]:
    """The key of the head."""
    return {"pk": {"S": f"{tenant}#head"}, "sk": {"S": "head"}}


def people_partition(tenant: str, contract: int, first: int) -> str:
    """The partition of the people whose subjects begin with this byte."""
    return f"{tenant}#p#{contract}#{first:02x}"


def person_key(tenant: str, key: PersonKey) -> dict[str, Any]:
    """The key of one person's history."""
    contract, subject = key
    return {"pk": {"S": people_partition(tenant, contract, subject[0])}, "sk": {"S": subject.hex()}}


def person_of(item: Item) -> PersonKey:
    """Whose history an item is."""
    try:
        return int(item["pk"]["S"].split("#")[2]), bytes.fromhex(item["sk"]["S"])
    except (KeyError, ValueError, IndexError):
        raise damaged() from None


def history_in(item: Item) -> bytes:
    """The packed history in an item."""
    try:
        return bytes(item["history"]["B"])
    except (KeyError, TypeError):
        raise damaged() from None


def changed_in(item: Item) -> bytes:
    """Whose histories a commit changed: for each a contract's code and a subject, one after another."""
    try:
        who = bytes(item["who"]["B"])
    except (KeyError, TypeError):
        raise damaged() from None
    if len(who) % CHANGED_BYTES:
        raise damaged()
    return who


def numbered_key(tenant: str, kind: str, number: int, digits: int) -> dict[str, Any]:
    """The key of an item that is found by its number."""
    return {"pk": {"S": f"{tenant}#{kind}"}, "sk": {"S": f"{number:0{digits}}"}}


def pause(turn: int) -> None:
    """Waits before the next turn, longer each time and never together with others (full jitter)."""
    time.sleep(random.uniform(0, min(_LONGEST_PAUSE, _PAUSE * 2**turn)))  # noqa: S311 - a pause, no secret


def read_fault(fault: Fault) -> RegistryError:
    """What stands in the way of reading the registry."""
    if fault is Fault.DENIED:
        return RegistryError("registry_unavailable", "Access to the registry is refused.")
    return RegistryError("registry_unavailable", "The registry does not answer as it should; try again.")


def write_fault(fault: Fault) -> RegistryError:
    """What stands in the way of writing it."""
    if fault is Fault.LOST_RACE:
        return RegistryError("registry_locked", "Others are writing to the registry; try again.")
    if fault is Fault.INVALID:
        return RegistryError("event_refused", "A history would become too long, or cannot be stored.")
    return RegistryError("registry_unwritable", "The registry cannot be written now; try again.")
