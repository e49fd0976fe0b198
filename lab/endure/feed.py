"""The gateway's side of a log: the pipe, the outbox, and a new writer for each that dies (clauses O-19, O-21 to O-23, A-40).

What a gateway does, with two differences: a writer is replaced at once, however many died before, so that a day's deaths fit into
minutes; and telemetry waits for room in the pipe unless `pressing`, so that losses happen where a schedule wants them.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Final

from audit.errors import LineMalformed
from audit.files import create_key, read_head
from audit.names import key_path, store_key
from audit.record import RECORDS_PER_PACKET, RECORDS_PER_WRITE
from audit.tlog import epochs
from jvpn.shell.audit_link import PIPE_BYTES, Writer
from lab.demo import tied
from lab.endure.records import BOOT, Stream

NODE: Final = b"a node's"
KEY: Final = bytes(range(32))
IN_FLIGHT: Final = 256  # evidence that is sent and not acknowledged
HELD_MOST: Final = 2_048  # evidence that waits in the outbox, at most: then nothing more is recorded
AGAIN_S: Final = 0.1
CLOSE_S: Final = 60.0
NEVER: Final = frozenset({4, 6})  # statuses of a writer that must not be continued: a fault of the product, or of the laboratory


class Broken(Exception):
    """Something ended that must not end; the message says what and what it said."""


class Feed:
    """Records go in here. `options` and `disk` (a mode of lab.endure.disk) are those of the next writer."""

    def __init__(self, log: Path, stream: Stream) -> None:
        """Make the keys and the pipe; no writer yet."""
        self.log, self.stream = log, stream
        self.options: list[str] = []
        self.disk: tuple[str, int] | None = None
        self.pressing = False
        self.overflown = 0  # telemetry that found no room, told or not
        self.starts, self.killed, self.ended = 0, Counter[str](), Counter[int]()
        self.process: subprocess.Popen[bytes] | None = None
        self._said = log.with_name("writer.err")
        self._kept: deque[tuple[int, bytes]] = deque()
        self._sent = self._unsaid = 0
        self._rest: list[bytes] = []  # telemetry that waits for room
        self._socket: socket.socket | None = None
        self._again, self.ready = 0.0, False
        store_key(key_path(log), KEY)
        create_key(epochs.key_path(log), epochs.fresh(KEY))
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._writing, False)
        with suppress(OSError):  # a smaller pipe is as good
            fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def events(self) -> int:
        """Return how many events head.json says are in the log."""
        with suppress(OSError, LineMalformed):
            head = read_head(self.log)
            return head.seq + 1 if head else 0
        return 0

    def feed(self, records: int) -> None:
        """Record so many; fewer where telemetry or evidence waits."""
        for _ in range(records):
            if len(self._rest) >= RECORDS_PER_WRITE or len(self._kept) >= HELD_MOST:
                return
            outbox_id, data = self.stream.next()
            if outbox_id:
                self._kept.append((outbox_id, data))
                continue
            self._rest.append(data)
            if len(self._rest) >= RECORDS_PER_WRITE - 1:
                self._flush()
        self._flush()

    def turn(self) -> None:
        """Hear the writer, send it evidence, replace it when it has ended. Raises Broken."""
        if self.process is not None and (status := self.process.poll()) is not None:
            self._bury(status)
        if self.process is None and time.monotonic() >= self._again and self._writing >= 0:
            self._start()
        self._hear()
        self._send()
        self._flush()

    def kill(self, kind: str) -> bool:
        """Kill -9 the writer; return whether there was one that worked."""
        if self.process is None or not self.ready or self.process.poll() is not None:
            return False
        self.process.kill()
        self.killed[kind] += 1
        self._bury(self.process.wait())
        return True

    def signal(self, number: signal.Signals) -> None:
        """Stop the writer or let it go on."""
        if self.process is not None:
            self.process.send_signal(number)

    def close(self) -> None:
        """Have everything written, end the log in good order. Raises Broken."""
        end = time.monotonic() + CLOSE_S
        self.pressing, self.options, self.disk = False, [], None
        while time.monotonic() < end and (self._rest or self._unsaid or self._kept):
            self.turn()
            time.sleep(0.002)
        os.close(self._writing)
        self._writing = -1
        status = self.process.wait(CLOSE_S) if self.process else -1
        if status or self._kept or self._rest:
            raise Broken(f"the writer ended the log with {status}, {len(self._kept)} pieces of evidence waited: {self._words()}")
        self.process = None

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        for descriptor in (self._reading, self._writing):
            if descriptor >= 0:
                os.close(descriptor)
        self._reading = self._writing = -1
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = Writer(self.log, NODE, BOOT, "gateway").command(self._reading, theirs.fileno())
        place = words.index("audit.writer")
        module = ["lab.endure.disk", self.disk[0], str(self.disk[1] + self.starts)] if self.disk else ["audit.writer"]
        command = [*words[:place], *module, *words[place + 1 :], *self.options]
        with theirs, self._said.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-I", tied.__file__, str(os.getpid()), *command],
                pass_fds=(self._reading, theirs.fileno()), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                cwd="/", start_new_session=True,
            )  # fmt: skip
        ours.settimeout(0)
        self._socket, self._sent, self.ready = ours, 0, False
        self.starts += 1

    def _bury(self, status: int) -> None:
        """Note the end of a writer; those of a bad disk kill themselves."""
        if status == -signal.SIGKILL and self.disk and self.disk[0] in {"torn", "power"}:
            self.killed[f"writer, {self.disk[0]}"] += 1
            self.disk = None
        elif status != -signal.SIGKILL:
            self.ended[status] += 1
        if status in NEVER:
            raise Broken(f"the writer must not go on with its log: {self._words()}")
        if self._socket is not None:
            self._socket.close()
        self._socket = self.process = None
        self._again, self.ready = time.monotonic() + AGAIN_S, False

    def _hear(self) -> None:
        while self._socket is not None:
            try:
                told = self._socket.recv(9)
            except OSError:  # nothing yet, or it is gone
                return
            if not told:
                return
            self.ready, durable = True, int.from_bytes(told, "little")
            while self._kept and self._kept[0][0] <= durable:
                self._kept.popleft()

    def _send(self) -> None:
        if self._socket is None or not self._kept or not self.ready:
            return
        first = self._kept[0][0]
        while (at := max(self._sent + 1, first) - first) < min(IN_FLIGHT, len(self._kept)):
            packet = [self._kept[place] for place in range(at, min(at + RECORDS_PER_PACKET, IN_FLIGHT, len(self._kept)))]
            try:
                self._socket.send(b"".join(data for _, data in packet), socket.MSG_NOSIGNAL)
            except OSError:  # no room yet, or it is gone
                return
            self._sent = packet[-1][0]

    def _flush(self) -> None:
        """Write telemetry in whole writes of at most PIPE_BUF bytes (O-21); what is lost is said before what comes next (O-22)."""
        while (self._rest or self._unsaid) and self._writing >= 0:
            part = self._rest[: RECORDS_PER_WRITE - 1]
            records = [self.stream.lost(self._unsaid), *part] if self._unsaid else part
            try:
                os.write(self._writing, b"".join(records))
            except BlockingIOError:
                if self.pressing:
                    self.overflown += len(self._rest)
                    self._unsaid += len(self._rest)
                    self._rest.clear()
                return
            self._unsaid = 0
            del self._rest[: len(part)]

    def _words(self) -> str:
        return self._said.read_text("utf-8", "replace")[-600:] if self._said.exists() else ""
