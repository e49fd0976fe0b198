"""A cluster of a few lines: stores what `_bulk` creates, unless the next line of its script says otherwise."""

import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

STREAM = "jvpn-audit"
Item = dict[str, Any]
Said = tuple[int, str, bytes]  # status, content type, body
Step = Callable[["Stub", list[str]], Said | None]  # ids of the request; None: close the connection without an answer


class Stub:
    """`stored`: how often each id was stored. `requests`: the ids of each bulk request. `script`: what to do with the next ones."""

    def __init__(self, script: list[Step] | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Prepare; `with` starts it."""
        self.stored: dict[str, int] = {}
        self.documents: list[dict[str, Any]] = []
        self.requests: list[list[str]] = []
        self.authorization: list[str | None] = []
        self.script: deque[Step] = deque(script or [])
        self.stream_status = 200
        self.installed: list[str] = []  # paths that were put
        self.let_go = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._tls = tls is not None
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def bulk(self, body: bytes) -> Said | None:
        """Answer one bulk request."""
        lines = [json.loads(line) for line in body.splitlines()]
        ids = [line["create"]["_id"] for line in lines[::2]]
        self.requests.append(ids)
        self.documents += lines[1::2]
        return (self.script.popleft() if self.script else store)(self, ids)


def item(name: str, status: int, **more: object) -> Item:
    """Return one item of an answer."""
    return {"create": {"_index": f".ds-{STREAM}-000001", "_id": name, "status": status, **more}}


def refused(name: str, status: int, kind: str, reason: str = "because") -> Item:
    """Return one item that carries an error."""
    return item(name, status, error={"type": kind, "reason": reason})


def create(stub: Stub, name: str) -> Item:
    """Store one id; say what a node says."""
    known = name in stub.stored
    stub.stored[name] = stub.stored.get(name, 0) + (not known)
    return refused(name, 409, "version_conflict_engine_exception") if known else item(name, 201, result="created")


def answer(items: list[Item]) -> Said:
    """Return a 200 with these items."""
    return 200, "application/json", json.dumps({"took": 1, "errors": True, "items": items}).encode()


def store(stub: Stub, ids: list[str]) -> Said:
    """Do what a healthy node does."""
    return answer([create(stub, name) for name in ids])


def say(status: int, body: object = None, kind: str = "application/json") -> Step:
    """Store nothing; answer this status and body."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _stub, _ids: (status, kind, data)


def error(status: int, kind: str, reason: str = "because") -> Step:
    """Store nothing; answer for the whole request as a node does."""
    return say(status, {"error": {"root_cause": [{"type": kind, "reason": reason}], "type": kind, "reason": reason}, "status": status})


def each(judge: Callable[[int, str], Item | None]) -> Step:
    """Answer with `judge(place, id)` for each item; where that is None, store it."""
    return lambda stub, ids: answer([judge(place, name) or create(stub, name) for place, name in enumerate(ids)])


def stored_but(step: Step) -> Step:
    """Store everything, and then say something else."""

    def both(stub: Stub, ids: list[str]) -> Said | None:
        store(stub, ids)
        return step(stub, ids)

    return both


def bad(wanted: int, refuse: Callable[[str], Item]) -> Step:
    """Refuse the event with this number, whenever and with whomever it comes."""

    def judge(stub: Stub, ids: list[str]) -> Said | None:
        order = list(dict.fromkeys(name for request in stub.requests for name in request))
        stub.script.append(judge)
        return each(lambda _, name: refuse(name) if name == order[wanted] else None)(stub, ids)

    return judge


def hang_up(_stub: Stub, _ids: list[str]) -> None:
    """Reset the connection."""


def hang(stub: Stub, _ids: list[str]) -> None:
    """Say nothing until the test is over."""
    stub.let_go.wait()


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            stub.authorization.append(self.headers["authorization"])
            said = stub.bulk(self.rfile.read(int(self.headers["content-length"])))
            if said is None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            self._say(*said)

        def do_GET(self) -> None:
            body = {"data_streams": [{"name": STREAM}]} if stub.stream_status == 200 else {"error": {"type": "x"}}
            self._say(stub.stream_status, "application/json", json.dumps(body).encode())

        def do_PUT(self) -> None:
            stub.installed.append(self.path)
            self.rfile.read(int(self.headers["content-length"] or 0))
            self._say(200, "application/json", b'{"acknowledged": true}')

        def _say(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    return Handler
