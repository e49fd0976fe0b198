"""Ways to bring a gateway's session into each state, by what happens in the world."""

from collections.abc import Sequence
from random import Random
from typing import Final

from core.crypto.secret import Secret
from core.reasons import Carrier, Cause
from core.session.desk import Policy
from core.session.session import Candidate, Session
from core.session.states import State
from core.values import CloseSession, Endpoint, Instant, Path
from core.wire.epoch import Epoch
from core.wire.layout import Change
from tests.core.frames import v4
from tests.core.world import GATEWAY_AT, STRAIGHT, World


def lossy(world: World, percent: int, sender: str = "client") -> None:
    """Lose so many of a hundred frames of one direction, by seeded dice."""
    dice = Random(percent)

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
    return leave(World().connected())


def volatile() -> World:
    """A session that loses a third of what the client sends."""
    world = World().connected()
    lossy(world, 33)
    world.run_until(lambda: world.session.state is State.VOLATILE, every=world.host.say)
    return leave(world)


def degraded() -> World:
    """A session, still bound, whose loss has lasted."""
    world = World().connected()
    lossy(world, 33)
    world.run_until(lambda: world.session.state is State.DEGRADED, every=world.host.say)
    return leave(world)


def recovering() -> World:
    """A session whose client is silent."""
    world = leave(World().connected())
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


def terminated() -> World:
    """A session whose end the store has not taken."""
    world = attached()
    world.store.failing = True
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))
    world.run(10)
    return world


WAYS: Final = {
    "pending": pending,
    "attached": attached,
    "volatile": volatile,
    "recovering": recovering,
    "degraded": degraded,
    "unbound": unbound,
    "suspended": suspended,
    "terminated": terminated,
}


def offer(session: Session, now: Instant) -> Candidate:
    """Return a candidate such as a proven REATTACH makes."""
    path = Path(Carrier.UDP, 0, GATEWAY_AT, Endpoint(v4(77), 7_777))
    epoch = Epoch(session.desk.new_index(), 1, (Secret(bytes(32)), Secret(bytes(32))), path, session.next, now)
    return Candidate(epoch, Instant(now + 5 * 10**9), Change.MOVE, Cause.PATH_DEAD, 0)
