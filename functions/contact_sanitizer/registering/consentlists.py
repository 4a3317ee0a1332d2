"""Imports of consents and withdrawals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.consentcells import ConsentCell, consent_codes, refused
from contact_sanitizer.intake.dates import end_of_date, parse_moment
from contact_sanitizer.intake.headers import known_headers
from contact_sanitizer.intake.listfile import ColumnWish, ListSource, Role, open_list
from contact_sanitizer.reasons import Reason
from contact_sanitizer.registering.imports import (
    Draft,
    ImportReport,
    ImportTools,
    RowError,
    people_in,
    people_of,
    record_drafts,
    text_columns,
)
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.rule import name_of

_REFUSAL: Final = "(refusal)"
_GRANTED: Final = frozenset({"granted", "opt in", "opt-in", "opted in", "opted_in", "subscribed", "agreed"})
_WITHDRAWN: Final = frozenset(
    {"withdrawn", "opt out", "opt-out", "opted out", "opted_out", "unsubscribed", "revoked", "退订", "已退订"}
)


@dataclass(frozen=True, slots=True)
class ConsentDefaults:
    """What a consents file leaves unsaid; a cell that says something takes precedence."""

    purpose: str = ""
    channel: str = ""
    sender: str = ""
    source: str = ""
    reference: str = ""
    wording: str = ""


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


def _require_key(bound: Mapping[str, int]) -> None:
    if not {"phone", "subject hash"} & set(bound):
        raise RegistryError("import_refused", "The list has neither a phone column nor subject hashes.")


def _consent_drafts(
    batches: Iterable[CellBatch], tools: ImportTools, defaults: ConsentDefaults
) -> Iterator[Draft]:
    for batch in batches:
        people = people_of(batch, tools) if "phone" in batch.cells else None
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
    people = people_in(cells["phone"], tools)
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
    return None if moment is None else end_of_date(moment)


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
