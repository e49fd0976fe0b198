"""The witness's HTTP side: `add-checkpoint`, and what it counts (clauses A-70, A-71). Who asks is not authenticated; checkpoints are.

TLS is for a proxy in front: nothing here is secret, and what matters is signed. Metrics have an address of their own, or none.
"""

import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from waitress.server import create_server

from audit.tlog.witness import BODY_BYTES_MAX, CONFLICT, Answer, States, Witness
from observability import metrics_server, metrics_sources
from observability.metrics import Collector

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH: Final = "/add-checkpoint"
REASONS: Final = {
    200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
    413: "Content Too Large", 422: "Unprocessable Entity", 503: "Service Unavailable",
}  # fmt: skip
NOT_THIS_METHOD: Final = 405
THREADS: Final = 4
CONNECTIONS_MAX: Final = 100
IDLE_SECONDS: Final = 30
SECOND: Final = 1_000_000_000
log = structlog.get_logger()


class Application:
    """The WSGI application. `answered` counts answers by status."""

    def __init__(self, witness: Witness, clock: Callable[[], int]) -> None:
        """Take the witness and the wall clock, in ns."""
        self._witness, self._clock = witness, clock
        self.answered: Counter[int] = Counter()

    def __call__(self, environment: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        answer = self._answer(environment)
        self.answered[answer.status] += 1
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body)))]
        start(f"{answer.status} {REASONS[answer.status]}", headers + ([("Allow", "POST")] if answer.status == NOT_THIS_METHOD else []))
        return [answer.body]

    def _answer(self, environment: "WSGIEnvironment") -> Answer:
        if environment.get("PATH_INFO") != PATH:
            return Answer(404, b"a witness has only " + PATH.encode() + b"\n")
        if environment["REQUEST_METHOD"] != "POST":
            return Answer(NOT_THIS_METHOD, b"POST a checkpoint\n")
        body = environment["wsgi.input"].read(BODY_BYTES_MAX + 1)
        if len(body) > BODY_BYTES_MAX:
            return Answer(413, f"at most {BODY_BYTES_MAX} bytes\n".encode())
        try:
            answer = self._witness.add_checkpoint(body, self._clock() // SECOND)
        except sqlite3.Error as error:
            log.critical("what was cosigned cannot be read or kept; nothing is cosigned", why=str(error))
            return Answer(503, b"the witness cannot keep what it cosigns\n")
        told = log.warning if answer.status >= CONFLICT else log.info
        told("asked", status=answer.status, said=ascii(answer.body[:200].decode(errors="replace").strip()))
        return answer


class Watched(NamedTuple):
    """Where metrics are told, and of what: what was cosigned of the logs with these origins."""

    host: str
    port: int
    states: States
    logs: tuple[str, ...]


def serve(witness: Witness, host: str, port: int, logs: int, clock: Callable[[], int], watched: Watched | None = None) -> None:
    """Answer until SIGTERM, and tell metrics where that is wanted. OSError when it cannot listen there."""
    application = Application(witness, clock)
    with metrics_server.listener(host, port) as listening:
        told: dict[str, object] = {}
        if watched:
            collector = Collector({"witness": lambda: metrics_sources.witness(application.answered, watched.states)}, watched.logs)
            told["metrics_port"] = metrics_server.beside(collector.registry(), watched.host, watched.port)
        server = create_server(
            application, sockets=[listening], threads=THREADS, connection_limit=CONNECTIONS_MAX, channel_timeout=IDLE_SECONDS,
            max_request_body_size=BODY_BYTES_MAX + 1, ident="jvpn-witness", clear_untrusted_proxy_headers=True,
        )  # fmt: skip
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the server catches that and ends
        log.info("witnessing starts", host=host, port=listening.getsockname()[1], logs=logs, **told)
        try:
            server.run()
        finally:
            server.close()
            log.info("witnessing ends")
