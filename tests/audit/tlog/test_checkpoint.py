"""Checkpoints: one form, and what is not of it is refused by name."""

import pytest

from audit.errors import NoteMalformed
from audit.tlog import note
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.note import Note
from core.crypto.primitives import SigningKey

KEY = SigningKey(b"k" * 32)
STATE = Checkpoint("gw-1.example/audit", 7, bytes(range(32)))
SIGNED = Note(STATE.text, (note.sign(STATE.text, STATE.origin, KEY),))


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
