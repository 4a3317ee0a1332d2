"""Events of many people as packed rows, on their way from a store to the fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.screening.bulkfold import EventColumns
from contact_sanitizer.screening.subjectruns import Needles

#: One event of a bulk reading; sorted by (hi, lo, change) it is ready to be folded.
BULK_ROW: Final = np.dtype(
    [
        ("hi", np.uint64),
        ("lo", np.uint64),
        ("kind", np.uint8),
        ("term", np.int64),
        ("effective_at", np.int64),
        ("expires_at", np.int64),
        ("recorded_at", np.int64),
        ("change", np.int64),
    ]
)


def columns_of(rows: Sequence[NDArray[np.void]]) -> EventColumns:
    """Events in any order as sorted columns."""
    packed = np.concatenate(rows) if rows else np.empty(0, BULK_ROW)
    if np.any(packed["change"][1:] < packed["change"][:-1]):
        packed = packed[np.argsort(packed["change"])]
    order = Needles.of_halves(packed["hi"], packed["lo"]).order
    names = ("hi", "lo", "kind", "term", "effective_at", "expires_at", "recorded_at")
    return EventColumns(*(packed[name][order] for name in names))
