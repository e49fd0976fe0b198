"""One side of Noise handshakes by the library noiseprotocol, told what to do over standard input; a program of its own.

It imports nothing of this project. tests/interop/peers.py is the other end and says what each operation is for; the form of requests
and answers is told at the head of tests/interop/flynn/main.go, which does the same with another library.
"""

import os
import struct
import sys
from collections.abc import Callable
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from noise.connection import Keypair, NoiseConnection
from noise.exceptions import NoiseValueError

LENGTH = struct.Struct("<I")
COUNTER = struct.Struct("<Q")


class Peer:
    """A static key, and the one handshake or transport that it is in."""

    def __init__(self) -> None:
        self.secret = os.urandom(32)
        self.connection = NoiseConnection()

    def begin(self, name: bytes, role: bytes, prologue: bytes, psk: bytes, remote: bytes) -> bytes:
        """Start anew; `psk` and `remote` are empty where the pattern has none."""
        self.connection = NoiseConnection.from_name(name)
        self.connection.set_prologue(prologue)
        self.connection.set_keypair_from_private_bytes(Keypair.STATIC, self.secret)
        if remote:
            self.connection.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, remote)
        if psk:
            self.connection.set_psks(psk)
        if role == b"initiator":
            self.connection.set_as_initiator()
        else:
            self.connection.set_as_responder()
        self.connection.start_handshake()
        return b""

    def key(self) -> bytes:
        """Return the static public key, which the library computes."""
        static = NoiseConnection.from_name(b"Noise_IK_25519_ChaChaPoly_SHA256")
        static.set_keypair_from_private_bytes(Keypair.STATIC, self.secret)
        return bytes(static.noise_protocol.keypairs["s"].public_bytes)

    def write(self, payload: bytes) -> bytes:
        """Return the next handshake message."""
        return bytes(self.connection.write_message(payload))

    def read(self, message: bytes) -> bytes:
        """Return the payload of a handshake message."""
        return bytes(self.connection.read_message(message))

    def handshake_hash(self) -> bytes:
        """Return the handshake hash."""
        return bytes(self.connection.get_handshake_hash())

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        """Seal by the library's own counter; its `encrypt` takes no associated data, so this is the layer below."""
        return bytes(self.connection.noise_protocol.cipher_state_encrypt.encrypt_with_ad(associated, plaintext))

    def open(self, associated: bytes, sealed: bytes) -> bytes:
        """Open by the library's own counter."""
        return bytes(self.connection.noise_protocol.cipher_state_decrypt.decrypt_with_ad(associated, sealed))

    def count_from(self, counter: bytes) -> bytes:
        """Go on with this counter, LE64, in both directions."""
        (number,) = COUNTER.unpack(counter)
        self.connection.noise_protocol.cipher_state_encrypt.set_nonce(number)
        self.connection.noise_protocol.cipher_state_decrypt.set_nonce(number)
        return b""


def fields(body: bytes) -> list[bytes]:
    """Cut a request's fields apart."""
    found = []
    while body:
        end = LENGTH.size + LENGTH.unpack_from(body)[0]
        found.append(body[LENGTH.size : end])
        body = body[end:]
    return found


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the requests end. What only a wrong message of the other side can cause is an answer, all else ends the program."""
    peer = Peer()
    refusable: dict[bytes, Callable[..., bytes]] = {b"R": peer.read, b"O": peer.open}
    plain: dict[bytes, Callable[..., bytes]] = {
        b"K": peer.key,
        b"B": peer.begin,
        b"W": peer.write,
        b"H": peer.handshake_hash,
        b"S": peer.seal,
        b"N": peer.count_from,
    }
    while head := requests.read(LENGTH.size):
        body = requests.read(LENGTH.unpack(head)[0])
        operation, given, status = body[:1], fields(body[1:]), b"\0"
        if operation in refusable:
            try:
                result = refusable[operation](*given)
            except (InvalidTag, NoiseValueError) as error:  # the latter: a message too short for a key
                status, result = b"\1", repr(error).encode()
        else:
            result = plain[operation](*given)
        answers.write(LENGTH.pack(1 + len(result)) + status + result)
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
