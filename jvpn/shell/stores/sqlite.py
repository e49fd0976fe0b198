"""The embedded store: SQLite in a thread of its own (clauses O-9 to O-20; protocol section 6).

The thread takes what was submitted, performs it as one transaction, and answers after COMMIT. A group is what came while the disk was
busy with the one before: a lone move waits for nobody, and many share one write. (Holding a group open for 2 ms was measured: 8 moves in
flight then take 1.5 ms instead of 0.4 ms, and no load gains.) A group that fails for any reason is rolled back and performed again one
operation at a time, so that each failure hits the operation that it belongs to (O-11).
"""

import contextlib
import os
import select
import socket
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from core.errors import CallerFault
from core.values import Answer, Ask, Fact, Get, Live, Outcome
from jvpn.shell.clock import boottime, past
from jvpn.shell.stores.base import OWNER_GRACE_S, PURGE_EVERY_S, SECOND_NS, Health, WallClock
from jvpn.shell.stores.outbox import DELETE_AT, Drain
from jvpn.shell.stores.tables import Displaced, Tables

GROUP: Final = 64  # operations a transaction
QUEUE: Final = 65_536  # operations that wait; more are answered FAILED
RETRY_MS: Final = 1_000  # housekeeping that failed, or that waits for a quiet moment
LOOK_MS: Final = 1_000  # how often the file's name and the wall clock are looked at without any operation (O-26)
FAREWELL_NS: Final = SECOND_NS  # at the end: how long the writer is given to acknowledge
JOIN_S: Final = 5.0  # at the end: how long a disk that hangs is waited for
BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

log = structlog.get_logger(__name__)


class SqliteStore:
    """A store in one file. `node` and `boot` (8 bytes each) say whose evidence this process writes and drains.

    Raises:
        Unavailable: the file cannot be used; see `tables`.
    """

    def __init__(self, path: Path, node: bytes, boot: bytes, wall: WallClock, since: WallClock = boottime) -> None:
        self._tables = Tables(path, node, boot, wall)
        self._past = past(wall, since)
        self._drain = Drain()
        self._lock = threading.Lock()  # held for moments only: the driver must not wait
        self._queue: deque[Ask] = deque()
        self._answers: deque[Answer] = deque()
        self._writers: deque[socket.socket | None] = deque()
        self._closing = False
        self._purged = self._past() // SECOND_NS
        self._purging, self._live_until = True, 0  # live rows stay until this process has seen an hour pass
        self._wall = wall
        self._trouble: tuple[int, str] | None = None  # since when (wall ns), and the first error
        self._failed, self._displaced = 0, ""
        self._committed = Counter[tuple[str, str]]()
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def submit(self, asks: Sequence[Ask]) -> None:
        """Hand operations to the thread; those that cannot be taken are answered FAILED (O-13)."""
        with self._lock:
            room = 0 if self._closing else max(0, QUEUE - len(self._queue))
            self._queue.extend(asks[:room])
            self._answers.extend(Answer(ask.ticket, Outcome.FAILED) for ask in asks[room:])
            self._failed += len(asks[room:])
            if self._ready >= 0:
                os.eventfd_write(self._wake, 1)
                if asks[room:]:
                    os.eventfd_write(self._ready, 1)

    def fileno(self) -> int:
        """Return the descriptor that is readable while answers wait; -1 once closed."""
        return self._ready

    def answers(self) -> list[Answer]:
        """Take the answers that wait."""
        with self._lock:
            if self._ready >= 0:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._ready)
            taken = list(self._answers)
            self._answers.clear()
        return taken

    def evidence_to(self, writer: socket.socket | None) -> None:
        """Send evidence to this SOCK_SEQPACKET socket from now on, or to nobody; the store closes it."""
        with self._lock:
            if self._closing:
                if writer is not None:
                    writer.close()
                return
            self._writers.append(writer)
            os.eventfd_write(self._wake, 1)

    def health(self) -> Health:
        """Return how the store is, as of a moment ago."""
        with self._lock:
            since, error = self._trouble or (None, "")
            return Health(since, error, self._displaced, self._failed, len(self._queue), self._drain.waiting)

    def committed(self) -> Counter[tuple[str, str]]:
        """Return how much evidence was committed since the start, by event and reason; it only ever grows [O-28]."""
        with self._lock:
            return self._committed.copy()

    def close(self) -> None:
        """Finish what was submitted, give the writer a moment to acknowledge, close the file. Answers can still be taken."""
        with self._lock:
            if self._ready < 0:
                return
            self._closing = True
            os.eventfd_write(self._wake, 1)
        self._thread.join(JOIN_S)
        with self._lock:
            while self._writers:  # handed over too late
                writer = self._writers.popleft()
                if writer is not None:
                    writer.close()
            if self._thread.is_alive():  # its descriptors stay open: it may still use them
                log.error("store_hangs", operations=len(self._queue))
                self._answers.extend(Answer(ask.ticket, Outcome.FAILED) for ask in self._queue)
                self._queue.clear()
                return
            os.close(self._ready)
            os.close(self._wake)
            self._ready = self._wake = -1

    def _run(self) -> None:
        while not (self._closing and not self._queue):
            self._wait()
            self._housekeep(self._tables.look)
            self._housekeep(self._purge)
            group = self._take()
            if group:
                self._answer(group)
            self._housekeep(self._feed)
        self._farewell()
        self._drain.swap(None)
        self._tables.close()

    def _wait(self) -> None:
        """Sleep until there is something to do."""
        more = self._purging or self._drain.deletable >= DELETE_AT
        if self._queue or self._closing or (more and not self._trouble):
            timeout = 0
        else:
            timeout = RETRY_MS if self._trouble or self._drain.deletable else LOOK_MS
        quiet = not self._poll(timeout, self._drain.interest())
        with self._lock:
            writers = list(self._writers)
            self._writers.clear()
        for writer in writers:
            self._drain.swap(writer)
        if quiet and timeout and self._drain.deletable:
            self._housekeep(self._delete)

    def _poll(self, timeout_ms: int, interest: tuple[int, int] | None) -> bool:
        """Return whether anything happened: a call of the driver or, where given, what the drain waits for."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if interest is not None:
            poll.register(*interest)
        ready = [fd for fd, _ in poll.poll(timeout_ms)]
        if self._wake in ready:
            os.eventfd_read(self._wake)
        return bool(ready)

    def _take(self) -> list[Ask]:
        """Return the next group, possibly empty."""
        with self._lock:
            return [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]

    def _answer(self, group: list[Ask]) -> None:
        try:
            answers = self._commit(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, these operations failed and the next ones are served
            self._complain(error, len(group))
            answers = self._one_by_one(group, error)
        with self._lock:
            self._answers.extend(answers)
            self._failed += sum(answer.outcome is Outcome.FAILED for answer in answers)
            os.eventfd_write(self._ready, 1)

    def _commit(self, group: list[Ask]) -> list[Answer]:
        """Perform a group in one transaction; only reads need no lock and no disk."""
        write = not all(isinstance(ask.operation, Get | Live) for ask in group)
        with self._tables.transaction(write=write):
            answers = [self._tables.judge(ask.ticket, ask.operation) for ask in group]
            if write and self._drain.deletable:
                self._tables.forget(self._drain.acknowledged)
        if write:
            self._drain.deleted()
            self._drain.grew(len(self._tables.kept))
            self._count(self._tables.kept)
            self._well()
        return answers

    def _count(self, facts: Sequence[Fact]) -> None:
        """Count evidence whose transaction is done [O-28]."""
        with self._lock:
            self._committed.update((fact.event.name, fact.reason.name) for fact in facts)

    def _one_by_one(self, group: list[Ask], first: Exception) -> list[Answer]:
        """Answer the operations of a group that failed: each alone, but no write waits again for a lock that was not free."""
        busy = isinstance(first, sqlite3.Error) and getattr(first, "sqlite_errorcode", 0) & 0xFF in BUSY  # absent: not SQLite's own
        answers = []
        for ask in group:
            answer = Answer(ask.ticket, Outcome.FAILED)
            if len(group) > 1 and (not busy or isinstance(ask.operation, Get | Live)):
                try:
                    (answer,) = self._commit([ask])
                except Exception as error:  # noqa: BLE001 - whatever one operation meets, the others of the group are tried
                    self._complain(error, 1)
            answers.append(answer)
        return answers

    def _housekeep(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it is tried again; operations are served meanwhile
            self._complain(error, 0)

    def _purge(self) -> None:
        """Delete expired rows, a piece at a time: tombstones at the start, all each hour (O-12)."""
        now = self._past() // SECOND_NS
        if abs(now - self._purged) >= PURGE_EVERY_S:
            self._purged, self._purging, self._live_until = now, True, now - OWNER_GRACE_S
        if self._purging:
            self._purging = self._tables.purge(now, self._live_until)
            self._well()
            if not self._purging:
                self._tables.checkpoint()

    def _feed(self) -> None:
        self._drain.turn(self._tables)
        if self._drain.deletable >= DELETE_AT:
            self._delete()
            self._drain.turn(self._tables)  # there is room again

    def _delete(self) -> None:
        with self._tables.transaction(write=True):
            self._tables.forget(self._drain.acknowledged)
        self._drain.deleted()
        self._well()

    def _farewell(self) -> None:
        """Give the writer a bounded time for the rest of the evidence; what is left is sent at the next start."""
        end = time.monotonic_ns() + FAREWELL_NS
        while self._drain.pending() and not self._trouble and (left_ms := (end - time.monotonic_ns()) // 1_000_000) > 0:
            self._poll(left_ms, self._drain.interest())
            self._housekeep(self._feed)
        if self._drain.deletable:
            self._housekeep(self._delete)

    def _complain(self, error: Exception, operations: int) -> None:
        """Log a fault of the caller each time, and trouble with the file when it begins."""
        if isinstance(error, CallerFault):
            if operations == 1:
                log.error("store_operation_refused", fault=str(error))
            return
        if isinstance(error, Displaced) and not self._displaced:
            log.error("store_displaced", error=str(error))
            self._displaced = str(error)
        if not self._trouble:
            self._trouble = self._wall(), f"{type(error).__name__}: {error}"
            log.error("store_failed", error=self._trouble[1], operations=operations)

    def _well(self) -> None:
        if not self._tables.wrote:
            return
        if self._trouble:
            log.info("store_recovered")
            self._drain.recount()
        self._trouble = None
