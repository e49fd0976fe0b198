"""A gateway engine and the devices that talk to it: as many as wanted, each at an address of its own, with real keys and handshakes.

Only the KEM is a twin: no bar speaks of births. Time stands still unless the caller moves `now`.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeVar

from core import limits
from core.client.attempts import Attempt, Hand, Keys, Life
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.engine.gateway import Gateway
from core.reasons import Carrier, Cause, Status
from core.session.desk import Desk, Identity, Policy
from core.session.states import State
from core.values import Answer, Ask, CompareAndSet, Create, Device, Endpoint, Instant, Operation, Outcome, Output, Path, Row, Transmit
from core.wire.epoch import Epoch
from core.wire.inner import encode
from core.wire.layout import INIT_MAC1, SIZES, Change, Kind, Type
from core.wire.macs import k1, mac
from core.wire.messages import init_header, parse
from core.wire.records import Confirm, Cookie, ReattachResp, Resp, pack
from lab.sim.frames import minted, there
from lab.sim.twins import Entropy, TwinKem

START: Final = Instant(10**12)
HOUR: Final = 480_000
GATEWAY_AT: Final = Endpoint(bytes(10) + b"\xff\xff\x0a\x00\x00\x02", 51_820)
OFTEN: Final = Policy(forced_per_minute=1_000_000)  # moves are counted, and never refused

NODE, BOOT = b"node-one", bytes(8)
M = TypeVar("M", Resp, Cookie, ReattachResp)


class Unexpected(Exception):
    """The gateway did not do what a measurement is of."""


class Member(NamedTuple):
    """A device with a session: its side of it, and where it is."""

    number: int
    keys: Keys
    life: Life
    epoch: Epoch


class Fleet:
    """The gateway, and how devices get a session and move it. What the gateway asks of a store is won, and `on_asked` hears it."""

    def __init__(self, size: int, seed: str = "bench", wall_ns: int = HOUR * 3_600 * limits.SECOND) -> None:
        self.entropy, self.kem, self.now, self.seed = Entropy(seed), TwinKem(), START, seed
        self.on_asked: Callable[[list[Ask]], object] = lambda _asks: None
        static = PrivateKey(self.entropy(32))
        self.gateway_public, self._k1 = static.public, k1(static.public)
        identity = Identity(
            (static,),
            NODE,
            BOOT,
            (Secret(self.entropy(32)),),
            Secret(self.entropy(32)),
            wall_ns // (3_600 * limits.SECOND),
            wall_ns - START,
        )
        self.devices = {device.public: device for device in map(self._device, range(size))}
        self.desk = Desk(identity, OFTEN, self.devices, self.entropy)
        self.gateway = Gateway(self.desk, self.kem)

    def key(self, number: int) -> PrivateKey:
        """Return a device's private key."""
        return PrivateKey(Entropy(f"{self.seed} device {number}")(32))

    def _device(self, number: int) -> Device:
        return Device(self.key(number).public, b"\x0a" + number.to_bytes(3, "big"), number.to_bytes(16, "big"))

    def born(self, number: int) -> Member:
        """Bring the session of a device up."""
        keys = Keys(self.key(number), self.gateway_public, self.kem)
        path = Path(Carrier.UDP, 0, place(number, 40_000), GATEWAY_AT)
        hand = Hand(keys, self.entropy, path, self.now, self._cookie(path))
        (answer,) = self.says(hand.frame, path)
        newborn = hand.answer(expected(answer, Resp), self.now)
        if isinstance(newborn, Status):
            raise Unexpected(newborn.name)
        member = Member(number, keys, newborn.life, newborn.epoch)
        self.settled(member, self.gateway.receive([self.confirm(newborn.epoch)], there(path), self.now))
        return member

    def _cookie(self, path: Path) -> bytes:
        """Return the cookie of this address, or none where none is wanted: an INIT of zeros with a right mac1 asks for it."""
        head = init_header(1) + bytes(INIT_MAC1 - 8)
        head += mac(self._k1, head)
        answers = self.says(head.ljust(SIZES[Type.INIT], b"\0"), path)
        return expected(answers[0], Cookie).cookie if answers else b""

    def knock(self, member: Member, port: int = 40_001) -> Attempt:
        """Return the next attempt of a session, from another port of its host; nothing is sent."""
        life = member.life
        (session,) = self.desk.by_device[self.device(member).public]
        life.locators.setdefault(life.next, minted(self.desk.locators[0], session.handle, life.next))
        path = Path(Carrier.UDP, 0, place(member.number, port), GATEWAY_AT)
        return Attempt(member.keys, self.entropy, life, path, Change.MOVE, Cause.PATH_DEAD, 0, self.now)

    def proven(self, attempt: Attempt, answers: list[bytes]) -> Epoch:
        """Return the device's new epoch from the gateway's one answer to an attempt."""
        (answer,) = answers
        epoch, status, _ = attempt.answer(expected(answer, ReattachResp), self.now)
        if epoch is None:
            raise Unexpected(status.name)
        return epoch

    def moved(self, member: Member, port: int = 40_001) -> Member:
        """Move a session to another port of its host."""
        attempt = self.knock(member, port)
        epoch = self.proven(attempt, self.says(attempt.frame, attempt.path))
        member = member._replace(epoch=epoch)
        self.settled(member, self.gateway.receive([self.confirm(epoch)], there(epoch.path), self.now))
        return member

    def settled(self, member: Member, outputs: Iterable[Output]) -> list[Output]:
        """Let a store win what is asked; return what the gateway puts out for that, of which the last frame is the ACK."""
        asks = asked(outputs)
        self.on_asked(asks)
        out = self.gateway.answer(won(asks), self.now)
        member.life.binding_version += 1
        return out

    def confirm(self, epoch: Epoch) -> bytes:
        """Return the CONFIRM of an epoch, sealed."""
        ((frame,),) = [run.frames for run in epoch.seal([encode(Kind.CONFIRM, pack(Confirm(OFTEN.mtu)))])]
        return frame

    def says(self, frame: bytes, path: Path) -> list[bytes]:
        """Let a frame of a device reach the gateway; return the frames that it answers with."""
        return frames(self.gateway.receive([frame], there(path), self.now))

    def device(self, member: Member) -> Device:
        """Return the entry of the allow list."""
        return self.devices[member.keys.static.public]

    def attached(self) -> int:
        """Return how many sessions are ATTACHED."""
        return sum(session.state is State.ATTACHED for session in self.desk.sessions.values())


def place(number: int, port: int) -> Endpoint:
    """Return the address of a host: each has one of its own, and they lie in different networks."""
    return Endpoint(bytes(10) + b"\xff\xff" + (0x0B000000 + number * 0x101 % 0x1000000).to_bytes(4, "big"), port)


def frames(outputs: Iterable[Output]) -> list[bytes]:
    """Return the frames of some outputs."""
    return [frame for output in outputs if isinstance(output, Transmit) for frame in output.frames]


def asked(outputs: Iterable[Output]) -> list[Ask]:
    """Return what is asked of the store."""
    return [output for output in outputs if isinstance(output, Ask)]


def won(asks: Iterable[Ask]) -> list[Answer]:
    """Return the answers of a store that lets every birth and move win."""
    return [Answer(ask.ticket, Outcome.WON, _row(ask.operation)) for ask in asks]


def _row(operation: Operation) -> Row | None:
    return operation.row if isinstance(operation, Create | CompareAndSet) else None


def expected(frame: bytes, kind: type[M]) -> M:
    """Return the message in a frame; raise Unexpected when it is of another kind."""
    message = parse(frame)
    if not isinstance(message, kind):
        raise Unexpected(type(message).__name__)
    return message
