"""Ten thousand sessions move at once through a gateway with its real store: as after an outage of a whole network.

The loop does what the gateway's does, in its order: datagrams one call a path, what is asked goes to the store's thread, its answers when
its descriptor says so. The devices' work is done while the clock stands; each wave ends when the store has answered all of it.
"""

import os
import select
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any, Final

from core.values import Answer, Ask, Instant, Output
from core.values import Path as Way
from jvpn.shell.clock import wall
from jvpn.shell.stores.sqlite import SqliteStore
from lab.bench.fleet import BOOT, NODE, Fleet, Member, Unexpected, asked, frames
from lab.evidence import ROOT
from lab.sim.frames import there

WAVE: Final = 1_000  # sessions: their devices are ready to confirm before a candidate expires
MOVED: Final = 2  # the binding version of a session that was born and moved once
PATIENCE_MS: Final = 30_000
SYNCS: Final = 50

Arrival = tuple[list[bytes], Way]


class Watch:
    """A clock that stands still except in `running`, and counts how long it ran and the processor worked, in nanoseconds."""

    def __init__(self, start: Instant) -> None:
        self.ran, self.worked, self._start, self._since = 0, 0, start, 0

    def now(self) -> Instant:
        """Return the time."""
        return Instant(self._start + self.ran + (perf_counter_ns() - self._since if self._since else 0))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let time pass."""
        self._since, worked = perf_counter_ns(), process_time_ns()
        try:
            yield
        finally:
            self.worked += process_time_ns() - worked
            self.ran, self._since = self.ran + perf_counter_ns() - self._since, 0


class Loop:
    """The gateway's engine and its store, as the gateway's process drives them."""

    def __init__(self, fleet: Fleet, store: SqliteStore, watch: Watch) -> None:
        self.fleet, self.store, self.watch = fleet, store, watch
        self.sent: list[bytes] = []
        self._waiting = 0
        self._poll = select.poll()
        self._poll.register(store.fileno(), select.POLLIN)

    def arrive(self, arrivals: Sequence[Arrival]) -> list[list[bytes]]:
        """Take what arrives, one receive call a path; return what is sent at once for each."""
        sent = []
        for burst, path in arrivals:
            sent.append(self._execute(self.fleet.gateway.receive(burst, path, self.watch.now())))
            if self._poll.poll(0):
                self._answers()
        return sent

    def settle(self) -> None:
        """Turn until the store has answered everything."""
        while self._waiting:
            self._answers()

    def answered(self) -> list[Answer]:
        """Wait for answers of the store, and return them."""
        if not self._poll.poll(PATIENCE_MS):
            raise Unexpected("the store does not answer")
        return self.store.answers()

    def _answers(self) -> None:
        answers = self.answered()
        self._waiting -= len(answers)
        self.sent += self._execute(self.fleet.gateway.answer(answers, self.watch.now()))

    def _execute(self, outputs: Sequence[Output]) -> list[bytes]:
        asks = asked(outputs)
        self._waiting += len(asks)
        if asks:
            self.store.submit(asks)
        return frames(outputs)


def storm(sessions: int, tell: Callable[[str], object] = lambda _: None) -> dict[str, Any]:
    """Return how long it took until so many sessions had moved, in nanoseconds, and what one bare write to this disk takes."""
    folder = ROOT / ".cache"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        place = Path(made)
        sync = bare_write(place)
        fleet = Fleet(sessions, wall_ns=wall())
        watch = Watch(fleet.now)
        with closing(SqliteStore(place / "store.sqlite", NODE, BOOT, wall)) as store:
            loop = Loop(fleet, store, watch)
            members = _born(fleet, loop)
            phases = [0, 0]
            for at in range(0, sessions, WAVE):
                tell(f"{at} of {sessions} sessions have moved")
                _wave(loop, members[at : at + WAVE], phases)
            # On a slow machine the first ones may be silent for too long already, so it is not asked whether all are ATTACHED.
            if any(session.binding_version < MOVED for session in fleet.desk.sessions.values()):
                raise Unexpected("a session did not move")
    return {
        "sessions": sessions, "ns": watch.ran, "processor_ns": watch.worked, "attempts_ns": phases[0], "commits_ns": phases[1],
        "bare_write_ns": sync,
    }  # fmt: skip


def _born(fleet: Fleet, loop: Loop) -> list[Member]:
    """Bring every session up; the real store takes the rows, for the moves to find."""
    births: list[Ask] = []
    fleet.on_asked = births.extend
    members = [fleet.born(number) for number in range(len(fleet.devices))]
    for at in range(0, len(births), WAVE):
        loop.store.submit(births[at : at + WAVE])
        left = len(births[at : at + WAVE])
        while left:
            left -= len(loop.answered())
    return members


def _wave(loop: Loop, members: Sequence[Member], phases: list[int]) -> None:
    """Let some sessions move at once: their attempts, then their confirmations up to the last ACK."""
    fleet, watch = loop.fleet, loop.watch
    fleet.now = watch.now()
    attempts = [fleet.knock(member) for member in members]
    arrivals = [([attempt.frame], there(attempt.path)) for attempt in attempts]
    begin = watch.ran
    with watch.running():
        answers = loop.arrive(arrivals)
    phases[0] += watch.ran - begin
    epochs = [fleet.proven(attempt, answer) for attempt, answer in zip(attempts, answers, strict=True)]
    confirms = [([fleet.confirm(epoch)], there(epoch.path)) for epoch in epochs]
    loop.sent.clear()
    begin = watch.ran
    with watch.running():
        loop.sent += [frame for sent in loop.arrive(confirms) for frame in sent]
        loop.settle()
    phases[1] += watch.ran - begin
    if len(loop.sent) != len(members):
        raise Unexpected(f"{len(loop.sent)} ACKs for {len(members)} sessions")


def bare_write(folder: Path) -> float:
    """Return the median time of a write of one page that reaches the disk, in nanoseconds."""
    times = []
    handle = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(SYNCS):
            begin = perf_counter_ns()
            os.write(handle, bytes(4_096))
            os.fsync(handle)
            times.append(perf_counter_ns() - begin)
    finally:
        os.close(handle)
    return sorted(times)[SYNCS // 2]
