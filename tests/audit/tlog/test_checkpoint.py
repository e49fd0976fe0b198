"""Checkpoints and proof files: one form each, and what is not of it is refused by name."""

import pytest

from audit.errors import NoteMalformed
from audit.tlog import checkpoint, note
from audit.tlog.checkpoint import Checkpoint, Proof
from audit.tlog.note import Note
from core.crypto.primitives import SigningKey

KEY = SigningKey(b"k" * 32)
STATE = Checkpoint("gw-1.example/audit", 7, bytes(range(32)))
SIGNED = Note(STATE.text, (note.sign(STATE.text, STATE.origin, KEY),))
PROOF = Proof(3, (bytes(32), b"\1" * 32, b"\2" * 32), SIGNED)


def test_a_checkpoint_is_read_as_it_is_written() -> None:
    """A verifier would speak of another tree than the log."""
    assert Checkpoint.of(note.parse(SIGNED.raw)) == STATE
    assert STATE.text == "gw-1.example/audit\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gw\n7\n", "two|2 lines"),
        (STATE.text + "extension\n", "4 lines"),
        (STATE.text.replace("\n7\n", "\n07\n"), "not a size"),
        (STATE.text.replace("\n7\n", "\n-7\n"), "not a size"),
        (STATE.text.replace("\n7\n", "\n9007199254740992\n"), "not a size"),
        (STATE.text.replace("\n7\n", "\n\u0667\n"), "not a size"),
        (STATE.text.replace("AAEC", "AAE"), "base64"),
        (STATE.text.replace("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAEC"), "has 32 bytes"),
        (STATE.text.replace("gw-1.example", "gw 1.example"), "cannot name"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str, said: str) -> None:
    """A signed text that is something else would count as a state of the log."""
    with pytest.raises(NoteMalformed, match=said):
        Checkpoint.of(Note(text, ()))


def test_a_proof_is_read_as_it_is_written() -> None:
    """A proof file of ours could not be verified."""
    assert checkpoint.parse_proof(PROOF.raw) == PROOF
    assert PROOF.raw.startswith(b"c2sp.org/tlog-proof@v1\nindex 3\nAAAA")
    assert checkpoint.parse_proof(PROOF.raw.replace(b"index", b"extra YWdl\nindex", 1)) == PROOF
    assert checkpoint.parse_proof(PROOF._replace(hashes=()).raw).hashes == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"@v1", b"@v2", "first line"),
        (b"index 3\n", b"", "no line `index"),
        (b"index 3", b"index 03", "no line `index"),
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
        checkpoint.parse_proof(PROOF.raw.replace(old, new))
