"""A carrier's twin in memory: the same promises without a kernel, on a network that a test can cut.

Each end has an eventfd that is readable while something waits for it, so that a real poll drives it like a socket.
"""

import itertools
import os
from collections.abc import Sequence
from typing import Final

from core.reasons import Carrier
from core.values import Endpoint, Instant, Path, PathEvent
from core.wire.layout import DATA_MAX
from jvpn.shell.transports.base import AT_ONCE, CLIENT_PATHS, UNKNOWN, Burst, Change, Counters, Nobody, Watcher

WAITING_MAX: Final = 1_024  # frames that wait for one end; more are dropped, as a full socket buffer would
FIRST_PORT: Final = 49_152  # of client paths; each dial has a new one


class MemoryNet:
    """What joins the ends, and what a test does to it."""

    def __init__(self) -> None:
        self.cut: set[int] = set()
        """Carriers whose frames and dials vanish without a word."""
        self.mtu = DATA_MAX
        """The longest frame that UDP carries, bytes."""
        self.ports = itertools.count(FIRST_PORT)
        self.serials = itertools.count(1)
        self._ends: dict[tuple[int, Endpoint], _Memory] = {}

    def attach(self, carrier: int, at: Endpoint, end: "_Memory") -> None:
        """Let frames for `at` arrive at `end`."""
        self._ends[carrier, at] = end

    def detach(self, carrier: int, at: Endpoint) -> None:
        """Let frames for `at` vanish."""
        self._ends.pop((carrier, at), None)

    def end(self, carrier: int, at: Endpoint) -> "_Memory | None":
        """Return who is at `at` and can be reached."""
        return None if carrier in self.cut else self._ends.get((carrier, at))


class _Memory:
    """One end: frames that wait, and the paths that are open."""

    def __init__(self, net: MemoryNet, carrier: int) -> None:
        self.carrier = carrier
        self.counters = Counters()
        self._net = net
        self._datagram = carrier == Carrier.UDP
        self._paths: dict[Path, None] = {}
        self._waiting: list[tuple[Path, bytes]] = []
        self._changes: list[Change] = []
        self._watcher: Watcher = Nobody()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def register(self, watcher: Watcher) -> None:
        """Report the eventfd to `watcher`."""
        self._watcher = watcher
        watcher.watch(self._fd)

    def receive(self, fd: int, now: Instant) -> list[Burst]:  # noqa: ARG002 - nothing here is late
        """Take all that waits, sorted by path."""
        if fd != self._fd:
            return []
        try:
            os.eventfd_read(fd)
        except BlockingIOError:
            return []
        found: dict[Path, list[bytes]] = {}
        for path, frame in self._waiting:
            found.setdefault(path, []).append(frame)
        self.counters.received += len(self._waiting)
        self._waiting.clear()
        return [Burst(path, frames) for path, frames in found.items()]

    def changes(self) -> list[Change]:
        """Take what became of paths since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def serves(self, path: Path) -> bool:
        """Whether the path is open here."""
        return path in self._paths

    def send(self, path: Path, frames: Sequence[bytes]) -> int:
        """Move frames to the far end; what is too long for UDP, or has no room there, is counted."""
        if not self.serves(path):
            self.counters.dropped += len(frames)
            return 0
        fit = [frame for frame in frames if not self._datagram or len(frame) <= self._net.mtu]
        if len(fit) < len(frames):
            self.counters.too_big += len(frames) - len(fit)
            self._changes.append(Change(path, PathEvent.TOO_BIG))
        far = self._net.end(path.carrier, path.remote)
        if far is not None:
            far.arrive(mirrored(path), fit)
        self.counters.sent += len(fit)
        return len(fit)

    def prove(self, path: Path, now: Instant) -> None:
        """Do nothing: nothing here is late."""

    def tick(self, now: Instant) -> None:
        """Do nothing: nothing here is late."""

    def deadline(self) -> Instant | None:
        """Say whether changes wait; nothing else here is late."""
        return AT_ONCE if self._changes else None

    def close_path(self, path: Path) -> None:
        """End a path here, and at the far end of a stream; CLOSED follows."""
        far = self._net.end(path.carrier, path.remote)
        if path in self._paths and far is not None and not self._datagram:
            far.end(mirrored(path))
        self.end(path)

    def close(self) -> None:
        """Close everything."""
        for path in list(self._paths):
            self.close_path(path)
        self._changes.clear()
        if self._fd >= 0:
            self._watcher.forget(self._fd)
            os.close(self._fd)
            self._fd = -1

    def arrive(self, path: Path, frames: Sequence[bytes]) -> None:
        """Let frames wait for this end."""
        taken = frames[: WAITING_MAX - len(self._waiting)]
        if taken and self.serves(path):
            self._waiting += [(path, frame) for frame in taken]
            os.eventfd_write(self._fd, 1)

    def begin(self, path: Path) -> None:
        """Open a path at this end."""
        self._paths[path] = None
        self._changes.append(Change(path, PathEvent.OPENED))
        os.eventfd_write(self._fd, 1)

    def end(self, path: Path) -> None:
        """Close a path at this end."""
        if path in self._paths:
            del self._paths[path]
            self._changes.append(Change(path, PathEvent.CLOSED))
            os.eventfd_write(self._fd, 1)


class MemoryServer(_Memory):
    """The gateway's end."""

    def __init__(self, net: MemoryNet, carrier: int, bind: Endpoint) -> None:
        super().__init__(net, carrier)
        self._bound = bind
        net.attach(carrier, bind, self)

    def serves(self, path: Path) -> bool:
        """Whether the path ends here: any datagram does, and each open connection."""
        if self._datagram:
            return (path.carrier, path.local) == (self.carrier, self._bound)
        return super().serves(path)

    def close(self) -> None:
        """Become unreachable."""
        self._net.detach(self.carrier, self._bound)
        super().close()


class MemoryClient(_Memory):
    """The client's end."""

    def __init__(self, net: MemoryNet, carrier: int, remote: Endpoint, address: bytes) -> None:
        super().__init__(net, carrier)
        self._remote = remote
        self.address = address
        """The local address of the paths that are dialled from now on, 16 bytes."""

    def dial(self, now: Instant) -> None:  # noqa: ARG002 - a dial is answered at once
        """Open a path from a port of its own; a stream needs somebody at the other end."""
        server = self._net.end(self.carrier, self._remote)
        if server is None and not self._datagram:
            self._changes.append(Change(Path(self.carrier, next(self._net.serials), UNKNOWN, self._remote), PathEvent.CLOSED))
            os.eventfd_write(self._fd, 1)
            return
        if len(self._paths) >= CLIENT_PATHS:
            self.close_path(next(iter(self._paths)))
        serial = 0 if self._datagram else next(self._net.serials)
        path = Path(self.carrier, serial, Endpoint(self.address, next(self._net.ports)), self._remote)
        self._net.attach(self.carrier, path.local, self)
        self.begin(path)
        if server is not None and not self._datagram:
            server.begin(mirrored(path))

    def end(self, path: Path) -> None:
        """Close a path; its port is never used again."""
        self._net.detach(self.carrier, path.local)
        super().end(path)


def mirrored(path: Path) -> Path:
    """Return the path as the other end sees it."""
    return Path(path.carrier, path.serial, path.remote, path.local)
