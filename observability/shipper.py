"""Copy a durable audit log into OpenSearch: every event at least once, under an id that makes it exactly once.

    run(ShipperConfig(log=Path("/var/log/jvpn/audit"), state=Path("/var/lib/jvpn/ship"), cluster=Cluster(url="https://siem:9200", ...)))

Its own process: reads the log directory, writes its state directory, talks to the cluster, and shares nothing with the process that holds
keys. One batch is on its way at a time, so events arrive in order; the cursor moves when a batch is settled, that is when each of its
events is stored (now or before) or in quarantine. A crash at any point repeats at most one batch, under the same ids.
"""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from observability.breaker import Breaker
from observability.bulk import Unfit, document, recorded_s
from observability.connect import Cluster, connect
from observability.cursor import Counters, Cursor, State, StateError
from observability.delivery import Client, Delivery, Entry, Making
from observability.names import PREFIX, Names
from observability.quarantine import Broken, Quarantine
from observability.tail import START, LogError, Position, Tail, segments

log = structlog.get_logger()
POLL_SECONDS: Final = 0.05  # how often a log that had nothing new is looked at
TELL_SECONDS: Final = 5.0  # how often the status is told while nothing happens: who reads it sees that this process lives
STOPPING: Final = frozenset({signal.SIGTERM, signal.SIGINT})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """``log``: the directory of the audit log. ``state``: a directory of this shipper only (one for each log and destination).

    ``stream``: what the destination is called in the status file. ``prefix``: the beginning of the names of indices in a cluster.

    A batch is sent at ``batch_events``, ``batch_bytes`` of body, or ``batch_seconds`` after its first event, whatever comes first.
    ``follow``: go on until SIGTERM; without it, return at the end of what is durable now.
    """

    log: Path
    state: Path
    stream: str = "opensearch"
    prefix: str = PREFIX
    batch_events: int = 500
    batch_bytes: int = 1 << 20
    batch_seconds: float = 0.2
    follow: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperConfig(LoopConfig):
    """Into a cluster."""

    cluster: Cluster


def run(config: ShipperConfig) -> Counters:
    """Ship into a cluster; see ``ship``. Raises ``SettingError`` besides."""
    client = connect(config.cluster)
    try:
        return ship(config, to_cluster(client, config))
    finally:
        client.close()


def ship(config: LoopConfig, making: Making) -> Counters:
    """Ship until SIGTERM or SIGINT (or to the log's end, see ``follow``); return the counters as the saved cursor has them.

    Must be called in the main thread. Raises ``StateError`` or ``LogError`` when a person is needed; an absent log, an absent destination
    and its refusals are no errors: they are waited for, and ``status.json`` says so.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        state = State(config.state)
        try:
            return Shipper(config, making, state, Signals()).run()
        finally:
            state.close()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def to_cluster(client: Client, config: LoopConfig) -> Making:
    """Return what makes the delivery into a cluster."""
    return partial(Delivery, client, Names(config.prefix), most=config.batch_events)


class Signals:
    """``wait`` for a process whose stopping signals are blocked: none is lost between two calls, and the first one is remembered."""

    def __init__(self) -> None:
        """Not stopped yet."""
        self._stopped = False

    def __call__(self, seconds: float) -> bool:
        """Sleep for ``seconds`` or until a stopping signal; return whether there was one."""
        self._stopped = self._stopped or signal.sigtimedwait(STOPPING, seconds) is not None
        return self._stopped


class Shipper:
    """The loop: collect a batch, deliver it, remember that. ``wait(seconds)`` sleeps and returns whether to stop."""

    def __init__(
        self, config: LoopConfig, making: Making, state: State, wait: Callable[[float], bool], breaker: Breaker | None = None
    ) -> None:
        """Load the cursor and check that the log is the one it speaks of. Raises ``StateError`` or ``LogError``."""
        self._config = config
        self._state = state
        self._wait = wait
        self._cursor = state.load()
        self.counters = replace(self._cursor.counters)
        self._tail = Tail(config.log, self._begin())
        try:
            self._quarantine = Quarantine(state.quarantine, self._cursor.quarantine)
        except OSError as error:
            raise StateError(f"{state.quarantine} cannot be used: {error.strerror}") from None
        except Broken as error:
            raise StateError(f"{error}. Keep it, it is evidence; move it and cursor.json away to ship the log again") from None
        self._delivery = making(self._quarantine, wait, breaker or Breaker())
        self._batch: Sequence[Entry] = ()  # on its way
        self._told = 0.0  # when the status was told last, monotonic
        self._ahead: Entry | None = None  # taken from the log, too large for the batch before

    def run(self) -> Counters:
        """Ship until told to stop; return the counters of the saved cursor."""
        log.info("shipping starts", log=self._config.log, after=self._cursor.counters.read)
        self._publish()
        try:
            done = True
            while done and (batch := self._collect()):
                self.counters.take(len(batch))
                self._batch = batch
                done = self._delivery.deliver(batch, self.counters, self._publish)
                self._remember(batch)
                self._publish()
        finally:
            self._tail.close()
            self._publish()
        log.info("shipping ends", read=self.counters.read, pending=self.counters.pending)
        return self._cursor.counters

    def _begin(self) -> Position:
        """Return where to read on. Raises ``LogError`` when the log is not the one that the cursor speaks of."""
        position = self._cursor.position
        if position == START:
            return START
        there = segments(self._config.log)
        if position.segment not in there and position.number in there:  # shipped to its end, then removed: nothing is missing
            return Position(position.number, 0, position.number)
        if sha256(Tail(self._config.log).line_before(position)).hexdigest() != self._cursor.line_hash:
            raise LogError(
                f"{self._config.log} is not the log that was shipped so far: another line ends at byte {position.offset} of segment"
                f" {position.segment}. For another log use another state directory"
            )
        return position

    def _collect(self) -> list[Entry]:
        """Return the next batch; an empty one means that the time has come to stop."""
        batch: list[Entry] = []
        if self._wait(0):
            return batch
        size, deadline = 0, 0.0
        while len(batch) < self._config.batch_events:
            entry, self._ahead = self._ahead or self._entry(), None
            if entry is None:
                due = bool(batch) and time.monotonic() >= deadline
                if time.monotonic() - self._told >= TELL_SECONDS:
                    self._publish()
                if due or not self._config.follow or self._wait(POLL_SECONDS):
                    break
                continue
            size += len(entry.document.body) if entry.document else 0
            if batch and size > self._config.batch_bytes:
                self._ahead = entry
                break
            if not batch:
                deadline = time.monotonic() + self._config.batch_seconds
            batch.append(entry)
        return batch

    def _entry(self) -> Entry | None:
        line = self._tail.next()
        if line is None:
            return None
        try:
            return Entry(line, document(line, self._config.prefix))
        except Unfit as unfit:
            return Entry(line, None, why=str(unfit))

    def _remember(self, batch: Sequence[Entry]) -> None:
        """Move the cursor behind the last entry before which all are settled."""
        counters = replace(self._cursor.counters, retried=self.counters.retried)
        last = None
        for entry in batch:
            if entry.fate is None:
                break
            counters.take(1)
            counters.settle(entry.fate)
            last = entry
        if last is None:
            return
        known = self._quarantine.settled() if last is batch[-1] else self._cursor.quarantine
        self._cursor = Cursor(last.line.end, sha256(last.line.raw).hexdigest(), counters, known)
        try:
            self._state.save(self._cursor)
        except OSError as error:  # the events are in the cluster; at worst they are sent again, and recognised
            log.warning("the cursor cannot be saved", error=str(error))

    def _publish(self) -> None:
        """Replace the status file; others may look at it at any time."""
        breaker, self._told = self._delivery.breaker, time.monotonic()
        status = asdict(self.counters) | {
            "circuit": breaker.circuit.value,
            "why": breaker.why,
            "failures_in_a_row": breaker.failures,
            "settled_up_to": self._cursor.position.number,
            "oldest_unsettled": next((recorded_s(each.document) for each in self._batch if each.fate is None and each.document), None),
            "unsettled_bytes": self._tail.unread_bytes(self._cursor.position),
            "stream": self._config.stream,
        }
        try:
            self._state.publish(status)
        except OSError as error:
            log.warning("the status file cannot be written", error=str(error))
