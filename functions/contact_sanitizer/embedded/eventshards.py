"""All events of a registry a range of subjects at a time, ascending: memory is bounded by the shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.embedded.eventsource import EventSource
from contact_sanitizer.screening.bulkfold import Resolutions
from contact_sanitizer.screening.eventrows import BULK_ROW

_EVENTS_A_SHARD: Final = 500_000
_MOST_SHARDS: Final = 256


def folded_shards(source: EventSource, contract: int, scratch: Path) -> Iterator[Resolutions]:
    """What the rule says of all subjects, ascending; files on the way stand in `scratch`."""
    for rows in _shards(scratch, source, contract):
        yield source.fold([rows])


def _shards(scratch: Path, source: EventSource, contract: int) -> Iterator[NDArray[np.void]]:
    """All events, a range of leading bits at a time."""
    bits = _shard_bits(source)
    paths = [scratch / f"shard-{number}" for number in range(1 << bits)]
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
