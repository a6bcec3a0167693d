"""The Merkle tree of RFC 6962 section 2.1 (the same as RFC 9162 section 2.1). Pure.

A leaf is hashed with a zero byte before it and an inner node with a one byte before its two
children, so neither can be passed off as the other. Proofs follow RFC 9162 sections 2.1.3 and 2.1.4.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Self

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf: SHA-256 over a zero byte and its content."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 over a one byte and the hashes of its children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The right edge of a growing tree: the roots of its largest complete subtrees, left to right.

    It is all that is needed to append leaves and to know the root. A tree of n leaves has as many
    edge hashes as n has ones in binary.
    """

    __slots__ = ("_edge", "_size")

    def __init__(self, *, size: int = 0, edge: Iterable[bytes] = ()) -> None:
        """Continue a stored tree. Raises ValueError when the edge cannot belong to that size."""
        self._size = size
        self._edge = list(edge)
        if size < 0 or len(self._edge) != size.bit_count():
            raise ValueError(f"A tree of {size} leaves has no edge of {len(self._edge)} hashes.")

    @property
    def size(self) -> int:
        return self._size

    @property
    def edge(self) -> tuple[bytes, ...]:
        return tuple(self._edge)

    def append(self, leaf: bytes) -> None:
        """Add the hash of one leaf at the right."""
        # Two subtrees of equal size join, like a carry: one for each trailing one of the old size.
        size = self._size
        while size & 1:
            leaf = node_hash(self._edge.pop(), leaf)
            size >>= 1
        self._edge.append(leaf)
        self._size += 1

    def extend(self, leaves: Iterable[bytes]) -> Self:
        """Add the hashes of several leaves, in order."""
        for leaf in leaves:
            self.append(leaf)
        return self

    def root(self) -> bytes:
        """The root over all leaves so far; of an empty tree, the hash of nothing."""
        if not self._edge:
            return EMPTY_ROOT
        root = self._edge[-1]
        for subtree in reversed(self._edge[:-1]):
            root = node_hash(subtree, root)
        return root


def root(leaves: Iterable[bytes]) -> bytes:
    """The root of the tree over these leaf hashes."""
    return CompactRange().extend(leaves).root()


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root, lowest first (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"There is no leaf {index} in a tree of {len(leaves)}.")
    proof: list[bytes] = []
    start, end = 0, len(leaves)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(root(leaves[middle:end]))
            end = middle
        else:
            proof.append(root(leaves[start:middle]))
            start = middle
    return proof[::-1]


def inclusion_holds(
    *, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Does the proof show that this leaf hash is number `index` of the tree of `size` leaves?

    RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and result == root


def consistency_proof(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """Hashes that show the first `first` leaves to be a prefix of all (RFC 9162 section 2.1.4.1)."""
    if not 0 < first <= len(leaves):
        raise ValueError(f"A tree of {len(leaves)} leaves has no prefix of {first}.")
    proof: list[bytes] = []
    start, end, known = 0, len(leaves), True
    # `known`: the prefix fills this subtree from its start, so the verifier has its root already.
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            proof.append(root(leaves[middle:end]))
            end = middle
        else:
            proof.append(root(leaves[start:middle]))
            start, known = middle, False
    if not known:
        proof.append(root(leaves[start:end]))
    return proof[::-1]


def consistency_holds(
    *, first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes
) -> bool:
    """Does the proof show that the larger tree begins with the smaller one?

    RFC 9162 section 2.1.4.2. Every tree begins with the empty one, whose proof is empty.
    """
    if not 0 <= first <= second:
        return False
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    if first == second:
        return not proof and first_root == second_root
    path = list(proof)
    if not path:
        return False
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    node, last = first - 1, second - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root
