"""Both sides of the protocol's two handshakes with fixed keys, for the tests of noise."""

from collections.abc import Callable

from core.crypto.noise import IKHFS, KKPSK0, Handshake
from core.crypto.primitives import Kem, MlKem768, PrivateKey
from core.crypto.secret import Secret
from tests.core.crypto.independent import seed

CLIENT, GATEWAY = PrivateKey(seed("client static")), PrivateKey(seed("gateway static"))
PAYLOAD = b"sixteen bytes..."


def unhex(values: dict[str, str]) -> dict[str, bytes]:
    """Return a vector's fields as bytes."""
    return {name: bytes.fromhex(value) for name, value in values.items()}


def drawn(*values: bytes) -> Callable[[int], bytes]:
    """Return an entropy source that gives exactly these values, each to a request of its own length."""
    left = list(values)

    def entropy(n: int) -> bytes:
        value = left.pop(0)
        assert len(value) == n
        return value

    return entropy


def init(prologue: bytes = b"p", static: PrivateKey = CLIENT, remote: bytes = GATEWAY.public, kem: Kem | None = None) -> Handshake:
    """Return the client's side of the first handshake."""
    entropy = drawn(seed("e"), seed("e1", 64))
    return Handshake(IKHFS, initiator=True, prologue=prologue, static=static, remote=remote, kem=kem or MlKem768(), entropy=entropy)


def resp(prologue: bytes = b"p", static: PrivateKey = GATEWAY) -> Handshake:
    """Return the gateway's side of the first handshake."""
    entropy = drawn(seed("f"))
    return Handshake(IKHFS, initiator=False, prologue=prologue, static=static, remote=None, kem=MlKem768(), entropy=entropy)


def move(*, initiator: bool, psk: bytes = bytes(32), prologue: bytes = b"p") -> Handshake:
    """Return one side of a reattach."""
    static, remote = (CLIENT, GATEWAY) if initiator else (GATEWAY, CLIENT)
    entropy = drawn(seed("e" if initiator else "f"))
    return Handshake(KKPSK0, initiator=initiator, prologue=prologue, static=static, remote=remote.public, psk=Secret(psk), entropy=entropy)


PAIRS = {"IKhfs": lambda: (init(), resp()), "KKpsk0": lambda: (move(initiator=True), move(initiator=False))}
