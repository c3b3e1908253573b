"""The trees of RFC 6962 and RFC 9162: published vectors, and proofs that cannot be bent."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.decide import merkle
from governance.decide.merkle import Frontier, leaf_hash, node_hash

# The eight entries and roots by which implementations of RFC 6962 are compared.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def grown(entries):
    """Return a tree's frontier and all its nodes."""
    return Frontier().extended(leaf_hash(e) for e in entries)


def test_roots_are_those_that_other_implementations_publish():
    assert [grown(ENTRIES[:n])[0].root.hex() for n in range(1, 9)] == ROOTS
    assert Frontier().root == hashlib.sha256(b"").digest()


def test_proofs_are_those_of_the_rfcs_example():
    """RFC 9162, 2.1.5: the tree of seven entries d0 to d6, with its nodes by name."""
    a, b, c, d, e, f, j = (leaf_hash(entry) for entry in ENTRIES[:7])
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741 - the RFC's name
    frontier, nodes = grown(ENTRIES[:7])

    def path(index):
        return merkle.proof(merkle.inclusion_ranges(index, 7), nodes)

    def between(first):
        return merkle.proof(merkle.consistency_ranges(first, 7), nodes)

    assert frontier.root == node_hash(k, l)
    assert path(0) == [b, h, l]
    assert path(3) == [c, g, l]
    assert path(4) == [f, j, k]
    assert path(6) == [i, k]
    assert between(3) == [c, d, g, l]
    assert between(4) == [l]
    assert between(6) == [i, j, k]
    assert between(7) == []


@st.composite
def trees(draw):
    entries = draw(st.lists(st.binary(max_size=40), min_size=1, max_size=70))
    size = len(entries)
    return entries, draw(st.integers(0, size - 1)), draw(st.integers(1, size))


@given(trees(), st.integers(0, 70))
def test_growing_in_two_steps_is_growing_in_one(tree, at):
    entries, _, _ = tree
    once, all_nodes = grown(entries)
    first, early = grown(entries[:at])
    second, late = first.extended(leaf_hash(e) for e in entries[at:])

    assert second == once
    assert early | late == all_nodes


@given(trees())
def test_every_entry_is_proven_and_every_earlier_tree_continued(tree):
    entries, index, first = tree
    frontier, nodes = grown(entries)
    size = frontier.size

    assert merkle.includes(
        leaf_hash(entries[index]), index=index, size=size, root=frontier.root,
        path=merkle.proof(merkle.inclusion_ranges(index, size), nodes),
    )  # fmt: skip
    assert merkle.continues(
        first=first, second=size, first_root=grown(entries[:first])[0].root,
        second_root=frontier.root, path=merkle.proof(merkle.consistency_ranges(first, size), nodes),
    )  # fmt: skip


def flipped(data, position):
    bit = position % (8 * len(data))
    return bytes(b ^ (1 << bit % 8) if i == bit // 8 else b for i, b in enumerate(data))


@given(trees(), st.data())
def test_no_inclusion_proof_survives_a_flipped_bit(tree, data):
    entries, index, _ = tree
    frontier, nodes = grown(entries)
    path = merkle.proof(merkle.inclusion_ranges(index, frontier.size), nodes)
    parts = [leaf_hash(entries[index]), frontier.root, *path]
    bent = data.draw(st.integers(0, len(parts) - 1))
    parts[bent] = flipped(parts[bent], data.draw(st.integers(0, 255)))
    leaf, root, *path = parts

    assert not merkle.includes(leaf, index=index, size=frontier.size, path=path, root=root)


@given(trees(), st.data())
def test_no_consistency_proof_survives_a_flipped_bit(tree, data):
    entries, _, first = tree
    frontier, nodes = grown(entries)
    path = merkle.proof(merkle.consistency_ranges(first, frontier.size), nodes)
    parts = [grown(entries[:first])[0].root, frontier.root, *path]
    bent = data.draw(st.integers(0, len(parts) - 1))
    parts[bent] = flipped(parts[bent], data.draw(st.integers(0, 255)))
    first_root, second_root, *path = parts

    assert not merkle.continues(
        first=first, second=frontier.size, first_root=first_root, second_root=second_root,
        path=path,
    )  # fmt: skip


@given(trees(), st.data())
def test_a_proof_holds_for_its_own_entry_and_length_only(tree, data):
    entries, index, _ = tree
    frontier, nodes = grown([bytes([n]) for n in range(len(entries))])
    path = merkle.proof(merkle.inclusion_ranges(index, frontier.size), nodes)
    leaf = leaf_hash(bytes([index]))
    other = data.draw(st.integers(0, frontier.size + 3))

    def holds(*, at=index, steps=path):
        return merkle.includes(leaf, index=at, size=frontier.size, path=steps, root=frontier.root)

    assert holds()
    assert holds(at=other) == (other == index)
    assert not holds(steps=[*path, leaf])
    assert not path or not holds(steps=path[:-1])


@pytest.mark.parametrize(("size", "peaks"), [(-1, ()), (1, ()), (2, (b"a", b"b"))])
def test_a_frontier_has_a_peak_per_bit_of_its_size(size, peaks):
    with pytest.raises(ValueError, match="one peak per bit"):
        Frontier(size, peaks)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: merkle.inclusion_ranges(3, 3),
        lambda: merkle.consistency_ranges(0, 3),
        lambda: merkle.consistency_ranges(4, 3),
    ],
)
def test_there_is_no_proof_of_what_is_not_in_the_tree(ask):
    with pytest.raises(ValueError, match="tree"):
        ask()
