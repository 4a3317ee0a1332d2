"""Imports of blocklists that somebody else has hashed, under a stated or proven contract."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Final, cast

from contact_sanitizer.errors import IntakeError, RegistryError
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.listfile import ColumnWish, ListSource, open_list
from contact_sanitizer.intake.raw import source_of
from contact_sanitizer.registering.blocklists import BlockDefaults, block_event
from contact_sanitizer.registering.imports import (
    Draft,
    ImportReport,
    ImportTools,
    RowError,
    record_drafts,
    text_columns,
)
from contact_sanitizer.screening.foreign import KEPT_BYTES, HashContract, prove_contract, read_digest

_HEADERS: Final = ("hash", "digest", "phone hash", "subject hash", "md5", "sha1", "sha256", "hashed phone")
_LONGEST_LINE: Final = 200


def import_hashlist(
    source: ListSource,
    tools: ImportTools,
    defaults: BlockDefaults,
    *,
    contract: HashContract | None = None,
    known_digits: str = "",
) -> ImportReport:
    """Records the entries of a list of hashes: a column headed `hash` or one hash a line.

    `known_digits`: the E.164 digits of a number that the list is known to hold, which proves the contract.
    Without it `contract` must be stated, and the report warns `contract_unproven`: a wrong one looks like
    a list without hits. Raises `RegistryError("contract_unproven")` and `("contract_unknown")`, and
    `IntakeError` for a file that holds no such list.
    """
    if not known_digits and contract is None:
        raise RegistryError("contract_unknown", "A hashed list needs its contract or a number that it holds.")
    proven = prove_contract(_digests(source, tools), known_digits) if known_digits else None
    if contract is not None and proven not in {None, contract}:
        raise RegistryError("contract_unproven", "The known number is on the list under another contract.")
    used = proven or contract
    assert used is not None  # noqa: S101 - one of both is there, as checked above
    drafts = _drafts(_lines(source, tools, defaults), used, tools)
    warnings = {} if proven else {"contract_unproven": 1}
    return record_drafts("hashes", drafts, tools, repr(defaults), warnings=warnings, contract=used.word)


def _drafts(
    lines: Iterable[tuple[int, dict[str, str]]], contract: HashContract, tools: ImportTools
) -> Iterator[Draft]:
    for row, cells in lines:
        digest = read_digest(cells["hash"])
        if digest is None or len(digest) != contract.size:
            yield Draft(row, refusal="hash_unreadable")
            continue
        try:
            yield Draft(row, (block_event(digest[:KEPT_BYTES], cells, tools, contract=contract.code),))
        except RowError as error:
            yield Draft(row, refusal=str(error))


def _digests(source: ListSource, tools: ImportTools) -> Iterator[bytes]:
    for _, cells in _lines(source, tools, BlockDefaults()):
        if digest := read_digest(cells["hash"]):
            yield digest


def _lines(
    source: ListSource, tools: ImportTools, defaults: BlockDefaults
) -> Iterator[tuple[int, dict[str, str]]]:
    """Each record's number, hash, scope, reason and source."""
    if _is_plain(source):
        yield from _plain_lines(source, defaults)
        return
    names = ("scope", "reason", "source")
    wishes = [ColumnWish("hash", headers=_HEADERS), *(ColumnWish(name, optional=True) for name in names)]
    with open_list(source, wishes, tools.options) as file:
        for batch in file.batches():
            yield from _records(batch, defaults)


def _records(batch: CellBatch, defaults: BlockDefaults) -> Iterator[tuple[int, dict[str, str]]]:
    columns = text_columns(batch)
    for row, record in enumerate(batch.records.tolist()):
        cells = {name: texts[row] for name, texts in columns.items()}
        named = {name: cells.get(name) or getattr(defaults, name) for name in ("scope", "reason", "source")}
        yield record, {"hash": cells["hash"], **named}


def _plain_lines(source: ListSource, defaults: BlockDefaults) -> Iterator[tuple[int, dict[str, str]]]:
    common = {"scope": defaults.scope, "reason": defaults.reason, "source": defaults.source}
    for number, line in enumerate(_short_lines(source), 1):
        if line:
            yield number, {"hash": line, **common}


def _is_plain(source: ListSource) -> bool:
    """Whether the first line that is not blank is a hash and nothing else."""
    return read_digest(next(filter(None, _short_lines(source)), "")) is not None


def _short_lines(source: ListSource) -> Iterator[str]:
    """The lines of a file, each cut short: no hash is longer."""
    try:
        with io.BufferedReader(cast("io.RawIOBase", source_of(source).open())) as file:
            while line := file.readline(_LONGEST_LINE):
                yield line.decode("ascii", "replace").strip("\ufeff\ufffd \t\r\n")
    except OSError:
        raise IntakeError("file_unreadable", "The file cannot be read.") from None
