"""The twin's own side: a network that a test can cut, and that is never larger than a real one."""

from core.reasons import Carrier
from core.values import Instant, PathEvent
from jvpn.shell.transports.base import endpoint
from jvpn.shell.transports.memory import WAITING_MAX, MemoryClient, MemoryNet, MemoryServer
from tests.jvpn.shell.transports.driving import Pair, message, paired

BIND, HOME = endpoint("192.0.2.1", 4_500), endpoint("192.0.2.2", 0).address


def joined(net: MemoryNet, carrier: Carrier) -> tuple[MemoryServer, MemoryClient]:
    """Return both ends of one carrier."""
    return MemoryServer(net, carrier, BIND), MemoryClient(net, carrier, BIND, HOME)


def passes(pair: Pair) -> bool:
    """Whether a frame on a known path arrives."""
    (near,) = pair.client.paths(PathEvent.OPENED)
    before = pair.server.transport.counters.received
    pair.dialler.send(near, [message()])
    pair.settle()
    return pair.server.transport.counters.received > before


def test_a_cut_carrier_loses_everything_without_a_word() -> None:
    """A test of a jump would be a test of nothing."""
    net = MemoryNet()
    with paired(*joined(net, Carrier.UDP)) as pair:
        pair.dial()
        net.cut.add(Carrier.UDP)
        assert not passes(pair)
        net.cut.clear()
        assert passes(pair)


def test_a_stream_to_nobody_is_a_closed_dial() -> None:
    """The fallback would be shown on a network where it cannot fail."""
    net = MemoryNet()
    with paired(*joined(net, Carrier.TCP)) as pair:
        net.cut.add(Carrier.TCP)
        pair.dialler.dial(Instant(0))
        assert len(pair.client.paths(PathEvent.CLOSED)) == 1
        assert pair.client.paths(PathEvent.OPENED) == []
        net.cut.clear()
        pair.server.transport.close()
        pair.dialler.dial(Instant(0))
        assert len(pair.client.paths(PathEvent.CLOSED)) == 2


def test_datagrams_above_the_mtu_are_an_event() -> None:
    """Paths that are too narrow would not exist in tests."""
    net = MemoryNet()
    with paired(*joined(net, Carrier.UDP)) as pair:
        near, _ = pair.dial()
        net.mtu = 100
        assert pair.dialler.send(near, [message(size=101), message(size=100)]) == 1
        assert pair.client.paths(PathEvent.TOO_BIG) == [near]
        assert pair.dialler.counters.too_big == 1


def test_an_end_that_does_not_read_loses_frames() -> None:
    """A loop that starves its sockets would look perfect in tests."""
    net = MemoryNet()
    with paired(*joined(net, Carrier.UDP)) as pair:
        near, far = pair.dial()
        for number in range(WAITING_MAX + 50):
            pair.dialler.send(near, [message(mark=number)])
        pair.settle()
        assert pair.server.frames[far] == [message(mark=number) for number in range(WAITING_MAX)]


def test_a_client_that_moves_has_another_address() -> None:
    """Roaming would not be seen by the gateway."""
    server, client = joined(MemoryNet(), Carrier.UDP)
    with paired(server, client) as pair:
        first, _ = pair.dial()
        client.address = endpoint("198.51.100.9", 0).address
        second, far = pair.dial()
        assert first.local.address == HOME
        assert second.local.address == far.remote.address == client.address
