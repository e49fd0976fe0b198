"""UDP as the protocol wants it: DF, replies from the address that was asked, errors counted, strangers ignored."""

import errno
import socket
from collections.abc import Iterator

import pytest

from core.values import Instant, Path, PathEvent
from jvpn.shell.transports import udp
from jvpn.shell.transports.base import UNKNOWN, Poll, endpoint, from_sockaddr
from jvpn.shell.transports.udp import BATCH, FRAME_BYTES, UdpClient, UdpServer
from tests.jvpn.shell.transports.driving import FULL, Side, message, paired

NOW = Instant(0)


@pytest.fixture
def server() -> Iterator[Side]:
    """Return a server on all IPv4 addresses."""
    poll, transport = Poll(), UdpServer(endpoint("0.0.0.0", 0))  # noqa: S104 - which address a datagram came to is what is tested
    yield Side(poll, transport)
    transport.close()
    poll.close()


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    """Return a socket of somebody else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(5)
        yield made


def received(side: Side) -> dict[Path, list[bytes]]:
    """Let the server read once; return what it found."""
    assert isinstance(side.transport, UdpServer)
    return dict(side.transport.receive(side.transport._socket.fileno(), NOW))


def port(side: Side) -> int:
    """Return the server's port."""
    assert isinstance(side.transport, UdpServer)
    return side.transport.port


def test_replies_leave_from_the_address_that_was_asked(server: Side, stranger: socket.socket) -> None:
    """A gateway with several addresses would answer from another one; NATs and connected sockets drop that."""
    for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        stranger.sendto(message(), (address, port(server)))
        ((path, frames),) = received(server).items()
        assert path.local == endpoint(address, port(server))
        assert path.remote == from_sockaddr(stranger.getsockname())
        assert server.transport.send(path, frames) == 1
        assert stranger.recvfrom(2_000) == (frames[0], (address, port(server)))


def test_one_read_sorts_by_source_and_is_bounded(server: Side, stranger: socket.socket) -> None:
    """One busy client must not hold up the loop, nor its frames be taken for another's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        for number in range(BATCH):
            for source in (stranger, other):
                source.sendto(message(mark=number), ("127.0.0.1", port(server)))
    found = received(server)
    assert [len(frames) for frames in found.values()] == [BATCH // 2, BATCH // 2]
    for frames in found.values():
        assert frames == [message(mark=number) for number in range(BATCH // 2)]
    assert sum(len(frames) for frames in received(server).values()) == BATCH
    assert received(server) == {}


def test_what_cannot_be_a_frame_is_counted_and_dropped(server: Side, stranger: socket.socket) -> None:
    """An empty or overlong datagram would reach the core as a frame, the overlong one cut to a length that looks right."""
    for size in (0, FRAME_BYTES + 1, FRAME_BYTES + 2, 60_000, FRAME_BYTES):
        stranger.sendto(bytes(size), ("127.0.0.1", port(server)))
    assert [len(frame) for frames in received(server).values() for frame in frames] == [FRAME_BYTES]
    assert server.transport.counters.malformed == 4


def test_a_flood_of_sources_costs_no_memory(server: Side, stranger: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each forged source address would be remembered until the gateway's memory is full."""
    monkeypatch.setattr(udp, "REMEMBERED", 4)
    assert isinstance(server.transport, UdpServer)
    for address in range(1, 20):
        stranger.sendto(message(), (f"127.0.1.{address}", port(server)))
    for path, frames in received(server).items():
        assert server.transport.send(path, frames) == 1
    assert len(server.transport._paths) <= 4
    assert len(server.transport._routes) <= 4
    assert [stranger.recvfrom(2_000)[1][0] for _ in range(19)] == [f"127.0.1.{address}" for address in range(1, 20)]


@pytest.mark.parametrize(("host", "dual"), [("127.0.0.1", False), ("::1", False), ("::", True)])
def test_datagrams_are_never_fragmented_and_icmp_decides_nothing(host: str, dual: bool) -> None:
    """With fragments one lost piece is a lost packet and NATs break; heeding ICMP lets a stranger shrink the path."""
    transport = UdpServer(endpoint(host, 0))
    sock = transport._socket
    if ":" in host:
        assert sock.getsockopt(socket.IPPROTO_IPV6, udp.IPV6_MTU_DISCOVER) == udp.PMTUDISC_PROBE
    if ":" not in host or dual:
        assert sock.getsockopt(socket.IPPROTO_IP, udp.IP_MTU_DISCOVER) == udp.PMTUDISC_PROBE
    transport.close()


def test_a_frame_above_the_mtu_is_an_event_and_smaller_ones_pass() -> None:
    """INIT does not fit somewhere: the client has to hear it to start TCP beside, and small frames go on meanwhile."""
    transport = UdpServer(endpoint("127.0.0.1", 0))
    with paired(transport, UdpClient(endpoint("127.0.0.1", transport.port))) as pair:
        near, far = pair.dial()
        assert pair.dialler.send(near, [bytes(70_000), message(mark=1), bytes(70_000)]) == 1
        assert pair.client.paths(PathEvent.TOO_BIG) == [near]
        assert pair.dialler.counters.too_big == 2
        pair.settle()
        assert pair.server.frames[far] == [message(mark=1)]
        assert transport.send(far, [bytes(70_000)]) == 0
        assert pair.server.paths(PathEvent.TOO_BIG) == [far]


def test_nobody_there_is_counted_and_the_path_stays() -> None:
    """An ICMP message, which anyone can forge, would end a path that works."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        remote = endpoint(*taken.getsockname())
    client = UdpClient(remote)
    poll = Poll()
    side = Side(poll, client)
    client.dial(NOW)
    (path,) = side.paths(PathEvent.OPENED)
    for _ in range(5):
        client.send(path, [message(), message()])
        poll.turn(10_000_000)
    assert client.counters.unreachable > 0
    assert client.serves(path)
    assert side.paths(PathEvent.CLOSED) == []
    client.close()
    poll.close()


def test_no_route_is_a_closed_dial() -> None:
    """The client would wait for an answer to a handshake that never left."""
    client = UdpClient(endpoint("127.0.0.1", 1), local=endpoint("192.0.2.77", 0))
    client.dial(NOW)
    assert client.changes() == [(Path(client.carrier, 0, UNKNOWN, endpoint("127.0.0.1", 1)), PathEvent.CLOSED)]
    assert client.counters.unreachable == 1
    client.close()


def test_the_client_uses_the_address_that_it_was_given() -> None:
    """A client on two networks would keep using the one that it wants to leave."""
    transport = UdpServer(endpoint("127.0.0.1", 0))
    with paired(transport, UdpClient(endpoint("127.0.0.1", transport.port), local=endpoint("127.0.0.9", 0))) as pair:
        near, far = pair.dial()
        assert near.local.address == far.remote.address == endpoint("127.0.0.9", 0).address


def test_strangers_do_not_reach_the_client(stranger: socket.socket) -> None:
    """Anyone could fill the client's queue, and the driver would have to sort what is no path."""
    transport = UdpServer(endpoint("127.0.0.1", 0))
    with paired(transport, UdpClient(endpoint("127.0.0.1", transport.port))) as pair:
        near, far = pair.dial()
        stranger.sendto(message(), ("127.0.0.1", near.local.port))
        transport.send(far, [message(mark=7)])
        pair.settle()
        assert pair.client.frames == {near: [message(mark=7)]}


@pytest.mark.parametrize("trouble", [errno.EAGAIN, errno.ENOBUFS, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM, errno.EINVAL])
def test_a_kernel_that_refuses_ends_the_burst_without_raising(trouble: int) -> None:
    """A full queue, a vanished address or a firewall rule would be a traceback in the gateway's loop."""
    calls: list[bytes] = []

    class Refusing:
        def sendmsg(self, buffers: tuple[bytes], *_: object) -> None:
            calls.append(buffers[0])
            if len(calls) == 3:
                raise OSError(trouble, "refused")

    client = UdpClient(endpoint("127.0.0.1", 1))
    sent = client._send(Refusing(), Path(1, 0, UNKNOWN, UNKNOWN), [FULL] * 5, [], None)  # type: ignore[arg-type]  # a stand-in that refuses the third
    counters = client.counters
    assert (sent, len(calls)) == (2, 3)
    assert (counters.sent, counters.dropped + counters.unreachable) == (2, 3)
    assert bool(counters.dropped) == (trouble in udp.NO_ROOM)
    client.close()


def test_the_client_drops_what_cannot_be_a_frame() -> None:
    """The same on the client's side: whoever controls the gateway's address could hand it a cut frame."""
    transport = UdpServer(endpoint("127.0.0.1", 0))
    with paired(transport, UdpClient(endpoint("127.0.0.1", transport.port))) as pair:
        near, far = pair.dial()
        transport.send(far, [b"", bytes(FRAME_BYTES + 1), FULL])
        pair.settle()
        assert pair.client.frames == {near: [FULL]}
        assert pair.dialler.counters.malformed == 2


def test_sockets_have_room_for_bursts() -> None:
    """The kernel's default of 212,992 bytes is 100 full frames: a gateway that pauses for a millisecond would lose the rest."""
    transport = UdpServer(endpoint("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as usual:
        assert transport._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > usual.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    transport.close()


def test_two_servers_share_the_work_without_mixing_it_up() -> None:
    """With one socket for IPv4 and one for IPv6 on the same port, each answers only its own."""
    four = UdpServer(endpoint("127.0.0.1", 0))
    six = UdpServer(endpoint("::1", four.port))
    with paired(six, UdpClient(endpoint("::1", six.port))) as made:
        _, far = made.dial()
        assert six.serves(far)
        assert not four.serves(far)
    four.close()
