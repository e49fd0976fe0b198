"""The witness's HTTP side: `add-checkpoint`, and what it counts (clauses A-70, A-71). Who asks is not authenticated; checkpoints are.

TLS is for a proxy in front: nothing here is secret, and what matters is signed.
"""

import signal
import socket
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import structlog
from waitress.server import create_server

from audit.tlog.witness import BODY_BYTES_MAX, CONFLICT, Answer, Witness

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


def serve(witness: Witness, host: str, port: int, logs: int, clock: Callable[[], int]) -> None:
    """Answer until SIGTERM. OSError when it cannot listen there."""
    listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    server = create_server(
        Application(witness, clock), sockets=[listening], threads=THREADS, connection_limit=CONNECTIONS_MAX, channel_timeout=IDLE_SECONDS,
        max_request_body_size=BODY_BYTES_MAX + 1, ident="jvpn-witness", clear_untrusted_proxy_headers=True,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the server catches that and ends
    log.info("witnessing starts", host=host, port=listening.getsockname()[1], logs=logs)
    try:
        server.run()
    finally:
        server.close()
        log.info("witnessing ends")
