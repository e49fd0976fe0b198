"""TCP: the fallback where UDP does not pass. One connection is one path; each has a serial number that is never used again.

A connection is *unproven* until the driver says that a session is bound to it. Unproven connections are few and short-lived; when there
is no room, the oldest of them makes way: holding connections open without proof locks nobody out. A proof holds no longer than a key may.
"""

import errno
import itertools
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from core.limits import REJECT_AFTER_NS
from core.reasons import Carrier
from core.values import Endpoint, Instant, Path, PathEvent
from jvpn.shell.transports.base import (
    AT_ONCE,
    CLIENT_PATHS,
    SECOND_NS,
    UNKNOWN,
    Burst,
    Change,
    Counters,
    Nobody,
    Watcher,
    bound_socket,
    from_sockaddr,
    is_ipv4,
    sockaddr,
)
from jvpn.shell.transports.framing import LENGTH_BYTES, Deframer, framed

# Specification (protocol section 1, Carriage).
UNPROVEN_MAX: Final = 4_096
UNPROVEN_NS: Final = 8 * SECOND_NS  # from accept to the first session that is bound here [D-15]
PROVEN_NS: Final = REJECT_AFTER_NS  # from the last frames under a bound session: without any its key has expired

# Implementation.
CONNECTIONS_MAX: Final = 16_384  # proven and unproven, one server
BACKLOG: Final = 1_024
ACCEPT_BATCH: Final = 64  # connections a call of `receive`
READ_BYTES: Final = 65_536  # a call of `receive`
OUTPUT_BYTES: Final = 262_144  # waiting here for one connection; whole frames above it are dropped, as a full router would
UNSENT_BYTES: Final = 131_072  # waiting in the kernel, not yet sent: more would only be delay
CONNECT_NS: Final = 5 * SECOND_NS
PAUSE_NS: Final = SECOND_NS  # without a free descriptor: how long nothing is accepted
USER_TIMEOUT_MS: Final = 15_000  # sent and not acknowledged, or the peer does not read: the kernel ends the connection (RFC 5482)
KEEPALIVE_S: Final = (15, 5, 3)  # idle, interval, probes: a peer that vanished is noticed after 30 s
TCP_NOTSENT_LOWAT: Final = 25  # linux/tcp.h; the socket module of Python 3.11 does not name it
RESET_ON_CLOSE: Final = struct.pack("=ii", 1, 0)  # SO_LINGER of 0 s: no TIME_WAIT for a connection that never proved anything

WOULD_BLOCK: Final = frozenset({errno.EAGAIN, errno.EINTR})
NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def prepare(sock: socket.socket) -> None:
    """Small frames leave at once, little waits in the kernel, dead peers are noticed."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in zip((socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT), KEEPALIVE_S, strict=True):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    path: Path
    connecting: bool = False
    writable: bool = False  # the poll has been asked to report when the kernel takes more
    input: Deframer = field(default_factory=Deframer)
    output: bytearray = field(default_factory=bytearray)


class _Tcp:
    """What both ends share: the connections, reading and writing."""

    carrier: int = Carrier.TCP

    def __init__(self, serials: Iterator[int] | None) -> None:
        self.counters = Counters()
        self._watcher: Watcher = Nobody()
        self._serials = itertools.count(1) if serials is None else serials
        self._by_fd: dict[int, _Connection] = {}
        self._by_path: dict[Path, _Connection] = {}
        self._late: dict[Path, Instant] = {}  # when each ends unless it is proven (server) or connected (client); in this order
        self._proven: dict[Path, Instant] = {}  # when each ends unless it is proven again; in this order
        self._changes: list[Change] = []

    def changes(self) -> list[Change]:
        """Take what became of paths since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def serves(self, path: Path) -> bool:
        """Whether the path is a connection here."""
        return path in self._by_path

    def prove(self, path: Path, now: Instant) -> None:
        """Take the connection off the list of those that end soon, or let it stay longer."""
        if path in self._by_path and not self._by_path[path].connecting:
            self._late.pop(path, None)
            self._proven.pop(path, None)  # it goes to the end of the order
            self._proven[path] = Instant(now + PROVEN_NS)

    def tick(self, now: Instant) -> None:
        """Close the connections that are late."""
        for ends in (self._late, self._proven):
            while ends and next(iter(ends.values())) <= now:
                self._refuse(next(iter(ends)))

    def deadline(self) -> Instant | None:
        """When the first connection is late; at once while changes wait."""
        firsts = [next(iter(ends.values())) for ends in (self._late, self._proven) if ends]
        return AT_ONCE if self._changes else min(firsts, default=None)

    def send(self, path: Path, frames: Sequence[bytes]) -> int:
        """Queue whole frames in order, up to OUTPUT_BYTES, and write what the kernel takes; return how many were queued."""
        connection = self._by_path.get(path)
        if connection is None or connection.connecting:
            self.counters.dropped += len(frames)
            return 0
        room, accepted = OUTPUT_BYTES - len(connection.output), 0
        for frame in frames:
            room -= LENGTH_BYTES + len(frame)
            if room < 0:
                break
            accepted += 1
        self.counters.dropped += len(frames) - accepted
        self.counters.sent += accepted
        if accepted:
            waiting = bool(connection.output)
            connection.output += framed(frames[:accepted])
            if not waiting:  # otherwise the poll reports when the kernel takes more
                self._flush(connection)
        return accepted

    def close_path(self, path: Path) -> None:
        """Close; CLOSED follows. The kernel still sends what it has taken; what waits here, behind a peer that does not read, is lost."""
        self._close(path)

    def close(self) -> None:
        """Close all connections."""
        for path in list(self._by_path):
            self.close_path(path)
        self._changes.clear()

    def _add(self, connection: _Connection) -> None:
        self._by_fd[connection.socket.fileno()] = connection
        self._by_path[connection.path] = connection
        self._watcher.watch(connection.socket.fileno(), write=connection.writable)

    def _close(self, path: Path) -> None:
        connection = self._by_path.pop(path, None)
        if connection is None:
            return
        self._late.pop(path, None)
        self._proven.pop(path, None)
        fd = connection.socket.fileno()
        del self._by_fd[fd]
        self._watcher.forget(fd)
        connection.socket.close()
        self._changes.append(Change(path, PathEvent.CLOSED))

    def _refuse(self, path: Path) -> None:
        self.counters.refused += 1
        self._by_path[path].socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._close(path)

    def _flush(self, connection: _Connection) -> None:
        """Write until all is written or the kernel is full; ask the poll for the rest."""
        output = connection.output
        try:
            while output:
                del output[: connection.socket.send(output)]
        except OSError as error:
            if error.errno not in WOULD_BLOCK:
                self._close(connection.path)
                return
        if connection.writable != bool(output):
            connection.writable = bool(output)
            self._watcher.watch(connection.socket.fileno(), write=connection.writable)

    def _read(self, connection: _Connection) -> list[Burst]:
        """Read once; the end of the stream, a reset and bad framing close the connection, after the messages before them."""
        if connection.output:
            self._flush(connection)
            if connection.path not in self._by_path:
                return []
        try:
            data = connection.socket.recv(READ_BYTES)
        except OSError as error:
            if error.errno not in WOULD_BLOCK:
                self._close(connection.path)
            return []
        messages = connection.input.feed(data)
        if connection.input.broken:
            self.counters.malformed += 1
        if not data or connection.input.broken:
            self._close(connection.path)
        self.counters.received += len(messages)
        return [Burst(connection.path, messages)] if messages else []


class TcpServer(_Tcp):
    """The gateway's side: a listening socket on one address (`::` for IPv4 and IPv6 together) and its connections."""

    def __init__(self, bind: Endpoint, serials: Iterator[int] | None = None) -> None:
        """Bind and listen; raise Unavailable when the machine refuses. Several servers of a process share one iterator of serials."""
        super().__init__(serials)
        self._socket = bound_socket(socket.SOCK_STREAM, bind)
        self._socket.listen(BACKLOG)
        self._resume: Instant | None = None

    @property
    def port(self) -> int:
        """Return the bound port: the chosen one where 0 was asked for."""
        return from_sockaddr(self._socket.getsockname()).port

    def register(self, watcher: Watcher) -> None:
        """Report the listening socket and the connections to `watcher`."""
        self._watcher = watcher
        watcher.watch(self._socket.fileno())
        for fd, connection in self._by_fd.items():
            watcher.watch(fd, write=connection.writable)

    def receive(self, fd: int, now: Instant) -> list[Burst]:
        """Accept connections, or read one and write what waits for it."""
        if fd == self._socket.fileno():
            self._accept(now)
            return []
        connection = self._by_fd.get(fd)
        return [] if connection is None else self._read(connection)

    def tick(self, now: Instant) -> None:
        """Close the unproven connections that are late; accept again after a pause."""
        super().tick(now)
        if self._resume is not None and self._resume <= now:
            self._resume = None
            self._watcher.watch(self._socket.fileno())

    def deadline(self) -> Instant | None:
        """When the first unproven connection is late, or a pause ends."""
        return min((at for at in (super().deadline(), self._resume) if at is not None), default=None)

    def close(self) -> None:
        """Close the listening socket and all connections."""
        self._watcher.forget(self._socket.fileno())
        self._socket.close()
        super().close()

    def _accept(self, now: Instant) -> None:
        for _ in range(ACCEPT_BATCH):
            if not self._late and len(self._by_path) >= CONNECTIONS_MAX:
                self._pause(now)
            if self._resume is not None:
                return
            try:
                sock, address = self._socket.accept()
            except OSError as error:
                if error.errno in WOULD_BLOCK:
                    return
                if error.errno in NO_ROOM:  # the connection stays in the queue
                    self._refuse(next(iter(self._late))) if self._late else self._pause(now)
                continue  # anything else: the peer is gone already (accept(2) reports its network errors here)
            try:
                sock.settimeout(0)  # not inherited from the listening socket
                prepare(sock)
                local = from_sockaddr(sock.getsockname())
            except OSError:
                sock.close()
                continue
            if len(self._late) >= UNPROVEN_MAX or len(self._by_path) >= CONNECTIONS_MAX:
                self._refuse(next(iter(self._late)))
            path = Path(self.carrier, next(self._serials), local, from_sockaddr(address))
            self._late[path] = Instant(now + UNPROVEN_NS)
            self._add(_Connection(sock, path))
            self._changes.append(Change(path, PathEvent.OPENED))

    def _pause(self, now: Instant) -> None:
        """Accept nothing for a while: the poll would spin on the listening socket."""
        self._resume = Instant(now + PAUSE_NS)
        self._watcher.forget(self._socket.fileno())


class TcpClient(_Tcp):
    """The client's side: connections to one gateway, at most CLIENT_PATHS at once."""

    def __init__(self, remote: Endpoint, local: Endpoint | None = None, serials: Iterator[int] | None = None) -> None:
        """Keep the gateway's endpoint, and the local address to use where the kernel shall not choose (port 0: any)."""
        super().__init__(serials)
        self._remote, self._local = remote, local

    def register(self, watcher: Watcher) -> None:
        """Report the connections to `watcher`."""
        self._watcher = watcher
        for fd, connection in self._by_fd.items():
            watcher.watch(fd, write=connection.writable)

    def dial(self, now: Instant) -> None:
        """Begin to connect; OPENED or CLOSED follows within CONNECT_NS."""
        serial = next(self._serials)
        family = socket.AF_INET if is_ipv4(self._remote) else socket.AF_INET6
        path = Path(self.carrier, serial, UNKNOWN, self._remote)
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:  # no such family, or no descriptor left
            self._changes.append(Change(path, PathEvent.CLOSED))
            return
        try:
            prepare(sock)
            if self._local is not None:
                sock.bind(sockaddr(self._local))
            with suppress(BlockingIOError):  # EINPROGRESS
                sock.connect(sockaddr(self._remote))
            path = Path(self.carrier, serial, from_sockaddr(sock.getsockname()), self._remote)
        except OSError:
            sock.close()
            self.counters.unreachable += 1
            self._changes.append(Change(path, PathEvent.CLOSED))
            return
        if len(self._by_path) >= CLIENT_PATHS:
            self.close_path(next(iter(self._by_path)))
        self._late[path] = Instant(now + CONNECT_NS)
        self._add(_Connection(sock, path, connecting=True, writable=True))

    def receive(self, fd: int, now: Instant) -> list[Burst]:  # noqa: ARG002 - only `tick` judges what is late
        """Finish connecting, or read one connection and write what waits for it."""
        connection = self._by_fd.get(fd)
        if connection is None:
            return []
        if not connection.connecting:
            return self._read(connection)
        if connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.counters.unreachable += 1
            self._close(connection.path)
            return []
        try:
            connection.socket.getpeername()
        except OSError:  # not yet
            return []
        connection.connecting = connection.writable = False
        del self._late[connection.path]
        self._watcher.watch(fd)
        self._changes.append(Change(connection.path, PathEvent.OPENED))
        return []
