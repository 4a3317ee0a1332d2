"""The step: a column of cells in, a column of numbers or reasons out.

Whole columns are read at once as far as that is certain; every other cell is read by itself. Promises:
the outcome is for every cell the one of `cells.CellReader`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.phone.cells import CellReader
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.phone.vector import VectorReader

BLOCK_BYTES = 16


@dataclass(frozen=True, slots=True, repr=False)
class Numbers:
    """What n cells state, in their order. Redacts itself.

    `reasons`: uint8 (n,), `Reason` values, 0 where nothing speaks against the number. `blocks`: uint8
    (n, 16), the E.164 digits in ASCII with NULs behind; zeros where no number is stated or where it has
    more than 15 digits. `kinds`: uint8 (n,), `NumberKind` values. `regions`: uint16 (n,), indices into the
    plan's `regions` (0: none). `refused`: uint8 (k, 16), the blocks of all numbers in cells with a note of
    refusal, whatever their kind. `per_row`: how many cells were read by themselves.
    """

    reasons: NDArray[np.uint8]
    blocks: NDArray[np.uint8]
    kinds: NDArray[np.uint8]
    regions: NDArray[np.uint16]
    refused: NDArray[np.uint8]
    per_row: int

    def __len__(self) -> int:
        return len(self.reasons)

    def __repr__(self) -> str:
        return f"Numbers({len(self)} cells)"


class Normalizer:
    """Reads columns of cells by one set of rules and the package's numbering plan.

    PolicyError `policy_invalid` where the plan has no such default region; PlanError where the plan
    cannot be used. May be used for any number of columns. `regions`: what `Numbers.regions` indexes.
    """

    def __init__(self, rules: NumberRules) -> None:
        plan = load_plan()
        self._reader = CellReader(plan, rules)
        self._columns = VectorReader(plan, rules)
        self.regions = plan.regions
        self._regions = {region: index for index, region in enumerate(plan.regions)}

    def normalize(self, cells: pa.Array) -> Numbers:
        """What each cell of a string column without nulls states."""
        result = self._columns.read(cells)
        rows = result.undecided
        texts = cells.take(pa.array(rows)).to_pylist()
        readings = [self._reader.read(text) for text in texts]
        result.reasons[rows] = [reading.reason for reading in readings]
        result.kinds[rows] = [reading.kind or 0 for reading in readings]
        result.regions[rows] = [self._regions[reading.region or ""] for reading in readings]
        result.blocks[rows] = _blocks(reading.digits for reading in readings)
        refused = _blocks(digits for reading in readings for digits in reading.refused)
        return Numbers(result.reasons, result.blocks, result.kinds, result.regions, refused, len(rows))

    def stated(self, cells: pa.Array) -> NDArray[np.uint8]:
        """The blocks (k, 16) of all numbers that the cells state, read one by one.

        For refusals: they reach everybody whom a cell names, also where the cell is no use otherwise.
        """
        return _blocks(digits for text in cells.to_pylist() for digits in self._reader.stated(text))


def _blocks(numbers: Iterable[str]) -> NDArray[np.uint8]:
    """uint8 (n, 16): each number's digits in ASCII with NULs behind."""
    joined = b"".join(digits.encode().ljust(BLOCK_BYTES, b"\0") for digits in numbers)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, BLOCK_BYTES)
