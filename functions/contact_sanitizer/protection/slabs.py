"""Slabs: pieces of a large batch whose intermediate arrays stay in the second-level cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SLAB_ROWS = 8192  # 128 KiB of blocks: calls cost little beside their work, and caches of 1 MiB suffice


def slabs(rows: int) -> Iterator[slice]:
    """Slices of at most `SLAB_ROWS` that cover `rows` rows in order."""
    return (slice(start, min(start + SLAB_ROWS, rows)) for start in range(0, rows, SLAB_ROWS))


def items(rows: NDArray[np.uint8]) -> NDArray[np.void]:
    """Each row of a byte matrix (n, width) as one item of the same memory, shape (n,).

    NumPy moves whole items faster than rows of bytes. Rows may stand apart in a larger matrix; the bytes of
    one row may not: `ValueError`.
    """
    return rows.view(f"V{rows.shape[1]}")[:, 0]


def rows_of(matrix: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Some rows of a byte matrix (n, width), in the given order, as a copy of their own."""
    return items(matrix).take(rows).view(np.uint8).reshape(-1, matrix.shape[1])
