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

STREAM = "jvpn-audit-telemetry"
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
        self.set_up_status = 200
        self.stream = True  # and not a plain index of that name
        self.look_status = 200
        self.looked: list[list[str]] = []  # ids that were looked for
        self.targets: dict[str, str] = {}  # where each id was sent last
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
        self.targets |= {line["create"]["_id"]: line["create"]["_index"] for line in lines[::2]}
        self.requests.append(ids)
        self.documents += lines[1::2]
        return (self.script.popleft() if self.script else store)(self, ids)


def item(name: str, status: int, **more: object) -> Item:
    """Return one item of an answer."""
    return {"create": {"_id": name, "status": status, **more}}


def refused(name: str, status: int, kind: str, reason: str = "because") -> Item:
    """Return one item that carries an error."""
    return item(name, status, error={"type": kind, "reason": reason})


def create(stub: Stub, name: str) -> Item:
    """Store one id; say what a node says."""
    known = name in stub.stored
    stub.stored[name] = stub.stored.get(name, 0) + (not known)
    return refused(name, 409, "version_conflict_engine_exception") if known else item(name, 201, result="created")


def answer(stub: "Stub", items: list[Item]) -> Said:
    """Return a 200 with these items, each with the index that a node would name."""
    for said in (one["create"] for one in items):
        target = stub.targets.get(said["_id"], STREAM)
        said.setdefault("_index", f".ds-{STREAM}-000001" if target == STREAM else target)
    return 200, "application/json", json.dumps({"took": 1, "errors": True, "items": items}).encode()


def store(stub: Stub, ids: list[str]) -> Said:
    """Do what a healthy node does."""
    return answer(stub, [create(stub, name) for name in ids])


def say(status: int, body: object = None, kind: str = "application/json") -> Step:
    """Store nothing; answer this status and body."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _stub, _ids: (status, kind, data)


def error(status: int, kind: str, reason: str = "because") -> Step:
    """Store nothing; answer for the whole request as a node does."""
    return say(status, {"error": {"root_cause": [{"type": kind, "reason": reason}], "type": kind, "reason": reason}, "status": status})


def each(judge: Callable[[int, str], Item | None]) -> Step:
    """Answer with `judge(place, id)` for each item; where that is None, store it."""
    return lambda stub, ids: answer(stub, [judge(place, name) or create(stub, name) for place, name in enumerate(ids)])


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
            body = self._read()
            if self.path.startswith(f"/{STREAM}/"):
                self._look(body)
                return
            stub.authorization.append(self.headers["authorization"])
            said = stub.bulk(body)
            if said is None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            self._say(*said)

        def _look(self, body: bytes) -> None:
            """Answer `_refresh` and `_search` for ids in the stream."""
            shards = {"total": 1, "successful": 1, "failed": 0}
            hits: list[dict[str, str]] = []
            if body:
                ids = json.loads(body)["query"]["ids"]["values"]
                stub.looked.append(ids)
                hits = [{"_id": name} for name in ids if name in stub.stored]
            answered = {"_shards": shards, "timed_out": False, "hits": {"hits": hits}}
            self._json(stub.look_status, answered if stub.look_status == 200 else {"error": {"type": "x", "reason": "y"}})

        def do_GET(self) -> None:
            found = {"data_streams": [{"name": STREAM}] if stub.stream else []}
            self._json(stub.set_up_status, found if stub.set_up_status == 200 else {"error": {"type": "x"}})

        def _read(self) -> bytes:
            return self.rfile.read(int(self.headers["content-length"] or 0))

        def _json(self, status: int, body: object) -> None:
            self._say(status, "application/json", json.dumps(body).encode())

        def _say(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    return Handler
