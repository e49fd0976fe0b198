"""The loop around an engine: one wait, then what came, what became of paths, what the clock says, what was answered.

A turn first empties the sockets and only then lets clocks be judged: a process that stood still must not take its own pause for a
dead path. Every output of the core is executed in list order; nothing else happens between two calls of it.
"""

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

import structlog

from core.reasons import Event
from core.values import NO_CORRELATION, Ask, Deliver, Dial, Fact, Instant, Order, Output, Path, PathEvent, Record, Route, Transmit
from jvpn.shell import forks
from jvpn.shell.audit_link import AuditLink
from jvpn.shell.clock import boottime
from jvpn.shell.stores.base import Store
from jvpn.shell.transports.base import Poll, Transport
from jvpn.shell.tun import PacketPort

IPV4: Final = 4
IDLE_NS: Final = 1_000_000_000  # the longest wait: housekeeping that has no deadline of its own happens once a second

log = structlog.get_logger(__name__)


class Engine(Protocol):
    """The core's border, as far as the loop needs it."""

    def receive(self, frames: Sequence[bytes], path: Path, now: Instant) -> list[Output]:
        """Take one receive call's frames."""

    def send(self, session: int, inner: Sequence[bytes], now: Instant) -> list[Output]:
        """Seal inner packets."""

    def path_event(self, path: Path, event: PathEvent, now: Instant) -> list[Output]:
        """Hear what became of a path."""

    def command(self, order: Order, now: Instant) -> list[Output]:
        """Execute an order."""

    def tick(self, now: Instant) -> list[Output]:
        """Judge the clocks."""

    def deadline(self) -> Instant | None:
        """Return when `tick` is due."""

    def session_for(self, destination: bytes) -> int | None:
        """Return the session of an inner address."""

    def forget(self) -> None:
        """Drop the keys of all traffic."""


class Driver:
    """One engine, its carriers, its packet port, its audit link and, for a gateway, its store."""

    def __init__(
        self, engine: Engine, transports: Sequence[Transport], port: PacketPort, link: AuditLink | None, store: Store | None = None
    ) -> None:
        """Register everything with one poll; `run` starts the loop."""
        self.engine, self.transports, self.port, self.link, self.store = engine, list(transports), port, link, store
        self.poll, self.stopping = Poll(), False
        self.withheld: frozenset[int] = frozenset()  # first bytes of frames that are not sent now: to the core, a network that loses them
        self.counters = {"inner_in": 0, "inner_out": 0, "inner_unrouted": 0}
        self.inner_bytes = {"in": 0, "out": 0}  # sealed for a session; handed to the port
        self.recorded = Counter[tuple[str, str]]()  # telemetry by event and reason [O-28]
        self.on_route: Callable[[Route], None] = lambda _route: None
        self.on_second: Callable[[Instant], None] = lambda _now: None
        self.on_signal: Callable[[int], object] = lambda _number: None
        self.on_burst: Callable[[Path], None] = lambda _path: None
        for transport in self.transports:
            transport.register(self.poll.watcher(partial(self._arrived, transport)))
        self.poll.watcher(lambda _fd: self._inner()).watch(port.fileno())
        if link:
            self.poll.watcher(lambda _fd: link.tick(boottime())).watch(link.fileno())
        if store:
            self.poll.watcher(lambda _fd: self._answers(store)).watch(store.fileno())
        self._next_second = boottime()
        forks.guard(self)

    def forget(self) -> None:
        """Let the engine drop its keys, in a copy of the process."""
        self.engine.forget()

    def listen(self, fd: int, numbers: Callable[[], bytes]) -> None:
        """Hear signals: when `fd` is readable `numbers` gives them. SIGTERM and SIGINT stop, others reach `on_signal`."""
        self.poll.watcher(lambda _fd: self._signalled(numbers())).watch(fd)

    def run(self) -> None:
        """Turn until told to stop."""
        while not self.stopping:
            self.turn()

    def turn(self) -> None:
        """Wait for the next thing to happen and let it happen."""
        now = boottime()
        waits = [at for at in (self.engine.deadline(), *(each.deadline() for each in self.transports)) if at is not None]
        waits += [at] if self.link and (at := self.link.deadline()) is not None else []
        self.poll.turn(max(0, min([*waits, Instant(now + IDLE_NS)]) - now))
        now = boottime()
        for transport in self.transports:
            for path, event in transport.changes():
                self.execute(self.engine.path_event(path, event, now))
            if (at := transport.deadline()) is not None and at <= now:
                transport.tick(now)
        if (at := self.engine.deadline()) is not None and at <= now:
            self.execute(self.engine.tick(now))
        if self.link:
            self.link.tick(now)
        if now >= self._next_second:
            self._next_second = Instant(now + IDLE_NS)
            self.on_second(now)
        if self.link:
            self.link.flush()

    def execute(self, outputs: Sequence[Output]) -> None:
        """Do what the core says, in its order."""
        asks: list[Ask] = []
        for output in outputs:
            match output:
                case Transmit(path, frames):
                    self._transmit(path, frames)
                case Deliver(_, packets):
                    self.inner_bytes["out"] += sum(map(len, packets))
                    self.counters["inner_out"] += self.port.write(packets)
                case Record(fact):
                    self.record(fact)
                case Ask():
                    asks.append(output)
                case Route():
                    self.on_route(output)
                case Dial(carrier):
                    for transport in self.transports:
                        if transport.carrier == carrier:
                            transport.dial(boottime())  # type: ignore[attr-defined]  # only a client dials, and its carriers can
        if asks and self.store:
            self.store.submit(asks)

    def record(self, fact: Fact) -> None:
        """Hand one telemetry fact to the audit writer, and a line to the operational log; samples of health only to who asks for debug.

        The line has the names of the audit event (A-16), and like it leaves out what the fact does not have.
        """
        fields: dict[str, object] = {}
        self.recorded[fact.event.name, fact.reason.name] += fact.times or 1
        if self.link:
            self.link.record(fact)
            fields["event_id"] = self.link.event_id(fact)
        if fact.correlation != NO_CORRELATION:
            fields["correlation_id"] = fact.correlation.hex()
        if fact.times:
            fields["count"] = fact.times
        say = log.debug if fact.event is Event.SESSION_HEALTH else log.info
        say("fact", event_type=fact.event.name, reason_code=fact.reason.name, **fields)

    def close(self) -> None:
        """Close the loop's own descriptors and the carriers; store and link belong to who made them."""
        for transport in self.transports:
            transport.close()
        self.poll.close()

    def _transmit(self, path: Path, frames: Sequence[bytes]) -> None:
        if frames[0][0] in self.withheld:
            return
        for transport in self.transports:
            if transport.carrier == path.carrier and transport.serves(path):
                transport.send(path, frames)
                return

    def _arrived(self, transport: Transport, fd: int) -> None:
        now = boottime()
        for path, frames in transport.receive(fd, now):
            self.execute(self.engine.receive(frames, path, now))
            self.on_burst(path)

    def _inner(self) -> None:
        """Seal what the port has, grouped by session; packets in a row for one session stay a burst."""
        now, groups = boottime(), dict[int, list[bytes]]()
        for packet in self.port.read():
            session = self.engine.session_for(packet[16:20] if packet[0] >> 4 == IPV4 else packet[24:40])
            if session is None:
                self.counters["inner_unrouted"] += 1
            else:
                groups.setdefault(session, []).append(packet)
        for session, packets in groups.items():
            self.counters["inner_in"] += len(packets)
            self.inner_bytes["in"] += sum(map(len, packets))
            self.execute(self.engine.send(session, packets, now))

    def _answers(self, store: Store) -> None:
        answers = store.answers()
        if answers:
            self.execute(self.engine.answer(answers, boottime()))  # type: ignore[attr-defined]  # only a gateway has a store

    def _signalled(self, numbers: bytes) -> None:
        for number in numbers:
            if number in {signal.SIGTERM, signal.SIGINT}:
                self.stopping = True
            else:
                self.on_signal(number)
