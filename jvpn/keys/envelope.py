"""The envelope of a document: signatures over exact bytes, judged before anything reads those bytes [K-21] [K-22].

    jumping-vpn/1 root                      the role: root, keyset or revocations
    <payload in base64>
    <key in base64> <signature in base64>   a line for each signature, 1 to 16, no key twice

The signature is over "jumping-vpn/1 " || role || 0x00 || LE64 length || payload, so that a document of one role is none of another.
"""

import binascii
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from functools import partial
from itertools import zip_longest
from typing import NamedTuple, TypeVar

from core.crypto.primitives import BadSignature, SigningKey, check_signature, sha256
from core.errors import PeerFault
from core.reasons import Reason
from jvpn.keys import limits

MAGIC = b"jumping-vpn/1 "
PUBLIC_LENGTH, SIGNATURE_LENGTH = 32, 64
T = TypeVar("T")


class Role(Enum):
    """What a document is for."""

    ROOT = "root"
    KEYSET = "keyset"
    REVOCATIONS = "revocations"


class Malformed(PeerFault):
    """A document has not the one form; `what` says which line or field, for people: it names none of the document's values."""

    def __init__(self, what: str) -> None:
        super().__init__(Reason.DOCUMENT_MALFORMED)
        self.what = what


class Envelope(NamedTuple):
    """A document that nobody has verified: its payload, and pairs of a public key (32 bytes) and a signature (64 bytes)."""

    role: Role
    payload: bytes
    signatures: Sequence[tuple[bytes, bytes]]

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of the payload."""
        return sha256(self.payload)

    def verify(self, keys: Collection[bytes], threshold: int) -> None:
        """Require signatures by `threshold` of `keys` [K-22]; others' keys count for nothing, a wrong signature of one of `keys` refuses.

        Raises:
            PeerFault: DOCUMENT_BAD_SIGNATURE or DOCUMENT_UNSIGNED.
        """
        mine = [(public, signature) for public, signature in self.signatures if public in keys]
        try:
            for public, signature in mine:
                check_signature(public, signature, signed_bytes(self.role, self.payload))
        except BadSignature:
            raise PeerFault(Reason.DOCUMENT_BAD_SIGNATURE) from None
        if len(mine) < threshold:
            raise PeerFault(Reason.DOCUMENT_UNSIGNED)


def parse(raw: bytes) -> Envelope:
    """Return the envelope of a file; nothing looks into the payload. PeerFault: DOCUMENT_TOO_LARGE, or Malformed, which names the line."""
    if len(raw) > limits.DOCUMENT_BYTES_MAX:
        raise PeerFault(Reason.DOCUMENT_TOO_LARGE)
    head, *lines = raw.split(b"\n")
    role = _line(1, "found no `jumping-vpn/1 ROLE` of a known role", lambda: Role(head.removeprefix(MAGIC).decode()))
    payload = _line(2, "found no payload in base64", lambda: _base64(lines[0]))
    signatures = [
        _line(number, "found no public key, space, signature in base64", partial(_signature, line))
        for number, line in enumerate(lines[1:-1], 3)
    ]
    envelope = Envelope(role, payload, signatures)
    keys = {key for key, _ in signatures}
    if not 0 < len(keys) == len(signatures) <= limits.DOCUMENT_SIGNATURES_MAX:
        raise Malformed(
            f"signatures: found {len(signatures)} by {len(keys)} keys, allowed 1 to {limits.DOCUMENT_SIGNATURES_MAX}, no key twice"
        )
    if (form := render(envelope)) != raw:  # one form
        raise Malformed(f"line {_differs(raw, form)}: not the one form: no byte more or less, and one line feed at the end of each line")
    return envelope


def render(envelope: Envelope) -> bytes:
    """Return the bytes of a file."""
    lines = [MAGIC + envelope.role.value.encode(), _text(envelope.payload)]
    return b"\n".join([*lines, *(_text(key) + b" " + _text(signature) for key, signature in envelope.signatures), b""])


def sign(envelope: Envelope, key: SigningKey) -> Envelope:
    """Return the document with a signature by `key`, in place of an earlier one by the same key."""
    others = [each for each in envelope.signatures if each[0] != key.public]
    return envelope._replace(signatures=[*others, (key.public, key.sign(signed_bytes(envelope.role, envelope.payload)))])


def signed_bytes(role: Role, payload: bytes) -> bytes:
    """Return what a signature is over [K-21]."""
    return MAGIC + role.value.encode() + b"\0" + len(payload).to_bytes(8, "little") + payload


def _line(number: int, what: str, read: Callable[[], T]) -> T:
    """Return what is read from a line; Malformed, which names the line, when it is not there or is something else."""
    try:
        return read()
    except (ValueError, IndexError):
        raise Malformed(f"line {number}: {what}") from None


def _signature(line: bytes) -> tuple[bytes, bytes]:
    key, signature = line.split(b" ")
    return _base64(key), _base64(signature)


def _differs(raw: bytes, form: bytes) -> int:
    """Return the number of the first line in which two files differ."""
    return next(at for at, (found, wanted) in enumerate(zip_longest(raw.split(b"\n"), form.split(b"\n")), 1) if found != wanted)


def _base64(text: bytes) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


def _text(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False)
