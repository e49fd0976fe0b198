"""An event that never was, with a proof (T-38).

ATTACK
    Somebody hands an auditor a proof file of an event that is not in the log, of a true one that says something else, or of a true one at
    another place. They take hashes, checkpoint and cosignatures from true proofs as they like, and pass an inner node of the tree, or a
    tree of another size, for what it is not. Or they change the tiles where these are published, and let proofs be made of them.

EXPECTED REFUSAL
    The event's bytes have the hash that is proven, and only their one form [A-69]. A leaf's hash is not that of an inner node [A-60]. The
    hashes lead to the root that log and witnesses signed, from that place in a tree of that size, with none too many. Tiles that do not
    agree with the signed checkpoint make no proofs [A-68].

EXPECTED EVIDENCE
    verdict HASH_WRONG
    verdict SEAL_WRONG
    verdict UNWITNESSED
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.canonical import canonical, line_of, parse, split
from audit.chain import digest
from audit.errors import TreeIncomplete
from audit.tlog import epochs, note
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.merkle import leaf
from audit.tlog.note import WITNESS, Note, Verifier
from audit.tlog.proof import Proof
from audit.tlog.publishing import Publisher, Tree
from audit.verdict import Verdict
from audit.verify import verify
from core.crypto.primitives import SigningKey
from jvpn.cli.main import main
from tests.audit.tlog.test_sealing import sealed_log

W = SigningKey(b"w" * 32)
FIRST, SECOND = 7, 8


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, its cosigned tree, and the auditor's policy."""
    place = tmp_path_factory.mktemp("place")
    log = sealed_log(place / "log")
    publisher = Publisher(log, place / "tree")
    signed = publisher.advance()
    assert signed
    line = note.cosign(signed.note.text, "w", W, 1_790_000_000)
    publisher.publish(signed.note._replace(signatures=(*signed.note.signatures, line)))
    witness = Verifier("w", WITNESS, W.public).vkey
    (place / "policy").write_text(f"log {verify(log).key}\nwitness w {witness}\nquorum w\n", encoding="utf-8")
    return place


def with_line(proof: Proof, change: Callable[[dict[str, object]], None]) -> Proof:
    """The proof, with another event in it."""
    event = parse(split(proof.line)[0])
    change(event)
    data = canonical(event)
    return proof._replace(line=line_of(data, digest(data)))


FORGED: dict[str, tuple[Callable[[Proof, Proof], Proof], Verdict]] = {
    "another event": (lambda proof, _: with_line(proof, lambda event: event.update(seq=99)), Verdict.SEAL_WRONG),
    "another event under the true hash": (
        lambda proof, _: proof._replace(line=proof.line.replace(b"gateway", b"gatewaz")),
        Verdict.HASH_WRONG,
    ),
    "the neighbour's event": (lambda proof, other: proof._replace(line=other.line), Verdict.SEAL_WRONG),
    "another place": (lambda proof, _: proof._replace(leaf=proof.leaf + 1), Verdict.SEAL_WRONG),
    "no such place": (lambda proof, _: proof._replace(leaf=1 << 40), Verdict.SEAL_WRONG),
    "the neighbour's hashes": (lambda proof, other: proof._replace(hashes=other.hashes), Verdict.SEAL_WRONG),
    "a hash less": (lambda proof, _: proof._replace(hashes=proof.hashes[1:]), Verdict.SEAL_WRONG),
    "a hash more": (lambda proof, _: proof._replace(hashes=(leaf(proof.entry()), *proof.hashes)), Verdict.SEAL_WRONG),
    "another size": (lambda proof, _: resized(proof), Verdict.SEAL_WRONG),
    "the log alone": (lambda proof, _: signed_by(proof, slice(0, 2)), Verdict.UNWITNESSED),
    "the witness alone": (lambda proof, _: signed_by(proof, slice(2, 3)), Verdict.SEAL_WRONG),
    "the epoch's key alone": (lambda proof, _: signed_by(proof, slice(1, 3)), Verdict.SEAL_WRONG),
}


def resized(proof: Proof) -> Proof:
    """The checkpoint with another size."""
    text = proof.signed.text.split("\n")
    text[1] = str(int(text[1]) + 1)
    return proof._replace(signed=proof.signed._replace(text="\n".join(text)))


def signed_by(proof: Proof, which: slice) -> Proof:
    """The checkpoint with some of its signatures: the log's, the epoch's, the witness's."""
    return proof._replace(signed=proof.signed._replace(signatures=proof.signed.signatures[which]))


def checked(place: Path, raw: bytes) -> int:
    """The exit status of `jvpn audit check`."""
    (place / "proof").write_bytes(raw)
    return main(["audit", "check", str(place / "proof"), "--policy", str(place / "policy")])


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_proof_proves_nothing(place: Path, name: str) -> None:
    """An auditor would believe what never was."""
    tree = Tree(place / "tree")
    true, other = (tree.proof(number, place / "log") for number in (FIRST, SECOND))
    assert checked(place, true.raw) == Verdict.VERIFIED
    forge, verdict = FORGED[name]
    assert checked(place, forge(true, other).raw) == verdict


@pytest.mark.parametrize(
    "change",
    [
        lambda event: None,
        lambda event: event.update(seq=0, chain_id="0" * 32),
        lambda event: event.clear(),
        lambda event: event.update(seq="0"),
    ],
    ids=["in another place", "of another chain", "none", "not valid"],
)
def test_whose_key_signs_shows_no_event_in_another_place(place: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Who has the log's key, and a witness that has not seen the log yet, would prove that event 7 is event 0, or `{}` an event."""
    proof = with_line(Tree(place / "tree").proof(FIRST, place / "log"), change)
    says, key = Checkpoint.of(proof.signed), epochs.load(epochs.key_path(place / "log")).log
    text = says._replace(size=1, root=leaf(proof.entry())).text
    signed = Note(text, (note.sign(text, says.origin, key), note.cosign(text, "w", W, 1_790_000_000)))
    assert checked(place, proof._replace(leaf=0, hashes=(), signed=signed).raw) == Verdict.HASH_WRONG


def test_no_changed_byte_is_overlooked(place: Path) -> None:
    """Some part of the file would be open to change, and somebody find what it is good for: but for the line of the epoch's key."""
    proof = Tree(place / "tree").proof(FIRST, place / "log")
    true, others = proof.raw, proof.signed.signatures[1].line.encode()
    begin = true.index(others)
    places = [at for at in range(len(true)) if not begin <= at <= begin + len(others)]
    draw = random.Random("bytes of a proof")
    for at in draw.sample(places, 400):
        changed = true[:at] + bytes((true[at] ^ 1 << draw.randrange(8),)) + true[at + 1 :]
        assert checked(place, changed) != Verdict.VERIFIED, at


def test_changed_tiles_make_no_proofs(place: Path, tmp_path: Path) -> None:
    """Who can write where the tree is published would have false proofs made by honest people."""
    for number in range(2):
        tree = shutil.copytree(place / "tree", tmp_path / f"tree{number}")
        tile = next(path for path in (tree / "tile" / ("0" if number else "entries")).rglob("*") if path.is_file())
        raw = bytearray(tile.read_bytes())
        raw[-1] ^= 1
        tile.write_bytes(raw)
        if number:
            with pytest.raises(TreeIncomplete):
                Tree(tree)
        else:
            opened = Tree(tree)
            with pytest.raises(Exception, match="not the one that was published"):
                opened.proof(opened.signed.says.size - 1, place / "log")
