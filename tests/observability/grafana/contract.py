"""A contract, not a server: the part of Grafana's HTTP API that `jvpn grafana push` uses, as its documents and grafana-client have it.

No Grafana server could be had. What passes here is that the right requests are sent, and that answers of these forms are understood.
"""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from observability.grafana import OPENSEARCH_TYPE, OPENSEARCH_UID, PROMETHEUS_TYPE, PROMETHEUS_UID

TOKEN = "glsa_contract"
Answer = tuple[int, dict[str, str], bytes]


class Contract:
    """`requests`: what changed something. `fault`: an answer instead of the next ones, by the beginning of the path."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Prepare; `with` starts it."""
        self.sources: dict[str, str] = {OPENSEARCH_UID: OPENSEARCH_TYPE, PROMETHEUS_UID: PROMETHEUS_TYPE}
        self.folders: dict[str, str] = {}
        self.boards: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.seen: list[str] = []
        self.fault: tuple[str, Answer] | None = None
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
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, token: str | None, body: Any) -> Answer:  # noqa: ANN401 - what JSON has
        """Answer one request."""
        self.seen.append(f"{method} {path}")
        if token != f"Bearer {TOKEN}":
            return said({"message": "Invalid API key"}, 401)
        if self.fault is not None and path.startswith(self.fault[0]):
            return self.fault[1]
        if method != "GET":
            self.requests.append(f"{method} {path}")
        name = path.rpartition("/")[2]
        if path.startswith("/api/datasources/uid/"):
            return (
                said({"uid": name, "type": self.sources[name]}) if name in self.sources else said({"message": "Data source not found"}, 404)
            )
        if path.startswith("/api/folders"):
            return self._folder(method, name, body)
        if path.startswith("/api/dashboards/"):
            return self._board(method, name, body)
        if path == "/api/v1/provisioning/folder/jvpn/rule-groups/Jumping%20VPN":
            return self._group(method, name, body)
        return said({"message": "Not found"}, 404)

    def _folder(self, method: str, name: str, body: Any) -> Answer:  # noqa: ANN401 - what JSON has
        if method == "POST":
            self.folders[body["uid"]] = body["title"]
            return said({"uid": body["uid"], "title": body["title"]})
        return said({"uid": name, "title": self.folders[name]}) if name in self.folders else said({"message": "folder not found"}, 404)

    def _board(self, method: str, name: str, body: Any) -> Answer:  # noqa: ANN401 - what JSON has
        if method == "POST":
            board = body["dashboard"]
            if "id" in board or not body["overwrite"] or body["folderUid"] not in self.folders:
                return said({"message": "bad request data"}, 400)
            version = self.boards.get(board["uid"], {}).get("version", 0) + 1
            self.boards[board["uid"]] = {**board, "id": len(self.boards) + 1, "version": version}
            return said({"status": "success", "uid": board["uid"], "version": version})
        if name not in self.boards:
            return said({"message": "Dashboard not found"}, 404)
        return said({"dashboard": self.boards[name], "meta": {"folderUid": "jvpn"}})

    def _group(self, method: str, name: str, body: Any) -> Answer:  # noqa: ANN401 - what JSON has
        if method == "PUT":
            self.groups[name] = {
                **body,
                "rules": [{**rule, "updated": "2026-09-21T14:13:20Z", "provenance": "api"} for rule in body["rules"]],
            }
        return said(self.groups[name]) if name in self.groups else said({"message": "rule group does not exist"}, 404)


def said(body: object, status: int = 200, **headers: str) -> Answer:
    """Return an answer."""
    return status, {"Content-Type": "application/json", **headers}, json.dumps(body).encode()


def _handler(contract: Contract) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, data = contract.answer(
                self.command, self.path, self.headers.get("Authorization"), json.loads(body) if body else None
            )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
