"""What needs no workspace: a copy of an audit log in a folder, and the time.

Whoever verifies a copy has nothing else, and should not wait until everything else is loaded.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from contact_sanitizer.embedded.objectfolder import ObjectFolder

if TYPE_CHECKING:  # the other ports name NumPy and Arrow
    from contact_sanitizer.ports import Objects


def objects_in(folder: Path) -> Objects:
    """The objects that lie in a folder, such as a copy of an audit log; no home is needed."""
    return ObjectFolder(folder)


def system_clock() -> int:
    """Now, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
