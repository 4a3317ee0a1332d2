"""Commits to the registry: optimistic, one after another, each whole.

Every commit replaces the head on condition that nobody else has since it was read. So what was read after the
head is still true when the commit takes place, change numbers are given out in the order of commits, and
who reads the head sees all that was committed up to its change number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from botocore.exceptions import ClientError

from contact_sanitizer.aws.faults import Fault, fault_of, told
from contact_sanitizer.aws.histories import Entry, pack, unpack
from contact_sanitizer.aws.registry_items import (
    Head,
    Item,
    PersonKey,
    RegistryTable,
    numbered_key,
    pause,
    person_key,
    write_fault,
)
from contact_sanitizer.screening.acts import judge, salt_of
from contact_sanitizer.screening.consent import ConsentEvent
from contact_sanitizer.screening.identity import contract_of, identity_of
from contact_sanitizer.screening.recording import Event, ImportMark, Outcome
from contact_sanitizer.screening.suppression import SuppressionEvent

#: A transaction takes 100 items: the head, the change and an import's mark are among them.
PEOPLE_A_COMMIT: Final = 97
_TRIES: Final = 24


@dataclass(frozen=True, slots=True)
class Plan:
    """What a commit writes beside the head, and what it says to its caller. No `puts`, same head: nothing."""

    head: Head
    puts: Sequence[Item] = ()
    deletes: Sequence[Item] = ()
    outcomes: tuple[Outcome, ...] = ()


def commit(table: RegistryTable, make: Callable[[Head], Plan]) -> Plan:
    """Makes a plan on the present head and carries it out, anew where others came first.

    Raises `RegistryError`: `registry_locked` where others always come first, `registry_unwritable`.
    """
    for turn in range(_TRIES):
        head = table.head()
        plan = make(head)
        if not plan.puts and not plan.deletes and plan.head == head:
            return plan
        if _carry_out(table, head, plan):
            return plan
        pause(min(turn, 4))
    raise write_fault(Fault.LOST_RACE)


def _carry_out(table: RegistryTable, head: Head, plan: Plan) -> bool:
    puts = [{"Put": {"TableName": table.name, "Item": item}} for item in plan.puts]
    deletes = [{"Delete": {"TableName": table.name, "Key": key}} for key in plan.deletes]
    first = {
        "TableName": table.name,
        "Item": plan.head.item(table.tenant),
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(head.version)}},
    }
    items: Any = [{"Put": first}, *puts, *deletes]
    with told(write_fault):
        try:
            table.dynamodb.transact_write_items(TransactItems=items)
        except ClientError as error:
            if fault_of(error) is not Fault.LOST_RACE:
                raise
            return False
    return True


@dataclass(slots=True)
class Draft:
    """The histories of some people while events are added to them."""

    head: Head
    logs: dict[PersonKey, list[Entry]]
    changed: set[PersonKey] = field(default_factory=set)

    @classmethod
    def of(cls, head: Head, packed: Mapping[PersonKey, bytes]) -> Draft:
        """A draft on these histories."""
        return cls(head, {(code, key): unpack(key, code, data) for (code, key), data in packed.items()})

    def add(self, event: Event) -> Outcome:
        """Adds one event, unless it changes nothing or is refused."""
        key = person_key_of(event)
        log = self.logs.setdefault(key, [])
        identities = {entry.identity for entry in log}
        known = identity_of(event) in identities
        if isinstance(event, ConsentEvent):
            outcome, salt = Outcome.ALREADY_THERE if known else Outcome.RECORDED, 0
        else:
            acts = [entry.event for entry in log if isinstance(entry.event, SuppressionEvent)]
            outcome, salt = judge(event, acts, known=known), salt_of(acts, known=known)
        if outcome is Outcome.RECORDED:
            self.head = replace(
                self.head,
                change=self.head.change + 1,
                contracts=tuple(sorted({*self.head.contracts, *filter(None, [key[0]])})),
            )
            if isinstance(event, SuppressionEvent):
                self._note_sender(event.scope)
            log.append(Entry(self.head.change, identity_of(event, salt), event))
            self.changed.add(key)
        return outcome

    def _note_sender(self, scope: str) -> None:
        kind, _, name = scope.partition(":")
        if kind == "sender" and not self.head.may_refuse(name):
            self.head = replace(self.head, senders=tuple(sorted({*(self.head.senders or ()), name})))

    def items(self, tenant: str) -> list[dict[str, Any]]:
        """What is to be written: the changed histories, and that they changed."""
        keys = sorted(self.changed)
        if not keys:
            return []
        histories = [{**person_key(tenant, key), "history": {"B": pack(self.logs[key])}} for key in keys]
        return [*histories, change_item(tenant, self.head.change, keys)]


def change_item(tenant: str, change: int, keys: Sequence[PersonKey]) -> dict[str, Any]:
    """That the commit up to this change number changed these people's histories."""
    who = b"".join(bytes([code]) + subject for code, subject in keys)
    return {**numbered_key(tenant, "change", change, 20), "who": {"B": who}}


def plan_of(
    table: RegistryTable, pool: Executor, events: Sequence[Event], mark: ImportMark | None, head: Head
) -> Plan:
    """The commit that records these events, of at most `PEOPLE_A_COMMIT` people, and the mark."""
    keys = list(dict.fromkeys(person_key_of(event) for event in events))
    draft = Draft.of(head, table.histories(keys, pool))
    outcomes = tuple(draft.add(event) for event in events)
    puts = draft.items(table.tenant)
    if mark is None:
        return Plan(draft.head, puts, outcomes=outcomes)
    key = mark_key(table.tenant, mark.import_id)
    item = _mark_item(key, mark, done_rows(table.item(key)))
    after = draft.head
    if mark.finished_at is not None:
        after = after.loaded(mark.scopes, mark.finished_at)
    return Plan(after, [*puts, item], outcomes=outcomes)


def mark_key(tenant: str, import_id: str) -> dict[str, Any]:
    """The key of an import's mark."""
    return {"pk": {"S": f"{tenant}#import"}, "sk": {"S": import_id}}


def done_rows(mark: Item | None) -> int:
    """How many rows a stored mark says are dealt with."""
    return int(mark["done"]["N"]) if mark else 0


def _mark_item(key: Item, mark: ImportMark, done_before: int) -> dict[str, Any]:
    finished = {} if mark.finished_at is None else {"finished_at": {"N": str(mark.finished_at)}}
    return {**key, "done": {"N": str(max(mark.done_rows, done_before))}, **finished}


def person_key_of(event: Event) -> PersonKey:
    """Whose history an event belongs to."""
    return contract_of(event), event.subject
