"""What the end-to-end tests share: a workspace with a fixed clock, lists as files, results as rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from contact_sanitizer.embedded.world import HomeWorld
from contact_sanitizer.job import Manner
from contact_sanitizer.outputs.manifest import Manifest
from contact_sanitizer.policy import Policy, parse_policy
from contact_sanitizer.policy_text import DEFAULT_POLICY
from contact_sanitizer.registering.desk import ConsentTerms
from contact_sanitizer.workspace import Workspace

OPENED: list[Workspace] = []
"""What a test opened; closed after it."""

NOW = 1_790_000_000_000
TERMS = ConsentTerms("marketing", "sms", "", effective_at=1_780_000_000, source="form")


def policy(*changes: tuple[str, str]) -> Policy:
    """The default policy with pieces of its text replaced."""
    text = DEFAULT_POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_policy(text.encode())


KEEPING = policy(("  phone: {role: phone}\n", "  phone: {role: phone}\n  note: {do: keep, optional: true}\n"))


def workspace(folder: Path, now: int = NOW) -> Workspace:
    """A workspace whose clock stands still and whose chance is a counter."""
    counter = iter(range(1, 1_000_000))

    def randomness(size: int) -> bytes:
        return next(counter).to_bytes(8).rjust(size, b"\x5a")

    opened = Workspace.open(folder, clock=lambda: now, randomness=randomness, principal="tester")
    OPENED.append(opened)
    return opened


def home_of(place: Workspace) -> HomeWorld:
    """The home that a workspace stands in."""
    assert isinstance(place.world, HomeWorld)
    return place.world


def agree(place: Workspace, phones: Iterable[str]) -> None:
    """Record a consent for each phone."""
    desk = place.desk("CN")
    for phone in phones:
        desk.grant(desk.person(phone), TERMS)


def write_csv(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Rows as a CSV file, the first one the header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


@dataclass(frozen=True)
class Result:
    """A published list, read back."""

    manifest: Manifest
    place: Path

    @property
    def clean(self) -> list[dict[str, str]]:
        with (self.place / "clean.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @property
    def rejects(self) -> Mapping[int, str]:
        with (self.place / "rejects.csv").open(newline="", encoding="utf-8") as file:
            return {int(row["row"]): row["reason"] for row in csv.DictReader(file)}

    @property
    def decisions(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.place / "decisions.parquet").to_pylist()
        return rows

    @property
    def reasons(self) -> list[str | None]:
        return [row["reason"] for row in self.decisions]


def run(
    place: Workspace, upload: Path, rules: Policy | None = None, out: Path | None = None, workers: int = 0
) -> Result:
    """Sanitize a list."""
    manifest, where = place.sanitize(upload, rules or policy(), out, Manner(workers=workers))
    return Result(manifest, Path(where))
