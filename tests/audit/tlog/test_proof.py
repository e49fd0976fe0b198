"""Proof files: one form, read as it is written, and judged by a policy alone."""

import pytest

from audit.canonical import canonical, line_of
from audit.chain import digest
from audit.errors import LineMalformed, NoteMalformed, ProofWrong, QuorumMissing, SignatureWrong
from audit.tlog import note, policy
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.merkle import inclusion, leaf, node
from audit.tlog.note import LOG, WITNESS, Note, Verifier
from audit.tlog.proof import Proof, parse_proof
from core.crypto.primitives import SigningKey

KEY, W = SigningKey(b"k" * 32), SigningKey(b"w" * 32)
ORIGIN = "gw-1.example/audit"
DATA = canonical({"event_type": "LOG_OPENED", "seq": 0})
LINE = line_of(DATA, digest(DATA))
ENTRY = bytes.fromhex(digest(DATA))
LEAVES = [leaf(ENTRY), leaf(b"1" * 32), leaf(b"2" * 32)]
ROOT = node(node(*LEAVES[:2]), LEAVES[2])
STATE = Checkpoint(ORIGIN, 3, ROOT)
SIGNED = Note(STATE.text, (note.sign(STATE.text, ORIGIN, KEY), note.cosign(STATE.text, "w", W, 1_790_000_000)))
PROOF = Proof(0, tuple(inclusion(0, 3, lambda level, number: LEAVES[number] if level == 0 else node(*LEAVES[:2]))), SIGNED, LINE)
LOG_LINE = f"log {Verifier(ORIGIN, LOG, KEY.public).vkey}\n"
WITNESS_LINE = f"witness w {Verifier('w', WITNESS, W.public).vkey}\n"
POLICY = policy.parse(f"{LOG_LINE}{WITNESS_LINE}quorum w\n".encode())


def test_one_file_and_a_policy_say_all() -> None:
    """[A-69] An auditor would need the log, or the network, to be sure of one event."""
    given = parse_proof(PROOF.raw)
    assert given == PROOF
    assert given.entry() == ENTRY
    assert given.check(given.entry(), POLICY) == STATE


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (PROOF._replace(leaf=1), ProofWrong),
        (PROOF._replace(leaf=3), ProofWrong),
        (PROOF._replace(hashes=PROOF.hashes[:1]), ProofWrong),
        (PROOF._replace(hashes=(*PROOF.hashes, bytes(32))), ProofWrong),
        (PROOF._replace(signed=Note(STATE.text, SIGNED.signatures[:1])), QuorumMissing),
        (PROOF._replace(signed=Note(STATE.text, SIGNED.signatures[1:])), SignatureWrong),
        (PROOF._replace(signed=Note(STATE._replace(size=4).text, SIGNED.signatures)), SignatureWrong),
        (PROOF._replace(signed=Note(STATE._replace(origin="other").text, SIGNED.signatures)), SignatureWrong),
        (PROOF._replace(line=LINE.replace(b"LOG_OPENED", b"LOG_CLOSED")), LineMalformed),
        (PROOF._replace(line=b"{}"), LineMalformed),
    ],
)
def test_what_is_changed_is_not_proven(changed: Proof, error: type[Exception]) -> None:
    """[A-69] An event that never was would be proven, or one of another log."""
    given = parse_proof(changed.raw)
    with pytest.raises(error):
        given.check(given.entry(), POLICY)


def test_another_policy_does_not_know_it() -> None:
    """[A-69] A log of anybody's own making would pass."""
    other = f"log {Verifier(ORIGIN, LOG, W.public).vkey}\nquorum none\n"
    with pytest.raises(SignatureWrong, match="no signature of a key"):
        PROOF.check(ENTRY, policy.parse(other.encode()))


def test_a_proof_is_read_as_it_is_written() -> None:
    """A proof file of ours could not be verified."""
    bare = Proof(3, (bytes(32),), SIGNED)
    assert parse_proof(bare.raw) == bare
    assert bare.raw.startswith(b"c2sp.org/tlog-proof@v1\nindex 3\nAAAA")
    assert parse_proof(bare.raw.replace(b"index", b"extra YWdl\nindex", 1)) == bare._replace(line=b"age")
    assert parse_proof(bare._replace(hashes=()).raw).hashes == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"@v1", b"@v2", "first line"),
        (b"index 3\n", b"", "no line `index"),
        (b"index 3", b"index 03", "not a size"),
        (b"index 3", b"extra *\nindex 3", "base64"),
        (b"index 3", "index \u0663".encode(), "ASCII"),
        (b"AAAA", b"AAA", "base64"),
        (b"\n\n", b"\n", "no empty line"),
        (b"\ngw-1", b"gw-1", "no empty line|a hash|base64|line"),
        (b"index 3", b"index 3" + b"\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" * 61, "64 hashes"),
    ],
)
def test_what_is_no_proof_is_refused(old: bytes, new: bytes, said: str) -> None:
    """A damaged proof would give a traceback, or be read as another."""
    with pytest.raises(NoteMalformed, match=said):
        parse_proof(Proof(3, (bytes(32), b"\1" * 32, b"\2" * 32), SIGNED).raw.replace(old, new))
