"""What every carrier promises the driver: the twin in memory keeps the same promises as the real ones, over IPv4 and IPv6."""

from collections.abc import Iterator

import pytest

from core.reasons import Carrier
from core.values import Endpoint, Instant, Path, PathEvent
from jvpn.shell.transports.base import CLIENT_PATHS, UNKNOWN, endpoint
from jvpn.shell.transports.memory import MemoryClient, MemoryNet, MemoryServer
from jvpn.shell.transports.tcp import TcpClient, TcpServer
from jvpn.shell.transports.udp import UdpClient, UdpServer
from tests.jvpn.shell.transports.driving import FULL, LARGEST, Pair, message, paired

BINDS = {"v4": ("127.0.0.1", "127.0.0.1"), "v6": ("::1", "::1"), "any4": ("0.0.0.0", "127.0.0.1"), "dual4": ("::", "127.0.0.1")}  # noqa: S104 - the any-address is what is tested
KINDS = [*(f"{carrier}-{bind}" for carrier in ("udp", "tcp") for bind in BINDS), "memory-datagram", "memory-stream"]


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Return a server and a client of each carrier in turn."""
    carrier, way = request.param.split("-")
    if carrier == "memory":
        net, bind = MemoryNet(), endpoint("192.0.2.1", 4_500)
        number = Carrier.UDP if way == "datagram" else Carrier.TCP
        with paired(MemoryServer(net, number, bind), MemoryClient(net, number, bind, endpoint("192.0.2.2", 0).address)) as made:
            yield made
        return
    host, remote = BINDS[way]
    if carrier == "udp":
        udp = UdpServer(endpoint(host, 0))
        with paired(udp, UdpClient(endpoint(remote, udp.port))) as made:
            yield made
    else:
        tcp = TcpServer(endpoint(host, 0))
        with paired(tcp, TcpClient(endpoint(remote, tcp.port))) as made:
            yield made


def test_both_ends_name_the_same_path(pair: Pair) -> None:
    """The gateway would bind sessions to paths that it cannot answer on, or the log would show addresses that nobody has."""
    near, far = pair.dial()
    assert (near.local, near.remote) == (far.remote, far.local)
    assert near.carrier == far.carrier == pair.dialler.carrier == pair.server.transport.carrier
    assert all(len(end.address) == 16 and end.port for end in (near.local, near.remote))


def test_frames_arrive_whole_and_in_order_both_ways(pair: Pair) -> None:
    """A carrier that joins, splits, loses or swaps frames on a quiet loopback breaks every message above it."""
    near, far = pair.dial()
    frames = [*LARGEST, *(message(size=32 + 7 * n, mark=n) for n in range(100))]
    assert pair.dialler.send(near, frames) == len(frames)
    pair.until(lambda: len(pair.server.frames[far]) >= len(frames))
    assert pair.server.transport.send(far, frames) == len(frames)
    pair.until(lambda: len(pair.client.frames.get(near, [])) >= len(frames))
    pair.settle()
    assert pair.server.frames[far] == frames
    assert pair.client.frames[near] == frames


def test_frames_come_in_bursts(pair: Pair) -> None:
    """One core call a packet would cost the data path its speed: what waits from one source comes together."""
    near, far = pair.dial()
    pair.dialler.send(near, [message(mark=n) for n in range(40)])
    pair.until(lambda: len(pair.server.frames[far]) >= 40)
    assert max(pair.server.bursts) >= 20


def test_each_dial_is_a_path_of_its_own(pair: Pair) -> None:
    """A jump to a fresh path would be indistinguishable from staying, and late packets of the old path would count for the new one."""
    dialled = [pair.dial() for _ in range(CLIENT_PATHS)]
    assert len({near for near, _ in dialled}) == len({far for _, far in dialled}) == CLIENT_PATHS
    for number, (near, far) in enumerate(dialled):
        assert pair.server.transport.send(far, [message(mark=number)]) == 1
        pair.settle()
        assert pair.client.frames[near] == [message(mark=number)]


def test_a_client_holds_a_bounded_number_of_paths(pair: Pair) -> None:
    """A client that jumps for a week must not run out of sockets: the oldest path ends when one more is dialled."""
    dialled = [pair.dial()[0] for _ in range(CLIENT_PATHS + 2)]
    assert pair.client.paths(PathEvent.CLOSED) == dialled[:2]
    assert [pair.dialler.serves(near) for near in dialled] == [False] * 2 + [True] * CLIENT_PATHS


def test_opened_and_closed_come_once(pair: Pair) -> None:
    """The core counts on it: a path that closes twice, or never, would be a second loss or a session that waits for nothing."""
    near, _ = pair.dial()
    pair.dialler.close_path(near)
    pair.dialler.close_path(near)
    pair.settle()
    for side in (pair.client, pair.server):
        side.collect()
        opened, closed = side.paths(PathEvent.OPENED), side.paths(PathEvent.CLOSED)
        assert len(opened) == len(set(opened))
        assert closed == opened
        assert side.log == [(path, event) for path in opened for event in (PathEvent.OPENED, PathEvent.CLOSED)]


def test_nobody_sleeps_on_a_change(pair: Pair) -> None:
    """An answer to a dial that is there at once would wait for the next packet or the next second: an outage of our own making."""
    near, _ = pair.dial()
    pair.settle()
    assert pair.dialler.deadline() is None
    pair.dialler.close_path(near)
    assert pair.dialler.deadline() == 0
    assert len(pair.dialler.changes()) == 1
    assert pair.dialler.deadline() is None


def test_a_closed_path_takes_nothing_and_says_so(pair: Pair) -> None:
    """Frames for a path that has just died are dropped and counted, not raised: the core's outputs are executed after the fact."""
    near, _ = pair.dial()
    pair.dialler.close_path(near)
    before = pair.dialler.counters.dropped
    assert pair.dialler.send(near, [FULL, FULL]) == 0
    assert pair.dialler.counters.dropped == before + 2


def test_strange_paths_are_not_served(pair: Pair) -> None:
    """The driver asks each carrier whose path it is: two that say yes, or a wrong one, would send from another address."""
    near, far = pair.dial()
    assert pair.dialler.serves(near)
    assert pair.server.transport.serves(far)
    for transport, path in ((pair.dialler, near), (pair.server.transport, far)):
        other_port = path._replace(local=Endpoint(path.local.address, path.local.port ^ 1))
        for strange in (path._replace(carrier=Carrier.QUIC), other_port, Path(path.carrier, 99, UNKNOWN, UNKNOWN)):
            assert not transport.serves(strange)
            transport.close_path(strange)
            transport.prove(strange, Instant(0))
    assert pair.dialler.serves(near)


def test_a_descriptor_without_news_gives_nothing(pair: Pair) -> None:
    """The poll may report a descriptor that was closed and used again in the same turn: nothing may block, raise or be made up."""
    pair.dial()
    for fd in range(64):
        if fd in pair.poll._calls:
            assert pair.dialler.receive(fd, Instant(0)) == []
            assert pair.server.transport.receive(fd, Instant(0)) == []
    assert pair.dialler.receive(-1, Instant(0)) == []


def test_counters_add_up(pair: Pair) -> None:
    """Benchmarks and health records are made of these numbers."""
    near, far = pair.dial()
    sent, received = pair.dialler.counters.sent, pair.server.transport.counters.received
    pair.dialler.send(near, [message(mark=n) for n in range(10)])
    pair.until(lambda: len(pair.server.frames[far]) >= 10)
    assert pair.dialler.counters.sent == sent + 10
    assert pair.server.transport.counters.received == received + 10


def test_closing_leaves_nothing_watched(pair: Pair) -> None:
    """A poll that still watches a closed socket would report another one that got its number."""
    pair.dial()
    pair.dialler.close()
    pair.server.transport.close()
    assert pair.poll._calls == {}
    assert pair.dialler.changes() == pair.server.transport.changes() == []
