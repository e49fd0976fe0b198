"""The way to the audit writer: its process, the telemetry pipe, and a new writer when one dies.

Telemetry never waits. The pipe holds 1 MiB; what does not fit is counted, and the count is the first record that fits again (O-21,
O-22). This process keeps a reading end open as well, so that what stands in the pipe outlives a writer (O-23); closing the writing
end ends a writer (O-24).

The driver's part:

    link = AuditLink(writer, wall, now, evidence_to=store.evidence_to)
    poll.watcher(...).watch(link.fileno())   # readable: link.tick(now)
    link.record(fact)                        # for each Record of the core
    link.flush()                             # once a turn
    link.tick(now)                           # not later than link.deadline()
    store.close(); link.close()              # in this order: the store hands over its last evidence
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import structlog

from audit.files import create_key
from audit.names import MONTHS, key_path, store_key
from audit.pseudonym import KEY_BYTES, month_of
from audit.record import RECORD_BYTES, RECORDS_PER_WRITE, pack
from audit.segments import SEGMENT_BYTES
from audit.tlog import epochs
from core.errors import CallerFault
from core.reasons import Event, Reason
from core.values import Fact, Instant
from jvpn.shell.entropy import entropy
from jvpn.shell.errors import Unavailable

PIPE_BYTES: Final = 1 << 20
BATCH: Final = RECORDS_PER_WRITE - 1  # one place is kept for a loss record
BACKOFF_NS: Final = 100_000_000  # doubling
BACKOFF_NS_MAX: Final = 10_000_000_000
STEADY_NS: Final = 30_000_000_000  # a writer that lived so long starts the backoff anew
CLOSE_MS: Final = 5_000  # for the writer to take what is in the pipe and to end its log

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Writer:
    """What the writer is started with: directory, node and boot (8 bytes each), `gateway` or `client`, bytes a segment, months of names."""

    directory: Path
    node: bytes
    boot: bytes
    role: str
    segment_bytes: int = SEGMENT_BYTES
    names_months: int = MONTHS

    def command(self, telemetry: int, evidence: int) -> list[str]:
        """Return the command line; `evidence` is negative where there is none."""
        return [
            *(sys.executable, "-I", "-m", "audit.writer", "--dir", str(self.directory.absolute()), "--role", self.role),
            *("--node", self.node.hex(), "--boot", self.boot.hex(), "--telemetry-fd", str(telemetry)),
            *("--segment-bytes", str(self.segment_bytes), "--names-months", str(self.names_months)),
            *(("--evidence-fd", str(evidence)) if evidence >= 0 else ()),
        ]


@dataclass(slots=True)
class Counters:
    """Telemetry records, only ever counted up; offered = written + lost + what waits for `flush`."""

    offered: int = 0
    written: int = 0
    lost: int = 0
    starts: int = 0  # of writers


class AuditLink:
    """One audit log of one process. `evidence_to` takes the store's end of each new writer's socket; None for the client.

    Raises:
        Unavailable: the writer cannot be started at all. One that ends later is replaced.
    """

    def __init__(
        self, writer: Writer, wall: Callable[[], int], now: Instant, evidence_to: Callable[[socket.socket], None] | None = None
    ) -> None:
        self.counters = Counters()
        self._writer, self._wall, self._evidence_to = writer, wall, evidence_to
        self._batch: list[bytes] = []
        self._unsaid = 0  # lost since the last loss record
        self._last = now
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._started, self._restart, self._backoff = now, now, BACKOFF_NS
        self._epoll = select.epoll()
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._writing, False)
        try:
            fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError as error:  # the user's share of pipe memory is used up: more is lost under load, and counted
            log.warning("audit_pipe_small", error=error.strerror)
        try:
            if not os.path.lexists(key_path(writer.directory)):
                store_key(key_path(writer.directory), entropy(KEY_BYTES), month_of(wall()))
            if not os.path.lexists(epochs.key_path(writer.directory)):
                create_key(epochs.key_path(writer.directory), epochs.fresh(entropy(epochs.SECRET_BYTES)))
            self._start(now)
        except OSError as error:
            self.close()
            raise Unavailable(f"cannot start the audit writer: {error.strerror}") from error

    def record(self, fact: Fact) -> None:
        """Take one telemetry fact; it is written with others of this turn, or counted as lost."""
        self.counters.offered += 1
        self._last = fact.at
        try:
            self._batch.append(pack(fact, self._wall(), self._writer.boot))
        except CallerFault as error:  # our own fault, but no reason to stop packets
            self._refuse(str(error))
            return
        if len(self._batch) == BATCH:
            self.flush()

    def event_id(self, fact: Fact) -> str:
        """Return the id that the fact's event has in the audit log (A-16)."""
        return f"{self._writer.boot.hex()}-{fact.serial:016x}"

    def flush(self) -> None:
        """Write what waits as one atomic write, after the count of what was lost before; never blocks."""
        if not self._batch and not self._unsaid:
            return
        batch, self._batch = self._batch, []
        records = [self._loss(), *batch] if self._unsaid else batch
        try:
            os.write(self._writing, b"".join(records))  # at most PIPE_BUF bytes: all or nothing (pipe(7))
        except OSError:  # full, or closed
            self._lose(len(batch))
            return
        self._unsaid = 0
        self.counters.written += len(batch)

    def fileno(self) -> int:
        """Return the descriptor that is readable when the writer has ended; the same one for every writer."""
        return self._epoll.fileno()

    def tick(self, now: Instant) -> None:
        """Notice that the writer has ended; start another when it is time."""
        if self._process is not None and self._epoll.poll(0):
            status = self._reap()
            if now - self._started >= STEADY_NS:
                self._backoff = BACKOFF_NS
            log.error("audit_writer_ended", status=status, restart_in_ms=self._backoff // 1_000_000)
            self._restart = Instant(now + self._backoff)
            self._backoff = min(2 * self._backoff, BACKOFF_NS_MAX)
        if self._process is None and self._writing >= 0 and now >= self._restart:
            try:
                self._start(now)
            except OSError as error:
                log.warning("audit_writer_not_started", error=error.strerror)
                self._restart = Instant(now + self._backoff)

    def status(self) -> dict[str, object]:
        """Return the counters, how many records no writer has taken yet, and whether there is a writer."""
        waiting = len(self._batch) + _waiting(self._reading) // RECORD_BYTES
        return asdict(self.counters) | {"waiting": waiting, "writer": "missing" if self._process is None else "running"}

    def deadline(self) -> Instant | None:
        """Return when `tick` has something to do, unless the descriptor says so before."""
        return self._restart if self._process is None and self._writing >= 0 else None

    def close(self) -> bool:
        """End the log in order: hand over what waits, close the pipe, give the writer time, then end it by its id.

        Returns:
            Whether the writer took everything and ended by itself.
        """
        if self._writing < 0:
            return False
        if self._process is None and self.counters.starts:
            try:
                self._start(self._started)  # it died lately; the pipe still holds what it left
            except OSError as error:
                log.warning("audit_writer_not_started", error=error.strerror)
        if self._process is not None and (self._batch or self._unsaid):
            room = select.poll()
            room.register(self._writing, select.POLLOUT)
            room.poll(CLOSE_MS)
        self.flush()
        os.close(self._writing)
        self._writing = -1
        status = self._end()
        left = _waiting(self._reading) // RECORD_BYTES
        os.close(self._reading)
        self._epoll.close()
        if left or self._unsaid:
            log.error("telemetry_lost_at_close", left=left, unsaid=self._unsaid)
        return status == 0 and not left and not self._unsaid

    def _start(self, now: Instant) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) if self._evidence_to is not None else (None, None)
        evidence = -1 if theirs is None else theirs.fileno()
        try:
            # A session of its own: what a terminal sends to this process must not end the writer before its last record.
            process = subprocess.Popen(
                self._writer.command(self._reading, evidence),
                pass_fds=[fd for fd in (self._reading, evidence) if fd >= 0],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        except OSError:
            if ours is not None:
                ours.close()
            raise
        finally:
            if theirs is not None:
                theirs.close()
        self._process, self._started = process, now
        self._pidfd = os.pidfd_open(process.pid)
        self._epoll.register(self._pidfd, select.EPOLLIN)
        self.counters.starts += 1
        if ours is not None and self._evidence_to is not None:
            self._evidence_to(ours)

    def _end(self) -> int | None:
        """Wait for the writer, bounded; return its status, None where there is none."""
        if self._process is None:
            return None
        if not self._epoll.poll(CLOSE_MS / 1_000):
            log.error("audit_writer_late", waited_ms=CLOSE_MS)
            self._process.kill()  # it ignores SIGTERM: a group's signal must not end it before the log is closed
        return self._reap()

    def _reap(self) -> int:
        if self._process is None:
            return 0
        status = self._process.wait()
        self._epoll.unregister(self._pidfd)
        os.close(self._pidfd)
        self._process, self._pidfd = None, -1
        return status

    def _refuse(self, fault: str) -> None:
        log.error("fact_refused", fault=fault)
        self._lose(1)

    def _lose(self, records: int) -> None:
        self._unsaid += records
        self.counters.lost += records

    def _loss(self) -> bytes:
        fact = Fact(Event.TELEMETRY_LOST, Reason.TELEMETRY_OVERFLOW, 0, 0, self._last, times=self._unsaid)
        return pack(fact, self._wall(), self._writer.boot)


def _waiting(pipe: int) -> int:
    """Return how many bytes stand in a pipe."""
    return int(struct.unpack("=i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0])
