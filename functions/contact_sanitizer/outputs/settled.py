"""What one batch comes to: all that is written and counted of it, and no cell that was not protected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, repr=False)
class Settled:
    """One batch, settled.

    All n rows: `records`, `subjects` (n, 16), `reasons`, `drops`. The k kept ones: `tokens` (k, 53) and
    `columns`. `noted` and `withdrawn` (m, 16): subjects that the batch refuses. `counts`: what else the
    manifest tells, by word.
    """

    records: NDArray[np.int64]
    subjects: NDArray[np.uint8]
    reasons: NDArray[np.uint8]
    drops: NDArray[np.uint8]
    tokens: NDArray[np.uint8]
    columns: list[pa.StringArray]
    noted: NDArray[np.uint8]
    withdrawn: NDArray[np.uint8]
    redacted: Mapping[str, int]
    counts: Mapping[str, int]
