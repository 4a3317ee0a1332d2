"""What goes into a registry and what comes out of it, apart from verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.consent import ConsentEvent
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.subjectruns import Needles
from contact_sanitizer.screening.suppression import SuppressionEntry, SuppressionEvent
from contact_sanitizer.screening.verdict import Drop

Event = ConsentEvent | SuppressionEvent
#: Gives the `Drop` bits of needles, in their order, under a contract's code (0: keyed subjects).
LookUp = Callable[[Needles, int], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, repr=False)
class Candidates:
    """A batch to screen: the subjects, sorted once for all that is looked up, and the blocks, uint8 (n, 16).

    Blocks serve foreign hashed lists only.
    """

    needles: Needles
    blocks: NDArray[np.uint8]

    @classmethod
    def of(cls, subjects: NDArray[np.uint8], blocks: NDArray[np.uint8]) -> Candidates:
        """Candidates from subjects and blocks, uint8 (n, 16) each, row by row the same people.

        Raises `RegistryError("number_refused")` for other shapes.
        """
        for array in (subjects, blocks):
            if array.dtype != np.uint8 or array.shape != (len(subjects), 16):
                raise RegistryError("number_refused", "Candidates are 16 bytes a row, and as many blocks.")
        return cls(Needles.of(subjects), blocks)

    def verdicts(self, contracts: Iterable[HashContract], look_up: LookUp) -> NDArray[np.uint8]:
        """The `Drop` bits of each candidate, refusals on foreign hashed lists included: uint8 (n,)."""
        bits = _by_row(look_up(self.needles, 0), self.needles)
        for contract in contracts:
            needles = Needles.of(contract.keys(self.blocks))
            bits |= _by_row(look_up(needles, contract.code), needles) & np.uint8(Drop.SUPPRESSED)
        return bits

    def __len__(self) -> int:
        return len(self.blocks)

    def __repr__(self) -> str:
        return f"Candidates({len(self)})"


def _by_row(found: NDArray[np.uint8], needles: Needles) -> NDArray[np.uint8]:
    bits = np.empty_like(found)
    bits[needles.order] = found
    return bits


class Outcome(StrEnum):
    """What became of one event; the word is public."""

    RECORDED = "recorded"
    ALREADY_THERE = "already_there"
    NOTHING_TO_REMOVE = "refused:nothing_to_remove"
    NO_REMOVAL_ASKED = "refused:no_removal_asked"
    SECOND_PERSON_NEEDED = "refused:second_person_needed"


@dataclass(frozen=True, slots=True)
class ImportMark:
    """How far an import has come, written in the same transaction as its events.

    `import_id` names the file, its kind and its options, `done_rows` how many of its records are dealt with.
    With `finished_at` the registers of `scopes` count as loaded at that moment.
    """

    import_id: str
    done_rows: int
    finished_at: int | None = None
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recorded:
    """The outcome of each event, in order, and the registry's change number afterwards."""

    outcomes: tuple[Outcome, ...]
    change: int


@dataclass(frozen=True, slots=True, repr=False)
class PersonHistory:
    """All that is recorded about one person, in the order of recording, and the entries that follow."""

    consents: tuple[ConsentEvent, ...]
    suppressions: tuple[SuppressionEvent, ...]
    entries: tuple[SuppressionEntry, ...]

    def __repr__(self) -> str:
        return f"PersonHistory({len(self.consents)} consents, {len(self.suppressions)} suppressions)"


@dataclass(frozen=True, slots=True)
class RegistryStanding:
    """What verdicts rest on: change number, snapshot (None: read directly), when registers were loaded."""

    change: int
    snapshot: str | None
    loaded_at: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ahead:
    """A list that is about to be screened: its rule, the moment (Unix seconds), its file's size in bytes."""

    rule: Rule
    now: int
    size: Callable[[], int]


@dataclass(frozen=True, slots=True, repr=False)
class WaitingReply:
    """A reply that nobody understood yet: its number, whose it is, its sealed text and when it came."""

    number: int
    subject: bytes
    sealed: bytes
    recorded_at: int

    def __repr__(self) -> str:
        return f"WaitingReply({self.number})"


@dataclass(frozen=True, slots=True)
class Remembered:
    """How much a registry holds about one person: events of either kind, replies that wait or were read."""

    consents: int
    suppressions: int
    replies: int

    @property
    def is_nothing(self) -> bool:
        """Whether the person is unknown."""
        return not (self.consents or self.suppressions or self.replies)
