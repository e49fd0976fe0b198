"""A device that has its keys and does as its player likes: attempts, epochs and frames by hand."""

from collections.abc import Sequence

from core.client.attempts import Attempt, Keys, Life
from core.crypto.chain import later
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.reasons import Carrier, Cause, Status
from core.values import Endpoint, Path
from core.wire.epoch import Epoch
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.messages import parse
from core.wire.records import Confirm, ReattachResp, pack
from lab.sim.frames import minted, packet, there
from lab.sim.world import GATEWAY_AT, INNER_GATEWAY, Host, World


def here(host: Host, port: int = 0, carrier: int = Carrier.UDP, serial: int = 0) -> Path:
    """Return a path of this host, from another port where one is given, as the client sees it."""
    return Path(carrier, serial, Endpoint(host.address, port or host.port), GATEWAY_AT)


def knock(host: Host, path: Path, *, change: Change = Change.MOVE, cause: Cause = Cause.PATH_DEAD, skip: int = 0,
          key: PrivateKey | None = None, outage_ms: int = 0) -> Attempt:  # fmt: skip
    """Return the session's next attempt on this path, or the one `skip` numbers later; nothing is sent."""
    life = host.client.life
    if life is None:
        raise AssertionError("no session to attempt with")
    life.chain, life.next = later(life.chain, skip), life.next + skip
    life.locators.setdefault(life.next, minted(host.world.desk.locators[0], host.world.session.handle, life.next))
    keys = Keys(key or host.key, host.world.static.public, host.world.kem)
    return Attempt(keys, host.world.entropy, life, path, change, cause, outage_ms, host.world.now)


def unspent(life: Life) -> tuple[Secret, int, dict[int, bytes]]:
    """Return where the chain of attempts stands, to be put back after a knock."""
    return life.chain, life.next, dict(life.locators)


def arrive(world: World, frame: bytes, path: Path) -> list[bytes]:
    """Let a frame reach the gateway from the client's `path`; return what the gateway sends at once."""
    before = len(world.sent)
    world.inject(frame, there(path))
    return [sent.frame for sent in world.sent[before:] if sent.sender == "gateway"]


def judged(world: World, attempt: Attempt, answers: Sequence[bytes]) -> tuple[Epoch | None, Status, int]:
    """Return epoch, status and retry-after of the one answer to an attempt."""
    (frame,) = answers
    message = parse(frame)
    if not isinstance(message, ReattachResp):
        raise AssertionError(message)  # noqa: TRY004  # what a test expected of the gateway, not of its caller
    return attempt.answer(message, world.now)


def proven(world: World, path: Path, *, change: Change = Change.MOVE, cause: Cause = Cause.PATH_DEAD) -> Epoch:
    """Make the gateway hold a candidate on this path; return the device's epoch."""
    attempt = knock(world.host, path, change=change, cause=cause)
    epoch, status, _ = judged(world, attempt, arrive(world, attempt.frame, path))
    if status is not Status.OK or epoch is None:
        raise AssertionError(status)
    return epoch


def confirm(world: World) -> bytes:
    """Return a CONFIRM's inner frame."""
    return encode(Kind.CONFIRM, pack(Confirm(world.policy.mtu)))


def says(world: World, epoch: Epoch, inner: bytes, path: Path | None = None) -> list[bytes]:
    """Seal one inner frame under an epoch and let it arrive, from the epoch's path or another; return what the gateway sends at once."""
    ((frame,),) = [run.frames for run in epoch.seal([inner])]
    return arrive(world, frame, path or epoch.path)


def inner_ip(host: Host, payload: bytes, source: bytes = b"", destination: bytes = INNER_GATEWAY) -> bytes:
    """Return the inner frame of an IP packet from this host."""
    return encode(Kind.IP, packet(source or host.device.inner4, destination, payload))


def payloads(world: World) -> list[bytes]:
    """Return what was delivered, without IP headers."""
    return [inner[20:] for _, inner in world.delivered]
