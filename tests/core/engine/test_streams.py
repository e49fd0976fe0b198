"""Connections that end: what is on them ends with them, at once, and nothing else does."""

import pytest

from core import limits
from core.reasons import Carrier, Event, Reason
from core.session.states import State
from core.values import Path, PathEvent
from lab.sim.device import arrive, confirm, here, inner_ip, proven, says
from lab.sim.frames import there
from lab.sim.ways import TCP_ONLY, leave
from lab.sim.world import MS, World


def hears(world: World, path: Path, event: PathEvent) -> list[Reason]:
    """Let the gateway hear of a connection; return the reasons of the changes that come of it."""
    before = len(world.reasons(Event.SESSION_CHANGED))
    world.gateway_does(lambda: world.gateway.path_event(there(path), event, world.now))
    return world.reasons(Event.SESSION_CHANGED)[before:]


def on_a_stream() -> tuple[World, Path]:
    """Return a world whose session is on a connection, and that."""
    world = leave(World(client_policy=TCP_ONLY).connected())
    (path,) = world.host.streams
    return world, path


@pytest.mark.parametrize("event", [PathEvent.OPENED, PathEvent.TOO_BIG])
def test_only_its_end_ends_a_connection(event: PathEvent) -> None:
    """A session would lose a connection that is well, or keep one that ends after it was spoken of."""
    world, path = on_a_stream()
    before = world.session.facts()
    assert hears(world, path, event) == []
    assert world.session.facts() == before
    assert hears(world, path, PathEvent.CLOSED) == [Reason.PATH_CLOSED], "and nothing is told of an attempt, as there was none"
    assert world.session.state is State.RECOVERING


def test_the_end_of_a_connection_arms_the_clock_of_recovery() -> None:
    """G-20, G-26: a session whose connection ended would be recovering for ever, or the gateway would stop with the first that ends."""
    world, path = on_a_stream()
    world.run(30_000)
    ended = world.now
    assert hears(world, path, PathEvent.CLOSED) == [Reason.PATH_CLOSED]
    assert world.gateway.deadline() == ended + limits.RECOVERY_WINDOW_NS
    world.run(limits.RECOVERY_WINDOW_NS // MS)
    assert world.reasons(Event.SESSION_CHANGED)[-1] is Reason.RECOVERY_OVER


def test_an_attempt_ends_with_its_connection() -> None:
    """G-14: a gateway would hold keys, and an index that is answered, for a connection that is gone."""
    world = leave(World().connected())
    path = here(world.host, 700, Carrier.TCP, 1)
    epoch = proven(world, path)
    assert hears(world, path, PathEvent.CLOSED) == [Reason.CANDIDATE_EXPIRED]
    assert world.session.candidate is None
    assert world.session.state is State.ATTACHED
    says(world, epoch, confirm(world))
    assert world.reasons(Event.TRAFFIC_REFUSED) == [Reason.CONFIRM_STALE]


def test_an_attempt_elsewhere_outlives_the_connection() -> None:
    """The move away from a connection that breaks would be thrown away just when it breaks."""
    world, path = on_a_stream()
    epoch = proven(world, here(world.host, 777))
    assert hears(world, path, PathEvent.CLOSED) == [Reason.PATH_CLOSED]
    says(world, epoch, confirm(world))
    world.run(20)
    assert world.session.state is State.ATTACHED
    assert world.session.active
    assert world.session.active.path == there(epoch.path)


def test_a_connection_with_an_attempt_alone_is_not_kept() -> None:
    """[D-15] Attempts that nobody confirms would keep connections open at the listener."""
    world = leave(World().connected())
    path = here(world.host, 700, Carrier.TCP, 1)
    epoch = proven(world, path)
    assert not world.gateway.knows(there(path))
    says(world, epoch, confirm(world))
    world.run(20)
    assert world.gateway.knows(there(path))
    assert arrive(world, b"", path) == []
    says(world, epoch, inner_ip(world.host, b"on it"))
    assert len(world.delivered) == 1
