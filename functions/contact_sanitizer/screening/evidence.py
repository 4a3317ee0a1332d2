"""What the file itself says about consent, joined with what the registry says.

The most restrictive evidence wins: a "no" in the file, an opt-out note in a cell, a withdrawal in the
registry each stop a number whatever else speaks for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.intake.consentcells import ConsentCell
from contact_sanitizer.policy_words import Evidence
from contact_sanitizer.screening.verdict import CONSENT_BITS, Drop

Bits = NDArray[np.uint8]


def weigh(registry: Bits, cells: NDArray[np.uint8] | None, evidence: Evidence) -> Bits:
    """The drop bits of n candidates from the registry's bits and their `ConsentCell` codes (None: no column).

    Refusals that the file holds are not judged here: they count for every row of a number.
    """
    if evidence is Evidence.REGISTRY or cells is None:
        return registry
    withdrawn = (registry & Drop.CONSENT_WITHDRAWN) != 0
    agreed = (cells == ConsentCell.YES) & ~withdrawn
    cleared = registry & ~CONSENT_BITS
    if evidence is Evidence.EITHER:
        return np.where(agreed, cleared, registry)
    lacking = np.where(cells == ConsentCell.EXPIRED, Drop.CONSENT_EXPIRED, Drop.CONSENT_MISSING)
    return np.where(agreed, cleared, np.where(withdrawn, registry, cleared | lacking)).astype(np.uint8)


def refuse(bits: Bits, noted: NDArray[np.bool_], withdrawn: NDArray[np.bool_]) -> Bits:
    """The bits after the file's own refusals.

    `noted`: somebody wrote next to the number that it must not be contacted, which suppresses it;
    `withdrawn`: the consent column says no, which is the one consent reason to report then.
    """
    said_no = np.where(withdrawn, (bits & ~CONSENT_BITS) | Drop.CONSENT_WITHDRAWN, bits)
    return np.where(noted, said_no | Drop.SUPPRESSED, said_no).astype(np.uint8)
