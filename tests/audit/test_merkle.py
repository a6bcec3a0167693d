"""The tree against the published vectors of Certificate Transparency and against its definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle

pytestmark = pytest.mark.once

# The eight leaves, their roots and proofs that the Certificate Transparency projects test with.
LEAVES = [
    merkle.leaf_hash(bytes.fromhex(text))
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
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size):
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("index", "size", "proof"),
    [
        (0, 1, []),
        (0, 8, [A, B, C]),
        (5, 8, [D, E, ROOTS[4]]),
        (2, 3, [ROOTS[2]]),
        (1, 5, [ROOTS[1], B, D]),
    ],
)
def test_inclusion_proofs_are_the_published_ones(index, size, proof):
    made = merkle.inclusion_proof(LEAVES[:size], index)
    assert [node.hex() for node in made] == proof


@pytest.mark.parametrize(
    ("first", "second", "proof"),
    [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[4]]), (2, 5, [B, D])],
)
def test_consistency_proofs_are_the_published_ones(first, second, proof):
    made = merkle.consistency_proof(LEAVES[:second], first)
    assert [node.hex() for node in made] == proof


# --- against the definition, RFC 6962 section 2.1, written as it is stated there ---------------------


def _mth(leaves):
    if not leaves:
        return merkle.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return merkle.node_hash(_mth(leaves[:k]), _mth(leaves[k:]))


def _leaves(count):
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


_sizes = st.integers(min_value=1, max_value=130)


@given(st.integers(min_value=0, max_value=130))
def test_a_root_is_what_the_definition_says(size):
    assert merkle.root(_leaves(size)) == _mth(_leaves(size))


@given(_sizes, st.integers(min_value=0))
def test_a_tree_can_be_continued_from_its_edge(size, cut):
    leaves, cut = _leaves(size), cut % (size + 1)
    begun = merkle.CompactRange().extend(leaves[:cut])
    continued = merkle.CompactRange(size=begun.size, edge=begun.edge).extend(leaves[cut:])
    assert continued.root() == _mth(leaves)
    assert len(continued.edge) == size.bit_count()


@given(_sizes, st.integers(min_value=0), st.data())
def test_an_inclusion_proof_holds_for_its_leaf_and_for_nothing_else(size, index, data):
    leaves, index = _leaves(size), index % size
    proof, root = merkle.inclusion_proof(leaves, index), merkle.root(leaves)
    assert merkle.inclusion_holds(
        leaf=leaves[index], index=index, size=size, proof=proof, root=root
    )
    other = merkle.leaf_hash(b"another")
    assert not merkle.inclusion_holds(leaf=other, index=index, size=size, proof=proof, root=root)
    assert not merkle.inclusion_holds(
        leaf=leaves[index], index=index, size=size, proof=[*proof, other], root=root
    )
    wrong = data.draw(st.integers(min_value=-1, max_value=size).filter(lambda n: n != index))
    assert not merkle.inclusion_holds(
        leaf=leaves[index], index=wrong, size=size, proof=proof, root=root
    )
    if proof:
        place = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
        for changed in ([*proof[:place], other, *proof[place + 1 :]], proof[:-1]):
            assert not merkle.inclusion_holds(
                leaf=leaves[index], index=index, size=size, proof=changed, root=root
            )


@given(_sizes, st.integers(min_value=0), st.data())
def test_a_consistency_proof_holds_for_a_prefix_and_for_nothing_else(second, first, data):
    leaves, first = _leaves(second), 1 + first % second
    proof = merkle.consistency_proof(leaves, first)
    roots = {"first_root": merkle.root(leaves[:first]), "second_root": merkle.root(leaves)}
    assert merkle.consistency_holds(first=first, second=second, proof=proof, **roots)
    other = merkle.leaf_hash(b"another")
    assert not merkle.consistency_holds(
        first=first, second=second, proof=proof, **roots | {"first_root": other}
    )
    assert not merkle.consistency_holds(
        first=first, second=second, proof=proof, **roots | {"second_root": other}
    )
    assert not merkle.consistency_holds(first=first, second=second, proof=[*proof, other], **roots)
    if proof:
        place = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
        for changed in ([*proof[:place], other, *proof[place + 1 :]], proof[:-1]):
            assert not merkle.consistency_holds(first=first, second=second, proof=changed, **roots)


def test_every_tree_begins_with_the_empty_one():
    for size in (0, 1, 7):
        assert merkle.consistency_holds(
            first=0,
            second=size,
            proof=[],
            first_root=merkle.EMPTY_ROOT,
            second_root=merkle.root(_leaves(size)),
        )


def test_a_larger_tree_does_not_begin_a_smaller_one():
    root = merkle.root(_leaves(3))
    assert not merkle.consistency_holds(
        first=3, second=2, proof=[], first_root=root, second_root=root
    )


def test_an_edge_of_another_size_is_refused():
    with pytest.raises(ValueError, match="no edge"):
        merkle.CompactRange(size=3, edge=[b"only one"])


@pytest.mark.parametrize("index", [-1, 3])
def test_a_proof_for_a_leaf_that_does_not_exist_is_refused(index):
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(_leaves(3), index)


@pytest.mark.parametrize("first", [0, 4])
def test_a_proof_from_a_prefix_that_does_not_exist_is_refused(first):
    with pytest.raises(ValueError, match="no prefix"):
        merkle.consistency_proof(_leaves(3), first)
