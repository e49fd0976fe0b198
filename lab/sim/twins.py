"""Stand-ins for what the core is handed in: entropy, KEM and store. Deterministic, so that the same inputs give the same bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256, shake_256
from typing import Final

from core import limits
from core.crypto.secret import Secret
from core.values import (
    ROW_LIVE,
    ROW_TOMBSTONE,
    Answer,
    Ask,
    CompareAndSet,
    Create,
    Fact,
    Get,
    Live,
    Outcome,
    Row,
    Tombstone,
)
from lab.sim.recorded import recorded

KEM_PUBLIC, KEM_CIPHERTEXT = 1_184, 1_088


class Entropy:
    """Bytes that do not repeat: SHAKE-256 over a seed and a counter."""

    def __init__(self, seed: str) -> None:
        self.seed, self.count = seed, 0

    def __call__(self, n: int) -> bytes:
        """Return n bytes."""
        self.count += 1
        return shake_256(f"{self.seed} {self.count}".encode()).digest(n)


class TwinKemKey:
    """A key pair of the twin KEM."""

    def __init__(self, seed: bytes) -> None:
        self.public = shake_256(b"public" + seed).digest(KEM_PUBLIC)

    def decapsulate(self, ciphertext: bytes) -> Secret:
        """Return the shared secret, 32 bytes."""
        return Secret(sha256(self.public + ciphertext).digest())


class TwinKem:
    """Lengths of ML-KEM-768 without its secrecy, and without the randomness that its library draws itself."""

    generate: Final = staticmethod(TwinKemKey)

    def __init__(self) -> None:
        self.count = 0

    def encapsulate(self, public: bytes) -> tuple[Secret, bytes]:
        """Return (shared secret, ciphertext)."""
        self.count += 1
        ciphertext = shake_256(public + self.count.to_bytes(8, "little")).digest(KEM_CIPHERTEXT)
        return Secret(sha256(public + ciphertext).digest()), ciphertext


@dataclass
class Store:
    """The store's contract. Rows and outbox survive a gateway's restart.

    `silent`: asks are kept and neither executed nor answered. `mute`: executed, the answers kept. `failing`: answered FAILED, not executed.
    """

    rows: dict[int, Row] = field(default_factory=dict)
    outbox: list[Fact] = field(default_factory=list)
    silent: bool = False
    mute: bool = False
    failing: bool = False
    asked: list[Ask] = field(default_factory=list)
    kept: list[tuple[Ask, Callable[[Answer], None]]] = field(default_factory=list)
    answers: list[tuple[Answer, Callable[[Answer], None]]] = field(default_factory=list)

    def submit(self, ask: Ask, tell: Callable[[Answer], None]) -> None:
        """Take an operation over; `tell` takes its answer."""
        self.asked.append(ask)
        self.kept.append((ask, tell))

    def settle(self, later: Callable[[Callable[[], None]], None]) -> None:
        """Execute and answer, in the order asked, as far as this store does at present."""
        if not self.silent:
            self.answers += [(self.execute(ask), tell) for ask, tell in self.kept]
            self.kept = []
        if not self.mute:
            for answer, tell in self.answers:
                later(partial(tell, answer))
            self.answers = []

    def execute(self, ask: Ask) -> Answer:
        """Execute one operation."""
        if self.failing or isinstance(ask.operation, Live):
            return Answer(ask.ticket, Outcome.FAILED) if self.failing else self.live(ask)
        match ask.operation:
            case Get(handle):
                row = self.rows.get(handle)
                return Answer(ask.ticket, Outcome.FOUND if row else Outcome.ABSENT, row)
            case Create() as create:
                return self.create(ask.ticket, create)
            case CompareAndSet(row, expect, fact):
                stored = self.rows.get(row.handle)
                if stored is None or stored.state != ROW_LIVE or stored.binding_version != expect:
                    return Answer(ask.ticket, Outcome.LOST, stored)
                self.rows[row.handle] = row
                self.keep(fact)
                return Answer(ask.ticket, Outcome.WON, row)
            case Tombstone() as tombstone:
                if tombstone.handle not in self.rows:
                    return Answer(ask.ticket, Outcome.ABSENT)
                if not self.buries(tombstone):
                    return Answer(ask.ticket, Outcome.LOST, self.rows[tombstone.handle])
                self.bury(tombstone)
                return Answer(ask.ticket, Outcome.WON, self.rows[tombstone.handle])

    def live(self, ask: Ask) -> Answer:
        """Find a device's live sessions."""
        mine = [row for row in self.rows.values() if row.device == getattr(ask.operation, "device", None) and row.state == ROW_LIVE]
        return Answer(ask.ticket, Outcome.FOUND, None, tuple(sorted(mine)))

    def create(self, ticket: int, create: Create) -> Answer:
        """Write a first row, and end the sessions that it supersedes, unless the device has too many."""
        row, superseded = create.row, [each for each in create.supersede if each.handle in self.rows and self.buries(each)]
        mine = [each for each in self.rows.values() if (each.device, each.state) == (row.device, ROW_LIVE)]
        if row.handle in self.rows:
            return Answer(ticket, Outcome.LOST, self.rows[row.handle])
        if len({each.handle for each in mine} - {each.handle for each in superseded}) >= limits.SESSIONS_PER_DEVICE:
            return Answer(ticket, Outcome.FULL, None, tuple(mine))
        for each in superseded:
            self.bury(each)
        self.rows[row.handle] = row
        self.keep(create.fact)
        return Answer(ticket, Outcome.WON, row)

    def buries(self, tombstone: Tombstone) -> bool:
        """Tell whether nobody moved the session since the one who ends it looked."""
        row = self.rows[tombstone.handle]
        return row.state == ROW_TOMBSTONE or tombstone.expect in {None, row.binding_version}

    def bury(self, tombstone: Tombstone) -> None:
        """End a session for good; ending it twice changes nothing."""
        row = self.rows[tombstone.handle]
        if row.state != ROW_TOMBSTONE:
            self.rows[row.handle] = row._replace(state=ROW_TOMBSTONE, binding_version=row.binding_version + 1, sealed=b"")
            self.keep(tombstone.fact)

    def keep(self, fact: Fact) -> None:
        """Keep evidence."""
        self.outbox.append(fact)
        recorded(fact, "gateway")
