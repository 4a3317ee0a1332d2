"""Settled batches kept as objects: what lets a job that ran out of time go on instead of starting over.

An object holds one batch: a line of JSON (lengths, counts, what it belongs to), then three Arrow streams:
all rows, the kept rows, the subjects refused. Its key tells the pass and the batch. What is damaged, or
belongs to another settlement of the list, is not there: it is made anew, which is always right.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.job import Paused
from contact_sanitizer.outputs.settled import Settled
from contact_sanitizer.ports import Objects
from contact_sanitizer.screening.infile import InFileRefusals

_REFUSALS: Final = "refusals"
_ROW: Final = {"record": pa.int64(), "subject": pa.binary(16), "reason": pa.uint8(), "drops": pa.uint8()}


class ObjectParts:
    """Implements `job.Parts` on objects whose keys begin with `prefix`.

    `belongs`: what a part must belong to, in words that differ where bytes could: engine, policy, moment,
    registry and key. `pause`: asked after each part whether the job shall stop.
    """

    def __init__(self, objects: Objects, prefix: str, belongs: str, pause: Callable[[], bool]) -> None:
        self._objects = objects
        self._prefix = prefix
        self._belongs = belongs
        self._pause = pause
        self._turn = "first"
        self._next = 0

    def settled(self) -> Iterator[Settled]:
        """The batches that are settled, in order from the first, without a gap."""
        while (settled := self._read(self._key(self._next))) is not None:
            self._next += 1
            yield settled

    def keep(self, settled: Settled) -> None:
        """Keeps the next batch; raises `Paused` where the job shall stop here."""
        self._objects.put(self._key(self._next), encode(settled, self._belongs), absent=False)
        self._next += 1
        if self._pause():
            raise Paused

    def recall_refusals(self, refusals: InFileRefusals) -> bool:
        """Adds the refusals of the whole file, where it was read for them; whether it was."""
        known = self._read(self._prefix + _REFUSALS)
        if known is None:
            return False
        refusals.learn(known.noted, known.withdrawn)
        self._turn = "second"
        return True

    def keep_refusals(self, refusals: InFileRefusals) -> None:
        """Keeps the refusals of the whole file; what was settled without them counts no more."""
        noted, withdrawn = refusals.stated()
        none, nobody = np.empty(0, np.uint8), noted[:0]
        told = Settled(none.astype(np.int64), nobody, none, none, nobody, [], noted, withdrawn, {}, {})
        self._objects.put(self._prefix + _REFUSALS, encode(told, self._belongs), absent=False)
        self._turn, self._next = "second", 0

    def clear(self) -> None:
        """Drops everything: the list is made."""
        for key in list(self._objects.keys(self._prefix)):
            self._objects.delete(key)

    def _key(self, number: int) -> str:
        return f"{self._prefix}{self._turn}-{number:06}"

    def _read(self, key: str) -> Settled | None:
        data = self._objects.get(key)
        return None if data is None else decode(data, self._belongs)


def encode(settled: Settled, belongs: str) -> bytes:
    """One settled batch as bytes; `belongs` is written into them."""
    columns = (settled.records, _binary(settled.subjects), settled.reasons, settled.drops)
    rows = [pa.array(column, kind) for column, kind in zip(columns, _ROW.values(), strict=True)]
    kept = [_binary(settled.tokens), *settled.columns]
    streams = [
        _stream(pa.record_batch(rows, list(_ROW))),
        _stream(pa.record_batch(kept, [str(number) for number in range(len(kept))])),
        _stream(pa.record_batch([_binary(np.concatenate([settled.noted, settled.withdrawn]))], ["refused"])),
    ]
    head = {
        "belongs": belongs,
        "lengths": [len(stream) for stream in streams],
        "noted": len(settled.noted),
        "redacted": dict(settled.redacted),
        "counts": dict(settled.counts),
    }
    return b"".join([json.dumps(head).encode(), b"\n", *streams])


def decode(data: bytes, belongs: str) -> Settled | None:
    """The batch that `encode` wrote; None where the bytes are damaged or belong to something else."""
    line, _, rest = data.partition(b"\n")
    try:
        head = json.loads(line)
        if head["belongs"] != belongs or sum(head["lengths"]) != len(rest):
            return None
        return _settled(head, rest)
    except (ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def _settled(head: dict[str, Any], rest: bytes) -> Settled:
    ends = np.cumsum(head["lengths"])
    rows, kept, refused = (
        pa.ipc.open_stream(rest[end - length : end]).read_next_batch()
        for end, length in zip(ends, head["lengths"], strict=True)
    )
    refusing = _matrix(refused.column(0))
    return Settled(
        rows.column("record").to_numpy(),
        _matrix(rows.column("subject")),
        rows.column("reason").to_numpy(),
        rows.column("drops").to_numpy(),
        _matrix(kept.column(0)),
        kept.columns[1:],
        refusing[: head["noted"]],
        refusing[head["noted"] :],
        head["redacted"],
        head["counts"],
    )


def _stream(batch: pa.RecordBatch) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _binary(items: NDArray[np.uint8]) -> pa.FixedSizeBinaryArray:
    data = pa.py_buffer(np.ascontiguousarray(items))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(items.shape[1]), len(items), [None, data])


def _matrix(column: pa.FixedSizeBinaryArray) -> NDArray[np.uint8]:
    width = column.type.byte_width
    found = np.frombuffer(column.buffers()[1] or b"", np.uint8, len(column) * width, column.offset * width)
    return found.reshape(-1, width)
