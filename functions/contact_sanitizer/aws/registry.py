"""The registry in DynamoDB: append-only histories, one item a person, one order of commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from botocore.exceptions import ClientError
from numpy.typing import NDArray

from contact_sanitizer.aws.faults import Fault, fault_of, told
from contact_sanitizer.aws.histories import Entry, damaged, unpack
from contact_sanitizer.aws.registry_commit import (
    PEOPLE_A_COMMIT,
    Plan,
    commit,
    done_rows,
    mark_key,
    person_key_of,
    plan_of,
)
from contact_sanitizer.aws.registry_events import TableEvents
from contact_sanitizer.aws.registry_forgetting import forget, remembered
from contact_sanitizer.aws.registry_items import (
    CHANGED_BYTES,
    Head,
    Item,
    PersonKey,
    RegistryTable,
    changed_in,
    numbered_key,
    write_fault,
)
from contact_sanitizer.aws.registry_view import DynamoScreening, offered
from contact_sanitizer.aws.snapshots import SnapshotPlace
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.consent import ConsentEvent, check_moments, check_subject
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.forgetting import Leave, person_keys
from contact_sanitizer.screening.history import Events, history_of
from contact_sanitizer.screening.recording import (
    Ahead,
    Candidates,
    Event,
    ImportMark,
    Outcome,
    PersonHistory,
    Recorded,
    RegistryStanding,
    Remembered,
    WaitingReply,
)
from contact_sanitizer.screening.rule import FOREVER, Rule
from contact_sanitizer.screening.suppression import SuppressionEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: How many calls read people at once; more would only wait for this process's own Python.
_READERS: Final = 8
#: From this size of a file on (some 20,000 rows) its list rests on a snapshot where one serves.
LARGE_FILE: Final = 1 << 19


class DynamoRegistry:
    """Implements `ports.Registry` for one tenant on a DynamoDB table (`pk`, `sk`: strings).

    Promises: events of up to 97 people are recorded together with the mark, all or nothing; more are
    recorded in such commits in their order, the mark in the last one, so that an interrupted batch is
    completed by recording it again; a view sees every commit that was answered before it was opened, and
    none after; every fault is a `RegistryError`, and a person who could not be read never counts as
    unknown. Does not promise many commits a second at once: they follow each other, some 30 to 50 a second.
    """

    def __init__(
        self, dynamodb: DynamoDBClient, table: str, tenant: str, snapshots: SnapshotPlace | None = None
    ) -> None:
        """`snapshots`: where the tenant's are kept; without it all lists are screened in the table."""
        self._table = RegistryTable(dynamodb, table, tenant)
        self._pool = ThreadPoolExecutor(_READERS, "registry")
        self._shelf = snapshots.shelf(self._pool) if snapshots else None

    def create(self) -> None:
        """Makes an empty registry where there is none; an existing one stays as it is."""
        table = self._table
        with told(write_fault):
            try:
                table.dynamodb.put_item(
                    TableName=table.name,
                    Item=Head().item(table.tenant),
                    ConditionExpression="attribute_not_exists(pk)",
                )
            except ClientError as error:
                if fault_of(error) is not Fault.LOST_RACE:
                    raise

    def close(self) -> None:
        """Lets go of the readers; what was opened before answers no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def screening(
        self, rule: Rule, now: int, change: int | None = None, snapshot: str = ""
    ) -> DynamoScreening:
        """A view for one job, pinned at a change number; see `ports.Registry.screening`.

        Pinned, it reads the snapshot named, or none; else one that serves, once there are many people.
        """
        events = self._events(rule, now, change)
        standing = replace(_standing(events.head), change=events.change, snapshot=snapshot or None)
        return DynamoScreening(events, standing, _contracts(events.head), self._shelf, free=change is None)

    def ask(self, rule: Rule, now: int, candidates: Candidates) -> NDArray[np.uint8]:
        """What speaks against a few people right now; see `ports.AskedRegistry.ask`."""
        events = self._events(rule, now)
        return candidates.verdicts(_contracts(events.head), events.verdicts)

    def record(self, events: Sequence[Event], mark: ImportMark | None = None) -> Recorded:
        """Records events and mark; see the class for what is all or nothing."""
        parts = list(_commits(events)) or [[]]
        outcomes: list[Outcome] = []
        change = 0
        for number, part in enumerate(parts, 1):
            own_mark = mark if number == len(parts) else None
            plan = commit(self._table, partial(plan_of, self._table, self._pool, part, own_mark))
            outcomes += plan.outcomes
            change = plan.head.change
        return Recorded(tuple(outcomes), change)

    def history(self, subject: bytes, block: bytes | None = None, as_of: int | None = None) -> PersonHistory:
        """One person's history as known at `as_of`; see `ports.Registry.history`."""
        check_subject(subject)

        def read(contract: int, key: bytes) -> Events:
            events = [entry.event for entry in self._log((contract, key))]
            consents = [event for event in events if isinstance(event, ConsentEvent)]
            return consents, [event for event in events if isinstance(event, SuppressionEvent)]

        return history_of(read, _contracts(self._table.head()), subject, block, as_of)

    def imported_rows(self, import_id: str) -> int:
        """How many records of an import are dealt with; see `ports.Registry.imported_rows`."""
        return done_rows(self._table.item(mark_key(self._table.tenant, import_id)))

    def standing(self, ahead: Ahead | None = None) -> RegistryStanding:
        """The present change number and when each register was loaded; see `ports.Registry.standing`."""
        if ahead is None or self._shelf is None or ahead.size() < LARGE_FILE:
            return _standing(self._table.head())
        self._shelf.want(ahead.rule, ahead.now)
        try:
            header = self._shelf.newest(ahead.rule)
        except RegistryError:
            header = None
        # The head is read later, so a snapshot is never ahead of it.
        head = self._table.head()
        events = TableEvents(self._table, self._pool, head, ahead.rule, ahead.now, head.change)
        return replace(_standing(head), snapshot=offered(header, events, _codes(head)) or None)

    def changed(self, after: int, most: int) -> dict[int, NDArray[np.uint8]] | None:
        """Whose histories changed after a change number; see `delivery.notices.ChangeLog.changed`."""
        who = bytearray()
        for item in self._table.pages(f"{self._table.tenant}#change", f"{after:020}"):
            who += changed_in(item)
            if len(who) > CHANGED_BYTES * most:
                return None
        rows = np.frombuffer(bytes(who), np.uint8).reshape(-1, CHANGED_BYTES)
        return {int(code): rows[rows[:, 0] == code, 1:] for code in np.unique(rows[:, 0])}

    def remembered(self, subject: bytes, block: bytes) -> Remembered:
        """How much is held about one person; see `ports.Forgetter.remembered`."""
        return remembered(self._table, self._pool, self._keys(subject, block))

    def forget(self, subject: bytes, block: bytes, leave: Leave) -> None:
        """Forgets one person but for bare refusals; see `ports.Forgetter.forget`. Snapshots go too.

        The table's backups forget when their own term is over.
        """
        forget(self._table, self._pool, self._keys(subject, block), leave)
        if self._shelf:
            self._shelf.clear()

    def keep_reply(self, subject: bytes, sealed: bytes, recorded_at: int) -> int:
        """The number under which a reply not understood, sealed by the caller, waits for a person."""
        check_subject(subject)
        check_moments(recorded_at)

        def make(head: Head) -> Plan:
            number = head.replies + 1
            item = {
                **self._reply_key(number),
                "subject": {"B": subject},
                "sealed": {"B": sealed},
                "recorded_at": {"N": str(recorded_at)},
            }
            return Plan(replace(head, replies=number), [item])

        return commit(self._table, make).head.replies

    def waiting_replies(self, limit: int = 1000) -> list[WaitingReply]:
        """The oldest replies that nobody has settled."""
        waiting: list[WaitingReply] = []
        for item in self._replies(FilterExpression="attribute_not_exists(settled_at)"):
            if len(waiting) == limit:
                break
            waiting.append(_reply(item))
        return waiting

    def settle_reply(self, number: int, settled_by: str, settled_at: int) -> bool:
        """Notes who dealt with a reply; false where it is settled already or unknown."""
        table = self._table
        with told(write_fault):
            try:
                table.dynamodb.update_item(
                    TableName=table.name,
                    Key=self._reply_key(number),
                    UpdateExpression="SET settled_at = :at, settled_by = :by",
                    ConditionExpression="attribute_exists(pk) AND attribute_not_exists(settled_at)",
                    ExpressionAttributeValues={":at": {"N": str(settled_at)}, ":by": {"S": settled_by}},
                )
            except ClientError as error:
                if fault_of(error) is not Fault.LOST_RACE:
                    raise
                return False
        return True

    def _events(self, rule: Rule, now: int, change: int | None = None) -> TableEvents:
        """What a view reads that is pinned at a change number."""
        if not 0 <= now < FOREVER:
            raise RegistryError("rule_refused", "A list is screened at a moment between 1970 and 2106.")
        head = self._table.head()
        rule.require_fresh(head.loaded_at, now)
        if rule.recipient and not head.may_refuse(rule.recipient):
            # so that deliveries to anybody share the snapshot of the list's own rule
            rule = replace(rule, recipient=None)
        pinned = head.change if change is None else min(change, head.change)
        return TableEvents(self._table, self._pool, head, rule, now, pinned)

    def _keys(self, subject: bytes, block: bytes) -> list[PersonKey]:
        check_subject(subject)
        return person_keys(_contracts(self._table.head()), subject, block)

    def _log(self, key: PersonKey) -> list[Entry]:
        packed = self._table.histories([key], self._pool)
        return unpack(key[1], key[0], packed[key]) if packed else []

    def _replies(self, **more: Any) -> Iterator[Item]:
        return self._table.pages(f"{self._table.tenant}#reply", **more)

    def _reply_key(self, number: int) -> dict[str, Any]:
        return numbered_key(self._table.tenant, "reply", number, 12)


def _commits(events: Sequence[Event]) -> Iterator[list[Event]]:
    """The events in their order, in parts that one commit takes."""
    part: list[Event] = []
    people: set[PersonKey] = set()
    for event in events:
        people.add(person_key_of(event))
        if len(people) > PEOPLE_A_COMMIT:
            yield part
            part, people = [], {person_key_of(event)}
        part.append(event)
    if part:
        yield part


def _standing(head: Head) -> RegistryStanding:
    return RegistryStanding(head.change, None, head.loaded_at)


def _codes(head: Head) -> list[int]:
    """The contracts under which the registry holds subjects."""
    return [0, *head.contracts]


def _contracts(head: Head) -> list[HashContract]:
    return [HashContract.coded(code) for code in head.contracts]


def _reply(item: Item) -> WaitingReply:
    try:
        return WaitingReply(
            int(item["sk"]["S"]),
            bytes(item["subject"]["B"]),
            bytes(item["sealed"]["B"]),
            int(item["recorded_at"]["N"]),
        )
    except (KeyError, ValueError, TypeError):
        raise damaged() from None
