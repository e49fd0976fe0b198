"""RFC 6962's tree: the shipped functions against the definitions of the RFC, written down a second time."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import ProofWrong
from audit.tlog import merkle
from audit.tlog.merkle import EMPTY, Frontier, check_consistency, check_inclusion, consistency, inclusion, leaf

LEAVES = [leaf(bytes((number & 255, number >> 8))) for number in range(300)]
SIZES = st.integers(0, len(LEAVES))


@cache
def mth(start: int, end: int) -> bytes:
    """Return MTH(D[start:end]) as RFC 6962, 2.1, defines it."""
    if start == end:
        return sha256(b"").digest()
    if end - start == 1:
        return LEAVES[start]
    k = 1
    while 2 * k < end - start:
        k *= 2
    return sha256(b"\1" + mth(start, start + k) + mth(start + k, end)).digest()


def subtree(level: int, number: int) -> bytes:
    """Return the root of a whole subtree."""
    assert (number + 1) << level <= len(LEAVES)
    return mth(number << level, (number + 1) << level)


def path(m: int, start: int, end: int) -> list[bytes]:
    """Return PATH(m, D[start:end]) as RFC 6962, 2.1.1, defines it."""
    if end - start == 1:
        return []
    k = 1 << (end - start - 1).bit_length() - 1
    if m < k:
        return [*path(m, start, start + k), mth(start + k, end)]
    return [*path(m - k, start + k, end), mth(start, start + k)]


def subproof(m: int, start: int, end: int, *, whole: bool) -> list[bytes]:
    """Return SUBPROOF(m, D[start:end], b) as RFC 6962, 2.1.2, defines it."""
    if m == end - start:
        return [] if whole else [mth(start, end)]
    k = 1 << (end - start - 1).bit_length() - 1
    if m <= k:
        return [*subproof(m, start, start + k, whole=whole), mth(start + k, end)]
    return [*subproof(m - k, start + k, end, whole=False), mth(start, start + k)]


def test_the_published_hashes() -> None:
    """Leaves and nodes would not be told apart, or the empty tree would have another root than everybody's."""
    assert leaf(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.node(leaf(b""), leaf(b"\0")).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"


@given(st.lists(st.integers(0, 90), max_size=6))
def test_a_frontier_has_the_root_of_its_leaves(parts: list[int]) -> None:
    """The writer, the verifier and everybody else would speak of different trees."""
    frontier, at = Frontier(), 0
    for part in parts:
        frontier.extend(LEAVES[at : at + part])
        at = min(at + part, len(LEAVES))
        assert (frontier.size, frontier.root()) == (at, mth(0, at))
        frontier = Frontier(frontier.size, frontier.peaks)


@pytest.mark.parametrize(("size", "peaks"), [(1, 0), (2, 2), (3, 1), (-1, 1), (0, 1)])
def test_a_tree_has_as_many_peaks_as_bits(size: int, peaks: int) -> None:
    """A note of another tree would be gone on from in silence."""
    with pytest.raises(ProofWrong, match="peaks"):
        Frontier(size, [bytes(32)] * peaks)


@given(SIZES, st.data())
def test_every_proof_is_that_of_the_rfc_and_is_accepted(size: int, data: st.DataObject) -> None:
    """A foreign verifier would refuse our proofs."""
    old = data.draw(st.integers(0, size))
    proof = consistency(old, size, subtree)
    assert proof == (subproof(old, 0, size, whole=True) if old else [])
    check_consistency(old, size, mth(0, old), mth(0, size), proof)
    if size:
        index = data.draw(st.integers(0, size - 1))
        hashes = inclusion(index, size, subtree)
        assert hashes == path(index, 0, size)
        check_inclusion(index, size, LEAVES[index], hashes, mth(0, size))


def changed(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    """Return a proof with one hash changed, left out, added or at another place."""
    at = data.draw(st.integers(0, max(len(proof) - 1, 0)))
    flipped = [bytes((proof[at][0] ^ 1,)) + proof[at][1:]] if proof else [bytes(32)]
    rest = proof[at + 1 :]
    return data.draw(st.sampled_from([proof[:at] + flipped + rest, proof[:at] + rest or flipped, [*proof, bytes(32)], [bytes(32), *proof]]))


@given(st.integers(1, len(LEAVES)), st.data())
def test_no_changed_proof_is_accepted(size: int, data: st.DataObject) -> None:
    """An event that is not in the log could be shown to be there, or a log could be rewritten."""
    index = data.draw(st.integers(0, size - 1))
    proof = changed(inclusion(index, size, subtree), data)
    with pytest.raises(ProofWrong):
        check_inclusion(index, size, LEAVES[index], proof, mth(0, size))
    old = data.draw(st.integers(0, size))
    with pytest.raises(ProofWrong):
        check_consistency(old, size, mth(0, old), mth(0, size), changed(consistency(old, size, subtree), data))


@given(st.integers(2, len(LEAVES)), st.data())
def test_no_proof_holds_for_something_else(size: int, data: st.DataObject) -> None:
    """A proof would hold for another leaf, another place, another size or another root."""
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion(index, size, subtree), mth(0, size)
    other = (index + data.draw(st.integers(1, size - 1))) % size
    wrong: list[Callable[[], None]] = [
        lambda: check_inclusion(index, size, LEAVES[other], proof, root),
        lambda: check_inclusion(other, size, LEAVES[index], proof, root),
        lambda: check_inclusion(index, size, LEAVES[index], proof, bytes(32)),
        lambda: check_inclusion(size, size, LEAVES[index], proof, root),
        lambda: check_inclusion(-1, size, LEAVES[index], proof, root),
    ]
    old = data.draw(st.integers(1, size - 1))
    steps = consistency(old, size, subtree)
    wrong += [
        lambda: check_consistency(old, size, bytes(32), root, steps),
        lambda: check_consistency(old, size, mth(0, old), bytes(32), steps),
        lambda: check_consistency(size, old, root, mth(0, old), steps),
        lambda: check_consistency(-1, size, mth(0, old), root, steps),
        lambda: check_consistency(0, size, bytes(32), root, []),
        lambda: check_consistency(size, size, bytes(32), root, []),
    ]
    for call in wrong:
        with pytest.raises(ProofWrong):
            call()
