"""The Merkle tree of RFC 6962, section 2.1: hashes, roots, inclusion and consistency proofs.

Nothing here reads or writes: a tree is whatever answers "the hash of the leaves from `start` to `end`".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256().digest()

SubtreeHash = Callable[[int, int], bytes]
"""The Merkle Tree Hash of the leaves `start` to `end` (exclusive), which is never an empty range."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, or over the roots of equally large full subtrees."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        # A last node without a partner goes up as it is: the RFC's recursive split gives the same.
        odd = [level[-1]] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(b"\1" + left + right).digest() for left, right in pairs] + odd
    return level[0]


def split(size: int) -> int:
    """The largest power of two smaller than `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, tree: SubtreeHash) -> list[bytes]:
    """PATH(index, D[size]) of section 2.1.1, from the leaf's sibling upwards."""
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            proof.append(tree(middle, end))
            end = middle
        else:
            proof.append(tree(start, middle))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, tree: SubtreeHash) -> list[bytes]:
    """PROOF(old, D[new]) of section 2.1.2; empty where the sizes are the same, or `old` is 0."""
    proof: list[bytes] = []
    start, end, goal = 0, new, old
    if not 0 < goal < end:
        return proof
    while goal != end:
        middle = start + split(end - start)
        if goal <= middle:
            proof.append(tree(middle, end))
            end = middle
        else:
            proof.append(tree(start, middle))
            start = middle
    if start:
        proof.append(tree(start, end))
    return proof[::-1]


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof leads from a leaf's hash to the root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, hashed = index, size - 1, leaf
    for sibling in proof:
        if not last:
            return False
        if position & 1 or position == last:
            hashed = node_hash(sibling, hashed)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        position, last = position >> 1, last >> 1
    return not last and hashed == root


def is_consistent(old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]) -> bool:
    """Whether the proof leads from one (size, root) to a later one (RFC 9162, section 2.1.4.2)."""
    (old_size, old_root), (new_size, new_root) = old, new
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size or not old_size:
        return not proof and (old_root == new_root if old_size == new_size else old_root == EMPTY_ROOT)
    path = [old_root, *proof] if not old_size & (old_size - 1) else list(proof)
    if not path:
        return False
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if not last:
            return False
        if position & 1 or position == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        position, last = position >> 1, last >> 1
    return not last and first == old_root and second == new_root
