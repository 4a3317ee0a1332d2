"""How a snapshot is written: a shard of the registry at a time, under a name that it gets when it is whole.

The format is in `infra/formats/snapshot.md`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.embedded.eventsource import EventSource
from contact_sanitizer.screening.bulkfold import Resolutions
from contact_sanitizer.screening.eventrows import BULK_ROW
from contact_sanitizer.screening.places import Places

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
_EVENTS_A_SHARD: Final = 500_000
_MOST_SHARDS: Final = 256


def column(file: Path, dtype: str) -> NDArray[Any]:
    """One column, mapped."""
    return np.memmap(file, dtype, mode="r").view(np.ndarray) if file.stat().st_size else np.empty(0, dtype)


def digest_of(body: dict[str, Any]) -> str:
    """The digest of a header without its own: hex."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def build_snapshot(folder: Path, prefix: str, source: EventSource, contracts: Sequence[int]) -> Path:
    """Writes a snapshot beside the others and gives it its name last, so that what has a name is whole."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    final = folder / f"{prefix}-{source.change:020d}"
    draft = folder / f".draft-{final.name}-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        columns: dict[str, Any] = {}
        for contract in contracts:
            columns |= _write_table(draft, contract, source)
        _write_header(draft, columns, source, contracts)
        shutil.rmtree(final, ignore_errors=True)
        draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final


def _write_header(
    draft: Path, columns: dict[str, Any], source: EventSource, contracts: Sequence[int]
) -> None:
    body = {
        "format": FORMAT,
        "rule": source.rule.digest.hex(),
        "change": source.change,
        "anchor": source.anchor(source.change),
        "built_at": source.now,
        "contracts": list(contracts),
        "columns": columns,
    }
    text = json.dumps(body | {"sha256": digest_of(body)}, sort_keys=True, indent=1)
    (draft / HEADER).write_text(text, encoding="ascii")


def _write_table(draft: Path, contract: int, source: EventSource) -> dict[str, Any]:
    writers = {
        name: _ColumnWriter(draft / f"{contract}-{name}", dtype)
        for name, dtype in (COLUMNS | UNSETTLED).items()
    }
    try:
        for rows in _shards(draft, source, contract):
            _write_shard(writers, source.fold([rows]))
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


def _shards(draft: Path, source: EventSource, contract: int) -> Iterator[NDArray[np.void]]:
    """All events, a range of leading bits at a time, ascending: memory is bounded by the shard."""
    bits = _shard_bits(source)
    paths = [draft / f"shard-{number}" for number in range(1 << bits)]
    files = [path.open("wb") for path in paths]
    try:
        for rows in source.all_events(contract):
            _distribute(rows, files, bits)
    finally:
        for file in files:
            file.close()
    for path in paths:
        yield np.fromfile(path, BULK_ROW)
        path.unlink()


def _shard_bits(source: EventSource) -> int:
    count = source.db.execute("SELECT count(*) FROM event").fetchone()[0]
    return min(int(count) // _EVENTS_A_SHARD, _MOST_SHARDS - 1).bit_length()


def _distribute(rows: NDArray[np.void], files: Sequence[IO[bytes]], bits: int) -> None:
    if not bits:
        rows.tofile(files[0])
        return
    shard = (rows["hi"] >> np.uint64(64 - bits)).astype(np.uint16)
    order = np.argsort(shard, kind="stable")
    ends = np.cumsum(np.bincount(shard, minlength=len(files)))
    for file, part in zip(files, np.split(rows[order], ends[:-1]), strict=True):
        file.write(part.tobytes())


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
