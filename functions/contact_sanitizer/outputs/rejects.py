"""`rejects.csv`: for every row that was not kept, its record number and the reason; never a cell."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.reasons import Reason

NOT_CONTACTABLE: Final = "not_contactable"
_REGISTRY_REASONS: Final = frozenset(
    {
        Reason.SUPPRESSED,
        Reason.CONSENT_MISSING,
        Reason.CONSENT_WITHDRAWN,
        Reason.CONSENT_EXPIRED,
        Reason.CONSENT_OTHER,
    }
)


def _words(*, coarse: bool) -> pa.StringArray:
    """The word for each `Reason` value; coarse hides what others know about a person."""
    words = [NOT_CONTACTABLE if coarse and reason in _REGISTRY_REASONS else reason.word for reason in Reason]
    return pa.array([f"{word}\n" for word in words], pa.string())


class RejectsWriter:
    """Writes `row,reason` in row order."""

    def __init__(self, file: DigestingFile, *, coarse: bool) -> None:
        self._file = file
        self._words = _words(coarse=coarse)
        self.rows = 0
        file.write(b"row,reason\n")

    def write(self, records: NDArray[np.int64], reasons: NDArray[np.uint8]) -> None:
        """Append the rows whose reason is not 0; both arrays (n,)."""
        refused = np.flatnonzero(reasons)
        if not len(refused):
            return
        numbers = pc.cast(pa.array(records[refused]), pa.string())
        lines = pc.binary_join_element_wise(numbers, self._words.take(pa.array(reasons[refused])), ",")
        self._file.write(
            memoryview(lines.buffers()[2])[: int(np.frombuffer(lines.buffers()[1], np.int32)[len(lines)])]
        )
        self.rows += len(refused)
