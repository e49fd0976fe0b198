"""UDP: one datagram a frame, never fragmented (protocol section 1, Carriage).

The gateway has one unconnected socket and learns from the kernel to which of its addresses each datagram came; replies leave from that
address, also on a machine with several. The client opens a connected socket for each path: the local address is then part of the path,
errors of the network are reported, and datagrams of strangers never arrive. Its old sockets go on receiving until they are closed.
"""

import errno
import socket
import struct
from collections.abc import Sequence
from typing import Final

from core.reasons import Carrier
from core.values import Endpoint, Instant, Path, PathEvent
from core.wire.layout import DATA_MAX
from jvpn.shell.transports.base import (
    AT_ONCE,
    CLIENT_PATHS,
    MAPPED,
    UNKNOWN,
    Burst,
    Change,
    Counters,
    Nobody,
    SockAddr,
    Watcher,
    bound_socket,
    covers,
    from_sockaddr,
    is_ipv4,
    sockaddr,
)

FRAME_BYTES: Final = DATA_MAX  # the greatest frame of JVP/1
READ_BYTES: Final = FRAME_BYTES + 1  # one more shows a datagram that is too long
BATCH: Final = 64  # datagrams a call of `receive`
SERVER_BUFFER_BYTES: Final = 8 << 20
CLIENT_BUFFER_BYTES: Final = 4 << 20
REMEMBERED: Final = 8_192  # peers whose addresses need no conversion; forgotten all at once, since a flood has a new one each time
ANCILLARY_BYTES: Final = socket.CMSG_SPACE(20)  # an in6_pktinfo, the longer of the two

# linux/in.h and linux/in6.h; the socket module of Python 3.11 does not name them.
IP_PKTINFO: Final = 8
IP_MTU_DISCOVER: Final = 10
IPV6_MTU_DISCOVER: Final = 23
PMTUDISC_PROBE: Final = 3
SO_SNDBUFFORCE: Final = 32
SO_RCVBUFFORCE: Final = 33

NO_ROOM: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})

IN_PKTINFO: Final = struct.Struct("=i4s4s")  # interface, local address for replies, destination in the header
IN6_PKTINFO: Final = struct.Struct("=16sI")  # local address, interface

Ancillary = list[tuple[int, int, bytes]]


def prepare(sock: socket.socket, buffer_bytes: int) -> None:
    """Set DF, report local addresses, make room for bursts.

    PROBE sets DF and heeds only the interface's own MTU. DO would heed ICMP as well, which anyone who guesses the ports can forge; whether
    a path carries L is proven by CONFIRM and PROBE frames inside the session (RFC 8899 section 4.6.1 allows to ignore ICMP).
    """
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)  # on an IPv6 socket: for IPv4 through a dual-stack one
    for forced, plain in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, buffer_bytes)
        except PermissionError:  # the kernel then caps it at net.core.rmem_max and wmem_max
            sock.setsockopt(socket.SOL_SOCKET, plain, buffer_bytes)


class _Udp:
    """What both ends share: counters, changes, and the judgement of a failed send."""

    carrier: int = Carrier.UDP

    def __init__(self) -> None:
        self.counters = Counters()
        self._watcher: Watcher = Nobody()
        self._changes: list[Change] = []

    def changes(self) -> list[Change]:
        """Take what became of paths since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def prove(self, path: Path, now: Instant) -> None:
        """Do nothing: a datagram holds no connection open."""

    def tick(self, now: Instant) -> None:
        """Do nothing: nothing here can be late."""

    def deadline(self) -> Instant | None:
        """Say whether changes wait; nothing else here can be late."""
        return AT_ONCE if self._changes else None

    def _send(self, sock: socket.socket, path: Path, frames: Sequence[bytes], ancillary: Ancillary, to: SockAddr | None) -> int:
        """Send one datagram a frame. A frame that is too big does not hold up smaller ones; without room or route the rest is counted."""
        send, counters = sock.sendmsg, self.counters
        sent = too_big = refused = 0
        for index, frame in enumerate(frames):
            try:
                send((frame,), ancillary, 0, to)
                sent += 1
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    too_big += 1
                elif error.errno == errno.ECONNREFUSED:  # the answer to an earlier datagram, reported once; this one was not sent
                    refused += 1
                elif error.errno in NO_ROOM:
                    counters.dropped += len(frames) - index
                    break
                else:  # no route, no such local address any more, forbidden by a firewall
                    refused += len(frames) - index
                    break
        counters.sent += sent
        counters.too_big += too_big
        counters.unreachable += refused
        if too_big:
            self._changes.append(Change(path, PathEvent.TOO_BIG))
        return sent


class UdpServer(_Udp):
    """The gateway's side: one socket on one address, `::` for IPv4 and IPv6 together."""

    def __init__(self, bind: Endpoint) -> None:
        """Bind; raise Unavailable when the machine refuses."""
        super().__init__()
        self._socket = bound_socket(socket.SOCK_DGRAM, bind)
        self._bound = from_sockaddr(self._socket.getsockname())
        self._ipv4 = is_ipv4(bind)
        self._paths: dict[tuple[SockAddr, bytes], Path] = {}
        self._routes: dict[Path, tuple[Ancillary, SockAddr]] = {}
        try:
            prepare(self._socket, SERVER_BUFFER_BYTES)
        except OSError:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """Return the bound port: the chosen one where 0 was asked for."""
        return self._bound.port

    def register(self, watcher: Watcher) -> None:
        """Report the socket to `watcher`."""
        self._watcher = watcher
        watcher.watch(self._socket.fileno())

    def receive(self, fd: int, now: Instant) -> list[Burst]:  # noqa: ARG002 - a datagram socket has nothing to be late
        """Take up to BATCH datagrams, sorted by source."""
        if fd != self._socket.fileno():
            return []
        read, counters = self._socket.recvmsg, self.counters
        found: dict[tuple[SockAddr, bytes], list[bytes]] = {}
        for _ in range(BATCH):
            try:
                frame, ancillary, _, source = read(READ_BYTES, ANCILLARY_BYTES)
            except BlockingIOError:
                break
            except OSError:  # an ICMP answer to something sent before
                counters.unreachable += 1
                continue
            if not 0 < len(frame) <= FRAME_BYTES or len(ancillary) != 1:
                counters.malformed += 1
                continue
            key = source, ancillary[0][2]
            burst = found.get(key)
            if burst is None:
                found[key] = [frame]
            else:
                burst.append(frame)
        bursts = [Burst(self._paths.get(key) or self._path(key), frames) for key, frames in found.items()]
        counters.received += sum(len(burst.frames) for burst in bursts)
        return bursts

    def serves(self, path: Path) -> bool:
        """Whether the path ends at this socket."""
        return path.carrier == self.carrier and covers(self._bound, path.local)

    def send(self, path: Path, frames: Sequence[bytes]) -> int:
        """Send each frame as one datagram from the path's local address."""
        ancillary, to = self._routes.get(path) or self._route(path)
        return self._send(self._socket, path, frames, ancillary, to)

    def close_path(self, path: Path) -> None:
        """Do nothing: a server's UDP path is an address, nothing is open."""

    def close(self) -> None:
        """Close the socket."""
        self._watcher.forget(self._socket.fileno())
        self._socket.close()

    def _path(self, key: tuple[SockAddr, bytes]) -> Path:
        source, information = key
        # A dual-stack socket reports IPv4 as in6_pktinfo with v4-mapped addresses.
        local = MAPPED + IN_PKTINFO.unpack(information)[1] if self._ipv4 else IN6_PKTINFO.unpack(information)[0]
        path = Path(self.carrier, 0, Endpoint(local, self._bound.port), from_sockaddr(source))
        if len(self._paths) >= REMEMBERED:
            self._paths.clear()
        self._paths[key] = path
        return path

    def _route(self, path: Path) -> tuple[Ancillary, SockAddr]:
        local, remote = path.local.address, path.remote
        if self._ipv4:
            ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, IN_PKTINFO.pack(0, local[12:], bytes(4)))]
            to = sockaddr(remote)
        else:
            ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, IN6_PKTINFO.pack(local, 0))]
            to = socket.inet_ntop(socket.AF_INET6, remote.address), remote.port
        if len(self._routes) >= REMEMBERED:
            self._routes.clear()
        self._routes[path] = ancillary, to
        return ancillary, to


class UdpClient(_Udp):
    """The client's side: a connected socket for each path it dials, at most CLIENT_PATHS at once."""

    def __init__(self, remote: Endpoint, local: Endpoint | None = None) -> None:
        """Keep the gateway's endpoint, and the local address to use where the kernel shall not choose (port 0: any)."""
        super().__init__()
        self._remote, self._local = remote, local
        self._sockets: dict[Path, socket.socket] = {}
        self._by_fd: dict[int, Path] = {}

    def register(self, watcher: Watcher) -> None:
        """Report the sockets to `watcher`."""
        self._watcher = watcher
        for fd in self._by_fd:
            watcher.watch(fd)

    def dial(self, now: Instant) -> None:  # noqa: ARG002 - a connected datagram socket is open at once
        """Open a path from the address that the routes choose now. OPENED says only that there is a route."""
        family = socket.AF_INET if is_ipv4(self._remote) else socket.AF_INET6
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError:  # no such family, or no descriptor left
            self._changes.append(Change(Path(self.carrier, 0, UNKNOWN, self._remote), PathEvent.CLOSED))
            return
        try:
            prepare(sock, CLIENT_BUFFER_BYTES)
            if self._local is not None:
                sock.bind(sockaddr(self._local))
            sock.connect(sockaddr(self._remote))
            path = Path(self.carrier, 0, from_sockaddr(sock.getsockname()), self._remote)
        except OSError:
            sock.close()
            self.counters.unreachable += 1
            self._changes.append(Change(Path(self.carrier, 0, UNKNOWN, self._remote), PathEvent.CLOSED))
            return
        if len(self._sockets) >= CLIENT_PATHS:
            self.close_path(next(iter(self._sockets)))
        self._sockets[path] = sock
        self._by_fd[sock.fileno()] = path
        self._watcher.watch(sock.fileno())
        self._changes.append(Change(path, PathEvent.OPENED))

    def receive(self, fd: int, now: Instant) -> list[Burst]:  # noqa: ARG002 - a datagram socket has nothing to be late
        """Take up to BATCH datagrams of one path."""
        path = self._by_fd.get(fd)
        if path is None:
            return []
        read, counters = self._sockets[path].recv, self.counters
        frames: list[bytes] = []
        for _ in range(BATCH):
            try:
                frame = read(READ_BYTES)
            except BlockingIOError:
                break
            except OSError:  # an ICMP answer: nobody listens, no route; whether the path is dead is the core's decision
                counters.unreachable += 1
                continue
            if 0 < len(frame) <= FRAME_BYTES:
                frames.append(frame)
            else:
                counters.malformed += 1
        counters.received += len(frames)
        return [Burst(path, frames)] if frames else []

    def serves(self, path: Path) -> bool:
        """Whether the path is open here."""
        return path in self._sockets

    def send(self, path: Path, frames: Sequence[bytes]) -> int:
        """Send each frame as one datagram."""
        sock = self._sockets.get(path)
        if sock is None:
            self.counters.dropped += len(frames)
            return 0
        return self._send(sock, path, frames, [], None)

    def close_path(self, path: Path) -> None:
        """Close the path's socket; CLOSED follows."""
        sock = self._sockets.pop(path, None)
        if sock is None:
            return
        del self._by_fd[sock.fileno()]
        self._watcher.forget(sock.fileno())
        sock.close()
        self._changes.append(Change(path, PathEvent.CLOSED))

    def close(self) -> None:
        """Close all sockets."""
        for path in list(self._sockets):
            self.close_path(path)
        self._changes.clear()
