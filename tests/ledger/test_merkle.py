"""The tree against a second, naive reading of RFC 6962, and its published test vectors."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.ledger.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)

# The inputs and roots of certificate-transparency's reference tests.
INPUTS = [
    bytes.fromhex(h)
    for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
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


class Tree:
    """Leaves, and the stored nodes of their complete subtrees."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.leaves = [leaf_hash(e) for e in entries]
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.head = CompactRange()
        self.roots = [self.head.root()]
        for index, leaf in enumerate(self.leaves):
            for level, node in enumerate(self.head.append(leaf)):
                self.nodes[level, index >> level] = node
            self.roots.append(self.head.root())

    def node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]


def naive(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256().digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(naive(leaves[:k]), naive(leaves[k:]))


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    assert Tree(INPUTS[:size]).head.root().hex() == ROOTS[size - 1]


def test_the_empty_tree() -> None:
    assert CompactRange().root() == EMPTY_ROOT == sha256(b"").digest()
    assert tree_hash(0, Tree([]).node) == EMPTY_ROOT


def test_every_proof_up_to_forty_leaves() -> None:
    tree = Tree([bytes([i]) for i in range(40)])
    for size in range(1, 41):
        root = naive(tree.leaves[:size])
        assert tree.roots[size] == root == tree_hash(size, tree.node)
        assert CompactRange.load(size, tree.node).root() == root
        for index in range(size):
            proof = inclusion_proof(index, size, tree.node)
            assert verify_inclusion(tree.leaves[index], index, size, proof, root)
        for first in range(1, size + 1):
            proof = consistency_proof(first, size, tree.node)
            assert verify_consistency(first, size, tree.roots[first], root, proof)


@given(st.data())
def test_a_changed_proof_proves_nothing(data: st.DataObject) -> None:
    tree = Tree([bytes([i]) for i in range(23)])
    size = data.draw(st.integers(2, 23))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, tree.node)
    root = tree.roots[size]
    leaf = tree.leaves[index]
    at = data.draw(st.integers(0, len(proof) - 1))
    assert not verify_inclusion(leaf, index, size, [*proof[:at], bytes(32), *proof[at + 1 :]], root)
    assert not verify_inclusion(leaf, index, size, proof[:-1], root)
    assert not verify_inclusion(leaf, index, size, [*proof, bytes(32)], root)
    assert not verify_inclusion(bytes(32), index, size, proof, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
    assert not verify_inclusion(leaf, other, size, proof, root)
    for outside in (-1, size):
        assert not verify_inclusion(leaf, outside, size, proof, root)


@given(st.data())
def test_a_fork_is_not_consistent(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 23))
    first = data.draw(st.integers(1, size))
    changed = data.draw(st.integers(0, first - 1))
    entries = [bytes([i]) for i in range(size)]
    tree = Tree(entries)
    fork = Tree([*entries[:changed], b"changed", *entries[changed + 1 :]])
    proof = consistency_proof(first, size, fork.node)
    assert not verify_consistency(first, size, tree.roots[first], fork.roots[size], proof)
    assert not verify_consistency(
        first, size, tree.roots[first], tree.roots[size], [*consistency_proof(first, size, tree.node), bytes(32)]
    )


def test_consistency_of_nonsense_is_refused() -> None:
    tree = Tree([b"a", b"b", b"c"])
    assert not verify_consistency(0, 3, EMPTY_ROOT, tree.roots[3], [])
    assert not verify_consistency(3, 2, tree.roots[3], tree.roots[2], [])
    assert not verify_consistency(3, 4, tree.roots[3], tree.roots[3], [])
    assert not verify_consistency(2, 2, tree.roots[2], tree.roots[2], [bytes(32)])
    assert verify_consistency(2, 2, tree.roots[2], tree.roots[2], [])
