"""A batch of cells: what intake hands to the rest of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, repr=False)
class CellBatch:
    """Some consecutive records of one file, in file order.

    `records`: int64 (n,), the records' numbers (header = 1), ascending; blank rows have no number.
    `cells`: for each wanted column that the file has, n strings without nulls ('' where empty).
    `flaws`: uint8 (n,), 0 or the `Reason` for which the record cannot be read at all
    (`malformed_row`, `cell_too_long`); the cells of such a record are ''.
    """

    records: NDArray[np.int64]
    cells: Mapping[str, pa.StringArray]
    flaws: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"CellBatch({len(self)} records)"
