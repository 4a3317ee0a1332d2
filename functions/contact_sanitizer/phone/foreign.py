"""A sign that a list belongs to another country than its policy says.

Some Chinese mobiles are valid numbers elsewhere (`15012345678` in a US list is a number in Arkansas), so
a valid number alone proves nothing. But most are not valid there: among the refused cells of such a list
most are plain Chinese mobiles, while a list of that country has next to none.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.reasons import Reason

_HOME = "CN"
_MOBILE = r"^\s*1[3-9][0-9]{9}\s*$"
_READ_AS_NUMBER = (Reason.TOO_SHORT, Reason.TOO_LONG, Reason.INVALID_RANGE)


def looks_foreign(cells: pa.Array, reasons: NDArray[np.uint8], default_region: str) -> int:
    """How many cells are a Chinese mobile number of eleven digits and no number in the default region.

    `cells`: n strings, `reasons`: uint8 (n,) as `Numbers.reasons`. 0 for China and for a region that
    shares its country code. The share of all rows over which a list deserves a warning is the caller's.
    Costs nothing for rows that were not refused.
    """
    plan = load_plan()
    if plan.region_info(default_region).country_code == plan.region_info(_HOME).country_code:
        return 0
    rows = np.flatnonzero(np.isin(reasons, _READ_AS_NUMBER))
    if not len(rows):
        return 0
    shaped = pc.match_substring_regex(cells.take(pa.array(rows)), _MOBILE)
    return int(pc.sum(shaped).as_py() or 0)
