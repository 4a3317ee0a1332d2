"""How the intake tests read a file: written to disk, opened, every record in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contact_sanitizer.intake.listfile import ColumnWish, FileDescription, ReadOptions, Role, open_list

PHONE = ColumnWish("phone", Role.PHONE)


@dataclass(frozen=True)
class Outcome:
    description: FileDescription
    records: list[int]
    flaws: list[int]
    cells: dict[str, list[str]]
    batches: int
    observed: bytes
    warnings: dict[str, int] = field(default_factory=dict)

    @property
    def phones(self) -> list[str]:
        return self.cells["phone"]


Read = Callable[..., Outcome]


def read_path(
    path: Path, wishes: Sequence[ColumnWish] = (PHONE,), options: ReadOptions | None = None
) -> Outcome:
    seen: list[bytes] = []
    with open_list(path, wishes, options or ReadOptions(), seen.append) as opened:
        batches = list(opened.batches())
        for batch in batches:
            for cells in batch.cells.values():
                cells.validate(full=True)
                assert len(cells) == len(batch)
                assert cells.null_count == 0
        return Outcome(
            description=opened.description,
            records=[int(record) for batch in batches for record in batch.records],
            flaws=[int(flaw) for batch in batches for flaw in batch.flaws],
            cells={name: [c for b in batches for c in b.cells[name].to_pylist()] for name in opened.bound},
            batches=len(batches),
            observed=b"".join(seen),
            warnings=dict(opened.warnings),
        )


@pytest.fixture(name="read_path", scope="session")
def _read_path() -> Read:
    """Read a file by its path."""
    return read_path


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write the bytes to a file of this name and read it."""

    def read_bytes(
        content: bytes,
        wishes: Sequence[ColumnWish] = (PHONE,),
        options: ReadOptions | None = None,
        name: str = "list.csv",
    ) -> Outcome:
        path = tmp_path / name
        path.write_bytes(content)
        outcome = read_path(path, wishes, options)
        assert outcome.observed == content
        return outcome

    return read_bytes
