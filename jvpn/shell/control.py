"""The control socket: one JSON request line, one JSON answer line, on a unix socket that only its owner can open.

The socket of figures is another one of its kind: its group may open it too, and what is answered there names nobody [O-29].
"""

import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from jvpn.shell.errors import Unavailable
from jvpn.shell.transports.base import Poll

REQUEST_BYTES: Final = 4_096
ASKERS_MAX: Final = 64  # at once; one more ends the oldest, so that one who asks nothing keeps nobody out
BACKLOG: Final = 8  # whoever comes then waits to connect
NAME: Final = "control.sock"
FIGURES: Final = {"order": "figures"}
OWNER, GROUP = 0o600, 0o660  # who may open a socket
WAIT_S: Final = 5
WAIT: Final = struct.pack("@ll", WAIT_S, 0)  # struct timeval

Answerer = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(slots=True)
class _Asker:
    """A connection, and what is left to send of its answer: None before it has asked."""

    socket: socket.socket
    rest: memoryview | None = None


class Control:
    """Answers orders inside the loop; a connection gets one answer, however long, and is closed. Never blocks."""

    def __init__(self, directory: Path, poll: Poll, answer: Answerer, name: str = NAME, mode: int = OWNER) -> None:
        """Listen in a directory, in place of a socket that a crash left behind; Unavailable when that cannot be."""
        self._path, self._answer, self._watcher = directory / name, answer, poll.watcher(self._ready)
        self._askers: dict[int, _Asker] = {}
        self._server = listener(self._path, socket.SOCK_STREAM, mode)
        self._server.listen(BACKLOG)
        self._watcher.watch(self._server.fileno())

    def close(self) -> None:
        """Stop listening and remove the socket."""
        for asker in list(self._askers.values()):
            self._end(asker)
        self._watcher.forget(self._server.fileno())
        self._server.close()
        self._path.unlink(missing_ok=True)

    def _ready(self, fd: int) -> None:
        if fd == self._server.fileno():
            self._accept()
            return
        asker = self._askers[fd]
        try:
            if asker.rest is None:
                request = orjson.loads(asker.socket.recv(REQUEST_BYTES))
                answer = self._answer(request) if isinstance(request, dict) else {"error": "a request is one JSON object"}
                asker.rest = memoryview(orjson.dumps(answer, option=orjson.OPT_SORT_KEYS) + b"\n")
            while asker.rest:
                asker.rest = asker.rest[asker.socket.send(asker.rest) :]
        except BlockingIOError:  # the asker has not asked yet, or has to read first
            self._watcher.watch(fd, write=asker.rest is not None)
            return
        except (OSError, orjson.JSONDecodeError):
            pass  # the asker sees the connection end
        self._end(asker)

    def _accept(self) -> None:
        try:
            connection, _ = self._server.accept()
        except OSError:
            return
        if len(self._askers) >= ASKERS_MAX:
            self._end(next(iter(self._askers.values())))
        connection.settimeout(0)
        self._askers[connection.fileno()] = _Asker(connection)
        self._watcher.watch(connection.fileno())

    def _end(self, asker: _Asker) -> None:
        self._askers.pop(asker.socket.fileno(), None)
        self._watcher.forget(asker.socket.fileno())
        asker.socket.close()


def listener(path: Path, kind: socket.SocketKind, mode: int = OWNER) -> socket.socket:
    """Return a non-blocking unix socket bound to `path`, in place of one that a crash left behind; `mode` says who may open it.

    Raises:
        Unavailable: the path is longer than a unix socket's may be, or its directory cannot be written.
    """
    server = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
    mask = os.umask(0o777 & ~mode)
    try:
        path.unlink(missing_ok=True)
        server.bind(str(path))
    except OSError as error:
        server.close()
        raise Unavailable(f"cannot listen at {path}: {error.strerror or error}; choose another state directory") from error
    finally:
        os.umask(mask)
    return server


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request to a control socket; return its answer, or raise Unavailable with what to do."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        # With a time-out of Python's, connecting would fail at once where others wait already; with the kernel's it waits with them.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, WAIT)
        try:
            connection.connect(str(path))
            connection.settimeout(WAIT_S)
            connection.sendall(orjson.dumps(request) + b"\n")
            raw = bytearray()
            while not raw.endswith(b"\n") and (more := connection.recv(65_536)):
                raw += more
        except OSError as error:
            raise Unavailable(f"nothing answers at {path}: {error.strerror or error}; is the process running, and yours?") from error
    try:
        return dict(orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        raise Unavailable(f"{path} closed the connection without an answer") from error
