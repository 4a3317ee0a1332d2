"""The peak memory of this process."""

from __future__ import annotations

import re
from pathlib import Path


def peak_mib() -> float:
    """The most memory that was resident at once since the program began, in MiB (Linux).

    `getrusage` would also count what the parent held when it started this process.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")
