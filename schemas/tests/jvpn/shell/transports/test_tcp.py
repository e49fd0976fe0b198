"""TCP in bad company: peers that prove nothing, do not read, vanish, reset, or send what is no message."""

import errno
import itertools
import socket
from collections.abc import Iterator

import pytest

from core.values import Instant, Path, PathEvent
from jvpn.shell.transports import tcp
from jvpn.shell.transports.base import CLIENT_PATHS, Poll, endpoint, from_sockaddr
from jvpn.shell.transports.framing import framed
from jvpn.shell.transports.tcp import CONNECT_NS, OUTPUT_BYTES, PAUSE_NS, UNPROVEN_NS, TcpClient, TcpServer
from tests.jvpn.shell.transports.driving import FULL, TURN_NS, TURNS_MAX, Side, message, paired

LATE = Instant(UNPROVEN_NS)


class Gateway(Side):
    """A server under a poll, and raw peers that connect to it."""

    def __init__(self, poll: Poll, server: TcpServer) -> None:
        super().__init__(poll, server)
        self.poll, self.server = poll, server
        self.peers: list[socket.socket] = []

    def peer(self) -> tuple[socket.socket, Path]:
        """Connect; return the raw socket and the server's path."""
        peer = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        self.peers.append(peer)
        here = from_sockaddr(peer.getsockname())
        for _ in range(TURNS_MAX):
            for path in self.paths(PathEvent.OPENED):
                if path.remote == here:
                    return peer, path
            self.poll.turn(TURN_NS)
        raise AssertionError("never accepted")

    def settle(self) -> None:
        """Turn the poll until nothing is ready."""
        for _ in range(TURNS_MAX):
            if not self.poll.turn(TURN_NS):
                return
        raise AssertionError("it did not come to rest: something spins")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Return a gateway on the loopback address."""
    poll, server = Poll(), TcpServer(endpoint("127.0.0.1", 0))
    made = Gateway(poll, server)
    yield made
    for peer in made.peers:
        peer.close()
    server.close()
    poll.close()


def test_serials_begin_at_one_and_are_never_used_again(gateway: Gateway) -> None:
    """A late answer for a dead connection would go out on the one that got its number and addresses."""
    serials = []
    for _ in range(3):
        peer, path = gateway.peer()
        serials.append(path.serial)
        peer.close()
        gateway.settle()
    assert serials == [1, 2, 3]


def test_several_servers_share_one_count() -> None:
    """The same of two listening sockets in one process."""
    count = itertools.count(1)
    poll = Poll()
    sides = [Gateway(poll, TcpServer(endpoint(host, 0), count)) for host in ("127.0.0.1", "127.0.0.1")]
    serials = {side.peer()[1].serial for side in sides} | {side.peer()[1].serial for side in sides}
    assert serials == {1, 2, 3, 4}
    for side in sides:
        side.server.close()
        for peer in side.peers:
            peer.close()
    poll.close()


def test_a_connection_without_proof_ends(gateway: Gateway) -> None:
    """Anyone could hold the gateway's connections forever, also by sending what looks like messages."""
    peer, path = gateway.peer()
    peer.send(framed([message()]))
    gateway.settle()
    assert gateway.server.deadline() == LATE
    gateway.server.tick(Instant(LATE - 1))
    assert gateway.server.serves(path)
    gateway.server.tick(LATE)
    assert gateway.paths(PathEvent.CLOSED) == [path]
    assert gateway.server.counters.refused == 1
    assert gateway.server.deadline() is None
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_a_proven_connection_stays(gateway: Gateway) -> None:
    """Every session on TCP would end after eight seconds."""
    _, proven = gateway.peer()
    _, unproven = gateway.peer()
    gateway.server.prove(proven, Instant(0))
    gateway.server.tick(LATE)
    assert gateway.paths(PathEvent.CLOSED) == [unproven]
    assert gateway.server.serves(proven)


def test_when_it_is_full_the_oldest_unproven_makes_way(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds all places without proof would lock out every honest client for eight seconds at a time."""
    monkeypatch.setattr(tcp, "UNPROVEN_MAX", 3)
    _, proven = gateway.peer()
    gateway.server.prove(proven, Instant(0))
    paths = [gateway.peer()[1] for _ in range(5)]
    assert gateway.paths(PathEvent.CLOSED) == paths[:2]
    assert gateway.server.serves(proven)
    assert gateway.server.counters.refused == 2


def test_when_all_are_proven_it_waits(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full gateway would either throw out proven sessions or spin on its listening socket."""
    monkeypatch.setattr(tcp, "CONNECTIONS_MAX", 2)
    for _ in range(2):
        gateway.server.prove(gateway.peer()[1], Instant(0))
    waiting = socket.create_connection(("127.0.0.1", gateway.server.port), timeout=10)
    gateway.peers.append(waiting)
    gateway.settle()  # comes to rest
    assert len(gateway.paths(PathEvent.OPENED)) == 2
    assert gateway.server.deadline() == PAUSE_NS
    gateway.server.close_path(gateway.paths(PathEvent.OPENED)[0])
    gateway.server.tick(Instant(PAUSE_NS))
    gateway.settle()
    assert len(gateway.paths(PathEvent.OPENED)) == 3
    assert gateway.server.deadline() == LATE


def test_without_a_free_descriptor_it_makes_room_or_waits(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """accept() that fails with EMFILE leaves the connection in the queue: the poll would report it for ever."""
    _, first = gateway.peer()
    real = gateway.server._socket

    class Exhausted:
        def accept(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        def fileno(self) -> int:
            return real.fileno()

    monkeypatch.setattr(gateway.server, "_socket", Exhausted())
    assert gateway.server.receive(real.fileno(), Instant(5)) == []
    assert gateway.paths(PathEvent.CLOSED) == [first]
    assert gateway.server.deadline() == 5 + PAUSE_NS
    monkeypatch.setattr(gateway.server, "_socket", real)
    gateway.server.tick(Instant(5 + PAUSE_NS))
    assert gateway.peer()[1].serial == 2


@pytest.mark.parametrize(
    "bad", [bytes(2), b"\x00\x00\x04", b"\x28\x00\x03", b"\xff\xff\x04", b"\x04\x00\x63abc", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_bad_framing_closes_the_connection_after_what_came_before(gateway: Gateway, bad: bytes) -> None:
    """A stream that is out of step never gets back into step: what follows would be read as something that nobody sent."""
    peer, path = gateway.peer()
    gateway.server.prove(path, Instant(0))
    peer.send(framed([message(mark=5)]) + bad)
    gateway.settle()
    assert gateway.frames[path] == [message(mark=5)]
    assert gateway.paths(PathEvent.CLOSED) == [path]
    assert gateway.server.counters.malformed == 1
    assert gateway.server.send(path, [message()]) == 0


def test_a_message_may_come_byte_by_byte(gateway: Gateway) -> None:
    """A slow or hostile network cuts anywhere, also inside the length."""
    peer, path = gateway.peer()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in framed([message(size=40)]):
        peer.send(bytes([byte]))
        assert gateway.poll.turn(TURN_NS) == 1
    assert gateway.frames[path] == [message(size=40)]


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
def test_a_peer_that_leaves_closes_the_path(gateway: Gateway, how: str) -> None:
    """The session would stay bound to a connection that is gone."""
    peer, path = gateway.peer()
    gateway.server.prove(path, Instant(0))
    peer.send(framed([message()]))
    if how == "reset":
        gateway.settle()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, tcp.RESET_ON_CLOSE)
    if how == "half-close":
        peer.shutdown(socket.SHUT_WR)
    else:
        peer.close()
    gateway.settle()
    assert gateway.frames[path] == [message()]
    assert gateway.paths(PathEvent.CLOSED) == [path]


def test_a_reset_is_noticed_while_sending(gateway: Gateway) -> None:
    """EPIPE in the middle of a burst would be a traceback in the gateway's loop."""
    peer, path = gateway.peer()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, tcp.RESET_ON_CLOSE)
    peer.close()
    for _ in range(TURNS_MAX):
        gateway.server.send(path, [FULL])
        if gateway.paths(PathEvent.CLOSED):
            break
    assert gateway.paths(PathEvent.CLOSED) == [path]


def test_a_peer_that_does_not_read_costs_a_bounded_buffer_and_no_torn_frame(gateway: Gateway) -> None:
    """One slow reader would take the gateway's memory, or, cut in mid-frame, lose its connection for good."""
    peer, path = gateway.peer()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    accepted: list[bytes] = []
    for number in itertools.count():
        frame = message(size=1_440, mark=number)
        if gateway.server.send(path, [frame]):
            accepted.append(frame)
        elif gateway.server.counters.dropped >= 50:
            break
        assert len(gateway.server._by_path[path].output) <= OUTPUT_BYTES
        assert number < 100_000, "the buffer has no end"
    assert gateway.server.counters.sent == len(accepted)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # or the kernel's window probes make this test slow
    stream = b""
    while len(stream) < len(framed(accepted)):
        gateway.poll.turn(0)
        stream += peer.recv(1 << 20)
    assert stream == framed(accepted)
    gateway.settle()  # nothing waits any more: the poll must not report for ever that it could be written
    assert gateway.server.send(path, [FULL]) == 1, "once it has read, it gets frames again"


def test_a_burst_above_the_buffer_is_cut_between_frames(gateway: Gateway) -> None:
    """Frames of one burst are taken in order up to the bound; a gap inside would look like loss at the wrong place."""
    peer, path = gateway.peer()
    burst = [message(size=1_440, mark=number) for number in range(300)]
    taken = gateway.server.send(path, burst)
    assert taken == OUTPUT_BYTES // 1_442
    assert gateway.server.counters.dropped == 300 - taken
    stream = b""
    while len(stream) < taken * 1_442:
        gateway.poll.turn(0)
        stream += peer.recv(1 << 20)
    assert stream == framed(burst[:taken])


def test_what_was_sent_before_closing_arrives(gateway: Gateway) -> None:
    """CLOSE is the last message of a session: the peer would learn of its end by a timeout."""
    peer, path = gateway.peer()
    gateway.server.send(path, [message(mark=9)])
    gateway.server.close_path(path)
    assert peer.recv(2_000) == framed([message(mark=9)])
    assert peer.recv(2_000) == b""


def test_dead_and_deaf_peers_are_noticed_by_the_kernel(gateway: Gateway) -> None:
    """A half-open connection would hold a session's path until somebody sends; small frames would wait for Nagle."""
    _, path = gateway.peer()
    client = TcpClient(endpoint("127.0.0.1", gateway.server.port))
    client.dial(Instant(0))
    for sock in (gateway.server._by_path[path].socket, next(iter(client._by_path.values())).socket):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == tcp.USER_TIMEOUT_MS
        idle, interval, probes = (
            sock.getsockopt(socket.IPPROTO_TCP, option) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + interval * probes <= 30
        assert not sock.getblocking()
    client.close()


def test_a_refused_dial_is_closed_once() -> None:
    """The client would wait five seconds for a gateway that has already said no."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        poll, client = Poll(), TcpClient(from_sockaddr(taken.getsockname()))
    side = Side(poll, client)
    client.dial(Instant(0))
    for _ in range(TURNS_MAX):
        if side.paths(PathEvent.CLOSED):
            break
        poll.turn(TURN_NS)
    ((path, event),) = side.log
    assert (path.serial, event) == (1, PathEvent.CLOSED)
    assert client.counters.unreachable == 1
    assert client.deadline() is None
    client.close()
    poll.close()


def test_a_dial_that_nobody_answers_ends() -> None:
    """A firewall that swallows SYNs would leave the client in its first attempt for two minutes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        with socket.create_connection(listening.getsockname()):  # the backlog of 0 holds one: the next SYN is dropped
            client = TcpClient(from_sockaddr(listening.getsockname()))
            poll = Poll()
            side = Side(poll, client)
            client.dial(Instant(7))
            poll.turn(TURN_NS)
            assert side.log == []
            assert client.deadline() == 7 + CONNECT_NS
            (path,) = client._by_path
            client.prove(path, Instant(0))
            assert client.send(path, [FULL]) == 0, "not connected: nothing can be promised"
            client.tick(Instant(7 + CONNECT_NS))
            assert side.paths(PathEvent.CLOSED) == [path]
            assert side.paths(PathEvent.OPENED) == []
            client.close()
            poll.close()


def test_a_connected_path_is_not_late(gateway: Gateway) -> None:
    """Every connection of the client would end five seconds after it was dialled."""
    with paired(TcpServer(endpoint("127.0.0.1", 0)), TcpClient(endpoint("127.0.0.1", gateway.server.port))) as pair:
        side = pair.client
        pair.dialler.dial(Instant(0))
        pair.until(lambda: side.paths(PathEvent.OPENED))
        assert pair.dialler.deadline() is None
        pair.dialler.tick(Instant(10 * CONNECT_NS))
        assert side.paths(PathEvent.CLOSED) == []


def test_an_impossible_dial_is_answered() -> None:
    """A dial without an answer would leave the core waiting for ever."""
    client = TcpClient(endpoint("127.0.0.1", 1), local=endpoint("192.0.2.77", 0))
    for serial in range(1, CLIENT_PATHS + 3):
        client.dial(Instant(0))
        ((path, event),) = client.changes()
        assert (path.serial, event) == (serial, PathEvent.CLOSED)
    client.close()


def test_the_client_uses_the_address_that_it_was_given() -> None:
    """A client on two networks would keep using the one that it wants to leave."""
    server = TcpServer(endpoint("127.0.0.1", 0))
    with paired(server, TcpClient(endpoint("127.0.0.1", server.port), local=endpoint("127.0.0.9", 0))) as pair:
        near, far = pair.dial()
        assert near.local.address == far.remote.address == endpoint("127.0.0.9", 0).address
