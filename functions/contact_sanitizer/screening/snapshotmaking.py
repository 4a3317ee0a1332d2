"""How a snapshot is written: under a name that it gets when it is whole.

The format is in `infra/formats/snapshot.md`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.screening.bulkfold import Resolutions
from contact_sanitizer.screening.places import Places
from contact_sanitizer.screening.rule import Rule

FORMAT: Final = "contact-sanitizer/snapshot/v2"
HEADER: Final = "header.json"
COLUMNS: Final = {
    "hi": "<u8",
    "lo": "<u8",
    "valid_until": "<u4",
    "otherwise": "|u1",
    "blocked_until": "<u4",
}
PLACES: Final = "places"
FACTS: Final = ("valid_until", "otherwise", "blocked_until")
UNSETTLED: Final = {"unsettled_hi": "<u8", "unsettled_lo": "<u8"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a snapshot says: a registry up to `change`, known again by `anchor`, folded at `built_at`.

    `tables`: by contract what gives the resolutions of all subjects, ascending, from a scratch folder for
    files on the way.
    """

    rule: Rule
    change: int
    anchor: str
    built_at: int
    tables: Mapping[int, Callable[[Path], Iterable[Resolutions]]]


def column(file: Path, dtype: str) -> NDArray[Any]:
    """One column, mapped."""
    return np.memmap(file, dtype, mode="r").view(np.ndarray) if file.stat().st_size else np.empty(0, dtype)


def digest_of(body: dict[str, Any]) -> str:
    """The digest of a header without its own: hex."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def write_snapshot(folder: Path, name: str, contents: Contents) -> Path:
    """Writes a snapshot beside the others and gives it its name last, so that what has a name is whole."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    final = folder / name
    draft = folder / f".draft-{name}-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        columns: dict[str, Any] = {}
        for contract, table in contents.tables.items():
            columns |= _write_table(draft, contract, table(draft))
        _write_header(draft, columns, contents)
        shutil.rmtree(final, ignore_errors=True)
        draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final


def _write_header(draft: Path, columns: dict[str, Any], contents: Contents) -> None:
    body = {
        "format": FORMAT,
        "rule": contents.rule.digest.hex(),
        "change": contents.change,
        "anchor": contents.anchor,
        "built_at": contents.built_at,
        "contracts": list(contents.tables),
        "columns": columns,
    }
    text = json.dumps(body | {"sha256": digest_of(body)}, sort_keys=True, indent=1)
    (draft / HEADER).write_text(text, encoding="ascii")


def _write_table(draft: Path, contract: int, table: Iterable[Resolutions]) -> dict[str, Any]:
    writers = {
        name: _ColumnWriter(draft / f"{contract}-{name}", dtype)
        for name, dtype in (COLUMNS | UNSETTLED).items()
    }
    try:
        for folded in table:
            _write_shard(writers, folded)
    finally:
        described = {f"{contract}-{name}": writer.close() for name, writer in writers.items()}
    return described | {f"{contract}-{PLACES}": _write_places(draft, contract)}


def _write_places(draft: Path, contract: int) -> dict[str, Any]:
    writer = _ColumnWriter(draft / f"{contract}-{PLACES}", "<u4")
    try:
        writer.write(Places.of(column(draft / f"{contract}-hi", COLUMNS["hi"])).starts)
    finally:
        described = writer.close()
    return described


def _write_shard(writers: Mapping[str, _ColumnWriter], folded: Resolutions) -> None:
    later = folded.take(folded.unsettled)
    settled = folded.take(~folded.unsettled).telling()
    writers["unsettled_hi"].write(later.subjects.hi)
    writers["unsettled_lo"].write(later.subjects.lo)
    writers["hi"].write(settled.subjects.hi)
    writers["lo"].write(settled.subjects.lo)
    for name in FACTS:
        writers[name].write(getattr(settled, name))


class _ColumnWriter:
    """A column's file, its length and its digest."""

    def __init__(self, path: Path, dtype: str) -> None:
        self._file = path.open("wb")
        self._dtype = dtype
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, values: NDArray[Any]) -> None:
        data = np.ascontiguousarray(values, self._dtype).tobytes()
        self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)

    def close(self) -> dict[str, Any]:
        """Brings the column to disk; its length and digest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return {"bytes": self._bytes, "sha256": self._digest.hexdigest()}
