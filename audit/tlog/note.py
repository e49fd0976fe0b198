"""Signed notes (C2SP signed-note) and witnesses' cosignatures (C2SP tlog-cosignature, `cosignature/v1`), with Ed25519 (RFC 8032).

A note is text that ends with a newline, an empty line, and signature lines. Nothing here draws randomness or reads a clock.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from audit.errors import NoteMalformed, SignatureWrong
from core.crypto.primitives import BadSignature, SigningKey, check_signature

LOG: Final = 1  # a log's Ed25519 signature
WITNESS: Final = 4  # a witness's Ed25519 cosignature with a time
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
ID_BYTES: Final = 4
TIME_BYTES: Final = 8
TIME_MAX: Final = 2**63 - 1
NOTE_BYTES_MAX: Final = 65_536
SIGNATURES_MAX: Final = 64  # at least 16 must be accepted
NAME_CHARS_MAX: Final = 255
NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
LINE: Final = re.compile(r"\u2014 ([^ ]+) ([A-Za-z0-9+/]+={0,2})")
VKEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+(.+)")


class Verifier(NamedTuple):
    """A key that may sign notes: its name, what it signs (LOG or WITNESS), and its 32 public bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """Return the 4 bytes that name the key in a signature line, beside its name."""
        return sha256(b"%s\n%c%s" % (self.name.encode(), self.kind, self.public)).digest()[:ID_BYTES]

    @property
    def vkey(self) -> str:
        """Return the key as the text that policies hold."""
        return f"{self.name}+{self.id.hex()}+{b64encode(bytes((self.kind,)) + self.public).decode()}"


class Signature(NamedTuple):
    """A signature line: the key's name and id, and what follows the id."""

    name: str
    id: bytes
    raw: bytes

    @property
    def line(self) -> str:
        """Return the line, without its newline."""
        return f"\u2014 {self.name} {b64encode(self.id + self.raw).decode()}"


class Note(NamedTuple):
    """Text, which ends with a newline, and its signatures; nothing of it is verified."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def raw(self) -> bytes:
        """Return the bytes of the note."""
        return (self.text + "\n" + "".join(f"{each.line}\n" for each in self.signatures)).encode()


class Cosigned(NamedTuple):
    """A witness's key, and when it cosigned, in seconds of POSIX time."""

    witness: Verifier
    time_s: int


def name_of(text: str) -> str:
    """Return `text` when it can name a key; raise NoteMalformed."""
    if not NAME.fullmatch(text):
        raise NoteMalformed(
            f"{text[:NAME_CHARS_MAX]!r} cannot name a key: allowed are 1 to {NAME_CHARS_MAX} characters without spaces and +"
        )
    return text


def parse_vkey(text: str, kind: int) -> Verifier:
    """Return the key of this kind that a text names; raise NoteMalformed for another kind or a malformed text."""
    found = VKEY.fullmatch(text)
    if found is None:
        raise NoteMalformed("a key is NAME+ID+BASE64, the id eight hexadecimal digits")
    raw = decoded(found[3])
    if len(raw) != 1 + PUBLIC_BYTES or raw[0] != kind:
        raise NoteMalformed(
            f"{found[1]}: found a key of type {raw[0]} and {len(raw) - 1} bytes, allowed is type {kind} (Ed25519) and {PUBLIC_BYTES}"
        )
    verifier = Verifier(name_of(found[1]), kind, raw[1:])
    if verifier.id.hex() != found[2]:
        raise NoteMalformed(f"{found[1]}: the id is {found[2]}, of this name and key it is {verifier.id.hex()}")
    return verifier


def decoded(text: str) -> bytes:
    """Return what standard base64 with its padding stands for, in its one form; raise NoteMalformed."""
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteMalformed(f"{text[:80]!r} is not base64") from None
    if not raw or b64encode(raw).decode() != text:
        raise NoteMalformed(f"{text[:80]!r} is not the one base64 of its bytes")
    return raw


def parse(raw: bytes) -> Note:
    """Return the note in `raw`; raise NoteMalformed."""
    if len(raw) > NOTE_BYTES_MAX:
        raise NoteMalformed(f"found {len(raw)} bytes, allowed {NOTE_BYTES_MAX}")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise NoteMalformed("not UTF-8") from None
    if any(character < " " and character != "\n" for character in whole):
        raise NoteMalformed("a control character")
    text, parted, signed = whole.rpartition("\n\n")
    if not parted or not signed.endswith("\n"):
        raise NoteMalformed("no empty line before signatures, or no newline after them")
    lines = signed[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteMalformed(f"found {len(lines)} signatures, allowed {SIGNATURES_MAX}")
    return Note(text + "\n", tuple(parse_line(line) for line in lines))


def parse_line(line: str) -> Signature:
    """Return the signature on a line without its newline; raise NoteMalformed."""
    found = LINE.fullmatch(line)
    if found is None:
        raise NoteMalformed(f"{line[:80]!r} is not a signature line")
    raw = decoded(found[2])
    if len(raw) <= ID_BYTES:
        raise NoteMalformed("a signature without bytes")
    return Signature(name_of(found[1]), raw[:ID_BYTES], raw[ID_BYTES:])


def sign(text: str, name: str, key: SigningKey) -> Signature:
    """Return a log's signature over a note's text. Leaks: the text's length; OpenSSL's code."""
    return Signature(name, Verifier(name, LOG, key.public).id, key.sign(text.encode()))


def cosign(text: str, name: str, key: SigningKey, time_s: int) -> Signature:
    """Return a witness's cosignature over a checkpoint's text at a time, in seconds. Leaks: the text's length; OpenSSL's code."""
    signature = key.sign(_cosigned(text, time_s))
    return Signature(name, Verifier(name, WITNESS, key.public).id, time_s.to_bytes(TIME_BYTES, "big") + signature)


def _cosigned(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def check(note: Note, log: Verifier) -> None:
    """Raise SignatureWrong unless the log's key has signed the note; every line under its name and id has to be right."""
    found = [each.raw for each in note.signatures if (each.name, each.id) == (log.name, log.id)]
    if not found:
        raise SignatureWrong(f"no signature of {log.name} with the key {log.id.hex()}")
    for raw in found:
        _verify(log, raw, note.text.encode())


def carries(note: Note, log: Verifier) -> bool:
    """Tell whether the log's key has signed the note, as `check` judges it."""
    try:
        check(note, log)
    except SignatureWrong:
        return False
    return True


def cosigners(note: Note, witnesses: Iterable[Verifier]) -> list[Cosigned]:
    """Return which of these witnesses have cosigned; raise SignatureWrong for a line of theirs that is wrong. Others' are ignored."""
    known = {(each.name, each.id): each for each in witnesses}
    cosigned = []
    for each in note.signatures:
        if witness := known.get((each.name, each.id)):
            time_s = int.from_bytes(each.raw[:TIME_BYTES], "big")
            if time_s > TIME_MAX:
                raise SignatureWrong(f"the cosignature of {each.name} has no time")
            _verify(witness, each.raw[TIME_BYTES:], _cosigned(note.text, time_s))
            cosigned.append(Cosigned(witness, time_s))
    return cosigned


def _verify(verifier: Verifier, signature: bytes, message: bytes) -> None:
    try:
        check_signature(verifier.public, signature, message)
    except BadSignature:
        raise SignatureWrong(f"the signature of {verifier.name} with the key {verifier.id.hex()} is wrong") from None
