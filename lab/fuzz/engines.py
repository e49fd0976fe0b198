"""Engines as targets: bytes are read as a short program of what strangers, devices, clocks and stores do to an engine in some state.

The program has the keys. It can make right MACs, finish handshakes and seal under live epochs, so it gets behind the first check, and what
it says there is the fuzzer's. After each program the engine is put back; the same bytes do the same.
"""

from collections.abc import Callable, Mapping
from typing import Final

from core import limits
from core.client.attempts import Attempt, Hand
from core.crypto.chain import later, mac_key, psk_of, reattach_prologue
from core.crypto.noise import IKHFS, KKPSK0, Handshake
from core.engine.gateway import Gateway
from core.reasons import Reason
from core.values import (
    AllowList,
    Answer,
    CloseSession,
    CompareAndSet,
    Connect,
    Create,
    Deliver,
    Instant,
    Outcome,
    Output,
    Path,
    PathEvent,
    Record,
    Settle,
    Transmit,
)  # fmt: skip
from core.wire.epoch import Epoch
from core.wire.layout import INIT_MAC1, SIZES, Kind, confirm_length, padded
from core.wire.macs import cookie_proof, k1, mac
from core.wire.messages import encode, init_header, parse, reattach_header
from core.wire.records import Cookie, Init, Reattach, ReattachResp, Resp
from lab.fuzz.reader import Reader
from lab.replay.snapshot import Snapshot
from lab.replay.states import Stage, names, stage
from lab.sim.frames import minted, there

STEPS: Final = 10
CHUNK: Final = 1_500
IPV4: Final = 4


class Wrong(Exception):
    """Something that must not be, and that no exception of the engine says."""


def gateway() -> Callable[[bytes], None]:
    """Return the target that drives a gateway."""
    return Play([stage(name) for name in names() if name.startswith("gateway")], GATEWAY_STEPS).run


def client() -> Callable[[bytes], None]:
    """Return the target that drives a client."""
    return Play([stage(name) for name in names() if name.startswith("client")], CLIENT_STEPS).run


class Play:
    """Runs programs: the first byte chooses the state, then one byte a step and what the step reads."""

    def __init__(self, stages: list[Stage], steps: "tuple[Step, ...]") -> None:
        """Take snapshots of both ends: a program uses up counters of the other one."""
        self.steps = steps
        self.stages = [
            (each, Snapshot(each.world.gateway, each.world.desk, *(host.client for host in each.world.hosts))) for each in stages
        ]

    def run(self, data: bytes) -> None:
        """Run one program, and put everything back."""
        reader = Reader(data)
        at, snapshot = self.stages[reader.byte() % len(self.stages)]
        try:
            run = Run(at, reader)
            for _ in range(STEPS):
                if not reader.left():
                    break
                run.step(self.steps[reader.byte() % len(self.steps)])
        finally:
            snapshot.restore()


class Run:
    """One program under way: its clock, its reader and its engine."""

    def __init__(self, at: Stage, reader: Reader) -> None:
        """Begin where the way to the state ended."""
        self.world, self.reader, self.now = at.world, reader, at.world.now
        self.places = list(at.places.values())
        self.engine = at.world.gateway if at.side == "gateway" else at.world.client

    def step(self, step: "Step") -> None:
        """Do one thing and judge what comes out."""
        for output in step(self):
            match output:
                case Record(fact) if fact.reason is Reason.INVARIANT_BROKEN:
                    raise Wrong(f"an invariant is broken: {fact}")
                case Deliver(handle, packets) if isinstance(self.engine, Gateway) and handle in self.world.desk.sessions:
                    device = self.world.desk.sessions[handle].device
                    sources = {packet[12:16] if packet[0] >> 4 == IPV4 else packet[8:24] for packet in packets}
                    if not sources <= {device.inner4, device.inner6}:  # [I-20]
                        raise Wrong("a packet from an address that is not the device's")
        deadline = self.engine.deadline()
        if deadline is not None and deadline < 0:
            raise Wrong("a deadline before time began")

    def path(self) -> Path:
        """Choose a path."""
        return self.places[self.reader.byte() % len(self.places)]

    def takes(self, frame: bytes, path: Path | None = None) -> list[Output]:
        """Let a frame arrive."""
        return self.engine.receive([frame], path or self.path(), self.now)

    def inner(self) -> bytes:
        """Return an inner frame: any blocks, or a kind with a body in the right form."""
        kind = self.reader.byte() % 12
        if kind > max(Kind):
            return self.reader.chunk(CHUNK).ljust(16, b"\0")[: confirm_length(self.world.policy.mtu) - 32]
        body = self.reader.chunk(self.world.policy.mtu)
        size = confirm_length(self.world.policy.mtu) - 32 if kind in {Kind.CONFIRM, Kind.ACK} else padded(3 + len(body))
        return (bytes((kind,)) + len(body).to_bytes(2, "little") + body).ljust(size, b"\0")

    def sealed(self, epochs: list[Epoch], mine: Callable[[Path], Path]) -> list[Output]:
        """Let a burst of inner frames arrive that the other end has sealed under one of its epochs, from the right path or another."""
        if not epochs:
            return []
        epoch = epochs[self.reader.byte() % len(epochs)]
        where = self.path() if self.reader.byte() % 4 == 0 else mine(epoch.path)
        epoch.counter = max(epoch.counter, self.reader.number(self.reader.byte() % 8)) if self.reader.byte() % 8 == 0 else epoch.counter
        inner = [self.inner() for _ in range(1 + self.reader.byte() % 3)]
        if epoch.counter > 2**64 - 2**14:
            return []
        frames = [frame for run in epoch.seal(inner) for frame in run.frames]
        if self.reader.byte() % 4 == 0:  # something of anybody's arrives with them, first or last
            frames.insert(self.reader.byte() % (len(frames) + 1), self.reader.chunk(CHUNK))
        return self.engine.receive(frames, where, self.now)


Step = Callable[[Run], list[Output]]


def anything(run: Run) -> list[Output]:
    """Any bytes; an answer must not be longer than they are [F-11]."""
    return answered(run, run.reader.chunk(CHUNK))


def formed(run: Run) -> list[Output]:
    """Any bytes in the form of a message of fixed length."""
    kind = list(SIZES)[run.reader.byte() % len(SIZES)]
    return answered(run, (bytes((kind, 1, 0, 0)) + run.reader.chunk(SIZES[kind] - 4)).ljust(SIZES[kind], b"\0"))


def answered(run: Run, frame: bytes) -> list[Output]:
    """Let a frame arrive that proves nothing."""
    out = run.takes(frame)
    if any(len(answer) > len(frame) for each in out if isinstance(each, Transmit) for answer in each.frames):
        raise Wrong("an answer longer than what it answers")
    return out


def replayed(run: Run) -> list[Output]:
    """A frame that was sent before, with up to three bytes changed."""
    sent = run.world.sent
    if not sent:
        return []
    frame = bytearray(sent[run.reader.number(2) % len(sent)].frame)
    for _ in range(run.reader.byte() % 4):
        frame[run.reader.number(2) % len(frame)] ^= run.reader.byte()
    return run.takes(bytes(frame))


def ticks(run: Run) -> list[Output]:
    """Time passes, up to eleven minutes."""
    run.now = Instant(run.now + run.reader.number(2) * 10 * limits.MILLISECOND)
    return run.engine.tick(run.now)


def sends(run: Run) -> list[Output]:
    """The TUN hands over packets."""
    handles = list(run.world.desk.sessions) if isinstance(run.engine, Gateway) else [0]
    return run.engine.send(handles[0] if handles else 0, [run.reader.chunk(CHUNK) for _ in range(run.reader.byte() % 3)], run.now)


def closes(run: Run) -> list[Output]:
    """An adapter says something about a path."""
    return run.engine.path_event(run.path(), list(PathEvent)[run.reader.byte() % 3], run.now)


def orders(run: Run) -> list[Output]:
    """An operator or a user orders something."""
    handles = list(run.world.desk.sessions) or [0]
    handle = handles[run.reader.byte() % len(handles)] if isinstance(run.engine, Gateway) else 0
    return run.engine.command((CloseSession(handle), AllowList({}), Settle(), Connect())[run.reader.byte() % 4], run.now)


def knocks(run: Run) -> list[Output]:
    """An INIT whose mac1 is right, of bytes that nobody with a device key made."""
    head = init_header(run.reader.number(4)) + run.reader.chunk(INIT_MAC1 - 8).ljust(INIT_MAC1 - 8, b"\0")
    head += mac(k1(run.world.static.public), head)
    return answered(run, head + run.reader.take(16).ljust(16, b"\0"))


def greets(run: Run) -> list[Output]:
    """An INIT of a known device, whose payload says anything."""
    world, header = run.world, init_header(run.reader.number(4))
    handshake = Handshake(IKHFS, initiator=True, prologue=b"jumping-vpn/1 handshake" + header, static=world.host.key,
                          remote=world.static.public, kem=world.kem, entropy=world.entropy)  # fmt: skip
    head = header + handshake.write(run.reader.take(16).ljust(16, b"\0"))
    head += mac(k1(world.static.public), head)
    return run.takes(head + bytes(16))


def moves(run: Run) -> list[Output]:
    """A REATTACH with the right locator and the right mac, whose payload says anything, or whose proof is anything."""
    world, session = run.world, next(iter(run.world.desk.sessions.values()), None)
    if session is None or session.secrets is None:
        return []
    ahead, (session_id, chain) = run.reader.byte() % 70, session.secrets
    attempt, link = session.next + ahead, later(chain, ahead)
    if attempt >= 2**16:
        return []
    header = reattach_header(run.reader.number(4), minted(world.desk.locators[0], session.handle, attempt))
    if run.reader.byte() % 4 == 0:
        noise = run.reader.take(64).ljust(64, b"\0")
    else:
        prologue = reattach_prologue(session_id, attempt, header)
        handshake = Handshake(KKPSK0, initiator=True, prologue=prologue, static=world.host.key, remote=world.static.public,
                              psk=psk_of(link), entropy=world.entropy)  # fmt: skip
        noise = handshake.write(run.reader.take(16).ljust(16, b"\0"))
    frame = header + noise
    return run.takes(frame + mac(mac_key(link), frame))


def says(run: Run) -> list[Output]:
    """The device seals something under an epoch of its own."""
    it = run.world.client
    held = (it.committed, it.draining, it.newborn and it.newborn.epoch, *(each.epoch for each in it.confirming))
    return run.sealed([epoch for epoch in held if epoch], there)


def stores(run: Run) -> list[Output]:
    """The store answers what it was asked, in any of its ways."""
    tickets = list(run.world.desk.tickets)
    if not tickets or not isinstance(run.engine, Gateway):
        return []
    ticket, rows = tickets[run.reader.byte() % len(tickets)], list(run.world.store.rows.values())
    asked = run.world.desk.tickets[ticket][1]
    row = asked.row if isinstance(asked, Create | CompareAndSet) else rows[0] if rows else None
    if row and run.reader.byte() % 2:
        row = row._replace(binding_version=row.binding_version + run.reader.byte() % 3, state=1 + run.reader.byte() % 2, sealed=row.sealed)
    outcome = list(Outcome)[run.reader.byte() % len(Outcome)]
    needs_row, has_none = {Outcome.FOUND, Outcome.WON}, {Outcome.ABSENT, Outcome.FAILED, Outcome.FULL}
    if outcome in needs_row and row is None:
        return []
    live = (*rows, *(each._replace(handle=7) for each in rows[:1])) if outcome is Outcome.FULL else ()
    return run.engine.answer([Answer(ticket, outcome, None if outcome in has_none else row, live)], run.now)


def welcomes(run: Run) -> list[Output]:
    """A RESP to a handshake of the client, whose payload says anything."""
    hand = chosen(run, run.world.client.hands)
    if not isinstance(hand, Hand):
        return []
    world = run.world
    handshake = Handshake(IKHFS, initiator=False, prologue=b"jumping-vpn/1 handshake" + init_header(hand.index), static=world.static,
                          remote=None, kem=world.kem, entropy=world.entropy)  # fmt: skip
    message = parse(hand.frame)
    if not isinstance(message, Init):
        raise Wrong("a client's INIT is none")
    handshake.read(message.noise)
    payload = run.reader.take(16).ljust(16, b"\0")
    index = int.from_bytes(payload[2:6], "little") if run.reader.byte() % 4 else run.reader.number(4)
    return run.takes(encode(Resp(index, hand.index, handshake.write(payload))), hand.path if run.reader.byte() % 4 else None)


def cookies(run: Run) -> list[Output]:
    """A COOKIE with the right proof."""
    hand = chosen(run, run.world.client.hands)
    if not isinstance(hand, Hand):
        return []
    cookie = run.reader.take(16).ljust(16, b"\0")
    proof = cookie_proof(k1(run.world.static.public), hand.mac1, cookie)
    return run.takes(encode(Cookie(hand.index, cookie, proof)), hand.path if run.reader.byte() % 4 else None)


def permits(run: Run) -> list[Output]:
    """A REATTACH_RESP to an attempt of the client, whose payload says anything."""
    attempt, session = chosen(run, run.world.client.attempts), next(iter(run.world.desk.sessions.values()), None)
    if not isinstance(attempt, Attempt) or session is None or attempt.number < session.next or session.secrets is None:
        return []
    session_id, chain = session.secrets
    link = later(chain, attempt.number - session.next)
    message = parse(attempt.frame)
    if not isinstance(message, Reattach):
        raise Wrong("a client's REATTACH is none")
    prologue = reattach_prologue(session_id, attempt.number, attempt.frame[:24])
    handshake = Handshake(KKPSK0, initiator=False, prologue=prologue, static=run.world.static, remote=run.world.host.key.public,
                          psk=psk_of(link), entropy=run.world.entropy)  # fmt: skip
    handshake.read(message.noise)
    payload = run.reader.take(24).ljust(24, b"\0")
    index = int.from_bytes(payload[4:8], "little") if run.reader.byte() % 4 else run.reader.number(4)
    frame = encode(ReattachResp(index, attempt.index, handshake.write(payload)))
    return run.takes(frame, attempt.path if run.reader.byte() % 4 else None)


def tells(run: Run) -> list[Output]:
    """The gateway seals something under an epoch of its own."""
    held = [each for it in run.world.desk.sessions.values() for each in (it.active, it.draining, it.candidate and it.candidate.epoch)]
    return run.sealed([epoch for epoch in held if epoch], there)


def chosen(run: Run, held: Mapping[int, Hand | Attempt]) -> Hand | Attempt | None:
    """Choose one of what the client has outstanding."""
    values = list(held.values())
    return values[run.reader.byte() % len(values)] if values else None


GATEWAY_STEPS: Final = (anything, formed, replayed, ticks, sends, closes, orders, knocks, greets, moves, says, says, stores)
CLIENT_STEPS: Final = (anything, formed, replayed, ticks, sends, closes, orders, welcomes, cookies, permits, tells, tells)
