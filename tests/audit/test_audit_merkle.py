"""The Merkle tree: RFC 6962's published vectors, an independent implementation, all small trees."""

from __future__ import annotations

import random
from functools import cache
from hashlib import sha256

import pymerkle
import pytest

from contact_sanitizer.audit.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    root_of,
    split,
)

# The inputs and roots of the Certificate Transparency test vectors.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LARGEST = 256
LEAVES = [leaf_hash(number.to_bytes(2)) for number in range(LARGEST)]


@cache
def tree(start: int, end: int) -> bytes:
    """The hash of a range as RFC 6962 defines it, by its own recursion."""
    if end - start == 1:
        return LEAVES[start]
    middle = start + split(end - start)
    return sha256(b"\1" + tree(start, middle) + tree(middle, end)).digest()


def root(size: int) -> bytes:
    return tree(0, size) if size else EMPTY_ROOT


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert root_of([leaf_hash(data) for data in INPUTS[:size]]).hex() == ROOTS[size]


def test_an_independent_implementation_comes_to_the_same_roots_and_proofs() -> None:
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for size in range(1, LARGEST + 1):
        other.append_entry((size - 1).to_bytes(2))
        assert other.get_root() == root_of(LEAVES[:size]) == root(size)
    for size in (1, 2, 3, 7, 8, 200, 256):
        for index in range(size):
            theirs = other.prove_inclusion(index + 1, size)
            pymerkle.verify_inclusion(LEAVES[index], root(size), theirs)
            path = {bytes.fromhex(value) for value in theirs.serialize()["path"]}
            assert path - {LEAVES[index]} == set(inclusion_proof(index, size, tree))


def test_every_inclusion_proof_of_every_small_tree_holds() -> None:
    proofs = 0
    for size in range(1, LARGEST + 1):
        for index in range(size):
            assert is_included(LEAVES[index], index, size, inclusion_proof(index, size, tree), root(size))
            proofs += 1
    assert proofs == 32_896


def test_every_consistency_proof_of_every_small_tree_holds() -> None:
    proofs = 0
    for new in range(1, LARGEST + 1):
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, tree)
            assert is_consistent((old, root(old)), (new, root(new)), proof)
            proofs += 1
    assert proofs == 32_896


def mutants(proof: list[bytes]) -> list[list[bytes]]:
    """Proofs that are not this one: shorter, longer, swapped, bent."""
    found = [[*proof, EMPTY_ROOT], [EMPTY_ROOT, *proof]]
    for at, value in enumerate(proof):
        bent = bytes([value[0] ^ 1]) + value[1:]
        found += [proof[:at] + proof[at + 1 :], [*proof[:at], bent, *proof[at + 1 :]]]
        found += [[*proof[:at], value, *proof[at:]]]
    return [*found, proof[::-1]] if proof[::-1] != proof else found


CHANCE = random.Random(6962)  # noqa: S311 - which trees, not secrets
PLACES = [(size, CHANCE.randrange(size)) for size in CHANCE.sample(range(2, LARGEST + 1), 60)]


@pytest.mark.parametrize(("size", "index"), PLACES)
def test_a_bent_inclusion_proof_is_refused(size: int, index: int) -> None:
    proof, leaf = inclusion_proof(index, size, tree), LEAVES[index]
    assert is_included(leaf, index, size, proof, root(size))
    for mutant in mutants(proof):
        assert not is_included(leaf, index, size, mutant, root(size))
    assert not is_included(LEAVES[index - 1], index, size, proof, root(size))
    assert not is_included(leaf, index, size, proof, root(size - 1))
    for other in (index - 1, index + 1, size, -1):
        assert not is_included(leaf, other, size, proof, root(size))
    assert not is_included(leaf, index, index, proof, root(size))


@pytest.mark.parametrize(("new", "old"), [(size, old) for size, old in PLACES if old])
def test_a_bent_consistency_proof_is_refused(new: int, old: int) -> None:
    before, after, proof = (old, root(old)), (new, root(new)), consistency_proof(old, new, tree)
    assert is_consistent(before, after, proof)
    for mutant in mutants(proof):
        assert not is_consistent(before, after, mutant)
    assert not is_consistent((old, root(new)), after, proof)
    assert not is_consistent(before, (new, root(old)), proof)
    assert not is_consistent(after, before, proof)
    assert not is_consistent((old - 1, root(old)), after, proof)


def test_the_empty_tree_is_consistent_with_all_and_holds_nothing() -> None:
    assert is_consistent((0, EMPTY_ROOT), (5, root(5)), [])
    assert is_consistent((5, root(5)), (5, root(5)), [])
    assert not is_consistent((0, root(1)), (5, root(5)), [])
    assert not is_consistent((5, root(5)), (5, root(4)), [])
    assert not is_included(LEAVES[0], 0, 0, [], EMPTY_ROOT)
