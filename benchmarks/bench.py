"""The naive script and the product, side by side, on one core.

    python benchmarks/bench.py [--quick] [--runs N] [--write]

Inputs are made from a seed and kept in `build/bench/`. Both programs run alternately, each run in a fresh
process held to one core; medians are reported. After each pair the numbers that both kept are compared,
one by one. `--quick` uses smaller lists and a smaller registry; `--write` rewrites `benchmarks/results.md`.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.csv

from contact_sanitizer.embedded.registry import SqliteRegistry
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.policy import parse_policy
from contact_sanitizer.protection.blocks import digits_of
from contact_sanitizer.protection.sealing import seal_numbers
from contact_sanitizer.protection.subjects import subjects
from contact_sanitizer.protection.tokens import TokenOpener
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus
from contact_sanitizer.screening.suppression import SuppressionAct, SuppressionEvent, SuppressionReason
from contact_sanitizer.workspace import Workspace, number_rules
from lists import COUNTRIES, Country, hostile, random_blocks, write_list
from naive import KEY

HERE: Final = Path(__file__).parent
BUILD: Final = HERE.parent / "build" / "bench"
RECORDED_AT: Final = 1_760_000_000
SUPPRESSED_SHARE: Final = 0.01
CONSENTED_SHARE: Final = 0.95

POLICY: Final = """\
format: contact-sanitizer/policy/v1
name: bench
default_region: {region}
allow_regions: [{region}]
columns:
  phone: {{role: phone}}
  city: {{do: keep, from: [城市]}}
consent: {{purpose: marketing, channel: sms, sender: brand-a, evidence: registry}}
suppression: {{scopes: [global, tenant, sender]}}
output: {{format: csv, audience: bench}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One list and the home and policy that it is sanitized with."""

    name: str
    region: str
    rows: int
    hostile: bool = False

    @property
    def source(self) -> Path:
        """The list."""
        return BUILD / f"{self.name}.csv"

    @property
    def home(self) -> Path:
        """The home of its region."""
        return BUILD / f"home-{self.region}"

    @property
    def policy(self) -> Path:
        """The policy of its region."""
        return BUILD / f"policy-{self.region}.yaml"


@dataclass(frozen=True, slots=True)
class Run:
    """What one process did: its own figures, and the whole process's seconds."""

    report: dict[str, Any]
    wall: float


def run(script: str, *arguments: object) -> Run:
    """Run a script of this folder in a process of its own, on one core."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    started = time.perf_counter()
    read, write = os.pipe()
    child = os.posix_spawn(
        command[0],
        command,
        {**os.environ, "OMP_NUM_THREADS": "1"},
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)],
    )
    os.close(write)
    with os.fdopen(read) as output:
        text = output.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{script} failed")
    wall = time.perf_counter() - started
    return Run(json.loads(text), wall)


def numbers_of(source: Path, normalizer: Normalizer) -> np.ndarray[Any, Any]:
    """The blocks of all good numbers of a list, one after the other."""
    options = pyarrow.csv.ConvertOptions(include_columns=["手机号"], column_types={"手机号": pa.string()})
    cells = pyarrow.csv.read_csv(source, convert_options=options).column(0)
    blocks = []
    for chunk in cells.chunks:
        numbers = normalizer.normalize(chunk)
        blocks.append(numbers.blocks[numbers.reasons == 0])
    return distinct(np.concatenate(blocks))


def distinct(blocks: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The blocks without repetitions; as two integers each they sort fast."""
    halves = np.ascontiguousarray(blocks).view(np.uint64).reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    ordered = halves[order]
    new = np.ones(len(ordered), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.ascontiguousarray(ordered[new]).view(np.uint8).reshape(-1, 16)


def prepare(cases: Sequence[Case], registry_size: int) -> None:
    """Lists, homes and policies, where they are not there yet."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for case in cases:
        if not case.source.exists():
            spelled: dict[str, Any] = {"cells": hostile} if case.hostile else {}
            write_list(case.source, case.rows, region=case.region, **spelled)
        case.policy.write_text(POLICY.format(region=case.region))
    new_home = layout_of_a_new_home()
    for region in sorted({case.region for case in cases}):
        of_region = [case for case in cases if case.region == region]
        size = registry_size if region == "CN" else 0
        stamp = hashlib.sha256(repr((size, of_region, new_home)).encode()).hexdigest()[:16]
        mark = of_region[0].home / "bench-stamp"
        if not mark.exists() or mark.read_text() != stamp:
            shutil.rmtree(of_region[0].home, ignore_errors=True)
            fill(of_region, COUNTRIES[region], size)
            mark.write_text(stamp)


def layout_of_a_new_home() -> list[str]:
    """The files of a home as it is made now: a home that was made otherwise is of no use any more."""
    with tempfile.TemporaryDirectory() as folder:
        Workspace.open(Path(folder) / "home").close()
        return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


@dataclass(frozen=True, slots=True)
class People:
    """Who is in a registry: the consenting, the refused among them, and whoever of these is on a list."""

    everyone: np.ndarray[Any, Any]
    listed: np.ndarray[Any, Any]
    refused: np.ndarray[Any, Any]


def people_of(cases: Sequence[Case], country: Country, size: int) -> People:
    """Most of the lists' people and made-up others, in all at least `size`."""
    normalizer = Normalizer(number_rules(parse_policy(cases[0].policy.read_bytes())))
    listed = distinct(np.concatenate([numbers_of(case.source, normalizer) for case in cases]))
    chance = np.random.default_rng(7)
    consented = listed[chance.random(len(listed)) < CONSENTED_SHARE]
    missing = max(size - len(consented), 0)
    others = [np.empty((0, 16), np.uint8), *random_blocks(country, int(missing * 1.02), 11)]
    everyone = distinct(np.concatenate([consented, *others]))
    # some of the others are on the lists too, by chance
    on_list = np.isin(listed.view("S16").ravel(), everyone.view("S16").ravel())
    refused = consented[chance.random(len(consented)) < SUPPRESSED_SHARE]
    return People(everyone, listed[on_list], refused)


def fill(cases: Sequence[Case], country: Country, size: int) -> None:
    """A home whose registry holds the consents and refusals of these people, and the naive script's sets."""
    people, workspace = people_of(cases, country, size), Workspace.open(cases[0].home)
    keyring, registry, everyone = workspace.keyring, workspace.registry, people.everyone
    assert isinstance(registry, SqliteRegistry)  # noqa: S101 - the home's registry, which loads in bulk
    model = ConsentEvent(
        bytes(16),
        ConsentStatus.GRANTED,
        RECORDED_AT,
        "marketing",
        "sms",
        "brand-a",
        RECORDED_AT,
        source="bench",
    )
    registry.record_bulk_consents(
        subjects(everyone, keyring), lambda start, stop: seal_numbers(everyone[start:stop], keyring), model
    )
    opted_out, added = SuppressionReason.OPTED_OUT, SuppressionAct.ADDED
    events = [
        SuppressionEvent(subject.tobytes(), added, "tenant", opted_out, RECORDED_AT, source="bench")
        for subject in subjects(people.refused, keyring)
    ]
    for start in range(0, len(events), 10_000):
        registry.record(events[start : start + 10_000])
    write_sets(cases[0].home, people)


def write_sets(home: Path, people: People) -> None:
    """The sets that the naive script looks numbers up in."""
    write_digests(home / "consented.txt", people.listed)
    write_digests(home / "suppressed.txt", people.refused)


def digest(digits: str) -> str:
    """A number as the naive script knows it."""
    return hmac.new(KEY, f"+{digits}".encode(), hashlib.sha256).hexdigest()


def write_digests(path: Path, blocks: np.ndarray[Any, Any]) -> None:
    """Numbers as the naive script knows them, one a line."""
    path.write_text("\n".join(map(digest, digits_of(blocks))))


def same_numbers(case: Case, naive: Path, product: Path) -> bool:
    """Whether both clean lists hold the same people, in the same order."""
    opener = TokenOpener(Workspace.open(case.home).keyring, "bench")
    tokens = pyarrow.csv.read_csv(product / "clean.csv").column("token").combine_chunks()
    ours = [digest(digits) for digits in digits_of(opener.open_many(tokens).blocks)]
    theirs = pyarrow.csv.read_csv(naive / "clean.csv").column("token").to_pylist()
    return bool(ours == theirs)


def measure(case: Case, runs: int, *, naive: bool) -> tuple[list[Run], list[Run]]:
    """Alternate runs of both programs on one case; the kept numbers are compared where both ran."""
    theirs, ours = [], []
    for _ in range(runs):
        ours_out, theirs_out = BUILD / "out-product", BUILD / "out-naive"
        shutil.rmtree(ours_out, ignore_errors=True)
        if naive:
            sets = (case.home / "consented.txt", case.home / "suppressed.txt")
            theirs.append(run("naive.py", case.source, *sets, theirs_out, case.region))
        ours.append(run("product.py", case.home, case.source, case.policy, ours_out))
        if naive and not case.hostile and not same_numbers(case, theirs_out, Path(ours[-1].report["place"])):
            raise SystemExit(f"{case.name}: the two did not keep the same numbers")
    return theirs, ours


def median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    """The median of a figure."""
    return statistics.median(map(of, runs))


def seconds(run_: Run) -> float:
    """The seconds that the program itself reports."""
    return float(run_.report["seconds"])


def peak(run_: Run) -> float:
    """The most memory that the program held, in MiB."""
    return float(run_.report["peak_mib"])


def table(case: Case, theirs: Sequence[Run], ours: Sequence[Run]) -> list[str]:
    """One line of the results."""
    mine = median(ours, seconds)
    cells = [case.name, f"{case.rows:,}", f"{mine:.2f}", f"{case.rows / mine:,.0f}"]
    cells += [f"{median(ours, lambda r: r.wall):.2f}", f"{median(ours, peak):.0f}"]
    if theirs:
        other = median(theirs, seconds)
        ratios = statistics.median(seconds(a) / seconds(b) for a, b in zip(theirs, ours, strict=True))
        cells += [
            f"{other:.2f}",
            f"{case.rows / other:,.0f}",
            f"{ratios:.1f} ×",
            f"{median(theirs, peak):.0f}",
        ]
    else:
        cells += ["", "", "", ""]
    return [*cells, f"{ours[-1].report['per_row'] / case.rows:.1%}"]


HEAD: Final = [
    "list",
    "rows",
    "product s",
    "rows/s",
    "whole process s",
    "peak MiB",
    "naive s",
    "rows/s",
    "ratio",
    "naive peak MiB",
    "per-row path",
]


def machine() -> str:
    """The processor and the versions that the figures belong to."""
    lines = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if Path("/proc/cpuinfo").exists()
        else []
    )
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    python, numbers = platform.python_version(), phonenumbers.__version__
    versions = f"Python {python}, NumPy {np.__version__}, pyarrow {pa.__version__}, phonenumbers {numbers}"
    return f"{model}, {os.cpu_count()} cores; one core used. {versions}."


def report(lines: Sequence[Sequence[str]], stages: dict[str, float], rows: int) -> str:
    """The results as Markdown."""
    text = ["# Results", "", f"`make bench`, {datetime.now(UTC):%Y-%m-%d}. {machine()}", ""]
    text += [
        "Medians of alternating runs. Seconds are those from the open home to the published list, and from",
        "the first row to the last for the naive script, whose sets are in memory by then.",
        "",
    ]
    text += [f"| {' | '.join(row)} |" for row in (HEAD, ["---"] * len(HEAD), *lines)]
    text += [
        "",
        f"Where the time goes, list of {rows:,} rows:",
        "",
        "| stage | ms | ns a row |",
        "|---|---|---|",
    ]
    text += [
        f"| {name} | {value * 1000:.0f} | {value / rows * 1e9:.0f} |"
        for name, value in sorted(stages.items(), key=lambda item: -item[1])
    ]
    return "\n".join([*text, ""])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    # children inherit it: every measured process has one core
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    scale, size = (10, 200_000) if options.quick else (1, 10_000_000)
    main_case = Case(f"cn-{10**6 // scale}", "CN", 10**6 // scale)
    compared = [
        main_case,
        *(Case(f"{region.lower()}-{10**5}", region, 10**5) for region in COUNTRIES if region != "CN"),
        Case(f"hostile-{10**5 // scale}", "CN", 10**5 // scale, hostile=True),
    ]
    alone = [Case(f"cn-{rows}", "CN", rows) for rows in (10**5 // scale, 10**7 // scale)]
    prepare([*compared, *alone], size)
    lines, stages = [], {}
    for case in [*compared, *alone]:
        theirs, ours = measure(case, options.runs, naive=case in compared)
        lines.append(table(case, theirs, ours))
        print("  ".join(lines[-1]), flush=True)
        if case is main_case:
            stages = {
                name: statistics.median(run_.report["stages"][name] for run_ in ours)
                for name in ours[0].report["stages"]
            }
    text = report(lines, stages, main_case.rows)
    print(text)
    if options.write:
        (HERE / "results.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
