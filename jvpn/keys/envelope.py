"""The envelope of a document: signatures over exact bytes, judged before anything reads those bytes [K-21] [K-22].

    jumping-vpn/1 root                      the role: root, keyset or revocations
    <payload in base64>
    <key in base64> <signature in base64>   a line for each signature, 1 to 16, no key twice

The signature is over "jumping-vpn/1 " || role || 0x00 || LE64 length || payload, so that a document of one role is none of another.
"""

import binascii
from collections.abc import Collection, Sequence
from enum import Enum
from typing import NamedTuple

from core.crypto.primitives import BadSignature, SigningKey, check_signature, sha256
from core.errors import PeerFault
from core.reasons import Reason
from jvpn.keys import limits

MAGIC = b"jumping-vpn/1 "
PUBLIC_LENGTH, SIGNATURE_LENGTH = 32, 64


class Role(Enum):
    """What a document is for."""

    ROOT = "root"
    KEYSET = "keyset"
    REVOCATIONS = "revocations"


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
    """Return the envelope of a file; nothing looks into the payload. PeerFault: DOCUMENT_TOO_LARGE or DOCUMENT_MALFORMED."""
    if len(raw) > limits.DOCUMENT_BYTES_MAX:
        raise PeerFault(Reason.DOCUMENT_TOO_LARGE)
    head, *lines = raw.split(b"\n")
    try:
        role = Role(head.removeprefix(MAGIC).decode())
        signatures = [(_base64(key), _base64(signature)) for key, signature in (line.split(b" ") for line in lines[1:-1])]
        envelope = Envelope(role, _base64(lines[0]), signatures)
    except (ValueError, IndexError):
        raise PeerFault(Reason.DOCUMENT_MALFORMED) from None
    keys = {key for key, _ in signatures}
    if not 0 < len(keys) == len(signatures) <= limits.DOCUMENT_SIGNATURES_MAX or render(envelope) != raw:  # one form, and no key twice
        raise PeerFault(Reason.DOCUMENT_MALFORMED)
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


def _base64(text: bytes) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


def _text(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False)
