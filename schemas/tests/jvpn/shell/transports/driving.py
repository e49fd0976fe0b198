"""A driver small enough for tests: it polls, receives, and keeps what came."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.values import Instant, Path, PathEvent
from core.wire.layout import DATA_MAX, STREAM_MAX, Type
from jvpn.shell.transports.base import Change, Dialler, Poll, Transport

TURN_NS = 50_000_000
TURNS_MAX = 200  # ten seconds: far above what anything here takes, far below the test's own timeout


def message(kind: int = Type.DATA, size: int = 64, mark: int = 0) -> bytes:
    """Return bytes that a carrier takes for a message of this type."""
    return bytes([kind, 0, 0, 0]) + mark.to_bytes(4, "little") + bytes(size - 8)


LARGEST = [message(kind, size) for kind, size in STREAM_MAX.items()]
FULL = message(size=DATA_MAX)


class Side:
    """One carrier under a poll, the frames that came by path, and all its changes."""

    def __init__(self, poll: Poll, transport: Transport) -> None:
        self.transport = transport
        self.now = Instant(0)
        self.frames: dict[Path, list[bytes]] = {}
        self.log: list[Change] = []
        self.bursts: list[int] = []
        transport.register(poll.watcher(self.ready))

    def ready(self, fd: int) -> None:
        """Take what a ready descriptor has."""
        for path, frames in self.transport.receive(fd, self.now):
            assert frames, "a burst is never empty"
            self.frames.setdefault(path, []).extend(frames)
            self.bursts.append(len(frames))
        self.collect()

    def collect(self) -> None:
        """Take the changes."""
        self.log += self.transport.changes()

    def paths(self, event: PathEvent) -> list[Path]:
        """Return the paths to which this happened, in order."""
        self.collect()
        return [path for path, happened in self.log if happened is event]


class Pair:
    """A server and a client of one carrier under one poll."""

    def __init__(self, poll: Poll, server: Transport, client: Dialler) -> None:
        self.poll, self.dialler = poll, client
        self.server, self.client = Side(poll, server), Side(poll, client)

    def until(self, true: Callable[[], object]) -> None:
        """Turn the poll until something is so, or fail."""
        for _ in range(TURNS_MAX):
            if true():
                return
            self.poll.turn(TURN_NS)
        raise AssertionError("it did not happen in time")

    def settle(self) -> None:
        """Turn the poll until nothing is ready."""
        for _ in range(TURNS_MAX):
            if not self.poll.turn(TURN_NS):
                return
        raise AssertionError("it did not come to rest: something spins")

    def dial(self) -> tuple[Path, Path]:
        """Open a path and let one message pass; return it as the client and as the server see it."""
        known = len(self.client.paths(PathEvent.OPENED))
        self.dialler.dial(self.client.now)
        self.until(lambda: len(self.client.paths(PathEvent.OPENED)) > known)
        near = self.client.paths(PathEvent.OPENED)[-1]
        before = set(self.server.frames)
        assert self.dialler.send(near, [message()]) == 1
        self.until(lambda: set(self.server.frames) - before)
        (far,) = set(self.server.frames) - before
        self.server.frames[far].clear()
        return near, far


@contextmanager
def paired(server: Transport, client: Dialler) -> Iterator[Pair]:
    """Drive both, and close everything at the end."""
    poll = Poll()
    try:
        yield Pair(poll, server, client)
    finally:
        client.close()
        server.close()
        poll.close()
