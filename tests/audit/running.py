"""A real writer process, and what stands around it: the pipe, the outbox that sends again, and its end in any case."""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import termios
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from audit.names import key_path, store_key
from audit.record import RECORDS_PER_PACKET, RECORDS_PER_WRITE, outbox_id_of
from tests.audit.made import BOOT, KEY, NODE, sealing
from tests.support import ROOT

PATIENCE_S = 60
START = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('audit.writer', run_name='__main__', alter_sys=True)"


class Running:
    """A writer that runs until the block ends. `ready` is whether it said that the log is open."""

    def __init__(
        self, directory: Path, *, role: str = "gateway", evidence: bool = True, answers_bytes: int = 0, options: Sequence[str] = ()
    ) -> None:
        store_key(key_path(directory), KEY)
        sealing(directory)
        reading, self.pipe = os.pipe()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if answers_bytes:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, answers_bytes)
        words = ["--dir", str(directory), "--node", NODE.hex(), "--boot", BOOT.hex(), "--role", role, "--telemetry-fd", str(reading)]
        words += ["--evidence-fd", str(theirs.fileno())] if evidence else []
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", START, str(ROOT), *words, *options],
            pass_fds=(reading, theirs.fileno()),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.reading = reading
        theirs.close()
        self.socket.settimeout(PATIENCE_S)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)  # the system gives what it allows
        self.ready = not evidence or self.socket.recv(8) == bytes(8)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    def telemetry(self, records: Sequence[bytes]) -> None:
        """Write records, waiting where the pipe is full."""
        for place in range(0, len(records), RECORDS_PER_WRITE):
            os.write(self.pipe, b"".join(records[place : place + RECORDS_PER_WRITE]))

    def evidence(self, records: Sequence[bytes]) -> None:
        """Send records in packets, waiting where the writer does not take them."""
        for place in range(0, len(records), RECORDS_PER_PACKET):
            self.socket.send(b"".join(records[place : place + RECORDS_PER_PACKET]))

    def acknowledged(self, patience_s: float = PATIENCE_S) -> int | None:
        """Return the next acknowledgement; None when none comes, or no more."""
        if not select.select([self.socket], [], [], patience_s)[0]:
            return None
        try:
            return int.from_bytes(self.socket.recv(8), "little") or None
        except ConnectionResetError:
            return None

    def acknowledged_up_to(self, outbox_id: int) -> None:
        """Wait for an acknowledgement that reaches this id."""
        told: int | None = 0
        while told is not None and told < outbox_id:
            told = self.acknowledged()
        assert told == outbox_id

    def unread(self) -> int:
        """Return how many bytes stand in the pipe."""
        return int(struct.unpack("=i", fcntl.ioctl(self.reading, termios.FIONREAD, bytes(4)))[0])

    def close(self) -> tuple[int, str]:
        """Close the pipe; return exit status and what the writer said."""
        self._close_pipe()
        _, said = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._close_pipe()
        self.socket.close()
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _close_pipe(self) -> None:
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1


class Outbox:
    """The store's side: keeps evidence until it is acknowledged, has at most 256 in flight, sends all again to a new writer."""

    WINDOW = 256

    def __init__(self, records: Sequence[bytes]) -> None:
        self.kept = OrderedDict((outbox_id_of(record), record) for record in records)
        self.acknowledged = 0
        self._sent = 0

    def connect(self) -> None:
        """A new writer knows nothing of what the old one was sent."""
        self._sent = 0

    def send(self, writer: Running, most: int) -> None:
        """Send the next records that are in the window."""
        waiting = [record for outbox_id, record in list(self.kept.items())[: self.WINDOW] if outbox_id > self._sent][:most]
        if waiting:
            writer.evidence(waiting)
            self._sent = outbox_id_of(waiting[-1])

    def hear(self, writer: Running, patience_s: float) -> None:
        """Take acknowledgements."""
        while (told := writer.acknowledged(patience_s)) is not None:
            self.acknowledged = max(self.acknowledged, told)
            for outbox_id in [outbox_id for outbox_id in self.kept if outbox_id <= told]:
                del self.kept[outbox_id]
            patience_s = 0
