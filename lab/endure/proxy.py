"""Between a shipper and its node: HTTP passes as it is, until a fault is switched on; then bulk requests meet that.

    with Proxy(node_port) as proxy:
        proxy.fault = "answer_lost"

One thread for each connection. What a fault answers by itself has the form that OpenSearch 3.8.0 gives it.
"""

import http.client
import json
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any, Final, NamedTuple, Self

RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing resets the connection
TRICKLE_S: Final = 0.2  # between two bytes of a slow answer
LARGE: Final = 60_000  # bytes of a body that is too large while that is the fault
SHARE: Final = 0.5  # of the items of a request that are refused
STEP_S: Final = 0.05
NODE_S: Final = 120.0
OVERLOAD: Final = {"type": "rejected_execution_exception", "reason": "rejected execution of coordinating operation"}
MAPPING: Final = {"type": "mapper_parsing_exception", "reason": "failed to parse field"}
UNAVAILABLE: Final = {"error": {"type": "cluster_manager_not_discovered_exception", "reason": None}, "status": 503}
SHAPES: Final = (b"<html>502</html>", b"", b"{", b"[]", b"null", b'{"items": 5}', b'{"took":1,"errors":false,"items":[]}')


class Request(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """One answer."""

    status: int
    body: bytes
    kind: str = "application/json; charset=UTF-8"


OWN: Final = {
    "too_many": Answer(429, json.dumps({"error": OVERLOAD | {"root_cause": [OVERLOAD]}, "status": 429}).encode()),
    "unavailable": Answer(503, json.dumps(UNAVAILABLE).encode()),
}
"""What needs no node."""


class Proxy:
    """Listens on loopback and passes on to a port there. `met` counts requests that met a fault."""

    def __init__(self, node: int, seed: int = 1) -> None:
        """Listen."""
        self.fault, self.met = "", Counter[str]()
        self._node, self._dice, self._lock = node, Random(seed), threading.Lock()  # nosec B311  # the same faults for the same seed
        self._closed = False
        self._server = self._listen(0)
        self.port = int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed, self.fault = True, ""
        self._shut()

    def refuse(self, *, on: bool) -> None:
        """Have nobody listen, or somebody again; connections that are open are reset."""
        if on:
            self.fault = "reset"
            self._shut()
            self.met["refused"] += 1
        else:
            self.fault = ""
            self._server = self._listen(self.port)

    def _shut(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _listen(self, port: int) -> "_Server":
        server = _Server(("127.0.0.1", port), self.serve)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": STEP_S}, daemon=True).start()
        return server

    def serve(self, client: socket.socket) -> None:
        """Serve one connection to its end."""
        node = http.client.HTTPConnection("127.0.0.1", self._node, timeout=NODE_S)
        try:
            with client.makefile("rb") as stream:
                while not self._closed and (request := _read(client, stream)) is not None:
                    fault = self.fault if request.path.partition("?")[0].endswith("_bulk") else ""
                    if fault:
                        with self._lock:
                            self.met[fault] += 1
                    answer = self._faulty(fault, request, node, client) if fault else _ask(node, request)
                    if answer is None:
                        _reset(client)
                        return
                    client.sendall(_bytes(answer))
        except (OSError, http.client.HTTPException):  # one of both ends is gone: so is the connection, as without us
            _reset(client)
        finally:
            node.close()

    def _faulty(self, fault: str, request: Request, node: http.client.HTTPConnection, client: socket.socket) -> Answer | None:
        """Return what is answered; None: the connection is reset."""
        if fault in OWN:
            return OWN[fault]
        match fault:
            case "reset":
                return None
            case "hang":
                self._pause(fault)
                return None
            case "too_large" if len(request.body) > LARGE:
                return Answer(413, b"", "text/plain")
            case "too_many_items" | "refused_in_company":
                return self._in_part(fault, request, node)
            case _:
                pass
        answer = _ask(node, request)
        return answer if fault == "too_large" else self._spoilt(fault, answer, client)

    def _spoilt(self, fault: str, answer: Answer, client: socket.socket) -> Answer | None:
        """Return what becomes of the node's answer; None: nothing, or not all of it, and the connection is reset."""
        data = _bytes(answer)
        match fault:
            case "garbage":
                return Answer(200, self._dice.choice(SHAPES))
            case "half_answer":
                client.sendall(data[: self._dice.randrange(20, len(data))])
            case "slow_answer":
                self._trickle(data, client)
            case _:  # answer_lost
                pass
        return None

    def _in_part(self, fault: str, request: Request, node: http.client.HTTPConnection) -> Answer:
        """Pass some of the items on, refuse the others: for want of room, or by their fault if they come in company."""
        lines = request.body.split(b"\n")
        items = [(json.loads(lines[at]), lines[at : at + 2]) for at in range(0, len(lines) - 1, 2)]
        if fault == "refused_in_company":
            bad, status, error = ({0} if len(items) > 1 else set()), 400, MAPPING
        else:
            bad, status, error = {at for at in range(len(items)) if self._dice.random() < SHARE}, 429, OVERLOAD
        left = [line for at, (_, pair) in enumerate(items) if at not in bad for line in pair]
        taken: list[Any] = []
        if left:
            answer = _ask(node, request._replace(body=b"\n".join([*left, b""])))
            if answer.status != http.client.OK:
                return answer
            taken = json.loads(answer.body)["items"]
        rest = iter(taken)
        told = [_refused(action, status, error) if at in bad else next(rest) for at, (action, _) in enumerate(items)]
        return Answer(200, json.dumps({"took": 1, "errors": True, "items": told}).encode())

    def _pause(self, fault: str) -> None:
        while self.fault == fault:
            time.sleep(STEP_S)

    def _trickle(self, data: bytes, client: socket.socket) -> None:
        for at in range(len(data)):
            if self.fault != "slow_answer":
                return
            client.sendall(data[at : at + 1])
            time.sleep(TRICKLE_S)


class _Server(socketserver.ThreadingTCPServer):
    """Hands each connection to a function."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], serve: Any) -> None:  # noqa: ANN401 - a function of a socket
        self._serve = serve
        super().__init__(address, socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - the signature of socketserver
        """Serve."""
        self._serve(request)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the signature of socketserver
        """Close, without a polite end where a reset was wanted."""
        self.close_request(request)


def _read(client: socket.socket, stream: Any) -> Request | None:  # noqa: ANN401 - a buffered reader
    """Read one request; None at the end."""
    words = stream.readline(65_536).decode("latin-1").split()
    if len(words) < 2:  # noqa: PLR2004 - method and path
        return None
    headers: dict[str, str] = {}
    while line := stream.readline(65_536).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.pop("expect", "").lower() == "100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = int(headers.pop("content-length", "0"))
    body = stream.read(length)
    return Request(words[0], words[1], headers, body) if len(body) == length else None


def _ask(node: http.client.HTTPConnection, request: Request) -> Answer:
    """Pass a request on; return the node's answer. OSError and HTTPException when there is none."""
    kept = {name: value for name, value in request.headers.items() if name in {"content-type", "accept", "authorization"}}
    try:
        node.request(request.method, request.path, request.body or None, kept)
        answer = node.getresponse()
        return Answer(answer.status, answer.read(), answer.headers.get("content-type", "application/json"))
    except (OSError, http.client.HTTPException):
        node.close()
        raise


def _bytes(answer: Answer) -> bytes:
    head = f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}\r\ncontent-type: {answer.kind}\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(answer.body) + answer.body


def _refused(action: dict[str, Any], status: int, error: dict[str, str]) -> dict[str, Any]:
    (what, told), *_ = action.items()
    return {what: {"_index": told.get("_index"), "_id": told.get("_id"), "status": status, "error": error}}


def _reset(client: socket.socket) -> None:
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
