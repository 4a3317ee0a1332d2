"""A new snapshot from an old one and what has become of some subjects since, a slice at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from contact_sanitizer.screening.bulkfold import Resolutions
from contact_sanitizer.screening.snapshotmaking import COLUMNS, FACTS, column
from contact_sanitizer.screening.subjectruns import SortedSubjects

_SLICES: Final = 256


def merged(path: Path, contract: int, later: Resolutions) -> Iterator[Resolutions]:
    """What the snapshot at `path` says under a contract, overruled by `later`; all subjects ascending.

    `later` has to tell of everybody who has changed since, and of all whom the snapshot left unsettled.
    Raises `OSError` and `ValueError`; reads the files without checking their digests.
    """
    old = _settled(path, contract)
    bounds = np.arange(1, _SLICES, dtype=np.uint64) << np.uint64(56)
    old_ends, later_ends = (
        [0, *np.searchsorted(subjects.hi, bounds).tolist(), len(subjects)]
        for subjects in (old.subjects, later.subjects)
    )
    for number in range(_SLICES):
        before = old.take(np.arange(old_ends[number], old_ends[number + 1]))
        after = later.take(np.arange(later_ends[number], later_ends[number + 1]))
        stays = ~after.subjects.contains(before.subjects.hi, before.subjects.lo)
        yield joined([before.take(stays), after])


def joined(parts: list[Resolutions]) -> Resolutions:
    """What is said of distinct subjects in several places, ascending."""
    hi, lo = (np.concatenate([getattr(part.subjects, half) for part in parts]) for half in ("hi", "lo"))
    names = (*FACTS, "unsettled")
    valid_until, otherwise, blocked_until, unsettled = (
        np.concatenate([getattr(part, name) for part in parts]) for name in names
    )
    whole = Resolutions(SortedSubjects(hi, lo), valid_until, otherwise, blocked_until, unsettled)
    return whole.take(np.lexsort((lo, hi)))


def _settled(path: Path, contract: int) -> Resolutions:
    hi, lo, valid_until, otherwise, blocked_until = (
        column(path / f"{contract}-{name}", dtype) for name, dtype in COLUMNS.items()
    )
    if len({len(hi), len(lo), len(valid_until), len(otherwise), len(blocked_until)}) != 1:
        raise ValueError("columns differ in length")
    settled = np.zeros(len(hi), np.bool_)
    return Resolutions(SortedSubjects(hi, lo), valid_until, otherwise, blocked_until, settled)
