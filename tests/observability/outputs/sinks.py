"""Destinations that do what they are told, on real sockets: they keep the hashes of what arrives, in order of arrival."""

import json
import re
import socket
import ssl
import struct
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from observability.outputs.base import Destination
from tests.observability.test_connect import certificate

RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing resets the connection
SECONDS = 10
MESSAGE = re.compile(
    rb"<(?P<priority>[0-9]{1,3})>(?P<version>[1-9][0-9]{0,2}) (?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6}Z)"
    rb" (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) (?P<id>[!-~]{1,32})"
    rb" \[(?P<element>[!#-<>-\\^-~]{1,32})(?P<data>[^\]]*)\] (?P<text>[ -~]*)"
)
PARAMETER = re.compile(rb' ([!#-<>-\\^-~]{1,32})="([^"\\\]]*)"')
PARAMETERS = re.compile(rb'(?: [!#-<>-\\^-~]{1,32}="[^"\\\]]*")*')


class Sink:
    """`script`: what to do with the next sendings, each one of FAULTS or an HTTP status; after it, all is taken.

    reset: close with a reset before anything is kept; lost: keep all, then reset; hang: keep nothing, say nothing until the end; slow: take
    it, with a pause; end: keep all, then close without the answer that the protocol has.
    """

    kind = ""

    def __init__(self, folder: Path) -> None:
        """Have an address; nobody listens there before `start`."""
        self.script: deque[str] = deque()
        self.hashes: list[str] = []
        self.sendings: list[int] = []  # how many events each had
        self.heads: list[dict[str, str]] = []
        self.targets: list[str] = []
        self.bodies: list[bytes] = []
        self.reply = b""
        self.let_go = threading.Event()
        self.certificate, self._key = certificate(folder, "sink")
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate, self._key)
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    @property
    def at(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def destination(self, **more: Any) -> Destination:  # noqa: ANN401 - fields of Destination, of three types
        """Return how to get here."""
        given: dict[str, Any] = {"kind": self.kind, "url": self.url(), "ca_file": self.certificate, "request_seconds": 5.0}
        return Destination(**given | more)

    def url(self) -> str:
        """Return the address in the kind's form."""
        raise NotImplementedError

    def trust(self, authority: Path) -> None:
        """Ask for certificates, too."""
        self._tls.verify_mode = ssl.CERT_REQUIRED
        self._tls.load_verify_locations(authority)

    def start(self) -> None:
        """Listen."""
        self._socket.listen()
        self._run(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        if self._threads:
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in self._open:  # a client may keep a connection for later
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive()

    def _run(self, what: Any, *words: Any) -> None:  # noqa: ANN401 - a function and what it takes
        thread = threading.Thread(target=what, args=words)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            plain.settimeout(SECONDS)
            self._run(self._serve, plain)

    def _serve(self, plain: socket.socket) -> None:
        try:
            with plain, self._tls.wrap_socket(plain, server_side=True) as tls:
                self._open.append(tls)
                self.converse(tls)
        except OSError:  # the other end went away, or a certificate was not to its liking
            return

    def converse(self, tls: ssl.SSLSocket) -> None:
        """Serve one connection."""
        raise NotImplementedError

    def keep(self, hashes: list[str]) -> None:
        """Keep what arrived."""
        self.hashes += hashes
        self.sendings.append(len(hashes))


class HttpSink(Sink):
    """Takes lines of JSON; a request for each sending."""

    kind = "http"

    def url(self) -> str:
        """With a path and a query."""
        return f"https://{self.at}/in?channel=7"

    def read(self, body: bytes) -> list[str]:
        """Return the hashes in a body."""
        events = json.loads(body) if body.startswith(b"[") else [json.loads(line) for line in body.splitlines()]
        return [event["raw_data_hash"]["value"] for event in events]

    def converse(self, tls: ssl.SSLSocket) -> None:
        """Serve one connection, which may have several requests."""
        with tls.makefile("rb") as stream:
            while line := stream.readline():
                self.targets.append(line.decode().split()[1])
                head = {}
                while row := stream.readline().decode().strip():
                    name, _, value = row.partition(":")
                    head[name.lower()] = value.strip()
                self.heads.append(head)
                body = stream.read(int(head["content-length"]))
                self.bodies.append(body)
                if not self._answer(tls, body):
                    return

    def _answer(self, tls: ssl.SSLSocket, body: bytes) -> bool:
        """Do what the script says; return whether the connection goes on."""
        what = self.script.popleft() if self.script else "200"
        if what == "hang":
            self.let_go.wait(SECONDS)
            return False
        if what == "slow":
            self.let_go.wait(0.3)
            what = "200"
        if what in {"lost", "200", "end", "partial"}:
            self.keep(self.read(body))
        if what in {"lost", "reset"}:
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if what in {"lost", "reset", "end"}:
            return False
        reply = self.reply
        tls.sendall(b"HTTP/1.1 %s X\r\nlocation: /elsewhere\r\ncontent-length: %d\r\n\r\n%b" % (what.encode(), len(reply), reply))
        return True


class OtlpSink(HttpSink):
    """Takes OTLP; answers an empty response, which says that all was taken."""

    kind = "otlp"

    def url(self) -> str:
        """With the path of the protocol."""
        return f"https://{self.at}/v1/logs"

    def read(self, body: bytes) -> list[str]:
        """Return the hashes in a request."""
        request = ExportLogsServiceRequest.FromString(body)
        records = [record for resource in request.resource_logs for scope in resource.scope_logs for record in scope.log_records]
        return [pair.value.string_value for record in records for pair in record.attributes if pair.key == "jvp.event_hash"]

    def reject(self, records: int) -> None:
        """Answer from now on that so many records were rejected."""
        answer = ExportLogsServiceResponse()
        answer.partial_success.rejected_log_records = records
        answer.partial_success.error_message = "not these"
        self.reply = answer.SerializeToString()


class SyslogSink(Sink):
    """Takes syslog over TLS; a connection for each sending."""

    kind = "syslog"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.messages: list[dict[str, str]] = []

    def url(self) -> str:
        """Without a path."""
        return f"tls://{self.at}"

    def converse(self, tls: ssl.SSLSocket) -> None:
        """Serve one connection, which is one sending."""
        what = self.script.popleft() if self.script else "200"
        if what == "reset":
            tls.recv(1)
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        read = b""
        while part := tls.recv(65_536):  # until the other's close_notify
            read += part
        if what == "hang":
            self.let_go.wait(SECONDS)
            return
        if what == "slow":
            self.let_go.wait(0.3)
        self.bodies.append(read)
        messages = [parsed(text) for text in frames(read)]
        self.messages += messages
        self.keep([message["hash"] for message in messages])
        if what == "lost":
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if what not in {"lost", "end"}:
            tls.unwrap()


def parsed(raw: bytes) -> dict[str, str]:
    """Take a message apart by the grammar of RFC 5424 section 6; the parameters of its one structured element are among the fields."""
    matched = MESSAGE.fullmatch(raw)
    assert matched, raw
    found = {name: value.decode("ascii") for name, value in matched.groupdict().items()}
    assert PARAMETERS.fullmatch(found["data"].encode()), found["data"]
    return found | {name.decode(): value.decode() for name, value in PARAMETER.findall(found["data"].encode())}


def frames(read: bytes) -> list[bytes]:
    """Take octet-counted messages apart (RFC 5425 section 4.3)."""
    found = []
    while read:
        length, _, rest = read.partition(b" ")
        found.append(rest[: int(length)])
        assert len(found[-1]) == int(length)
        read = rest[int(length) :]
    return found


SINKS: dict[str, type[Sink]] = {"http": HttpSink, "otlp": OtlpSink, "syslog": SyslogSink}
