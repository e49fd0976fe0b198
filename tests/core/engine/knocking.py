"""Handshakes by hand, from wherever the test likes."""

from core.client.attempts import Hand, Keys
from core.crypto.primitives import PrivateKey
from core.reasons import Carrier
from core.values import Endpoint, Path
from lab.sim.frames import v4
from lab.sim.world import GATEWAY_AT, Host, World


def keys(world: World) -> Keys:
    """Return the keys of the first host's device."""
    return Keys(world.host.key, world.static.public, world.kem)


def hand(world: World, source: Endpoint, *, key: PrivateKey | None = None, cookie: bytes = b"") -> Hand:
    """Return a fresh INIT of a device as a client at `source` makes it."""
    mine = keys(world)._replace(static=key or world.host.key)
    return Hand(mine, world.entropy, Path(Carrier.UDP, 0, source, GATEWAY_AT), world.now, cookie)


def arrive(world: World, frame: bytes, source: Endpoint, carrier: int = Carrier.UDP, serial: int = 0) -> None:
    """Let a frame reach the gateway from `source`."""
    world.inject(frame, Path(carrier, serial, GATEWAY_AT, source))


def crowd(world: World, count: int, third: int = 0) -> list[Host]:
    """Let devices of one /24 start handshakes that they never confirm."""
    hosts = [world.new_host() for _ in range(count)]
    for host in hosts:
        host.address = v4(100 + len(world.hosts), third)
        arrive(world, hand(world, Endpoint(host.address, 1), key=host.key).frame, Endpoint(host.address, 1))
    return hosts


def resps(world: World) -> int:
    """Count the gateway's answers to handshakes."""
    return world.kinds("gateway").count("RESP")
