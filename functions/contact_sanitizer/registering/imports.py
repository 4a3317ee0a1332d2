"""Imports of consents and blocklists: the same intake as for lists, one result a row, safe to repeat.

Rows go to the registry in batches of 10,000, each whole or not at all together with the point that was
reached, so that an interrupted import goes on where it stopped and a repeated one changes nothing. What an
import brings never weakens a refusal.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.consentcells import ConsentCell, consent_codes, refused
from contact_sanitizer.intake.dates import parse_moment
from contact_sanitizer.intake.headers import known_headers
from contact_sanitizer.intake.listfile import ColumnWish, ListSource, ReadOptions, Role, open_list
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.ports import Registry
from contact_sanitizer.reasons import Reason
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.recording import Event, ImportMark, Outcome
from contact_sanitizer.screening.rule import DAY, name_of
from contact_sanitizer.screening.suppression import (
    SuppressionAct,
    SuppressionEvent,
    SuppressionReason,
    scope_of,
)

BATCH_ROWS: Final = 10_000
_REFUSAL: Final = "(refusal)"
_GRANTED: Final = frozenset({"granted", "opt in", "opt-in", "opted in", "opted_in", "subscribed", "agreed"})
_WITHDRAWN: Final = frozenset(
    {"withdrawn", "opt out", "opt-out", "opted out", "opted_out", "unsubscribed", "revoked", "退订", "已退订"}
)

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
class ConsentDefaults:
    """What a consents file leaves unsaid; a cell that says something takes precedence."""

    purpose: str = ""
    channel: str = ""
    sender: str = ""
    source: str = ""
    reference: str = ""
    wording: str = ""


@dataclass(frozen=True, slots=True)
class BlockDefaults:
    """What a blocklist leaves unsaid; a cell that says something takes precedence."""

    scope: str = "tenant"
    reason: str = SuppressionReason.OPERATOR.value
    source: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How an import went: rows, rows by outcome, warnings by code, and the registry's change number.

    `blocks_not_understood` among the warnings counts rows of a blocklist whose number could not be read:
    somebody who must not be contacted may be among them.
    """

    rows: int
    by_outcome: Mapping[str, int]
    warnings: Mapping[str, int]
    change: int
    contract: str | None = None

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


def import_consents(source: ListSource, tools: ImportTools, defaults: ConsentDefaults) -> ImportReport:
    """Records the consents and withdrawals of a list.

    Columns: `phone` or `subject hash` (32 hex digits), `purpose`, `channel`, `sender`, `status`,
    `effective_at`, `expires_at`, `source`, `reference`, `wording`. Without a status column all rows are
    grants; with one, a row without status is refused. A row that a column of refusals (`退订`, `opted out`)
    marks is a withdrawal, whatever its status. A withdrawal whose date cannot be read counts as
    undated. Raises `IntakeError` and `RegistryError`.
    """
    names = ("status", "effective_at", "expires_at", *defaults.__dataclass_fields__)
    wishes = [
        ColumnWish("phone", Role.PHONE, optional=True),
        ColumnWish("subject hash", optional=True),
        *(ColumnWish(name, headers=(name, name.replace("_", " ")), optional=True) for name in names),
        *(
            ColumnWish(f"{_REFUSAL} {h}", Role.REFUSAL, (h,), optional=True)
            for h in known_headers(Role.REFUSAL)
        ),
    ]
    with open_list(source, wishes, tools.options) as file:
        _require_key(file.bound)
        drafts = _consent_drafts(file.batches(), tools, defaults)
        return record_drafts("consents", drafts, tools, repr(defaults), warnings=file.warnings)


def import_blocklist(source: ListSource, tools: ImportTools, defaults: BlockDefaults) -> ImportReport:
    """Records the entries of a blocklist.

    Columns: `phone`, `scope`, `reason`, `source`. A number that stands beside an opt-out note is blocked
    like any other. Raises `IntakeError`, and `RegistryError("import_refused")` for impossible defaults.
    """
    _check_block_defaults(defaults)
    names = ("scope", "reason", "source")
    wishes = [ColumnWish("phone", Role.PHONE), *(ColumnWish(name, optional=True) for name in names)]
    with open_list(source, wishes, tools.options) as file:
        drafts = _block_drafts(file.batches(), tools, defaults)
        return record_drafts("blocks", drafts, tools, repr(defaults), warnings=file.warnings)


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
    scopes: set[str] = set()
    rows, source = 0, iter(drafts)
    while batch := list(islice(source, BATCH_ROWS)):
        rows += len(batch)
        words = _settled(batch) if rows <= done else _record(batch, tools, ImportMark(import_id, rows))
        for draft, word in zip(batch, words, strict=True):
            tools.on_row(draft.row, word)
            scopes.update(event.scope for event in draft.events if isinstance(event, SuppressionEvent))
        counts.update(words)
    mark = ImportMark(import_id, rows, tools.now, frozenset(scopes))
    change = tools.registry.record([], mark).change
    return ImportReport(rows, dict(counts), _warnings(kind, counts, warnings), change, contract)


def text_columns(batch: CellBatch) -> dict[str, list[str]]:
    """The batch's cells as lists of stripped texts."""
    return {name: [cell.strip() for cell in cells.to_pylist()] for name, cells in batch.cells.items()}


def block_event(key: bytes, cells: Mapping[str, str], tools: ImportTools, **more: Any) -> SuppressionEvent:
    """The entry that a row's `scope`, `reason` and `source` state; raises `RowError`."""
    try:
        scope, reason = scope_of(cells["scope"]), SuppressionReason(name_of(cells["reason"]))
    except (RegistryError, ValueError):
        raise RowError("scope_or_reason_unknown") from None
    said = {"source": cells["source"], "occasion": tools.file_digest} | more
    return SuppressionEvent(key, SuppressionAct.ADDED, scope, reason, tools.now, tools.recorded_by, **said)


def _check_block_defaults(defaults: BlockDefaults) -> None:
    try:
        scope_of(defaults.scope)
        SuppressionReason(defaults.reason)
    except (RegistryError, ValueError):
        raise RegistryError("import_refused", "The import's scope or reason is unknown.") from None


def _require_key(bound: Mapping[str, int]) -> None:
    if not {"phone", "subject hash"} & set(bound):
        raise RegistryError("import_refused", "The list has neither a phone column nor subject hashes.")


def _settled(batch: list[Draft]) -> list[str]:
    """The outcomes of rows that an earlier, interrupted import has dealt with."""
    return [f"refused:{d.refusal}" if d.refusal else Outcome.ALREADY_THERE.value for d in batch]


def _record(batch: list[Draft], tools: ImportTools, mark: ImportMark) -> list[str]:
    recorded = iter(tools.registry.record([event for d in batch for event in d.events], mark).outcomes)
    words = []
    for draft in batch:
        outcomes = [next(recorded) for _ in draft.events]
        new = next((word for word in outcomes if word is not Outcome.ALREADY_THERE), Outcome.ALREADY_THERE)
        words.append(f"refused:{draft.refusal}" if draft.refusal else new.value)
    return words


def _warnings(kind: str, counts: Counter[str], of_file: Mapping[str, int]) -> dict[str, int]:
    refused = sum(count for word, count in counts.items() if word.startswith("refused:"))
    return dict(of_file) | ({"blocks_not_understood": refused} if refused and kind != "consents" else {})


@dataclass(frozen=True, slots=True, repr=False)
class _People:
    """A batch's people: why a row has none (0: it has one), subjects and sealed copies row by row."""

    reasons: list[int]
    subjects: Subjects
    sealed: Subjects

    def __getitem__(self, row: int) -> tuple[bytes, bytes]:
        if self.reasons[row]:
            raise RowError(Reason(self.reasons[row]).word)
        return self.subjects[row].tobytes(), self.sealed[row].tobytes()


def _people(batch: CellBatch, tools: ImportTools) -> _People:
    numbers = tools.normalizer.normalize(batch.cells["phone"])
    reasons = np.where(batch.flaws, batch.flaws, numbers.reasons)
    return _People(reasons.tolist(), *tools.protect(numbers.blocks))


def _consent_drafts(
    batches: Iterable[CellBatch], tools: ImportTools, defaults: ConsentDefaults
) -> Iterator[Draft]:
    for batch in batches:
        people = _people(batch, tools) if "phone" in batch.cells else None
        statuses = _statuses(batch, tools.now)
        columns = text_columns(batch)
        for row, record in enumerate(batch.records.tolist()):
            cells = {name: texts[row] for name, texts in columns.items()}
            if people and (refusals := _refusals(people.reasons[row], statuses[row], cells, defaults, tools)):
                yield Draft(record, refusals)
                continue
            try:
                key, sealed = people[row] if people else (_subject(cells["subject hash"]), b"")
                event = _consent(key, sealed, statuses[row], _Row(cells, defaults, tools))
                yield Draft(record, (event,))
            except RowError as error:
                yield Draft(record, refusal=str(error))


def _refusals(
    reason: int,
    status: ConsentStatus | str,
    cells: Mapping[str, str],
    defaults: ConsentDefaults,
    tools: ImportTools,
) -> tuple[ConsentEvent, ...]:
    """What a row refuses although its cell does not state one number: for everybody whom the cell names.

    A note of refusal beside a number takes everything back, whatever the row says of a grant.
    """
    noted = reason == Reason.OPT_OUT_NOTE
    if not reason or not (noted or status is ConsentStatus.WITHDRAWN):
        return ()
    row = _Row({}, ConsentDefaults(source="note"), tools) if noted else _Row(cells, defaults, tools)
    people = _stated(cells["phone"], tools)
    return tuple(_consent(key, sealed, ConsentStatus.WITHDRAWN, row) for key, sealed in people)


@dataclass(frozen=True, slots=True, repr=False)
class _Row:
    cells: Mapping[str, str]
    defaults: ConsentDefaults
    tools: ImportTools

    def text(self, name: str) -> str:
        return self.cells.get(name) or str(getattr(self.defaults, name))

    def moment(self, name: str) -> int | None:
        """The moment in a cell, None where it is empty; raises `RowError`."""
        if not (text := self.cells.get(name, "")):
            return None
        moment = parse_moment(text, self.tools.now)
        if moment is None or moment < 0:
            raise RowError(f"{name}_unreadable")
        return moment


def _consent(key: bytes, sealed: bytes, status: ConsentStatus | str, row: _Row) -> ConsentEvent:
    if isinstance(status, str):
        raise RowError(status)
    if status is ConsentStatus.GRANTED:
        effective_at, expires_at = row.moment("effective_at"), row.moment("expires_at")
    else:
        effective_at, expires_at = _refused_at(row), None
    names = {name: row.text(name) for name in row.defaults.__dataclass_fields__}
    origin = {"recorded_by": row.tools.recorded_by, "occasion": row.tools.file_digest, "sealed": sealed}
    times = {"effective_at": effective_at, "expires_at": expires_at}
    said: dict[str, Any] = {**names, **times, **origin}
    try:
        return ConsentEvent(key, status, row.tools.now, **said)
    except RegistryError:
        raise RowError("purpose_or_channel_missing") from None


def _refused_at(row: _Row) -> int | None:
    """When consent was withdrawn: a date alone means its end, to outweigh a grant of the same day."""
    try:
        moment = row.moment("effective_at")
    except RowError:
        return None
    if moment is None:
        return None
    end = moment + DAY - 1
    return end if moment % DAY == 0 and end <= row.tools.now else moment


def _statuses(batch: CellBatch, now: int) -> list[ConsentStatus | str]:
    """Each row's status, or the word for which the row is refused."""
    stated: list[ConsentStatus | str] = [ConsentStatus.GRANTED] * len(batch)
    if "status" in batch.cells:
        cells: pa.Array = batch.cells["status"]
        codes = consent_codes(cells, now, None).tolist()
        stated = [_status(text, code) for text, code in zip(cells.to_pylist(), codes, strict=True)]
    for name in batch.cells:
        for row in np.flatnonzero(refused(batch.cells[name])) if name.startswith(_REFUSAL) else ():
            stated[row] = ConsentStatus.WITHDRAWN
    return stated


def _status(text: str, code: int) -> ConsentStatus | str:
    word = name_of(text)
    if word in _GRANTED:
        return ConsentStatus.GRANTED
    if word in _WITHDRAWN or code == ConsentCell.NO:
        return ConsentStatus.WITHDRAWN
    a_date = len(word) > len("2024") and word[:4].isdecimal()
    if code == ConsentCell.YES and not a_date:
        return ConsentStatus.GRANTED
    return "status_missing" if not word else "status_unknown"


def _subject(text: str) -> bytes:
    try:
        subject = bytes.fromhex(text)
    except ValueError:
        subject = b""
    if len(subject) != 16:
        raise RowError("subject_hash_unreadable")
    return subject


def _block_drafts(
    batches: Iterable[CellBatch], tools: ImportTools, defaults: BlockDefaults
) -> Iterator[Draft]:
    for batch in batches:
        people = _people(batch, tools)
        columns = text_columns(batch)
        for row, record in enumerate(batch.records.tolist()):
            cells = {
                name: columns[name][row]
                if columns.get(name, [""] * len(batch))[row]
                else getattr(defaults, name)
                for name in ("scope", "reason", "source")
            }
            try:
                unread = people.reasons[row] != 0
                keys = (unread and _stated(columns["phone"][row], tools)) or [people[row]]
                yield Draft(record, tuple(block_event(k, cells, tools, sealed=s) for k, s in keys))
            except RowError as error:
                yield Draft(record, refusal=str(error))


def _stated(cell: str, tools: ImportTools) -> list[tuple[bytes, bytes]]:
    """All people whose numbers stand in a cell, however many; for refusals, which reach each of them."""
    blocks = tools.normalizer.stated(pa.array([cell], pa.string()))
    subjects, sealed = tools.protect(blocks)
    return [(s.tobytes(), c.tobytes()) for s, c in zip(subjects, sealed, strict=True)]
