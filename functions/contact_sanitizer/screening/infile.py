"""Refusals that stand in the list itself: they count for every row of the same number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.screening.duplicates import SubjectSet
from contact_sanitizer.screening.evidence import refuse
from contact_sanitizer.screening.subjectruns import Needles

Subjects = NDArray[np.uint8]


class InFileRefusals:
    """What one file says against its own numbers, growing as it is read.

    `noted`: numbers with an opt-out note beside them; `withdrawn`: numbers whose consent cell says no.
    """

    def __init__(self, spill: Path) -> None:
        self._noted = SubjectSet(spill / "noted")
        self._withdrawn = SubjectSet(spill / "withdrawn")

    def __len__(self) -> int:
        return len(self._noted) + len(self._withdrawn)

    def learn(self, noted: Subjects, withdrawn: Subjects) -> None:
        """Take in the refusals (k, 16) of a batch."""
        for known, subjects in ((self._noted, noted), (self._withdrawn, withdrawn)):
            if len(subjects):
                known.add(subjects)

    def stated(self) -> tuple[Subjects, Subjects]:
        """What was learned: `noted` and `withdrawn`, uint8 (k, 16) each."""
        return self._noted.subjects(), self._withdrawn.subjects()

    def apply(self, bits: NDArray[np.uint8], needles: Needles) -> NDArray[np.uint8]:
        """The drop bits of a batch's candidates with what is known of the file's refusals."""
        if not len(self):
            return bits
        return refuse(bits, self._noted.contains(needles), self._withdrawn.contains(needles))
