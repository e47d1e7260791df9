"""The Merkle tree of RFC 6962 (and RFC 9162, section 2.1): hashing, proofs and their verification.

``D[n]`` is the list of the first n leaves, ``MTH`` its tree hash. A node is named by its level (0 for a leaf) and its
index on that level; only nodes whose subtree is complete are ever stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeAlias

EMPTY_ROOT = sha256().digest()
"""MTH of the empty list."""

NodeReader: TypeAlias = Callable[[int, int], bytes]
"""Gives the hash of the complete subtree at (level, index)."""


def leaf_hash(entry: bytes) -> bytes:
    """``MTH({d(0)}) = SHA-256(0x00 || d(0))``."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """``SHA-256(0x01 || left || right)``."""
    return sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The head of a growing tree: the roots of its complete subtrees, largest first, one a set bit of the size."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    @classmethod
    def load(cls, size: int, node: NodeReader) -> CompactRange:
        """The head of a stored tree of ``size`` leaves, in O(log size) reads."""
        levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
        return cls(size, [node(level, (size >> level) - 1) for level in levels])

    def append(self, leaf: bytes) -> list[bytes]:
        """Add a leaf hash; the hashes of the subtrees that it completes, upwards, beginning with the leaf itself."""
        completed = [leaf]
        size = self.size
        while size & 1:
            leaf = node_hash(self.peaks.pop(), leaf)
            completed.append(leaf)
            size >>= 1
        self.peaks.append(leaf)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """``MTH(D[size])``."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """``PATH(index, D[size])`` of RFC 6962, 2.1.1. The index must be below the size."""
    return _path(index, 0, size, node)


def consistency_proof(first: int, second: int, node: NodeReader) -> list[bytes]:
    """``PROOF(first, D[second])`` of RFC 6962, 2.1.2, for ``0 < first <= second``."""
    return _subproof(first, 0, second, node, known=True)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof leads from a leaf hash to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of ``second`` leaves extends that of ``first`` (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


def tree_hash(size: int, node: NodeReader) -> bytes:
    """``MTH(D[size])`` of a stored tree."""
    return _mth(0, size, node) if size else EMPTY_ROOT


def _split(n: int) -> int:
    """The largest power of two smaller than n."""
    return 1 << (n - 1).bit_length() - 1


def _mth(start: int, end: int, node: NodeReader) -> bytes:
    n = end - start
    if n & (n - 1) == 0:
        level = n.bit_length() - 1
        return node(level, start >> level)
    k = _split(n)
    return node_hash(_mth(start, start + k, node), _mth(start + k, end, node))


def _path(m: int, start: int, end: int, node: NodeReader) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if m < middle:
        return [*_path(m, start, middle, node), _mth(middle, end, node)]
    return [*_path(m, middle, end, node), _mth(start, middle, node)]


def _subproof(m: int, start: int, end: int, node: NodeReader, *, known: bool) -> list[bytes]:
    if m == end:
        return [] if known else [_mth(start, end, node)]
    middle = start + _split(end - start)
    if m <= middle:
        return [*_subproof(m, start, middle, node, known=known), _mth(middle, end, node)]
    return [*_subproof(m, middle, end, node, known=False), _mth(start, middle, node)]
