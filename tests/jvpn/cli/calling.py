"""Commands as tests call them, and a service that answers what it is told to."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

from jvpn.cli.main import main
from tests.support import ROOT

SECONDS = 60


class Said(NamedTuple):
    """What a command did: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - one of thirty answers, each of a form of its own, of which a test looks at some
        """Return the answer, which is one line."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


class Jvpn:
    """The command, in this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.everything = ""

    def __call__(self, *words: object) -> Said:
        """Run one command; standard error must be whole lines of ours."""
        self._capfd.readouterr()
        status = main([str(word) for word in words])
        out, err = self._capfd.readouterr()
        self.everything += out + err
        assert all(line.startswith("jvpn: ") and line.isprintable() for line in err.splitlines()), err
        return Said(int(status), out, err)


class Process:
    """`python -m jvpn ...` as a process; ended with the `with` at the latest."""

    def __init__(self, *words: object, stdout: int | None = subprocess.PIPE, program: tuple[str, ...] = ("-m", "jvpn")) -> None:
        command = [sys.executable, *program, *map(str, words)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def end(self, signal: int | None = None) -> Said:
        """Send a signal, wait for the end; return what it said."""
        if signal is not None:
            self.process.send_signal(signal)
        out, err = self.process.communicate(timeout=SECONDS)
        return Said(self.process.returncode, out or "", err)


def until(what: Callable[[], object], process: Process) -> None:
    """Wait until something is so, while the process lives."""
    end = time.monotonic() + SECONDS
    while not what():
        assert process.process.poll() is None, process.end()
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def service(path: Path, answer: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Answer each request at a control socket; yield the requests that came."""
    asked: list[dict[str, Any]] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(os.path.relpath(path))  # the path of a socket has at most 107 bytes, a test's folder may have more
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                asked.append(json.loads(connection.recv(4_096)))
                connection.sendall(json.dumps(answer).encode() + b"\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(SECONDS)
        path.unlink()


def gateway_files(folder: Path, jvpn: Jvpn, more: str = "") -> Path:
    """Make a gateway's key and configuration; return the configuration's path."""
    assert jvpn("keygen", "gateway", "--out", folder / "gateway.key").status == 0
    path = folder / "gateway.toml"
    text = 'node = "gw-1"\nkey = "gateway.key"\ndevices = "devices.json"\nstate = "g"\ntun.kind = "pump"\n'
    path.write_text(text + (more or 'listen.udp = ["127.0.0.1:51820"]\n'))
    return path
