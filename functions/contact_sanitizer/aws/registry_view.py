"""One job's view of the registry in DynamoDB: people are read by the hundred, and folded as everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.aws.histories import FoldRow, TermNumbers, fold_rows
from contact_sanitizer.aws.registry_items import PersonKey, RegistryTable
from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.bulkfold import Resolutions, fold_columns
from contact_sanitizer.screening.eventrows import BULK_ROW, columns_of
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.recording import Candidates, RegistryStanding
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.subjectruns import Needles, halves, subject_bytes

_FIELDS = ("kind", "term", "effective_at", "expires_at", "recorded_at", "change")


class DynamoScreening:
    """Implements `ports.Screening`; see there for what it promises.

    Reads each batch's people with consistent reads and takes of their histories what stood at the pinned
    change number: about 40 µs of work a person, and memory for one batch.
    """

    def __init__(
        self,
        table: RegistryTable,
        pool: Executor,
        rule: Rule,
        now: int,
        standing: RegistryStanding,
        contracts: Sequence[HashContract],
    ) -> None:
        self._table = table
        self._pool = pool
        self._rule = rule
        self._now = now
        self._standing = standing
        self._contracts = contracts
        self._numbers = TermNumbers()

    @property
    def standing(self) -> RegistryStanding:
        """What the answers rest on."""
        return self._standing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def screen(self, candidates: Candidates) -> NDArray[np.uint8]:
        """The `Drop` bits of each candidate: uint8 (n,)."""
        return candidates.verdicts(self._contracts, self._look_up)

    def _look_up(self, needles: Needles, contract: int) -> NDArray[np.uint8]:
        folded = self._fold(distinct_keys(needles, contract))
        return folded.bits(folded.subjects.find(needles.hi, needles.lo), self._now)

    def _fold(self, keys: Sequence[PersonKey]) -> Resolutions:
        histories = self._table.histories(keys, self._pool)
        last = self._standing.change
        rows = [
            (subject, row)
            for (_, subject), packed in histories.items()
            for row in fold_rows(packed, last, self._numbers)
        ]
        try:
            return fold_columns(columns_of([_packed(rows)]), self._numbers.terms(), self._rule, self._now)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError):
            raise RegistryError("registry_damaged", "The registry holds what cannot be understood.") from None


def distinct_keys(needles: Needles, contract: int) -> list[PersonKey]:
    """The people that the needles name, each once."""
    raw = subject_bytes(needles.hi, needles.lo).tobytes()
    subjects: Iterable[bytes] = (raw[start : start + 16] for start in range(0, len(raw), 16))
    return [(contract, subject) for subject in dict.fromkeys(subjects)]


def _packed(rows: Sequence[tuple[bytes, FoldRow]]) -> NDArray[np.void]:
    packed = np.empty(len(rows), BULK_ROW)
    if not rows:
        return packed
    subjects = np.frombuffer(b"".join(subject for subject, _ in rows), np.uint8).reshape(-1, 16)
    packed["hi"], packed["lo"] = halves(subjects)
    for name, column in zip(_FIELDS, zip(*(row for _, row in rows), strict=True), strict=True):
        packed[name] = column
    return packed
