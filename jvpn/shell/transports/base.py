"""What a carrier owes the driver, and the one place that waits.

The driver is a loop of its own over epoll: asyncio's datagram endpoints cost 37 microseconds a packet. A carrier never blocks, never
raises for what a peer or the network does, never calls back into the driver, and takes time as an argument. The order of a turn:

    poll.turn(timeout)                                  # calls the driver with each descriptor that is ready
    for path, frames in transport.receive(fd, now): ... # what came, one source a burst
    transport.send(path, frames)                        # what the core answered
    for path, event in transport.changes(): ...         # what became of paths; after the frames that came before
    transport.tick(now)                                 # not later than transport.deadline()
"""

import errno
import select
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from core.values import Endpoint, Instant, Path, PathEvent
from jvpn.shell.errors import Unavailable

SECOND_NS: Final = 1_000_000_000
MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2
ANY_IPV4: Final = MAPPED + bytes(4)
UNKNOWN: Final = Endpoint(bytes(16), 0)  # the local end of a path that never opened
AT_ONCE: Final = Instant(0)
CLIENT_PATHS: Final = 4  # open paths of one client carrier; dialling one more closes the oldest
POLL_EVENTS: Final = 256  # descriptors a turn

FAULTS: Final = {  # whose fault it is that a server cannot listen
    errno.EADDRINUSE: "another program has this port: end that one, or choose another port",
    errno.EADDRNOTAVAIL: "the configuration names an address that this machine does not have (yet)",
    errno.EACCES: "this process may not: ports below 1024 need the capability CAP_NET_BIND_SERVICE",
    errno.EAFNOSUPPORT: "the configuration names an IPv6 address, and this machine has no IPv6",
}

SockAddr = tuple[str, int] | tuple[str, int, int, int]


class Burst(NamedTuple):
    """Frames that one wakeup found from one source, in the order in which they came; never empty."""

    path: Path
    frames: list[bytes]


class Change(NamedTuple):
    """What became of a path. OPENED and CLOSED come once each, in this order; a dial that failed is CLOSED alone."""

    path: Path
    event: PathEvent


@dataclass(slots=True)
class Counters:
    """What a carrier did, in frames unless said otherwise; only ever counted up."""

    received: int = 0
    sent: int = 0
    dropped: int = 0  # not sent: the path is closed, or its buffer or the kernel's is full
    too_big: int = 0  # not sent: above the interface's MTU
    unreachable: int = 0  # not sent: no route, the local address is gone, a firewall forbids it, or nobody listens there
    malformed: int = 0  # datagrams above the greatest frame; connections closed for bad framing
    refused: int = 0  # connections closed unproven: too late, or to make room


class Watcher(Protocol):
    """Where a carrier says what it waits for."""

    def watch(self, fd: int, *, write: bool = False) -> None:
        """Report when `fd` is readable, or writable too; calling again changes that."""

    def forget(self, fd: int) -> None:
        """Stop reporting `fd`; it may be closed then."""


class Transport(Protocol):
    """One carrier on one bound address (server) or towards one remote endpoint (client)."""

    carrier: int
    counters: Counters

    def register(self, watcher: Watcher) -> None:
        """Report all descriptors to `watcher`, now and from now on. Called once."""

    def receive(self, fd: int, now: Instant) -> list[Burst]:
        """Take what `fd` has; a bounded amount, the poll reports the rest again. A descriptor that has nothing gives nothing."""

    def changes(self) -> list[Change]:
        """Take what became of paths since the last call."""

    def serves(self, path: Path) -> bool:
        """Whether frames for `path` may be given to this carrier."""

    def send(self, path: Path, frames: Sequence[bytes]) -> int:
        """Send whole frames in order, never blocking; return how many the kernel or the path's buffer took. The rest is counted."""

    def prove(self, path: Path, now: Instant) -> None:
        """A session is bound to this path: its connection may stay, for a while."""

    def tick(self, now: Instant) -> None:
        """Close what is late."""

    def deadline(self) -> Instant | None:
        """When `changes` (at once, 0, while some wait) or `tick` has something next: the driver must not sleep on an answer to a dial."""

    def close_path(self, path: Path) -> None:
        """End one path: CLOSED follows. Unknown paths are ignored."""

    def close(self) -> None:
        """Close every descriptor; nothing follows. Closing again changes nothing."""


class Dialler(Transport, Protocol):
    """A client's carrier: it opens paths, each from a local port of its own."""

    def dial(self, now: Instant) -> None:
        """Open a path; `changes` answers with OPENED or CLOSED, at the latest when `tick` finds it late."""


class Nobody:
    """The watcher of a carrier that nobody has registered."""

    def watch(self, fd: int, *, write: bool = False) -> None:
        """Ignore it: `register` reports all descriptors again."""

    def forget(self, fd: int) -> None:
        """Ignore it."""


class Poll:
    """The loop's one wait: descriptors, and whom to call with each that is ready."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}

    def watcher(self, call: Callable[[int], None]) -> Watcher:
        """Return a watcher whose descriptors are reported to `call`."""
        return _Registration(self._epoll, self._calls, call)

    def turn(self, timeout_ns: int | None) -> int:
        """Wait at most `timeout_ns` (None: until something happens), call once for each ready descriptor, return how many were."""
        # Rounded up to epoll's milliseconds: waking before a deadline would spin until it.
        timeout = -1 if timeout_ns is None else max(0, -(-timeout_ns // 1_000_000)) / 1_000
        ready = self._epoll.poll(timeout, POLL_EVENTS)
        for fd, _ in ready:
            call = self._calls.get(fd)
            if call is not None:  # an earlier call of this turn may have closed it
                call(fd)
        return len(ready)

    def close(self) -> None:
        """Stop watching; the descriptors belong to their adapters."""
        self._calls.clear()
        self._epoll.close()


class _Registration:
    """One adapter's view of the poll."""

    def __init__(self, epoll: select.epoll, calls: dict[int, Callable[[int], None]], call: Callable[[int], None]) -> None:
        self._epoll, self._calls, self._call = epoll, calls, call

    def watch(self, fd: int, *, write: bool = False) -> None:
        """Report when `fd` is readable, or writable too."""
        mask = select.EPOLLIN | (select.EPOLLOUT if write else 0)
        if fd in self._calls:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._calls[fd] = self._call

    def forget(self, fd: int) -> None:
        """Stop reporting `fd`."""
        if self._calls.pop(fd, None) is not None:
            self._epoll.unregister(fd)


def endpoint(host: str, port: int) -> Endpoint:
    """Return the Endpoint of a numeric address, IPv4 as v4-mapped; raise ValueError for anything else."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        raw = socket.inet_pton(family, host)
    except OSError as error:
        raise ValueError(f"{host!r} is not a numeric IPv4 or IPv6 address") from error
    return Endpoint(raw if family == socket.AF_INET6 else MAPPED + raw, port)


def is_ipv4(there: Endpoint) -> bool:
    """Whether the address is v4-mapped."""
    return there.address.startswith(MAPPED)


def covers(bound: Endpoint, local: Endpoint) -> bool:
    """Whether a server socket bound to `bound` is the one that has the local address `local`; `::` has all, `0.0.0.0` all of IPv4."""
    if bound.port != local.port:
        return False
    return bound.address in (local.address, bytes(16)) or (bound.address == ANY_IPV4 and is_ipv4(local))


def sockaddr(there: Endpoint) -> SockAddr:
    """Return what the socket of the endpoint's own family takes: v4-mapped addresses go to IPv4 sockets."""
    if is_ipv4(there):
        return socket.inet_ntop(socket.AF_INET, there.address[12:]), there.port
    return socket.inet_ntop(socket.AF_INET6, there.address), there.port


def from_sockaddr(address: SockAddr) -> Endpoint:
    """Return the Endpoint of what the kernel reports; a v4-mapped address of a dual-stack socket is already in that form."""
    return endpoint(address[0], address[1])


def bound_socket(kind: socket.SocketKind, bind: Endpoint) -> socket.socket:
    """Return a non-blocking server socket bound to `bind`; `::` takes IPv4 as well.

    Raises:
        Unavailable: the address is taken, not of this machine, or its port needs a permission; the message says which, and whose fault.
    """
    family = socket.AF_INET if is_ipv4(bind) else socket.AF_INET6
    try:
        server = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise _not_listening(kind, bind, error) from error
    try:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(any(bind.address)))
        if kind == socket.SOCK_STREAM:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart finds its old connections in TIME_WAIT
        server.bind(sockaddr(bind))
    except OSError as error:
        server.close()
        raise _not_listening(kind, bind, error) from error
    return server


def _not_listening(kind: socket.SocketKind, bind: Endpoint, error: OSError) -> Unavailable:
    """Return the error in an operator's words: protocol, address, port, what the kernel says, and whose fault it is."""
    host, port = sockaddr(bind)[:2]
    protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    whose = FAULTS.get(error.errno or 0, "the kernel refuses it")
    return Unavailable(f"cannot listen for {protocol} at {where}: {error.strerror}: {whose}")
