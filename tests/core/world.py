"""A small world for playbooks: one gateway engine, one client engine, an in-memory store, and a network that the test holds in its hands."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core import limits
from core.client.attempts import Keys
from core.client.client import Client
from core.client.contact import ClientPolicy
from core.crypto.primitives import MlKem768, PrivateKey
from core.engine.gateway import Gateway
from core.reasons import Carrier, Event, Reason
from core.session.desk import Desk, Device, Identity, Policy
from core.values import (
    ROW_LIVE,
    ROW_TOMBSTONE,
    Answer,
    Ask,
    CompareAndSet,
    Connect,
    Create,
    Deliver,
    Dial,
    Endpoint,
    Fact,
    Get,
    Instant,
    Outcome,
    Output,
    Path,
    PathEvent,
    Record,
    Route,
    Row,
    Tombstone,
    Transmit,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MS = limits.MILLISECOND
GATEWAY_AT = Endpoint(bytes(10) + b"\xff\xff\x0a\x09\x00\x02", 51820)


def v4(last: int) -> bytes:
    """Return 10.9.0.`last` as the 16 bytes of an endpoint."""
    return bytes(10) + b"\xff\xff" + bytes((10, 9, 0, last))


def packet(source: bytes, destination: bytes, payload: bytes = b"") -> bytes:
    """Return an IPv4 packet (checksum left zero: nobody here looks at it)."""
    length = 20 + len(payload)
    return b"\x45\0" + length.to_bytes(2, "big") + bytes(4) + b"\x40\x11\0\0" + source + destination + payload


class Entropy:
    """Deterministic bytes that never repeat: SHA-256 in counter mode over a seed."""

    def __init__(self, seed: str) -> None:
        self.seed, self.count = seed, 0

    def __call__(self, n: int) -> bytes:
        self.count += 1
        out = b""
        while len(out) < n:
            out += hashlib.sha256(f"{self.seed} {self.count} {len(out)}".encode()).digest()
        return out[:n]


@dataclass
class Store:
    """The store's contract in a dozen lines; `silent` keeps answers back, `rows` and `outbox` survive a gateway's restart."""

    rows: dict[int, Row] = field(default_factory=dict)
    outbox: list[Fact] = field(default_factory=list)
    silent: bool = False
    failing: bool = False
    kept: list[Ask] = field(default_factory=list)

    def execute(self, ask: Ask) -> Answer:
        if self.failing:
            return Answer(ask.ticket, Outcome.FAILED)
        match ask.operation:
            case Get(handle):
                row = self.rows.get(handle)
                return Answer(ask.ticket, Outcome.FOUND if row else Outcome.ABSENT, row)
            case Create(row, fact, supersede):
                ended = {each.handle for each in supersede}
                mine = [r.handle for r in self.rows.values() if r.device == row.device and r.state == ROW_LIVE and r.handle not in ended]
                if row.handle in self.rows:
                    return Answer(ask.ticket, Outcome.LOST, self.rows[row.handle])
                if len(mine) >= limits.SESSIONS_PER_DEVICE:
                    return Answer(ask.ticket, Outcome.FULL, None, tuple(mine))
                for each in supersede:
                    self.bury(each)
                self.rows[row.handle] = row
                self.outbox.append(fact)
                return Answer(ask.ticket, Outcome.WON, row)
            case CompareAndSet(row, expect, fact):
                stored = self.rows.get(row.handle)
                if stored is None or stored.state != ROW_LIVE or stored.binding_version != expect:
                    return Answer(ask.ticket, Outcome.LOST, stored)
                self.rows[row.handle] = row
                self.outbox.append(fact)
                return Answer(ask.ticket, Outcome.WON, row)
            case Tombstone() as tombstone:
                if tombstone.handle not in self.rows:
                    return Answer(ask.ticket, Outcome.ABSENT)
                self.bury(tombstone)
                return Answer(ask.ticket, Outcome.WON, self.rows[tombstone.handle])

    def bury(self, tombstone: Tombstone) -> None:
        row = self.rows[tombstone.handle]
        if row.state != ROW_TOMBSTONE:
            self.rows[row.handle] = row._replace(state=ROW_TOMBSTONE, binding_version=row.binding_version + 1, sealed=b"")
            self.outbox.append(tombstone.fact)


class World:
    """Both engines on one clock. `cut` holds carriers whose frames are lost; `sent` every frame that was ever sent, with its path."""

    def __init__(
        self, seed: str = "w", *, policy: Policy | None = None, client_policy: ClientPolicy | None = None, latency_ms: int = 2
    ) -> None:
        self.entropy, self.now, self.store, self.latency = Entropy(seed), Instant(10**12), Store(), latency_ms * MS
        self.static, self.device_key = PrivateKey(self.entropy(32)), PrivateKey(self.entropy(32))
        self.device = Device(self.device_key.public, bytes((10, 77, 0, 2)), bytes(15) + b"\2")
        self.policy, self.client_policy = policy or Policy(), client_policy or ClientPolicy()
        self.k_loc, self.kek = self.entropy(32), self.entropy(32)
        self.devices = {self.device.public: self.device}
        self.boots = 0
        self.facts: list[Fact] = []
        self.client_facts: list[Fact] = []
        self.sent: list[tuple[str, Path, bytes]] = []
        self.cut: set[int] = set()
        self.flight: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.client_address, self.client_port, self.serial = v4(1), 40000, 0
        self.inner_up: list[bytes] = []
        self.inner_down: list[bytes] = []
        self.client_serials: dict[int, tuple[Path, Path]] = {}
        self.start_gateway()
        self.client = Client(Keys(self.device_key, self.static.public, MlKem768()), self.client_policy, self.entropy)

    def start_gateway(self) -> None:
        """Start the gateway afresh on the same store, as after a crash."""
        self.boots += 1
        identity = Identity(
            self.static, b"node-one", self.boots.to_bytes(8, "big"), (self.k_loc,), self.kek, 480000, 480000 * 3600 * limits.SECOND
        )
        self.desk = Desk(identity, self.policy, self.devices, self.entropy)
        self.gateway = Gateway(self.desk, MlKem768())

    # --- network ---

    def udp(self) -> Path:
        """Return the client's view of its UDP path."""
        return Path(Carrier.UDP, 0, Endpoint(self.client_address, self.client_port), GATEWAY_AT)

    def open_udp(self) -> None:
        path = self.udp()
        self.client_serials[Carrier.UDP] = (path, Path(Carrier.UDP, 0, GATEWAY_AT, path.local))
        self.client_does(lambda: self.client.path_event(path, PathEvent.OPENED, self.now))

    def dial(self, carrier: int) -> None:
        if carrier in self.cut:
            return
        self.serial += 1
        path = Path(carrier, self.serial, Endpoint(self.client_address, 50000 + self.serial), GATEWAY_AT)
        if carrier == Carrier.UDP:
            path = self.udp()
        self.client_serials[carrier] = (path, Path(carrier, path.serial, GATEWAY_AT, path.local))
        self.later(lambda: self.client_does(lambda: self.client.path_event(path, PathEvent.OPENED, self.now)))

    def close_stream(self, carrier: int = Carrier.TCP) -> None:
        """Reset the connection at both ends."""
        mine, theirs = self.client_serials.pop(carrier)
        self.gateway_does(lambda: self.gateway.path_event(theirs, PathEvent.CLOSED, self.now))
        self.client_does(lambda: self.client.path_event(mine, PathEvent.CLOSED, self.now))

    def later(self, action: Callable[[], None]) -> None:
        self.order += 1
        self.flight.append((self.now + self.latency, self.order, action))

    # --- outputs ---

    def client_does(self, call: Callable[[], list[Output]]) -> None:
        for output in call():
            match output:
                case Transmit(path, frames):
                    for frame in frames:
                        self.sent.append(("client", path, frame))
                        self.carry_up(path, frame)
                case Deliver(_, packets):
                    self.inner_down += packets
                case Record(fact):
                    self.client_facts.append(fact)
                case Dial(carrier):
                    self.dial(carrier)
                case Route():
                    pass
                case _:
                    raise AssertionError(output)

    def carry_up(self, path: Path, frame: bytes, source: Endpoint | None = None) -> None:
        if path.carrier in self.cut or (source is None and path.local.address != self.client_address):
            return
        arrived = Path(path.carrier, path.serial, GATEWAY_AT, source or path.local)
        self.later(lambda: self.gateway_does(lambda: self.gateway.receive([frame], arrived, self.now)))

    def gateway_does(self, call: Callable[[], list[Output]]) -> None:
        for output in call():
            match output:
                case Transmit(path, frames):
                    for frame in frames:
                        self.sent.append(("gateway", path, frame))
                        if path.carrier not in self.cut and path.remote.address == self.client_address:
                            back = Path(path.carrier, path.serial, path.remote, GATEWAY_AT)
                            self.later(
                                lambda back=back, frame=frame: self.client_does(lambda: self.client.receive([frame], back, self.now))
                            )
                case Deliver(_, packets):
                    self.inner_up += packets
                case Record(fact):
                    self.facts.append(fact)
                case Ask() as ask:
                    if self.store.silent:
                        self.store.kept.append(ask)
                    else:
                        answer = self.store.execute(ask)
                        gateway = self.gateway
                        self.later(lambda gateway=gateway, answer=answer: self.gateway_does(lambda: gateway.answer([answer], self.now)))
                case Route():
                    pass
                case _:
                    raise AssertionError(output)

    # --- time ---

    def run(self, milliseconds: float, every: Callable[[], None] | None = None) -> None:
        """Let time pass in steps of one millisecond or less, delivering and ticking."""
        end, chat_at = self.now + int(milliseconds * MS), self.now
        while self.now < end:
            due = [self.gateway.deadline(), self.client.deadline(), *(at for at, _, _ in self.flight)]
            self.now = Instant(min(end, max(self.now + 1, min([at for at in due if at is not None] + [self.now + MS]))))
            ready = sorted(each for each in self.flight if each[0] <= self.now)
            self.flight = [each for each in self.flight if each[0] > self.now]
            for _, _, action in ready:
                action()
            if (at := self.gateway.deadline()) is not None and at <= self.now:
                self.gateway_does(lambda: self.gateway.tick(self.now))
            if (at := self.client.deadline()) is not None and at <= self.now:
                self.client_does(lambda: self.client.tick(self.now))
            if every and self.now >= chat_at:  # every five milliseconds
                chat_at = self.now + 5 * MS
                every()

    def connect(self) -> None:
        """Bring a session up over UDP."""
        self.open_udp()
        self.client_does(lambda: self.client.command(Connect(), self.now))
        self.run(100)

    def say(self, payload: bytes = b"x") -> None:
        """Send one inner packet up."""
        inner = packet(self.device.inner4, bytes((10, 77, 0, 1)), payload)
        self.client_does(lambda: self.client.send(0, [inner], self.now))

    def tell(self, payload: bytes = b"y") -> None:
        """Send one inner packet down."""
        inner = packet(bytes((10, 77, 0, 1)), self.device.inner4, payload)
        handle = self.gateway.session_for(self.device.inner4)
        if handle is not None:
            self.gateway_does(lambda: self.gateway.send(handle, [inner], self.now))

    @property
    def session(self):  # noqa: ANN201 - the one session, for assertions
        return next(iter(self.desk.sessions.values()))

    def reasons(self, event: Event) -> list[Reason]:
        """Return the reasons of all facts of an event, telemetry and evidence, in order."""
        return [fact.reason for fact in sorted([*self.facts, *self.store.outbox], key=lambda f: f.serial) if fact.event == event]
