"""Transports on a network that changes under them: in a namespace, with a real MTU, real routes, and addresses that go."""

from collections.abc import Callable

import pytest
from pyroute2 import IPRoute

from core.values import Instant, Path, PathEvent
from core.wire.layout import STREAM_MAX, Type
from jvpn.shell.transports.base import UNKNOWN, endpoint
from jvpn.shell.transports.tcp import TcpClient
from jvpn.shell.transports.udp import UdpClient, UdpServer
from tests.jvpn.shell.inside import inside, isolated
from tests.jvpn.shell.transports.driving import message, paired
from tests.support import requires

pytestmark = requires("nft")  # makes a network namespace

INIT = message(Type.INIT, STREAM_MAX[Type.INIT])


def loopback(**settings: object) -> None:
    """Set the loopback interface, the namespace's only one."""
    with IPRoute() as route:
        route.link("set", index=1, state="up", **settings)


def narrow(host: str) -> Callable[[], None]:
    """Return a test of an interface through which an INIT does not fit."""

    def body() -> None:
        loopback(mtu=1_300)
        server = UdpServer(endpoint(host, 0))
        with paired(server, UdpClient(endpoint(host, server.port))) as pair:
            near, far = pair.dial()
            assert pair.dialler.send(near, [INIT]) == 0
            assert pair.dialler.send(near, [message(mark=1), INIT, message(mark=2)]) == 2
            assert server.send(far, [INIT, message(mark=3)]) == 1
            pair.settle()
            assert pair.server.frames[far] == [message(mark=1), message(mark=2)]
            assert pair.client.frames[near] == [message(mark=3)]
            assert pair.client.paths(PathEvent.TOO_BIG) == [near, near]
            assert pair.server.paths(PathEvent.TOO_BIG) == [far]
            assert pair.dialler.counters.too_big == 2

    return body


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_does_not_fit_is_neither_fragmented_nor_the_end_of_the_rest(host: str) -> None:
    """The client learns at once that UDP cannot carry its INIT; fragments would hide it, or die in the next NAT."""
    inside(narrow(host))


@isolated
def test_a_server_survives_the_loss_of_its_address() -> None:
    """An interface that goes down for a moment would end the gateway with a traceback."""
    loopback()
    with IPRoute() as route:
        route.addr("add", index=1, address="10.1.0.1", prefixlen=32)
        server = UdpServer(endpoint("0.0.0.0", 0))  # noqa: S104 - an address of it is taken away
        with paired(server, UdpClient(endpoint("10.1.0.1", server.port), local=endpoint("127.0.0.1", 0))) as pair:
            near, far = pair.dial()
            route.addr("del", index=1, address="10.1.0.1", prefixlen=32)
            assert server.send(far, [message()] * 3) == 0
            assert pair.dialler.send(near, [message()]) == 0
            assert (server.counters.unreachable, pair.dialler.counters.unreachable) == (3, 1)
            assert pair.dialler.serves(near), "whether the path is dead is the core's decision"
            route.addr("add", index=1, address="10.1.0.1", prefixlen=32)
            assert server.send(far, [message()]) == pair.dialler.send(near, [message()]) == 1


@isolated
def test_without_a_route_a_dial_is_closed_at_once() -> None:
    """The client would count down its timeouts on a network that is not there."""
    loopback()
    remote = endpoint("192.0.2.1", 4_500)
    for client in (UdpClient(remote), TcpClient(remote)):
        client.dial(Instant(0))
        ((path, event),) = client.changes()
        assert event is PathEvent.CLOSED
        assert path._replace(serial=0) == Path(client.carrier, 0, UNKNOWN, remote)
        assert client.counters.unreachable == 1
        assert client.deadline() is None
        client.close()
