"""`/metrics` over HTTP: what Prometheus scrapes. Who asks is not authenticated: it listens on loopback unless told otherwise."""

import signal
import socket
import sys
import threading
from collections.abc import Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from waitress.server import BaseWSGIServer, MultiSocketServer, create_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH: Final = "/metrics"
ALLOWED: Final = ("GET", "HEAD")
PLAIN: Final = "text/plain; charset=utf-8"
THREADS: Final = 1  # a scrape at a time: sources are asked in turn
CONNECTIONS_MAX: Final = 20
IDLE_SECONDS: Final = 30
log = structlog.get_logger()


class AddressRefused(Exception):
    """Where to listen is no address and port, or is open to others; the message says what to do."""


def address(text: str, *, remote: bool) -> tuple[str, int]:
    """Return host and port of ADDRESS:PORT. AddressRefused for what is none, and for an address of others unless `remote`."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        loopback = ip_address(host).is_loopback
        number = int(port) if port.isascii() and port.isdecimal() else -1
    except ValueError:
        loopback, number = False, -1
    if not 0 <= number <= 65_535:  # noqa: PLR2004 - the ports that there are
        raise AddressRefused(f"{text!r} is not ADDRESS:PORT, such as 127.0.0.1:9184")
    if not loopback and not remote:
        raise AddressRefused(f"{host} can be reached by others, and nobody is asked who they are; --allow-remote if that is wanted")
    return host, number


class Application:
    """The WSGI application: one path, to read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Take what is told."""
        self._registry = registry

    def __call__(self, environment: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        more: list[tuple[str, str]] = []
        if environment.get("PATH_INFO") != PATH:
            status, kind, body = "404 Not Found", PLAIN, b"there is only /metrics\n"
        elif environment["REQUEST_METHOD"] not in ALLOWED:
            status, kind, body, more = "405 Method Not Allowed", PLAIN, b"GET it\n", [("Allow", ", ".join(ALLOWED))]
        else:
            status, kind, body = "200 OK", CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry)
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *more])
        return [body]


def listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. OSError."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def beside(registry: CollectorRegistry, host: str, port: int) -> int:
    """Answer in a thread until this process ends; return the port. OSError when it cannot listen there."""
    listening = listener(host, port)
    server = _server(registry, listening)
    threading.Thread(target=server.run, name="metrics", daemon=True).start()
    return int(listening.getsockname()[1])


def serve(registry: CollectorRegistry, host: str, port: int) -> None:
    """Answer until SIGTERM. OSError when it cannot listen there."""
    with listener(host, port) as listening:
        server = _server(registry, listening)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the server catches that and ends
        log.info("metrics start", host=host, port=listening.getsockname()[1])
        try:
            server.run()
        finally:
            server.close()
            log.info("metrics end")


def _server(registry: CollectorRegistry, listening: socket.socket) -> MultiSocketServer | BaseWSGIServer:
    return create_server(
        Application(registry), sockets=[listening], threads=THREADS, connection_limit=CONNECTIONS_MAX, channel_timeout=IDLE_SECONDS,
        max_request_body_size=1, ident="jvpn-metrics", clear_untrusted_proxy_headers=True,
    )  # fmt: skip
