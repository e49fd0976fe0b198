"""Witnesses for tests: real ones, each a process of its own, and one that answers what it is told to."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from audit.tlog import witness_key
from audit.verify import verify
from tests.support import ROOT


class Running(NamedTuple):
    """A witness that answers: its process, key line, address, where its files are, and where its metrics."""

    process: subprocess.Popen[bytes]
    vkey: str
    url: str
    key: Path
    state: Path
    metrics: str


def log_line(log: Path) -> str:
    """The line of a policy that names this log."""
    return f"log {verify(log).key}\n"


def policy_file(path: Path, log: Path, witnesses: list[Running], quorum: int) -> Path:
    """A policy that asks for so many of these witnesses."""
    lines = [log_line(log), *(f"witness w{number} {each.vkey} {each.url}\n" for number, each in enumerate(witnesses))]
    names = " ".join(f"w{number}" for number in range(len(witnesses)))
    path.write_text("".join(lines) + f"group all-of-them {quorum} {names}\nquorum all-of-them\n", encoding="utf-8")
    return path


@contextmanager
def running(directory: Path, log: Path, number: int = 0, port: int = 0) -> Iterator[Running]:
    """A witness of this log; with its files of before, if there are any."""
    key, state, logs = (directory / f"w{number}.{kind}" for kind in ("key", "db", "logs"))
    if not key.exists():
        witness_key.create(key, f"witness.example/w{number}", bytes([number + 1]) * 32)
    logs.write_text(f"{log_line(log)}quorum none\n", encoding="utf-8")
    words = [
        "witness",
        "serve",
        "--key",
        key,
        "--logs",
        logs,
        "--state",
        state,
        "--listen",
        f"127.0.0.1:{port}",
        "--metrics",
        "127.0.0.1:0",
    ]
    process = subprocess.Popen([sys.executable, "-m", "jvpn", *map(str, words)], cwd=ROOT, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert process.stderr
    drained = threading.Thread(target=process.stderr.read, daemon=True)
    try:
        started = orjson.loads(process.stderr.readline())
        drained.start()
        yield Running(process, witness_key.load(key).verifier.vkey, f"http://127.0.0.1:{started['port']}", key, state,
                      f"127.0.0.1:{started['metrics_port']}")  # fmt: skip
    finally:
        process.terminate()
        process.wait(30)
        if drained.is_alive():
            drained.join()
        process.stderr.close()


@contextmanager
def several(directory: Path, log: Path, count: int) -> Iterator[list[Running]]:
    """So many witnesses of this log."""
    with ExitStack() as stack:
        yield [stack.enter_context(running(directory, log, number)) for number in range(count)]


Reply = Callable[[bytes], tuple[int, str, bytes]]


@contextmanager
def answering(reply: Reply) -> Iterator[str]:
    """A server that is no witness: it answers each POST with what `reply` makes of the body. Yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, kind, body = reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - as the library has it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
