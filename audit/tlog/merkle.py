"""The Merkle tree of RFC 6962, section 2.1: roots, inclusion proofs, consistency proofs."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from audit.errors import ProofWrong

HASH_BYTES: Final = 32
EMPTY: Final = sha256(b"").digest()
_LEAF, _NODE = sha256(b"\0"), sha256(b"\1")  # copies of them are made in less time than they are: each event needs one of each
PROOF_HASHES_MAX: Final = 63  # of a consistency proof (C2SP tlog-witness); no tree that can be has longer proofs of inclusion

Subtree = Callable[[int, int], bytes]
"""(level, n) -> the hash of the 2^level leaves from n x 2^level on; asked only for whole subtrees of a tree."""


def leaf(entry: bytes) -> bytes:
    """Return the hash of a leaf, 32 bytes."""
    made = _LEAF.copy()
    made.update(entry)
    return made.digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node, 32 bytes."""
    made = _NODE.copy()
    made.update(left + right)
    return made.digest()


class Frontier:
    """A growing tree, by the roots of its whole subtrees: at most one for each power of two, so its memory is logarithmic."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Begin with the empty tree, or with one of this size and these peaks, 32 bytes each. ProofWrong when it has not as many."""
        if len(peaks) != size.bit_count() or size < 0 or any(len(peak) != HASH_BYTES for peak in peaks):
            raise ProofWrong(f"a tree of {size} leaves has {size.bit_count()} peaks of {HASH_BYTES} bytes, not {len(peaks)} or others")
        rest = iter(peaks)
        self.size = size
        self._peaks = [next(rest) if size >> level & 1 else None for level in reversed(range(size.bit_length()))][::-1]

    @property
    def peaks(self) -> list[bytes]:
        """The roots of the whole subtrees from left to right, which is from the largest on: one for each bit of the size."""
        return [peak for peak in reversed(self._peaks) if peak is not None]

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append hashes of leaves."""
        self.size += len(leaves)
        row, level = list(leaves), 0
        while row:
            if level == len(self._peaks):
                self._peaks.append(None)
            if (left := self._peaks[level]) is not None:
                row.insert(0, left)
            self._peaks[level] = row.pop() if len(row) % 2 else None
            row = list(map(node, row[::2], row[1::2]))
            level += 1

    def root(self) -> bytes:
        """Return the root, 32 bytes."""
        return _folded(self.peaks)


def _folded(peaks: list[bytes]) -> bytes:
    """Return the root over whole subtrees that become smaller from left to right."""
    if not peaks:
        return EMPTY
    root = peaks.pop()
    while peaks:
        root = node(peaks.pop(), root)
    return root


def root_of(start: int, end: int, subtree: Subtree) -> bytes:
    """Return the root over the leaves from `start` up to `end`; `start` is a multiple of a power of two that is not below their number."""
    peaks = []
    for level in reversed(range((end - start).bit_length())):
        if (end - start) >> level & 1:
            peaks.append(subtree(level, start >> level))
            start += 1 << level
    return _folded(peaks)


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return the proof that a tree of `size` leaves holds leaf `index`, from the leaf's sibling on (RFC 6962, 2.1.1)."""
    proof, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(root_of(middle, end, subtree))
            end = middle
        else:
            proof.append(root_of(start, middle, subtree))
            start = middle
    return proof[::-1]


def consistency(old: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return the proof that a tree of `size` leaves begins with its first `old` (RFC 6962, 2.1.2); empty for none, and for all of them."""
    proof: list[bytes] = []
    start, end, known = 0, size, True
    if old == 0:
        return proof
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(root_of(middle, end, subtree))
            end = middle
        else:
            proof.append(root_of(start, middle, subtree))
            start, known = middle, False
    if not known:
        proof.append(root_of(start, end, subtree))
    return proof[::-1]


def _split(size: int) -> int:
    """Return the largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def check_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofWrong unless `proof` shows that leaf `index` of the tree with this size and root has this hash (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofWrong(f"a tree of {size} leaves has no leaf {index}")
    at, last, got = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofWrong("the inclusion proof has too many hashes")
        if at & 1 or at == last:
            got = node(sibling, got)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            got = node(got, sibling)
        at, last = at >> 1, last >> 1
    if last or got != root:
        raise ProofWrong("the inclusion proof has too few hashes" if last else "the inclusion proof leads to another root")


def _check_nothing_between(old_root: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    if proof:
        raise ProofWrong("the consistency proof has too many hashes")
    if old_root != root:
        raise ProofWrong("trees of the same size have different roots")


def check_consistency(old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """Raise ProofWrong unless `proof` shows that the tree with this size and root begins with the old one (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= size:
        raise ProofWrong(f"a tree of {size} leaves does not begin with {old}")
    if size == 0 and root != EMPTY:
        raise ProofWrong("the empty tree has another root")
    if old in {0, size}:
        _check_nothing_between(old_root, root if old else EMPTY, proof)
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]  # the whole of the old tree is a subtree when its size is a power of two
    if not path:
        raise ProofWrong("the consistency proof has too few hashes")
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    got_old = got = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofWrong("the consistency proof has too many hashes")
        if at & 1 or at == last:
            got_old, got = node(sibling, got_old), node(sibling, got)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            got = node(got, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofWrong("the consistency proof has too few hashes")
    if got_old != old_root or got != root:
        raise ProofWrong("the consistency proof leads to another root")
