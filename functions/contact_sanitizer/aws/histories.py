"""One person's history as DynamoDB keeps it: events as JSON rows, compressed, in the order of recording.

The first byte names the form, so that a later one is told apart. A row holds what the columns of the
embedded registry hold; times that are missing are null.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.bulkfold import NO_MOMENT, Terms
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.identity import kind_of, term_key
from contact_sanitizer.screening.recording import Event
from contact_sanitizer.screening.suppression import SuppressionAct, SuppressionEvent, SuppressionReason

_FORM: Final = b"\x01"
_LARGEST: Final = 64 << 20
_CONSENTS: Final = frozenset(int(status) for status in ConsentStatus)

#: A row of a fold: kind, term number, effective_at, expires_at, recorded_at, change.
FoldRow = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """One recorded event: its change number, its identity, and what it says."""

    change: int
    identity: int
    event: Event

    def __repr__(self) -> str:
        return f"Entry({self.change})"


class TermNumbers:
    """Numbers for what many events have in common, given as they come; for one view of the registry."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}

    def number(self, term: tuple[str, ...]) -> int:
        """The number of a term (purpose, channel, sender, scope, reason, actor)."""
        return self._numbers.setdefault(term, len(self._numbers))

    def terms(self) -> dict[int, Terms]:
        """All terms by their number."""
        return {number: Terms(*term) for term, number in list(self._numbers.items())}


def pack(entries: Iterable[Entry]) -> bytes:
    """The history as bytes. Raises `RegistryError("event_refused")` for text that is no Unicode."""
    try:
        text = json.dumps([_row(entry) for entry in entries], ensure_ascii=False, separators=(",", ":"))
        return _FORM + zlib.compress(text.encode(), 6)
    except UnicodeEncodeError:
        raise RegistryError("event_refused", "An event holds text that cannot be stored.") from None


def unpack(subject: bytes, contract: int, packed: bytes) -> list[Entry]:
    """The history of a subject (under a contract) from its bytes; raises `RegistryError`."""
    rows = _rows(packed)
    try:
        return [Entry(row[0], row[1], _event(subject, contract, row)) for row in rows]
    except (ValueError, TypeError, RegistryError):
        raise damaged() from None


def fold_rows(packed: bytes, last: int, numbers: TermNumbers) -> list[FoldRow]:
    """The events up to change number `last` as a fold wants them; raises `RegistryError`."""
    rows = _rows(packed)
    try:
        return [_fold_row(row, numbers) for row in rows if row[0] <= last]
    except (ValueError, TypeError):
        raise damaged() from None


def damaged() -> RegistryError:
    """That what no version wrote was found; it might have been a refusal."""
    return RegistryError("registry_damaged", "The registry holds what cannot be understood.")


def _rows(packed: bytes) -> Sequence[list[Any]]:
    form, body = packed[:1], packed[1:]
    if form > _FORM:
        raise RegistryError("registry_newer", "The registry was written by a newer version.")
    inflater = zlib.decompressobj()
    try:
        rows = json.loads(inflater.decompress(body, _LARGEST))
        sound = form == _FORM and inflater.eof and {(type(row), len(row)) for row in rows} <= {(list, 18)}
    except (zlib.error, ValueError, TypeError, RecursionError):
        raise damaged() from None
    if not sound:
        raise damaged()
    return list(rows)


def _row(entry: Entry) -> list[Any]:
    event = entry.event
    effective_at = event.effective_at if isinstance(event, ConsentEvent) else None
    times = [effective_at, event.expires_at, event.recorded_at]
    sealed = base64.b64encode(event.sealed).decode("ascii")
    head = [entry.change, entry.identity, kind_of(event)]
    return [*head, *times, event.reference, sealed, *term_key(event)]


def _fold_row(row: list[Any], numbers: TermNumbers) -> FoldRow:
    change, _, kind, effective_at, expires_at, recorded_at, _, _, *term = row
    purpose, channel, sender, scope, reason, _, _, _, _, actor = term
    number = numbers.number((purpose, channel, sender, scope, reason, actor))
    return kind, number, _moment(effective_at), _moment(expires_at), recorded_at, change


def _moment(value: int | None) -> int:
    return NO_MOMENT if value is None else value


def _event(subject: bytes, contract: int, row: list[Any]) -> Event:
    _, _, kind, effective_at, expires_at, recorded_at, reference, sealed, *term = row
    purpose, channel, sender, scope, reason, why, source, wording, wording_sha256, actor = term
    common: dict[str, Any] = {
        "recorded_by": actor,
        "source": source,
        "reference": reference,
        "expires_at": expires_at,
        "sealed": base64.b64decode(sealed, validate=True),
    }
    if kind in _CONSENTS:
        return ConsentEvent(
            subject,
            ConsentStatus(kind),
            recorded_at,
            purpose,
            channel,
            sender,
            effective_at,
            wording=wording,
            wording_sha256=wording_sha256,
            **common,
        )
    act, why_listed = SuppressionAct(kind), SuppressionReason(reason)
    return SuppressionEvent(
        subject, act, scope, why_listed, recorded_at, why=why, contract=contract, **common
    )
