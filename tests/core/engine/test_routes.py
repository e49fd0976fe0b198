"""Which of a device's sessions its inner traffic goes to."""

import pytest

from core import limits
from core.values import CloseSession
from core.wire.inner import encode
from core.wire.layout import Kind
from core.wire.records import Probe, pack
from lab.sim.device import says
from lab.sim.frames import v4
from lab.sim.world import INNER_GATEWAY, MS, Host, World


def test_of_two_sessions_of_a_device_the_one_that_speaks_gets_the_traffic() -> None:
    """A session that nobody uses would draw off a device's traffic."""
    world = World().connected()
    twin = world.new_host(like=world.host)
    twin.connect()
    world.host.tell(b"to the newest")
    world.run(10)
    assert [len(host.down) for host in world.hosts] == [0, 1]
    twin.off = True
    world.run(6_000)
    world.host.tell(b"to the one that speaks")
    world.run(10)
    assert [len(host.down) for host in world.hosts] == [1, 1]


@pytest.mark.parametrize("milliseconds", [0, 1_500])
def test_an_older_session_that_speaks_keeps_the_traffic(milliseconds: int) -> None:
    """D-7: whoever has a device's key would draw off what is sent to it, by asking more often than its owner."""
    world = World().connected()
    world.run(milliseconds)
    older, twin = world.session, world.new_host(like=world.host)
    twin.connect()
    (younger,) = set(world.desk.sessions.values()) - {older}
    assert world.desk.routes[world.host.device.inner4] is younger, "a newborn has it: its device may have lost the one before"

    def holder() -> object:
        return world.desk.routes[world.host.device.inner4]

    for each in range(3):
        probe(world.host)
        assert holder() is older
        probe(twin)
        assert holder() is older
        twin.move(v4(90 + each))
        world.run(100)
        assert younger.active
        assert younger.active.path.remote.address == twin.address
        assert holder() is older
    world.host.off = True
    world.run(limits.ROUTE_KEPT_NS // MS - 1_000)
    probe(twin)
    assert holder() is older
    world.run(1_000)
    probe(twin)
    assert holder() is younger, "who is not heard any more loses it"


def probe(host: Host) -> None:
    """Let a host's client probe now."""
    epoch = host.client.committed
    assert epoch
    says(host.world, epoch, encode(Kind.PROBE, pack(Probe(1, host.world.now))))


def test_inner_traffic_is_routed_while_there_is_a_session() -> None:
    """A client would drop what it has a session for, or seal what it has none for."""
    world = World()
    assert world.client.session_for(INNER_GATEWAY) is None
    world.connected()
    assert world.client.session_for(INNER_GATEWAY) == 0
    assert world.gateway.session_for(world.host.device.inner6) == world.session.handle
    assert world.gateway.session_for(INNER_GATEWAY) is None
    world.host.say(b"x")
    world.host.does(lambda: world.client.command(CloseSession(), world.now))
    assert world.client.session_for(INNER_GATEWAY) is None
