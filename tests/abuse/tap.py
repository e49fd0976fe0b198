"""Stands between two ends and keeps what passes."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

SECONDS: Final = 60
REMOTE: Final = "127.66.77.88"  # where the client seems to be


class Tap:
    """Stands between two ends and keeps what passes: datagrams, which it sends on from `REMOTE`, or streams."""

    def __init__(self, port: int, *, datagrams: bool) -> None:
        """Go on to a port of loopback."""
        self.seen = bytearray()
        self.to = ("127.0.0.1", port)
        self._known = threading.Event()
        self._from: tuple[str, int] = ("", 0)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.socket(type=socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
        self._listening.bind(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._datagrams = datagrams

    def __enter__(self) -> Self:
        if self._datagrams:
            self._out = self._kept(socket.socket(type=socket.SOCK_DGRAM))
            self._out.bind((REMOTE, 0))
            self._run(self._there)
            self._run(self._back)
        else:
            self._listening.listen()
            self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listening, *self._open):
            with suppressed():
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(SECONDS)

    def throw(self, data: bytes) -> None:
        """Send the other end a datagram of our own, which is not kept."""
        self._out.sendto(data, self.to)

    def _there(self) -> None:
        with suppressed():
            while True:
                data, self._from = self._listening.recvfrom(65_536)
                if not data:  # shut down
                    return
                self._known.set()
                self.seen += data
                self._out.sendto(data, self.to)

    def _back(self) -> None:
        with suppressed():
            while data := self._out.recv(65_536):
                self.seen += data
                self._known.wait(SECONDS)
                self._listening.sendto(data, self._from)

    def _accept(self) -> None:
        with suppressed():
            while True:
                ours = self._kept(self._listening.accept()[0])
                theirs = self._kept(socket.create_connection(self.to))
                self._run(self._stream, ours, theirs)
                self._run(self._stream, theirs, ours)

    def _stream(self, one: socket.socket, other: socket.socket) -> None:
        with suppressed():
            while data := one.recv(65_536):
                self.seen += data
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def _kept(self, sock: socket.socket) -> socket.socket:
        self._open.append(sock)
        return sock

    def _run(self, what: Callable[..., Any], *words: object) -> None:
        thread = threading.Thread(target=what, args=words)
        self._threads.append(thread)
        thread.start()


@contextmanager
def suppressed() -> Iterator[None]:
    """Let an end that is gone be the end."""
    try:
        yield
    except OSError:
        return
