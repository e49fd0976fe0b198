"""Both stores against a model of a few lines, with sequences that nobody would think of (O-2 to O-7, O-10, O-12, O-25)."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.limits import SESSIONS_PER_DEVICE
from core.values import CompareAndSet, Create, Get, Live, Operation, Outcome, Tombstone
from jvpn.shell.stores.base import OWNER_GRACE_S, PURGE_EVERY_S, Store
from jvpn.shell.stores.memory import MemoryStore
from jvpn.shell.stores.sqlite import SqliteStore
from tests.jvpn.shell.storing import BOOT, NODE, START, Clock, ask, create, end, move, outbox

DEVICES = [bytes([number]) * 32 for number in range(2)]
LIVES = st.sampled_from([0, 600, 4_000, 100_000])
EXPECTED = st.sampled_from([None, None, 1, 2])
WON, LOST, FOUND, ABSENT, FULL, FAILED = Outcome
Expected = tuple[Outcome, int | None, tuple[int, ...]]  # outcome, version of the row in the answer, handles


class Kept:
    """What the model knows of a row."""

    def __init__(self, device: bytes, expires: int) -> None:
        self.device, self.expires, self.version, self.live = device, expires, 1, True


class Model:
    """What the stores should hold, and which facts they should have kept."""

    def __init__(self) -> None:
        self.rows: dict[int, Kept] = {}
        self.serials: list[int] = []
        self.now = self.purged = START

    def purge(self) -> None:
        """Drop what is over: tombstones at once, others after the owner's grace."""
        self.purged = self.now
        self.rows = {handle: kept for handle, kept in self.rows.items() if self.now <= kept.expires + (OWNER_GRACE_S if kept.live else 0)}

    def judge(self, operation: Operation) -> Expected:
        """Say how an operation must be answered, and remember what it does."""
        if isinstance(operation, Create | Live):
            return self.create(operation) if isinstance(operation, Create) else (FOUND, None, self.counted(operation.device))
        kept = self.rows.get(operation.row.handle if isinstance(operation, CompareAndSet) else operation.handle)
        if kept is None:
            return ABSENT, None, ()
        if isinstance(operation, Get):
            return FOUND, kept.version, ()
        if isinstance(operation, Tombstone):
            if not self.applies(operation, kept):
                return LOST, kept.version, ()
            self.end(operation, kept)
            return WON, kept.version, ()
        if not kept.live or kept.version != operation.expect:
            return LOST, kept.version, ()
        if (kept.device, kept.expires) != (operation.row.device, operation.row.expires):
            return FAILED, None, ()
        kept.version += 1
        self.serials.append(operation.fact.serial)
        return WON, kept.version, ()

    def counted(self, device: bytes) -> tuple[int, ...]:
        """Return which sessions count for a device."""
        mine = [handle for handle, kept in self.rows.items() if kept.device == device and kept.live and self.now <= kept.expires]
        return tuple(sorted(mine))

    def create(self, birth: Create) -> Expected:
        """Judge a birth."""
        if birth.row.handle in self.rows:
            return LOST, self.rows[birth.row.handle].version, ()
        mine = {handle: kept for handle, kept in self.rows.items() if kept.device == birth.row.device and kept.live}
        counted = self.counted(birth.row.device)
        ended = {tombstone.handle for tombstone in birth.supersede if self.applies(tombstone, mine.get(tombstone.handle))}
        if len(set(counted) - ended) + 1 > SESSIONS_PER_DEVICE:
            return FULL, None, counted
        for tombstone in birth.supersede:
            if self.applies(tombstone, mine.get(tombstone.handle)):
                self.end(tombstone, mine[tombstone.handle])
        self.rows[birth.row.handle] = Kept(birth.row.device, birth.row.expires)
        self.serials.append(birth.fact.serial)
        return WON, 1, ()

    @staticmethod
    def applies(tombstone: Tombstone, kept: Kept | None) -> bool:
        """Say whether an end finds what it expects."""
        return kept is not None and (not kept.live or tombstone.expect in {None, kept.version})

    def end(self, tombstone: Tombstone, kept: Kept) -> None:
        """End a session that is not over yet."""
        if kept.live:
            kept.live, kept.version = False, kept.version + 1
            self.serials.append(tombstone.fact.serial)


class BothStores(RuleBasedStateMachine):
    """Groups of operations, time that passes, and restarts of the embedded store."""

    @initialize()
    def empty(self) -> None:
        """Start with nothing."""
        self.folder = Path(tempfile.mkdtemp())
        self.clock, self.model, self.serial = Clock(), Model(), 0
        self.memory = MemoryStore(self.clock)
        self.sqlite = SqliteStore(self.folder / "store", NODE, BOOT, self.clock, self.clock)

    @rule(data=st.data(), count=st.integers(1, 8))
    def operate(self, data: st.DataObject, count: int) -> None:
        """Ask both for the same group."""
        group = [self.draw(data) for _ in range(count)]
        expected = [self.model.judge(operation) for operation in group]
        assert self.told(self.memory, group) == expected
        assert self.told(self.sqlite, group) == expected

    @rule(seconds=st.sampled_from([1, 599, 3_600, 50_000]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.goes_on(seconds)

    def goes_on(self, seconds: int) -> None:
        """Let time pass, and both look at it: the file's thread may do so at any moment."""
        self.clock.seconds += seconds
        self.model.now += seconds
        if self.model.now - self.model.purged >= PURGE_EVERY_S:
            self.model.purge()
        ask(self.memory, Get(0))
        ask(self.sqlite, Get(0))

    @rule()
    def restart(self) -> None:
        """Close the file and open it again; live rows go once it has seen an hour pass."""
        self.sqlite.close()
        self.sqlite = SqliteStore(self.folder / "store", NODE, BOOT, self.clock, self.clock)
        self.goes_on(PURGE_EVERY_S)

    @invariant()
    def evidence_is_that_of_the_changes(self) -> None:
        """Each change has exactly one fact, in order; nothing else has."""
        if hasattr(self, "model"):
            assert [fact.serial for fact in self.memory.evidence] == self.model.serials
            assert [stamped.fact.serial for stamped in outbox(self.folder / "store")] == self.model.serials

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "model"):
            self.memory.close()
            self.sqlite.close()
            shutil.rmtree(self.folder)

    def draw(self, data: st.DataObject) -> Operation:
        """Return some operation, more often than not one that can win."""
        handle = data.draw(st.integers(1, 7))
        kept = self.model.rows.get(handle)
        self.serial += 10
        kind = data.draw(st.sampled_from([Get, Live, Create, Create, CompareAndSet, CompareAndSet, Tombstone]))
        if kind is Get:
            return Get(handle)
        if kind is Live:
            return Live(data.draw(st.sampled_from(DEVICES)))
        if kind is Tombstone:
            return end(handle, self.serial, data.draw(EXPECTED))
        if kind is Create:
            others = data.draw(st.lists(st.integers(1, 7), max_size=2))
            supersede = tuple(end(other, self.serial + 1 + place, data.draw(EXPECTED)) for place, other in enumerate(others))
            expires = self.model.now + data.draw(LIVES)
            return create(handle, self.serial, data.draw(st.sampled_from(DEVICES)), supersede, expires=expires)
        version = (kept.version if kept else 1) + data.draw(st.sampled_from([0, 0, 0, 1, -1]))
        same = kept is not None and data.draw(st.sampled_from([True, True, True, False]))
        device, expires = (kept.device, kept.expires) if kept and same else (DEVICES[0], START)
        return move(handle, max(version, 0), self.serial, device, expires=expires)

    @staticmethod
    def told(store: Store, group: list[Operation]) -> list[Expected]:
        """Ask, and reduce the answers to what the model speaks of."""
        answers = ask(store, *group)
        return [
            (answer.outcome, answer.row.binding_version if answer.row else None, tuple(row.handle for row in answer.rows))
            for answer in answers
        ]


BothStores.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestBothStores = BothStores.TestCase
