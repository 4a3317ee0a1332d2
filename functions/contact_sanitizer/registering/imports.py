"""Imports of consents and blocklists: the same intake as for lists, one result a row, safe to repeat.

Rows go to the registry in batches of 10,000, each whole or not at all together with the point that was
reached, so that an interrupted import goes on where it stopped and a repeated one changes nothing. What an
import brings never weakens a refusal.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.audit.events import Action
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.listfile import ReadOptions
from contact_sanitizer.listid import ListId, moment_of, sortable_id
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.ports import Registry
from contact_sanitizer.reasons import Reason
from contact_sanitizer.screening.recording import Event, ImportMark, Outcome
from contact_sanitizer.screening.suppression import (
    SuppressionEvent,
)

BATCH_ROWS: Final = 10_000

Subjects = NDArray[np.uint8]
Protect = Callable[[Subjects], tuple[Subjects, Subjects]]


@dataclass(frozen=True, slots=True)
class ImportTools:
    """What an import works with.

    `normalizer` takes every valid number, whatever its kind and region. `protect`: blocks (n, 16) to
    subjects (n, 16) and sealed copies (n, k). `file_digest` names the file's content; `settings` names what
    else decides how it is read (the default region). `on_row` is told each row's number and outcome, in
    order; the outcome is an `Outcome` word or `refused:` and a reason.
    """

    registry: Registry
    normalizer: Normalizer
    protect: Protect
    now: int
    recorded_by: str
    file_digest: str
    settings: str = ""
    options: ReadOptions = field(default_factory=ReadOptions)
    on_row: Callable[[int, str], None] = lambda _row, _outcome: None


@dataclass(frozen=True, slots=True)
class Occasion:
    """The arrival that an import follows from, which may be told more than once.

    `import_id`: follows from what arrived; all events of the import have it as their correlation.
    """

    import_id: ListId
    upload_id: ListId

    @property
    def about(self) -> dict[str, str]:
        """What each event of the import states."""
        return {"correlation": self.import_id, "list_id": self.import_id, "upload_id": self.upload_id}

    def event_id(self, action: Action) -> ListId:
        """The id of the one event that tells of this, however often it is told."""
        digest = hashlib.sha256(f"{self.import_id}|{action}".encode()).digest()
        return sortable_id(moment_of(self.import_id), digest)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How an import went: rows, rows by outcome, warnings by code, and the registry's change number.

    `recorded`: what is new in the registry, by what it says: `granted`, `withdrawn`, or why somebody is
    blocked.
    `blocks_not_understood` among the warnings counts rows of a blocklist whose number could not be read:
    somebody who must not be contacted may be among them.
    """

    rows: int
    by_outcome: Mapping[str, int]
    warnings: Mapping[str, int]
    change: int
    contract: str | None = None
    recorded: Mapping[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """How many rows were refused."""
        return sum(count for word, count in self.by_outcome.items() if word.startswith("refused:"))


@dataclass(frozen=True, slots=True, repr=False)
class Draft:
    """What one row comes to: events to record, or why it is refused."""

    row: int
    events: tuple[Event, ...] = ()
    refusal: str = ""


class RowError(Exception):
    """A row that cannot be used; holds the reason's word and never leaves this package."""


def record_drafts(
    kind: str,
    drafts: Iterable[Draft],
    tools: ImportTools,
    defaults: str,
    *,
    warnings: Mapping[str, int],
    contract: str | None = None,
) -> ImportReport:
    """Records drafts in batches of 10,000 rows, marking how far it came; at the end registers are loaded."""
    identity = json.dumps([kind, tools.file_digest, tools.settings, defaults, contract])
    import_id = hashlib.sha256(identity.encode()).hexdigest()
    done = tools.registry.imported_rows(import_id)
    counts: Counter[str] = Counter()
    recorded: Counter[str] = Counter()
    scopes: set[str] = set()
    rows, source = 0, iter(drafts)
    while batch := list(islice(source, BATCH_ROWS)):
        rows += len(batch)
        mark = ImportMark(import_id, rows)
        words = _settled(batch) if rows <= done else _record(batch, tools, mark, recorded)
        for draft, word in zip(batch, words, strict=True):
            tools.on_row(draft.row, word)
            scopes.update(event.scope for event in draft.events if isinstance(event, SuppressionEvent))
        counts.update(words)
    mark = ImportMark(import_id, rows, tools.now, frozenset(scopes))
    change = tools.registry.record([], mark).change
    found = _warnings(kind, counts, warnings)
    return ImportReport(rows, dict(counts), found, change, contract, dict(recorded))


def text_columns(batch: CellBatch) -> dict[str, list[str]]:
    """The batch's cells as lists of stripped texts."""
    return {name: [cell.strip() for cell in cells.to_pylist()] for name, cells in batch.cells.items()}


@dataclass(frozen=True, slots=True, repr=False)
class People:
    """A batch's people: why a row has none (0: it has one), subjects and sealed copies row by row."""

    reasons: list[int]
    subjects: Subjects
    sealed: Subjects

    def __getitem__(self, row: int) -> tuple[bytes, bytes]:
        if self.reasons[row]:
            raise RowError(Reason(self.reasons[row]).word)
        return self.subjects[row].tobytes(), self.sealed[row].tobytes()


def people_of(batch: CellBatch, tools: ImportTools) -> People:
    """The people of a batch, by its phone column."""
    numbers = tools.normalizer.normalize(batch.cells["phone"])
    reasons = np.where(batch.flaws, batch.flaws, numbers.reasons)
    return People(reasons.tolist(), *tools.protect(numbers.blocks))


def people_in(cell: str, tools: ImportTools) -> list[tuple[bytes, bytes]]:
    """All people whose numbers stand in a cell, however many; for refusals, which reach each of them."""
    blocks = tools.normalizer.stated(pa.array([cell], pa.string()))
    subjects, sealed = tools.protect(blocks)
    return [(s.tobytes(), c.tobytes()) for s, c in zip(subjects, sealed, strict=True)]


def _settled(batch: list[Draft]) -> list[str]:
    """The outcomes of rows that an earlier, interrupted import has dealt with."""
    return [f"refused:{d.refusal}" if d.refusal else Outcome.ALREADY_THERE.value for d in batch]


def _record(batch: list[Draft], tools: ImportTools, mark: ImportMark, recorded: Counter[str]) -> list[str]:
    """The outcomes of rows that are recorded now; what is new is added to `recorded`."""
    events = [event for draft in batch for event in draft.events]
    settled = tools.registry.record(events, mark).outcomes
    pairs = zip(events, settled, strict=True)
    recorded.update(_kind(event) for event, outcome in pairs if outcome is not Outcome.ALREADY_THERE)
    by_event = iter(settled)
    words = []
    for draft in batch:
        outcomes = [next(by_event) for _ in draft.events]
        new = next((word for word in outcomes if word is not Outcome.ALREADY_THERE), Outcome.ALREADY_THERE)
        words.append(f"refused:{draft.refusal}" if draft.refusal else new.value)
    return words


def _kind(event: Event) -> str:
    return event.reason.value if isinstance(event, SuppressionEvent) else event.status.name.lower()


def _warnings(kind: str, counts: Counter[str], of_file: Mapping[str, int]) -> dict[str, int]:
    refused = sum(count for word, count in counts.items() if word.startswith("refused:"))
    return dict(of_file) | ({"blocks_not_understood": refused} if refused and kind != "consents" else {})
