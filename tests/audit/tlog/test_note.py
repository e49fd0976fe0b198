"""Signed notes and cosignatures: the specification's own example, and each way in which one can be wrong."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import NoteMalformed, SignatureWrong
from audit.tlog import note
from audit.tlog.note import LOG, SIGNATURES_MAX, WITNESS, Note, Signature, Verifier
from core.crypto.primitives import SigningKey

KEY, OTHER = SigningKey(b"k" * 32), SigningKey(b"o" * 32)
TEXT = "gw-1.example/audit\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
LOG_KEY = Verifier("gw-1.example/audit", LOG, KEY.public)
WITNESSED_BY = Verifier("witness.example/1", WITNESS, OTHER.public)
SIGNED = Note(TEXT, (note.sign(TEXT, LOG_KEY.name, KEY), note.cosign(TEXT, WITNESSED_BY.name, OTHER, 1_679_315_147)))
POEM = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
"""The example of C2SP signed-note; its key is not published there."""


def test_the_specifications_example_is_parsed() -> None:
    """Text with empty lines would be cut at the wrong one."""
    parsed = note.parse(POEM.encode())
    assert parsed.text.endswith("sole:\n\ned è subito sera.\n")
    assert (parsed.signatures[0].name, len(parsed.signatures[0].raw)) == ("quasimodo.example/salvatore", note.SIGNATURE_BYTES)
    assert parsed.raw == POEM.encode()


def test_a_note_says_who_signed_it() -> None:
    """A signed note would be refused, or the witness's time be lost."""
    read = note.parse(SIGNED.raw)
    assert read == SIGNED
    note.check(read, LOG_KEY)
    assert note.cosigners(read, [WITNESSED_BY]) == [(WITNESSED_BY, 1_679_315_147)]


def test_keys_are_read_as_they_are_written() -> None:
    """A policy could not name the key that signs."""
    for key in (LOG_KEY, WITNESSED_BY):
        assert note.parse_vkey(key.vkey, key.kind) == key


def test_the_id_binds_name_kind_and_key() -> None:
    """A signature of one purpose would count for another."""
    ids = {LOG_KEY.id, LOG_KEY._replace(name="x").id, LOG_KEY._replace(kind=WITNESS).id, LOG_KEY._replace(public=OTHER.public).id}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gw+00000000+AQ==", "type 1 and 0 bytes"),
        (LOG_KEY.vkey.replace("+", "+g", 1), "NAME"),
        (LOG_KEY.vkey + "=", "base64"),
        (LOG_KEY.vkey.replace("audit+", "other+"), "the id is"),
        (WITNESSED_BY.vkey, "type 4"),
        ("a b" + LOG_KEY.vkey, "cannot name a key"),
        ("gw+00000000+" + b64encode(b"\1" + bytes(31)).decode(), "31 bytes"),
    ],
)
def test_what_is_no_key_of_a_log_is_refused(text: str, said: str) -> None:
    """A typing error in a policy would be another key in silence."""
    with pytest.raises(NoteMalformed, match=said):
        note.parse_vkey(text, LOG)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "no empty line"),
        (TEXT.encode(), "no empty line"),
        (SIGNED.raw[:-1], "no newline"),
        (SIGNED.raw.replace(b"\n7\n", b"\n7\r\n"), "control"),
        (b"\xff" + SIGNED.raw, "UTF-8"),
        (TEXT.encode() + b"\n- gw x\n", "not a signature line"),
        (TEXT.encode() + "\n\u2014 gw AAAA=\n".encode(), "base64"),
        (TEXT.encode() + "\n\u2014 gw AAAAAB==\n".encode(), "base64 of its bytes"),
        (TEXT.encode() + "\n\u2014 gw AAAAAA==\n".encode(), "without bytes"),
        (TEXT.encode() + "\n\u2014 g+w AAAAAAA=\n".encode(), "cannot name"),
        (TEXT.encode() + b"\n" + SIGNED.signatures[0].line.encode() + b"\n\n\n", "no empty line before"),
        (b"a" * (note.NOTE_BYTES_MAX + 1), "allowed"),
    ],
)
def test_what_is_no_note_is_refused(raw: bytes, said: str) -> None:
    """A note would have more than one form, or a traceback."""
    with pytest.raises(NoteMalformed, match=said):
        note.parse(raw)


def test_as_many_signatures_as_the_specification_wants_and_not_without_end() -> None:
    """A note with sixteen cosignatures would be refused, or one with a million be read."""
    line = SIGNED.signatures[0]
    assert len(note.parse(Note(TEXT, (line,) * SIGNATURES_MAX).raw).signatures) == SIGNATURES_MAX > 16
    with pytest.raises(NoteMalformed, match="signatures"):
        note.parse(Note(TEXT, (line,) * (SIGNATURES_MAX + 1)).raw)


def without_key(signature: Signature) -> Signature:
    """Return a signature that claims another key id."""
    return signature._replace(id=b"none")


def test_signatures_of_strangers_are_ignored_and_do_not_count() -> None:
    """A stranger's line would spoil a note, or stand for the log's."""
    stranger = note.sign(TEXT, LOG_KEY.name, OTHER)
    note.check(Note(TEXT, (stranger, *SIGNED.signatures)), LOG_KEY)
    for signatures in ((stranger,), (without_key(SIGNED.signatures[0]),), SIGNED.signatures[1:]):
        with pytest.raises(SignatureWrong, match="no signature"):
            note.check(Note(TEXT, signatures), LOG_KEY)
    assert note.cosigners(SIGNED, []) == []


@given(st.integers(0, len(TEXT) - 2), st.integers(0, 6))
def test_a_changed_text_is_not_signed(place: int, bit: int) -> None:
    """Size or root of a checkpoint could be changed."""
    raw = bytearray(TEXT.encode())
    raw[place] ^= 1 << bit
    spoilt = SIGNED._replace(text=raw.decode())
    with pytest.raises(SignatureWrong, match="wrong"):
        note.check(spoilt, LOG_KEY)
    with pytest.raises(SignatureWrong, match="wrong"):
        note.cosigners(spoilt, [WITNESSED_BY])


@given(st.integers(0, 71), st.integers(0, 7))
def test_a_changed_cosignature_spoils_the_note(place: int, bit: int) -> None:
    """A cosignature's time could be moved."""
    raw = bytearray(SIGNED.signatures[1].raw)
    raw[place] ^= 1 << bit
    with pytest.raises(SignatureWrong, match=r"wrong|no time"):
        note.cosigners(Note(TEXT, (SIGNED.signatures[1]._replace(raw=bytes(raw)),)), [WITNESSED_BY])


def test_a_second_line_of_the_log_that_is_wrong_spoils_the_note() -> None:
    """Whoever adds a forged line under the log's name would go unseen."""
    forged = SIGNED.signatures[0]._replace(raw=bytes(64))
    with pytest.raises(SignatureWrong, match="wrong"):
        note.check(Note(TEXT, (SIGNED.signatures[0], forged)), LOG_KEY)
