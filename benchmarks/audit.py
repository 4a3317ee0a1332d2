"""Verify and report on an audit log of a million events.

    python benchmarks/audit.py [--events N] [--runs N] [--against FUNCTIONS]

The log is made from a seed by our own sealer and kept in `build/bench/`. Each run is the command itself in a
fresh process; medians of the processor's seconds in user mode are reported, since other programs disturb
them least. `--against` names the `functions` folder of another version, whose runs alternate with ours and
have to print the same.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from pathlib import Path
from typing import Any, Final

from bench import BUILD, machine, run
from houselog import make_log

SEED: Final = 6
GOALS: Final = {"verify": 8, "report": 25}
"""Seconds of the processor for a million events."""


def log_of(events: int) -> Path:
    """The log of so many events, made where it is missing."""
    folder = BUILD / f"log-{events}"
    if not folder.exists():
        partial = BUILD / f"log-{events}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        print(f"making a log of {events:,} events", flush=True)
        make_log(partial, events, SEED)
        partial.rename(folder)
    return folder


def measured(word: str, folder: Path, functions: str) -> dict[str, Any]:
    """One run in a process of its own, of the version in `functions` (empty: ours)."""
    os.environ["PYTHONPATH"] = functions
    return run("auditor.py", word, folder).report


def main() -> None:
    """Measure, and say whether the goals were reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--against", default="", metavar="FUNCTIONS")
    options = parser.parse_args()
    folder = log_of(options.events)
    print(f"{machine()}\n{options.events:,} events, {options.runs} runs")
    versions = {"other": options.against, "this": ""} if options.against else {"this": ""}
    for word, goal in GOALS.items():
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in versions}
        for _ in range(options.runs):
            for name, functions in versions.items():
                runs[name].append(measured(word, folder, functions))
        if any(each["said"] != runs["this"][0]["said"] for done in runs.values() for each in done):
            raise SystemExit(f"{word}: not all runs print the same")
        for name, done in runs.items():
            figures = sorted(each["seconds"] for each in done)
            middle, peak = statistics.median(figures), max(each["peak_mib"] for each in done)
            said = "reached" if middle <= goal * options.events / 1e6 else "NOT reached"
            shown = ", ".join(f"{figure:.2f}" for figure in figures)
            print(f"{word} ({name}): {middle:.2f} s of CPU ({shown}), peak {peak:.0f} MiB", flush=True)
            print(f"  goal {goal} s a million: {said}", flush=True)


if __name__ == "__main__":
    BUILD.mkdir(parents=True, exist_ok=True)
    main()
