"""The control socket: one JSON request line, one JSON answer line, on a unix socket that only its owner can open."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson

from jvpn.shell.errors import Unavailable
from jvpn.shell.transports.base import Poll

REQUEST_BYTES: Final = 4_096
NAME: Final = "control.sock"
WAIT_S: Final = 5.0

Answerer = Callable[[dict[str, Any]], dict[str, Any]]


class Control:
    """Answers orders inside the loop; a connection gets one answer and is closed."""

    def __init__(self, state: Path, poll: Poll, answer: Answerer) -> None:
        """Listen at `state`/control.sock, in place of one that a crash left behind."""
        self._path, self._answer, self._watcher = state / NAME, answer, poll.watcher(self._ready)
        self._connections: dict[int, socket.socket] = {}
        self._path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            self._server.bind(str(self._path))
        except OSError as error:
            raise Unavailable(f"cannot listen at {self._path}: {error.strerror}; choose another state directory") from error
        finally:
            os.umask(mask)
        self._server.listen(8)
        self._watcher.watch(self._server.fileno())

    def close(self) -> None:
        """Stop listening and remove the socket."""
        for connection in list(self._connections.values()):
            self._end(connection)
        self._watcher.forget(self._server.fileno())
        self._server.close()
        self._path.unlink(missing_ok=True)

    def _ready(self, fd: int) -> None:
        if fd == self._server.fileno():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.settimeout(0)
            self._connections[connection.fileno()] = connection
            self._watcher.watch(connection.fileno())
            return
        connection = self._connections[fd]
        try:
            request = orjson.loads(connection.recv(REQUEST_BYTES))
            answer = self._answer(request) if isinstance(request, dict) else {"error": "a request is one JSON object"}
            connection.send(orjson.dumps(answer, option=orjson.OPT_SORT_KEYS) + b"\n")
        except (OSError, orjson.JSONDecodeError):
            pass  # the asker sees the connection end
        self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        self._connections.pop(connection.fileno(), None)
        self._watcher.forget(connection.fileno())
        connection.close()


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request to a control socket; return its answer, or raise Unavailable with what to do."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(WAIT_S)
        try:
            connection.connect(str(path))
            connection.sendall(orjson.dumps(request) + b"\n")
            raw = b""
            while not raw.endswith(b"\n") and (more := connection.recv(65_536)):
                raw += more
        except OSError as error:
            raise Unavailable(f"nothing answers at {path}: {error.strerror or error}; is the process running, and yours?") from error
    try:
        return dict(orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        raise Unavailable(f"{path} closed the connection without an answer") from error
