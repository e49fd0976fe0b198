"""The store's twin in memory: the same answers from dictionaries, for tests and the simulator."""

import contextlib
import os
from collections import deque
from collections.abc import Sequence

from core.errors import CallerFault
from core.limits import SESSIONS_PER_DEVICE
from core.values import ROW_LIVE, ROW_TOMBSTONE, Answer, Ask, CompareAndSet, Create, Fact, Get, Live, Operation, Outcome, Row, Tombstone
from jvpn.shell.stores.base import OWNER_GRACE_S, PURGE_EVERY_S, SECOND_NS, WallClock, applies, check, check_move


class MemoryStore:
    """A store whose rows and evidence can be looked at; `broken` makes it answer FAILED and do nothing."""

    def __init__(self, wall: WallClock) -> None:
        self.rows: dict[int, Row] = {}
        self.evidence: list[Fact] = []
        self.broken = False
        self._wall = wall
        self._purged = self._now()
        self._answers: deque[Answer] = deque()
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def submit(self, asks: Sequence[Ask]) -> None:
        """Judge the operations at once; the answers wait."""
        self._purge()
        for ask in asks:
            answer = Answer(0, Outcome.FAILED)
            if not self.broken and self._ready >= 0:
                with contextlib.suppress(CallerFault):
                    answer = self._judge(ask.operation)
            self._answers.append(answer._replace(ticket=ask.ticket))
        if asks and self._ready >= 0:
            os.eventfd_write(self._ready, 1)

    def fileno(self) -> int:
        """Return the descriptor that is readable while answers wait; -1 once closed."""
        return self._ready

    def answers(self) -> list[Answer]:
        """Take the answers that wait."""
        taken, self._answers = list(self._answers), deque()
        if taken and self._ready >= 0:
            os.eventfd_read(self._ready)
        return taken

    def close(self) -> None:
        """Answer FAILED from now on."""
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

    def _now(self) -> int:
        return self._wall() // SECOND_NS

    def _judge(self, operation: Operation) -> Answer:
        check(operation)
        if isinstance(operation, Get):
            row = self.rows.get(operation.handle)
            return Answer(0, Outcome.ABSENT if row is None else Outcome.FOUND, row)
        if isinstance(operation, Create):
            return self._create(operation)
        if isinstance(operation, CompareAndSet):
            return self._compare_and_set(operation)
        if isinstance(operation, Live):
            mine = [row for row in self.rows.values() if row.device == operation.device and row.state == ROW_LIVE]
            return Answer(0, Outcome.FOUND, None, tuple(sorted(row for row in mine if row.expires >= self._now())))
        row = self.rows.get(operation.handle)
        if row is None or not applies(operation, row):
            return Answer(0, Outcome.ABSENT if row is None else Outcome.LOST, row)
        return Answer(0, Outcome.WON, self._end(operation))

    def _create(self, operation: Create) -> Answer:
        new = operation.row
        stored = self.rows.get(new.handle)
        if stored is not None:
            return Answer(0, Outcome.LOST, stored)
        now = self._now()
        mine = {row.handle: row for row in self.rows.values() if row.device == new.device and row.state == ROW_LIVE}
        live = tuple(sorted(row for row in mine.values() if row.expires >= now))
        ending = [each for each in operation.supersede if each.handle in mine and applies(each, mine[each.handle])]
        if len({row.handle for row in live} - {each.handle for each in ending}) >= SESSIONS_PER_DEVICE:
            return Answer(0, Outcome.FULL, None, live)
        for tombstone in ending:
            self._end(tombstone)
        self.rows[new.handle] = new
        self.evidence.append(operation.fact)
        return Answer(0, Outcome.WON, new)

    def _compare_and_set(self, operation: CompareAndSet) -> Answer:
        stored = self.rows.get(operation.row.handle)
        if stored is None:
            return Answer(0, Outcome.ABSENT)
        if stored.state != ROW_LIVE or stored.binding_version != operation.expect:
            return Answer(0, Outcome.LOST, stored)
        check_move(stored, operation.row)
        self.rows[stored.handle] = operation.row
        self.evidence.append(operation.fact)
        return Answer(0, Outcome.WON, operation.row)

    def _end(self, tombstone: Tombstone) -> Row | None:
        stored = self.rows.get(tombstone.handle)
        if stored is None or stored.state == ROW_TOMBSTONE:
            return stored
        ended = stored._replace(state=ROW_TOMBSTONE, binding_version=stored.binding_version + 1, sealed=b"")
        self.rows[stored.handle] = ended
        self.evidence.append(tombstone.fact)
        return ended

    def _purge(self) -> None:
        now = self._now()
        if abs(now - self._purged) < PURGE_EVERY_S:
            return
        self._purged = now
        for row in list(self.rows.values()):
            if row.expires < now - (OWNER_GRACE_S if row.state == ROW_LIVE else 0):
                del self.rows[row.handle]
