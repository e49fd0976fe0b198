"""Frames, packets and paths as playbooks name them."""

from typing import Final, NamedTuple, Self

from core.crypto.chain import Locators
from core.errors import PeerFault
from core.limits import MTU_DEFAULT
from core.values import Path
from core.wire.epoch import Epoch
from core.wire.layout import confirm_length
from core.wire.records import Direction, pack, unpack

V4_MAPPED: Final = bytes(10) + b"\xff\xff"
TYPES: Final = {1: "INIT", 2: "RESP", 3: "COOKIE", 4: "DATA", 5: "REATTACH", 6: "REATTACH_RESP"}


def v4(last: int, third: int = 0) -> bytes:
    """Return 10.9.`third`.`last` as the 16 bytes of an endpoint."""
    return V4_MAPPED + bytes((10, 9, third, last))


def packet(source: bytes, destination: bytes, payload: bytes = b"") -> bytes:
    """Return an IPv4 packet (checksum left zero: nobody here looks at it)."""
    length = 20 + len(payload)
    return b"\x45\0" + length.to_bytes(2, "big") + bytes(4) + b"\x40\x11\0\0" + source + destination + payload


def there(path: Path) -> Path:
    """Return a client's path as the gateway sees it."""
    return path._replace(local=path.remote, remote=path.local)


def minted(locators: Locators, handle: int, attempt: int) -> bytes:
    """Return the locator of one attempt."""
    return locators.mint(handle, (attempt,))[0]


def located(locators: Locators, locator: bytes) -> tuple[int, int] | None:
    """Return the (handle, attempt) of one locator, or None where it does not open."""
    return locators.open((locator,)).get(locator)


def opened(epoch: Epoch, frame: bytes, counter: int, *, keep: bool = True) -> bytes:
    """Return the inner frame of one DATA frame; raise PeerFault with the reason why it is refused."""
    (plain,) = epoch.open([(counter, frame)], keep=keep)
    if not isinstance(plain, bytes):
        raise PeerFault(plain)
    return plain


class Health(NamedTuple):
    """Body of HEALTH: client to gateway, then gateway to client [I-9]. No engine reads one yet."""

    up: Direction
    down: Direction

    def pack(self) -> bytes:
        """Return the body; raise Invariant."""
        return pack(self.up) + pack(self.down)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Return the body in `raw`; raise Malformed."""
        return cls(unpack(Direction, raw[:40]), unpack(Direction, raw[40:]))


class Sent(NamedTuple):
    """One frame that an engine sent, by which end ("client" or "gateway"), on which of its paths, and what it is."""

    sender: str
    path: Path
    frame: bytes
    kind: str


def kind_of(frame: bytes, sender: str) -> str:
    """Return the name of a frame; the only DATA of the length L are CONFIRM and ACK, as these worlds carry small packets."""
    name = TYPES.get(frame[0], "?") if frame else "?"
    if name == "DATA" and len(frame) == confirm_length(MTU_DEFAULT):
        return "CONFIRM" if sender == "client" else "ACK"
    return name
