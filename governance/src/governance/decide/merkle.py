"""Merkle trees over an append-only log: roots, inclusion proofs, consistency proofs.

Source: RFC 9162 (Certificate Transparency 2.0), section 2.1; the trees of RFC 6962 are the same.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

HASH_BYTES: Final = 32
MAX_SIZE: Final = 2**53 - 1  # the largest integer that RFC 8785 writes exactly
MAX_PROOF: Final = 2 * MAX_SIZE.bit_length()

Place = tuple[int, int]
"""A perfect subtree: its level (leaves are 0), and its index among those of its level."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of an entry. Source: RFC 9162, 2.1.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node. Source: RFC 9162, 2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT: Final = hashlib.sha256().digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that an append needs of a tree: its size, and its perfect subtrees from the left.

    Attributes:
        peaks: One hash per bit that is set in `size`, the largest subtree first.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no frontier."""
        if not 0 <= self.size <= MAX_SIZE or len(self.peaks) != self.size.bit_count():
            raise ValueError("a frontier has one peak per bit of its size")

    @property
    def root(self) -> bytes:
        """The tree's root."""
        return fold(self.peaks)

    def extended(self, leaves: Iterable[bytes]) -> tuple[Self, dict[Place, bytes]]:
        """Append leaf hashes.

        Returns:
            The new frontier, and every perfect subtree that is complete now and was not before.
        """
        size, peaks = self.size, list(self.peaks)
        made: dict[Place, bytes] = {}
        for leaf in leaves:
            level, index, digest = 0, size, leaf
            made[level, index] = digest
            while index & 1:
                digest = node_hash(peaks.pop(), digest)
                level, index = level + 1, index >> 1
                made[level, index] = digest
            peaks.append(digest)
            size += 1
        return type(self)(size, tuple(peaks)), made


def fold(subtrees: Sequence[bytes]) -> bytes:
    """Return the root over neighbouring perfect subtrees, from the left, each smaller than before.

    Source: RFC 9162, 2.1.1: the left child of a node is the largest perfect subtree.
    """
    if not subtrees:
        return EMPTY_ROOT
    *rest, digest = subtrees
    for left in reversed(rest):
        digest = node_hash(left, digest)
    return digest


def places(start: int, end: int) -> list[Place]:
    """Return the perfect subtrees that cover the leaves from `start` to before `end`.

    `start` is a multiple of the largest power of two that fits in the range: so are all ranges
    of which proofs are made.
    """
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots prove an entry, the nearest to the leaf first.

    Source: RFC 9162, 2.1.3.1.

    Args:
        index: Of the entry, from 0.
        size: Of the tree; larger than `index`.
    """
    if not 0 <= index < size:
        raise ValueError("the entry is not in the tree")
    found = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(first: int, second: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots prove that one tree continues another.

    Source: RFC 9162, 2.1.4.1.

    Args:
        first: Size of the earlier tree; at least 1.
        second: Size of the later one; at least `first`.
    """
    if not 0 < first <= second:
        raise ValueError("the first tree is no larger than the second, and not empty")
    found = []
    start, end = 0, second
    whole = True  # whether the earlier tree's root is the root of what is left
    while first < end:
        middle = start + _split(end - start)
        if first <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
            whole = False
    if not whole:
        found.append((start, end))
    return found[::-1]


def proof(ranges: Iterable[tuple[int, int]], nodes: Mapping[Place, bytes]) -> list[bytes]:
    """Return the roots of ranges of leaves, from stored perfect subtrees.

    Raises:
        KeyError: A subtree is missing.
    """
    return [fold([nodes[place] for place in places(*each)]) for each in ranges]


def wanted(ranges: Iterable[tuple[int, int]]) -> set[Place]:
    """Return the stored subtrees that `proof` needs."""
    return {place for each in ranges for place in places(*each)}


def includes(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether a proof shows that the tree with this root holds an entry.

    Source: RFC 9162, 2.1.3.2.

    Args:
        leaf: The entry's hash.
        index: Of the entry, from 0.
        size: Of the tree.
        path: The inclusion proof.
        root: The tree's root.
    """
    if not 0 <= index < size <= MAX_SIZE or len(path) > MAX_PROOF:
        return False
    node, last, digest = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            digest = node_hash(sibling, digest)
            while not node & 1 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and digest == root


def continues(
    *, first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]
) -> bool:
    """Tell whether a proof shows that a later tree holds an earlier one unchanged.

    Source: RFC 9162, 2.1.4.2.

    Args:
        first: Size of the earlier tree.
        second: Size of the later one.
        first_root: Root of the earlier tree.
        second_root: Root of the later one.
        path: The consistency proof.
    """
    if not 0 <= first <= second <= MAX_SIZE or len(path) > MAX_PROOF:
        return False
    if first in {0, second}:
        expected = EMPTY_ROOT if first == 0 else second_root
        return not path and first_root == expected
    steps = list(path) if first & (first - 1) else [first_root, *path]
    if not steps:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not node & 1 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, step)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """Return the largest power of two smaller than `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)
