"""Imports of blocklists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.listfile import ColumnWish, ListSource, Role, open_list
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
from contact_sanitizer.screening.rule import name_of
from contact_sanitizer.screening.suppression import (
    SuppressionAct,
    SuppressionEvent,
    SuppressionReason,
    scope_of,
)


@dataclass(frozen=True, slots=True)
class BlockDefaults:
    """What a blocklist leaves unsaid; a cell that says something takes precedence."""

    scope: str = "tenant"
    reason: str = SuppressionReason.OPERATOR.value
    source: str = ""


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


def _block_drafts(
    batches: Iterable[CellBatch], tools: ImportTools, defaults: BlockDefaults
) -> Iterator[Draft]:
    for batch in batches:
        people = people_of(batch, tools)
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
                keys = (unread and people_in(columns["phone"][row], tools)) or [people[row]]
                yield Draft(record, tuple(block_event(k, cells, tools, sealed=s) for k, s in keys))
            except RowError as error:
                yield Draft(record, refusal=str(error))
