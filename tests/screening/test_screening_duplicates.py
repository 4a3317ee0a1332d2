from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contact_sanitizer.errors import OutputError
from contact_sanitizer.screening import duplicates, mappedsubjects
from contact_sanitizer.screening.duplicates import DuplicateSet, SubjectSet
from contact_sanitizer.screening.subjectruns import Needles

# few values, so that first halves and whole subjects collide
HALVES = st.sampled_from([0, 1, 2**63, 2**64 - 1, 5 << 40])
ROWS = st.lists(st.tuples(HALVES, HALVES, st.booleans()), max_size=12)


def subjects_of(rows: list[tuple[int, int, bool]]) -> NDArray[np.uint8]:
    raw = b"".join(hi.to_bytes(8, "big") + lo.to_bytes(8, "big") for hi, lo, _ in rows)
    return np.frombuffer(raw, np.uint8).reshape(-1, 16)


def expected_firsts(batches: list[list[tuple[int, int, bool]]]) -> list[list[bool]]:
    seen: set[tuple[int, int]] = set()
    answers = []
    for rows in batches:
        answer = []
        for hi, lo, candidate in rows:
            answer.append(candidate and (hi, lo) not in seen)
            if candidate:
                seen.add((hi, lo))
        answers.append(answer)
    return answers


@pytest.mark.parametrize("memory_entries", [0, 3, 1000])
@settings(derandomize=True, max_examples=60, deadline=None)
@given(batches=st.lists(ROWS, max_size=10))
def test_the_first_candidate_row_of_a_subject_is_told_from_all_later_ones(
    tmp_path_factory: pytest.TempPathFactory,
    memory_entries: int,
    batches: list[list[tuple[int, int, bool]]],
) -> None:
    with DuplicateSet(tmp_path_factory.mktemp("spill") / "runs", memory_entries) as kept:
        answers = [
            kept.first_seen(Needles.of(subjects_of(rows)), np.array([c for *_, c in rows], np.bool_)).tolist()
            for rows in batches
        ]
        assert answers == expected_firsts(batches)
        assert len(kept) == sum(map(sum, answers))


@pytest.mark.parametrize("memory_entries", [0, 1000])
@settings(derandomize=True, max_examples=60, deadline=None)
@given(batches=st.lists(ROWS, min_size=1, max_size=6))
def test_a_set_holds_exactly_what_was_added(
    tmp_path_factory: pytest.TempPathFactory,
    memory_entries: int,
    batches: list[list[tuple[int, int, bool]]],
) -> None:
    asked = subjects_of(batches[0])
    with SubjectSet(tmp_path_factory.mktemp("spill") / "runs", memory_entries) as known:
        for rows in batches[1:]:
            known.add(subjects_of(rows))
        held = {row.tobytes() for rows in batches[1:] for row in subjects_of(rows)}
        assert known.contains(Needles.of(asked)).tolist() == [row.tobytes() in held for row in asked]
        assert len(known) == len(held)


def test_many_rows_spill_into_merged_runs_and_stay_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_PART_ENTRIES", 700)
    monkeypatch.setattr(mappedsubjects, "STRETCH_ENTRIES", 900)
    rng = np.random.default_rng(3)
    people = rng.integers(0, 256, (60_000, 16), np.uint8)
    people[rng.integers(0, 60_000, 9000)] = people[rng.integers(0, 60_000, 9000)]
    _, first = np.unique(people.view("V16").ravel(), return_index=True)
    expected = np.zeros(60_000, np.bool_)
    expected[first] = True
    spill = tmp_path / "runs"
    with DuplicateSet(spill, memory_entries=2000) as kept:
        answers = [
            kept.first_seen(Needles.of(people[start : start + 500]), np.ones(500, np.bool_))
            for start in range(0, 60_000, 500)
        ]
        assert (np.concatenate(answers) == expected).all()
        files = list(spill.iterdir())
        assert 0 < len(files) < 30
        assert sum(path.stat().st_size for path in files) <= 16 * len(first)
        assert spill.stat().st_mode & 0o077 == 0
    assert list(spill.iterdir()) == []


def test_a_folder_that_takes_no_runs_stops_the_job(tmp_path: Path) -> None:
    (tmp_path / "runs").write_bytes(b"a file in its place")
    kept = DuplicateSet(tmp_path / "runs", memory_entries=1)
    people = np.arange(64, dtype=np.uint8).reshape(-1, 16)
    with pytest.raises(OutputError) as caught:
        kept.first_seen(Needles.of(people), np.ones(4, np.bool_))
    assert caught.value.code == "out_full"


def test_a_set_shows_its_size_only() -> None:
    known = SubjectSet(Path("never-made"))
    known.add(np.zeros((2, 16), np.uint8))
    assert repr(known) == "SubjectSet(1)"
