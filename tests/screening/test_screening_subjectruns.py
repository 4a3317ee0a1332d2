import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.screening.places import Places
from contact_sanitizer.screening.sieve import Sieve
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects, halves, subject_bytes

HALVES = st.sampled_from([0, 1, 2, 2**40, 2**63, 2**64 - 2, 2**64 - 1])
PAIRS = st.lists(st.tuples(HALVES, HALVES), max_size=20)


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    hi, lo = (np.array([pair[n] for pair in pairs], np.uint64) for n in (0, 1))
    return hi, lo


@settings(derandomize=True, max_examples=200, deadline=None)
@given(PAIRS, PAIRS)
def test_every_needle_is_found_where_it_is_and_nowhere_else(
    stored: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    distinct, asked = sorted(set(stored)), sorted(asked)
    hi, lo = columns(distinct)
    expected = [distinct.index(pair) if pair in distinct else -1 for pair in asked]
    for places in (None, Places.of(hi)):
        assert SortedSubjects(hi, lo, places).find(*columns(asked)).tolist() == expected


@settings(derandomize=True, max_examples=200, deadline=None)
@given(PAIRS)
def test_needles_ascend_and_equal_ones_keep_their_order(pairs: list[tuple[int, int]]) -> None:
    needles = Needles.of_halves(*columns(pairs))
    rows = sorted(range(len(pairs)), key=lambda row: (pairs[row], row))
    assert needles.order.tolist() == rows
    assert list(zip(needles.hi.tolist(), needles.lo.tolist(), strict=True)) == [pairs[row] for row in rows]


def test_a_large_haystack_gives_the_same_answers() -> None:
    rng = np.random.default_rng(6)
    hi, lo = np.sort(rng.integers(0, 2**64, 150_000, np.uint64)), rng.integers(0, 2**64, 150_000, np.uint64)
    hi[70_000:70_005] = hi[70_000]
    lo[70_000:70_005].sort()
    rows = np.sort(rng.integers(0, 150_000, 5_000))
    rows[:5] = range(70_000, 70_005)
    rows.sort()
    for haystack in (SortedSubjects(hi, lo), SortedSubjects(hi, lo, Places.of(hi))):
        assert (haystack.find(hi[rows], lo[rows]) == rows).all()
        assert (haystack.find(hi[rows], lo[rows] + np.uint64(1)) == -1).all()
        assert (haystack.find(hi[rows] + np.uint64(1), lo[rows]) == -1).all()


def test_places_search_like_a_binary_search_however_subjects_are_spread() -> None:
    rng = np.random.default_rng(8)
    even = rng.integers(0, 2**64, 40_000, np.uint64)
    crowded = np.uint64(5 << 50) + np.arange(2_000, dtype=np.uint64)
    for spread in (even, crowded, np.concatenate([even, crowded]), even[:1], even[:0]):
        hi = np.sort(spread)
        ends = np.array([0, 2**64 - 1], np.uint64)
        needles = np.sort(np.concatenate([hi, hi + np.uint64(1), even[:500] ^ np.uint64(9), ends]))
        places = Places.of(hi)
        assert places.fit(hi)
        assert (places.search(hi, needles) == np.searchsorted(hi, needles)).all()


def test_places_of_other_subjects_do_not_fit() -> None:
    hi = np.sort(np.random.default_rng(9).integers(0, 2**64, 1_000, np.uint64))
    assert not Places.of(hi[:-1]).fit(hi)
    assert not Places.of(hi[:100]).fit(hi)
    assert not Places(np.empty(0, np.uint32)).fit(hi)


def test_halves_and_bytes_are_inverse() -> None:
    subjects = np.random.default_rng(1).integers(0, 256, (50, 16), np.uint8)
    hi, lo = halves(subjects)
    assert int(hi[3]) == int.from_bytes(subjects[3, :8].tobytes(), "big")
    assert int(lo[3]) == int.from_bytes(subjects[3, 8:].tobytes(), "big")
    assert (subject_bytes(hi, lo) == subjects).all()


def test_large_batches_are_sorted_alike() -> None:
    subjects = np.random.default_rng(2).integers(0, 256, (70_001, 16), np.uint8)
    subjects[::7] = subjects[3]
    needles = Needles.of(subjects)
    hi, lo = halves(subjects)
    assert (needles.order == np.lexsort((lo, hi))).all()


def test_a_sieve_misses_nothing_and_passes_little_else() -> None:
    rng = np.random.default_rng(4)
    added, others = (np.sort(rng.integers(0, 2**64, 50_000, np.uint64)) for _ in range(2))
    sieve = Sieve.for_entries(len(added))
    for part in np.array_split(added, 7):
        sieve.add(part)
    assert len(sieve.maybe(added)) == len(added)
    assert len(sieve.maybe(others)) < len(others) / 16
    assert not sieve.is_full(len(added))
    assert sieve.is_full(20 * len(added))


def test_nothing_shows_a_subject() -> None:
    needles = Needles.of(np.full((3, 16), 65, np.uint8))
    assert repr(needles) == "Needles(3)"
    assert repr(SortedSubjects(needles.hi[:1], needles.lo[:1])) == "SortedSubjects(1)"
