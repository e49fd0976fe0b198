"""Ways to bring a gateway's session, and a client, into each state, by what happens in the world."""

from collections.abc import Sequence
from random import Random
from typing import Final

from core.client.contact import ClientPolicy
from core.client.states import State as ClientState
from core.limits import SESSIONS_PER_DEVICE
from core.reasons import Carrier
from core.session.desk import Policy
from core.session.states import State
from core.values import CloseSession
from lab.sim.frames import v4
from lab.sim.world import STRAIGHT, World

TCP_ONLY: Final = ClientPolicy((Carrier.TCP,))


def lossy(world: World, percent: int, sender: str = "client") -> None:
    """Lose so many of a hundred frames of one direction, by seeded dice."""
    dice = Random(percent)  # nosec B311  # the same losses in each run

    def network(who: str, _kind: str, _frame: bytes) -> Sequence[int]:
        return () if who == sender and dice.randrange(100) < percent else STRAIGHT

    world.network = network


def leave(world: World) -> World:
    """Switch the client off, so that it does not change anything more."""
    world.host.off = True
    return world


def pending() -> World:
    """A handshake whose CONFIRM was lost."""
    world = World()
    world.drop("CONFIRM", 99)
    world.host.connect(50)
    return leave(world)


def attached() -> World:
    """A session on UDP."""
    return leave(born())


def volatile() -> World:
    """A session that loses a third of what the client sends."""
    world = born()
    lossy(world, 33)
    world.run_until(lambda: world.session.state is State.VOLATILE, every=world.host.say)
    return leave(world)


def degraded() -> World:
    """A session, still bound, whose loss has lasted."""
    world = born()
    lossy(world, 33)
    world.run_until(lambda: world.session.state is State.DEGRADED, every=world.host.say)
    return leave(world)


def recovering() -> World:
    """A session whose client is silent."""
    world = leave(born())
    world.run_until(lambda: world.session.state is State.RECOVERING)
    return world


def unbound() -> World:
    """A session whose client has been silent for longer than the recovery window."""
    world = recovering()
    world.run_until(lambda: world.session.state is State.DEGRADED)
    return world


def suspended(policy: Policy | None = None) -> World:
    """A session whose last move the store did not answer as it should."""
    world = World(policy=policy).connected()
    world.store.failing = True
    world.host.move(v4(99))
    world.run_until(lambda: world.session.suspended)
    return leave(world)


def forgotten() -> World:
    """Return a world with as many sessions of one device as it may have, that nobody comes back to, at a gateway that was started anew."""
    world = World().connected()
    for _ in range(SESSIONS_PER_DEVICE - 1):
        world.new_host(like=world.host).connect()
    for host in world.hosts:
        host.off = True
    world.start_gateway()
    return world


def terminated() -> World:
    """A session whose end the store has not taken."""
    world = attached()
    world.store.failing = True
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))
    world.run(10)
    return world


def idle() -> World:
    """A client without an order."""
    return World()


def connecting() -> World:
    """A client whose gateway does not answer."""
    world = World()
    world.cut = {Carrier.UDP, Carrier.TCP}
    world.host.connect(50)
    return world


def born() -> World:
    """A session on UDP."""
    return World().connected()


def born_on_tcp() -> World:
    """A session on TCP."""
    return World(client_policy=TCP_ONLY).connected()


def seeking() -> World:
    """A client whose paths are all dead."""
    world = born()
    world.cut = {Carrier.UDP, Carrier.TCP}
    world.run_until(lambda: world.client.state is ClientState.SEEKING, every=world.host.say)
    return world


def closed() -> World:
    """A client whose user has ended the session."""
    world = born()
    world.host.does(lambda: world.client.command(CloseSession(), world.now))
    return world


SESSION_WAYS: Final = {
    "pending": pending,
    "attached": attached,
    "volatile": volatile,
    "recovering": recovering,
    "degraded": degraded,
    "unbound": unbound,
    "suspended": suspended,
    "terminated": terminated,
}
CLIENT_WAYS: Final = {
    ClientState.IDLE: idle,
    ClientState.CONNECTING: connecting,
    ClientState.ATTACHED: born,
    ClientState.SEEKING: seeking,
    ClientState.CLOSED: closed,
}
