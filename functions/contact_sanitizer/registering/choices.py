"""Many people's consents and withdrawals at once, each with its own outcome.

All numbers are read, keyed, sealed and recorded together; what cannot be used is refused by itself and keeps
nobody else's choice from being recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from contact_sanitizer.audit.events import Action
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.protection.sealing import seal_numbers
from contact_sanitizer.protection.subjects import subjects
from contact_sanitizer.reasons import Reason
from contact_sanitizer.registering.desk import ConsentTerms, Desk, Person, reader_of
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus

_ACTIONS: Final[Mapping[ConsentStatus, Action]] = {
    ConsentStatus.GRANTED: Action.CONSENT_RECORDED,
    ConsentStatus.WITHDRAWN: Action.CONSENT_WITHDRAWN,
}


@dataclass(frozen=True, slots=True, repr=False)
class Choice:
    """What one person said. Redacts itself."""

    phone: str
    status: ConsentStatus
    terms: ConsentTerms

    def __repr__(self) -> str:
        return "Choice()"


def record_choices(desk: Desk, choices: Sequence[Choice]) -> list[str]:
    """Each choice's outcome, in order: `recorded`, `already_there`, or `refused:` and a reason.

    Announced before anything is recorded, with the number of grants and withdrawals. Raises `RegistryError`
    where the registry does not answer; the same choices again then change nothing that was recorded.
    """
    drafts = [_drafted(desk, choice, person) for choice, person in _with_people(desk, choices)]
    events = [draft for draft in drafts if isinstance(draft, ConsentEvent)]
    for status, action in _ACTIONS.items():
        if alike := [event for event in events if event.status is status]:
            desk.announce(action, counts={"events": len(alike)}, asked_at=desk.withdrawn_at(alike))
    outcomes = iter(desk.registry.record(events).outcomes if events else ())
    return [draft if isinstance(draft, str) else next(outcomes).value for draft in drafts]


def _with_people(desk: Desk, choices: Sequence[Choice]) -> list[tuple[Choice, Person | str]]:
    phones = pa.array([choice.phone for choice in choices], pa.string())
    numbers = reader_of(desk.default_region).normalize(phones)
    keyed, sealed = subjects(numbers.blocks, desk.keyring), seal_numbers(numbers.blocks, desk.keyring)

    def person(row: int) -> Person | str:
        if reason := int(numbers.reasons[row]):
            return f"refused:{Reason(reason).word}"
        return Person(keyed[row].tobytes(), numbers.blocks[row].tobytes(), sealed[row].tobytes())

    return [(choice, person(row)) for row, choice in enumerate(choices)]


def _drafted(desk: Desk, choice: Choice, person: Person | str) -> ConsentEvent | str:
    if isinstance(person, str):
        return person
    try:
        return desk.consent_event(choice.status, person, choice.terms)
    except RegistryError:
        terms = choice.terms
        incomplete = choice.status is ConsentStatus.GRANTED and not (terms.purpose and terms.channel)
        return "refused:purpose_or_channel_missing" if incomplete else "refused:moments_impossible"
