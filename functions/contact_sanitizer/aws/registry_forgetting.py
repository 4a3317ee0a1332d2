"""Forgetting one person in the registry's table.

First goes what only leads to the person (who was changed by which commit, waiting replies), in as many
commits as it takes, and last the histories, in one: whoever is interrupted finds in them what is left to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any, Final

from contact_sanitizer.aws.histories import Entry, pack, unpack
from contact_sanitizer.aws.registry_commit import Plan, change_item, commit
from contact_sanitizer.aws.registry_items import Head, Item, RegistryTable, person_key
from contact_sanitizer.screening.consent import ConsentEvent
from contact_sanitizer.screening.forgetting import NEW, Leave, Logged, PersonKey, bare_refusals
from contact_sanitizer.screening.identity import identity_of
from contact_sanitizer.screening.recording import Remembered

_A_COMMIT: Final = 90
_WHO_BYTES: Final = 17


def remembered(table: RegistryTable, pool: Executor, keys: Sequence[PersonKey]) -> Remembered:
    """How much is held under a person's keys."""
    log = _log(table, pool, keys)
    consents = sum(isinstance(event, ConsentEvent) for _, event in log)
    return Remembered(consents, len(log) - consents, len(_replies(table, keys)))


def forget(table: RegistryTable, pool: Executor, keys: Sequence[PersonKey], leave: Leave) -> None:
    """Removes all that is held under a person's keys, and puts the bare refusals back."""
    replies = _replies(table, keys)
    for start in range(0, len(replies), _A_COMMIT):
        commit(table, partial(_without, replies[start : start + _A_COMMIT]))
    for change in {change for change, _ in _log(table, pool, keys)}:
        commit(table, partial(_unnamed, table, keys, change))
    commit(table, lambda head: _bared(table.tenant, _log(table, pool, keys), keys, leave, head))


def _without(items: Sequence[Item], head: Head) -> Plan:
    return Plan(_later(head), deletes=items)


def _bared(tenant: str, log: Sequence[Logged], keys: Sequence[PersonKey], leave: Leave, head: Head) -> Plan:
    """The commit that leaves the bare refusals; new ones are told like any change."""
    own = keys[0]
    after = _later(head)
    entries: list[Entry] = []
    for change, event in bare_refusals(own[1], log, leave):
        if change == NEW:
            after = replace(after, change=after.change + 1)
        entries.append(Entry(change or after.change, identity_of(event), event))
    puts: list[Item] = []
    if entries:
        puts.append({**person_key(tenant, own), "history": {"B": pack(entries)}})
    if after.change > head.change:
        puts.append(change_item(tenant, after.change, [own]))
    gone = keys[1:] if entries else keys
    return Plan(after, puts, [person_key(tenant, key) for key in gone])


def _unnamed(table: RegistryTable, keys: Sequence[PersonKey], change: int, head: Head) -> Plan:
    """The commit after which nothing says that the person was changed by that change's commit."""
    item = next(iter(table.pages(f"{table.tenant}#change", f"{change - 1:020}", Limit=1)), None)
    mine = {bytes([code]) + subject for code, subject in keys}
    who = [] if item is None else list(_who(bytes(item["who"]["B"])))
    left = b"".join(each for each in who if each not in mine)
    if item is None or len(left) == _WHO_BYTES * len(who):
        return Plan(head)
    if not left:
        return Plan(_later(head), deletes=[_key(item)])
    return Plan(_later(head), [{**item, "who": {"B": left}}])


def _who(packed: bytes) -> Iterator[bytes]:
    for start in range(0, len(packed), _WHO_BYTES):
        yield packed[start : start + _WHO_BYTES]


def _later(head: Head) -> Head:
    """What no change number shows: that something was forgotten."""
    return replace(head, forgotten=head.forgotten + 1)


def _log(table: RegistryTable, pool: Executor, keys: Sequence[PersonKey]) -> list[Logged]:
    packed = table.histories(keys, pool)
    entries = [entry for (code, key), data in packed.items() for entry in unpack(key, code, data)]
    return sorted(((entry.change, entry.event) for entry in entries), key=lambda logged: logged[0])


def _replies(table: RegistryTable, keys: Sequence[PersonKey]) -> list[Item]:
    """The keys of the person's replies."""
    (_, subject), *_ = keys
    items = table.pages(f"{table.tenant}#reply")
    return [_key(item) for item in items if bytes(item["subject"]["B"]) == subject]


def _key(item: Mapping[str, Any]) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}
