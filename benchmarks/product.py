"""One run of the engine with a stage clock.

    python benchmarks/product.py HOME LIST POLICY OUT

Prints the seconds from the open home to the published list (registry, audit and fsyncs included, the
interpreter's imports not), the rows kept, and the seconds of each stage.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contact_sanitizer.job import Manner
from contact_sanitizer.policy import load_policy
from contact_sanitizer.workspace import Workspace
from memory import peak_mib

stages: defaultdict[str, float] = defaultdict(float)


@contextmanager
def meter(stage: str) -> Iterator[None]:
    """Adds the time of a block to its stage."""
    started = time.perf_counter()
    try:
        yield
    finally:
        stages[stage] += time.perf_counter() - started


def main() -> None:
    """Sanitize one list."""
    home, source, policy_file, out = map(Path, sys.argv[1:5])
    started = time.perf_counter()
    workspace = Workspace.open(home)
    manifest, place = workspace.sanitize(source, load_policy(policy_file), out, Manner(meter=meter))
    seconds = time.perf_counter() - started
    # the digest is taken while the file is read
    stages["intake"] -= stages["upload digest"]
    stages["rest"] = seconds - sum(stages.values())
    result = {
        "seconds": seconds,
        "rows": manifest.counts.rows,
        "kept": manifest.counts.kept,
        "per_row": manifest.counts.per_row,
        "stages": dict(stages),
        "place": str(place),
        "peak_mib": peak_mib(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
