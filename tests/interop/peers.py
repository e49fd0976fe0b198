"""Foreign implementations as processes: how they are built, started and spoken to.

Of Noise two programs with one conversation (its form is at the head of flynn/main.go): flynn/ in Go, and noiseprotocol_peer.py. Each
draws its keys itself. Of transparency logs two judges in Go, sumdb/ of notes and proofs, torchwood/ of published trees. Each ends
when its standard input does, or its work is done, and so never outlives the tests.
"""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Self

from lab.opensearch_fetch import default_cache
from tests.support import ROOT

HERE = ROOT / "tests" / "interop"
GO_SECONDS = 400
LENGTH = struct.Struct("<I")


class RefusedError(Exception):
    """The peer's library did not accept a message; the text is the library's."""


class ModulesError(Exception):
    """The Go modules cannot be had: the fault of the network, or of the module proxy that this machine is told to use."""


class Peer:
    """One foreign implementation, running; `write` and `read` are those of `core.crypto.noise.Handshake`."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.public = self._ask("K")

    def begin(self, name: bytes, *, initiator: bool, prologue: bytes, psk: bytes | None, remote: bytes | None) -> None:
        """Start a new handshake and forget the one before; `remote` is None where the pattern sends it."""
        self._ask("B", name, b"initiator" if initiator else b"responder", prologue, psk or b"", remote or b"")

    def write(self, payload: bytes) -> bytes:
        """Return the next handshake message."""
        return self._ask("W", payload)

    def read(self, message: bytes) -> bytes:
        """Return the payload of our handshake message; raise RefusedError."""
        return self._ask("R", message)

    @property
    def hash(self) -> bytes:
        """The handshake hash, when it is finished."""
        return self._ask("H")

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        """Return the next transport message, without `associated`, under the library's own counter."""
        return self._ask("S", associated, plaintext)

    def open(self, associated: bytes, sealed: bytes) -> bytes:
        """Return the plaintext of our next transport message; raise RefusedError."""
        return self._ask("O", associated, sealed)

    def count_from(self, counter: int) -> None:
        """Let the library go on with this counter in both directions."""
        self._ask("N", counter.to_bytes(8, "little"))

    def _ask(self, operation: str, *fields: bytes) -> bytes:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        body = operation.encode() + b"".join(LENGTH.pack(len(field)) + field for field in fields)
        stdin.write(LENGTH.pack(len(body)) + body)
        stdin.flush()
        head = stdout.read(LENGTH.size)
        assert len(head) == LENGTH.size, f"{self.command} ended at {operation!r}; what it said is on standard error"
        answer = stdout.read(LENGTH.unpack(head)[0])
        if answer[0]:
            raise RefusedError(answer[1:].decode())
        return answer[1:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # closes its input, which ends it, and waits
            pass


def noiseprotocol() -> list[str]:
    """Return the command of the peer in Python; `-I`, so that it cannot import this project."""
    return [sys.executable, "-I", str(HERE / "noiseprotocol_peer.py")]


def built(name: str, target: Path) -> list[str]:
    """Build a peer in Go into `target` and return its command; raise ModulesError, or CalledProcessError when the build is at fault.

    The modules are pinned by hash in go.sum and kept in the checkout's cache: fetched once, then no network is asked.
    """
    source = target / "source"
    shutil.copytree(HERE / name, source)
    try:
        _go(source, "mod", "download")
    except subprocess.TimeoutExpired:
        raise ModulesError(f"the Go modules did not come within {GO_SECONDS} s; look at the network, and at GOPROXY") from None
    except subprocess.CalledProcessError as error:
        if "checksum mismatch" in error.stderr:  # they came, and are not those that are pinned: that is never a reason to skip
            raise
        raise ModulesError(f"the Go modules could not be fetched; look at the network, and at GOPROXY:\n{error.stderr}") from None
    _go(source, "build", "-o", str(target / "peer"), ".", GOPROXY="off")  # off: what fails from here on is no network's fault
    return [str(target / "peer")]


def _go(source: Path, *words: str, **more: str) -> None:
    """Run the Go command with caches in the checkout; where modules come from stays what the machine says (GOPROXY)."""
    cache = default_cache().absolute() / "go"
    settings = {
        "GOPATH": str(cache / "path"),
        "GOMODCACHE": str(cache / "modules"),
        "GOCACHE": str(cache / "build"),
        "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    try:
        subprocess.run(
            ["go", *words],
            cwd=source,
            env={**os.environ, **settings, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GO_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stderr)
        raise
