"""The traffic of the demonstration, run inside a namespace: a file server, a paced download, an echo and a ping every 10 ms.

    python -m lab.demo.work serve ADDRESS BYTES SECONDS
    python -m lab.demo.work download URL RATE
    python -m lab.demo.work echo ADDRESS SECONDS
    python -m lab.demo.work ping ADDRESS SECONDS

Each ends by itself. `download` and `ping` print JSON lines.
"""

import contextlib
import hashlib
import http.client
import json
import select
import signal
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

HTTP_PORT: Final = 8080
ECHO_PORT: Final = 7
PING_S: Final = 0.010
BURST: Final = 65_536
PING: Final = struct.Struct("<IQ")
STALL_S: Final = 30.0


def content(size: int) -> bytes:
    """Return the file: bytes that nobody can guess wrong by half, the same in every run."""
    return hashlib.shake_256(b"jumping vpn demonstration").digest(size)


def serve(address: str, size: int, seconds: float) -> None:
    """Serve the file by HTTP for so long."""
    body = content(size)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
            """Stay silent: the demonstration has a log of its own."""

    server = ThreadingHTTPServer((address, HTTP_PORT), Handler)
    say({"bound": HTTP_PORT})
    threading.Timer(seconds, server.shutdown).start()
    server.serve_forever()


def download(url: str, rate: int) -> None:
    """Fetch `url` at most `rate` bytes a second; print progress twice a second, at the end size and SHA-256."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=STALL_S)
    connection.request("GET", parts.path or "/")
    response = connection.getresponse()
    digest, got, began, told = hashlib.sha256(), 0, time.monotonic(), 0.0
    while chunk := response.read(16_384):
        digest.update(chunk)
        got += len(chunk)
        ahead = got / rate - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
        if time.monotonic() - told > 0.5:  # noqa: PLR2004 - twice a second
            told = time.monotonic()
            say({"bytes": got, "total": response.length or 0})
    say({"done": True, "bytes": got, "sha256": digest.hexdigest(), "seconds": round(time.monotonic() - began, 3)})


def echo(address: str, seconds: float) -> None:
    """Send every datagram back for so long."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, ECHO_PORT))
    say({"bound": ECHO_PORT})
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([server], [], [], left)[0]:
            server.sendto(*server.recvfrom(2_048))


def ping(address: str, seconds: float) -> None:
    """Send a datagram every 10 ms; print each reply's number, wall time (ns) and round trip (ns), at the end how many were sent."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(0)
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    sent, due, end = 0, time.monotonic(), time.monotonic() + seconds
    while time.monotonic() < end and not stopped:
        wait = max(0.0, due - time.monotonic())
        if select.select([client], [], [], wait)[0]:
            try:
                number, at = PING.unpack(client.recv(2_048))
            except OSError:
                continue
            now = time.time_ns()
            say({"n": number, "at": now, "rtt": now - at})
        if time.monotonic() >= due:
            due += PING_S
            with contextlib.suppress(OSError):  # no route at this moment: a lost ping like any other
                client.sendto(PING.pack(sent, time.time_ns()), (address, ECHO_PORT))
            sent += 1
    say({"sent": sent})


def say(line: dict[str, object]) -> None:
    """Print one JSON line at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(argv: list[str]) -> None:
    """Do what the first argument says."""
    match argv:
        case ["serve", address, size, seconds]:
            serve(address, int(size), float(seconds))
        case ["download", url, rate]:
            download(url, int(rate))
        case ["echo", address, seconds]:
            echo(address, float(seconds))
        case ["ping", address, seconds]:
            ping(address, float(seconds))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
