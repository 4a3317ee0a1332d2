"""Deliver a list and redeem its tokens, on one core.

    python benchmarks/delivery.py [--rows N] [--registry N] [--runs N]

Makes a home whose registry holds `--registry` people and sanitizes a list of `--rows` in it, where they are
not there yet. Then, in fresh processes held to one core: deliver the list, and redeem 100 times 1,000 of its
tokens. Seconds of a delivery are those from the open home to the visible file (registry, audit and fsyncs
included, the interpreter's imports not); redeeming is told in milliseconds of CPU a call, and reads the
registry's snapshot that the delivery left (without one, as for short lists only, a call costs about three
times as much). The sender's quotas are counted, and too large to be reached.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench import BUILD, Case, machine, prepare, run
from contact_sanitizer.delivery.deliver import DeliveryRequest, deliver
from contact_sanitizer.delivery.redeem import MOST_TOKENS, redeem
from contact_sanitizer.delivery.senders import Quotas, Right, Sender
from contact_sanitizer.policy import load_policy
from contact_sanitizer.workspace import Workspace
from memory import peak_mib

CALLS: Final = 100
FOREVER: Final = 4_000_000_000
PLENTY: Final = 1_000_000_000
GOAL_SECONDS: Final = 1.5
GOAL_MILLISECONDS: Final = 10

stages: defaultdict[str, float] = defaultdict(float)


@contextmanager
def meter(stage: str) -> Iterator[None]:
    """Adds the processor's time of a block to its stage: other programs disturb it less."""
    started = time.process_time()
    try:
        yield
    finally:
        stages[stage] += time.process_time() - started


def once(home: Path, list_id: str, number: int) -> dict[str, Any]:
    """One delivery and its redemptions, in this process."""
    name, out = f"bench{number}", BUILD / "delivered.csv"
    out.unlink(missing_ok=True)
    with Workspace.open(home) as workspace:
        quotas = Quotas(PLENTY, PLENTY, PLENTY)
        sender = Sender(name, "bench", FOREVER, ("marketing",), (Right.TOKENS,), quotas=quotas)
        workspace.senders.register(sender, again=True)
        desk = workspace.delivery_desk(str(out), meter)
        started, cpu = time.perf_counter(), time.process_time()
        made = deliver(DeliveryRequest(list_id, name, "marketing"), desk, workspace.shelf_of)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        # only now: redeeming has a larger process's memory, which does it no good
        peak = peak_mib()
        tokens = [line[:53].decode() for line in out.read_bytes().splitlines()[1:]]
        spent = time.process_time()
        for call in range(CALLS):
            start = call * 7919 % max(len(tokens) - MOST_TOKENS, 1)
            redeem(tokens[start : start + MOST_TOKENS], name, "marketing", desk)
        redeeming = (time.process_time() - spent) / CALLS * 1000
    stages["rest"] = cpu - sum(stages.values())
    return {
        "seconds": seconds,
        "cpu": cpu,
        "rows": made.delivery.rows,
        "redeem_ms": redeeming,
        "peak_mib": peak,
        "stages": dict(stages),
    }


def sanitized(case: Case) -> str:
    """The id of the list of a case in its home, made where it is missing."""
    with Workspace.open(case.home) as workspace:
        known = [entry.list_id for entry in workspace.catalogue.entries() if entry.state == "made"]
        if known:
            return known[-1]
        return workspace.sanitize(case.source, load_policy(case.policy))[0].list_id


def main() -> None:
    """Measure, and say whether the goals were reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--registry", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--once", nargs=3, metavar=("HOME", "LIST", "NUMBER"))
    options = parser.parse_args()
    if options.once:
        home, list_id, number = options.once
        print(json.dumps(once(Path(home), list_id, int(number))))
        return
    case = Case(f"delivery-{options.rows}", "CN", options.rows)
    prepare([case], options.registry)
    list_id = sanitized(case)
    first, *runs = [
        run("delivery.py", "--once", case.home, list_id, number).report for number in range(options.runs + 1)
    ]
    best = min(runs, key=lambda report: report["cpu"])
    print(f"{machine()}\nregistry of {options.registry:,} people, {options.runs} runs")
    print(f"before them one of {first['seconds']:.2f} s, which builds a snapshot where none stands")
    for word, unit, goal in (
        ("seconds", "s", GOAL_SECONDS * best["rows"] / 1e6),
        ("cpu", "s of CPU", GOAL_SECONDS * best["rows"] / 1e6),
        ("redeem_ms", "ms of CPU", GOAL_MILLISECONDS),
    ):
        figures = sorted(report[word] for report in runs)
        middle = statistics.median(figures)
        said = "reached" if middle <= goal else "NOT reached"
        shown = ", ".join(f"{figure:.2f}" for figure in figures)
        print(f"{word:10} {middle:7.2f} {unit:10} ({shown}); goal {goal:.2f}: {said}")
    print(f"{best['rows']:,} rows delivered, peak {best['peak_mib']:.0f} MiB; ns of CPU a row:")
    for stage, took in sorted(best["stages"].items(), key=lambda item: -item[1]):
        print(f"  {stage:10} {took / best['rows'] * 1e9:6.0f}")


if __name__ == "__main__":
    BUILD.mkdir(parents=True, exist_ok=True)
    main()
