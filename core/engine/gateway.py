"""The gateway's engine: dispatches what arrives to sessions and front door, and the store's answers back to who asked."""

import heapq
from collections.abc import Sequence
from typing import Final, NamedTuple

from core import limits
from core.crypto.primitives import Kem
from core.engine.front import Front
from core.errors import PeerFault
from core.reasons import Event, Reason
from core.session.desk import Desk
from core.session.reattach import judge_reattach, load, open_locator
from core.session.session import Session
from core.session.states import Input, State
from core.session.timers import judge, next_deadline, watch_quality
from core.values import (
    ROW_LIVE,
    AllowList,
    Answer,
    CloseSession,
    CompareAndSet,
    Create,
    Deliver,
    Fact,
    Get,
    Instant,
    Order,
    Outcome,
    Output,
    Path,
    PathEvent,
    Record,
    Settle,
    Tombstone,
    Transmit,
)  # fmt: skip
from core.wire.epoch import Epoch
from core.wire.inner import encode, encode_ip
from core.wire.inner import parse as parse_inner
from core.wire.layout import Change, Kind, Malformed
from core.wire.messages import parse, parse_data
from core.wire.records import Confirm, Hint, Init, Probe, ProbeAck, Reattach, pack, unpack
from core.wire.refusals import DEFECT_REASON

OF_SESSION: Final = frozenset((Reason.REATTACH_REPLAYED, Reason.REATTACH_BAD_PROOF, Reason.INNER_MALFORMED, Reason.NO_TRANSITION))
"""Refusals that name the session: the chain's mac was right, or the bytes are those of a live attempt."""
HINTS: Final = {change: encode(Kind.HINT, pack(Hint(change))) for change in Change}
IPV4: Final = 4


class Load(NamedTuple):
    """A REATTACH that waits for its session's row."""

    frame: bytes
    message: Reattach
    attempt: int
    path: Path


class Gateway:
    """All sessions of one gateway process. Outputs are to be executed in list order."""

    def __init__(self, desk: Desk, kem: Kem) -> None:
        """Serve with the identity, policy and allow list of `desk`."""
        self.desk, self._front = desk, Front(desk, kem)
        self._heap: list[tuple[Instant, int]] = []
        self._loads: dict[int, Instant] = {}
        self._load_second: tuple[int, int] = (0, 0)

    def receive(self, frames: Sequence[bytes], path: Path, now: Instant) -> list[Output]:
        """Take one receive call's frames, all from one path; clocks are judged first."""
        self._run_clocks(now)
        packets: dict[int, list[bytes]] = {}
        for frame in frames:
            try:
                if frame[:1] == b"\x04":
                    self._data(frame, path, packets, now)
                else:
                    self._message(frame, path, now)
            except PeerFault as fault:
                self.desk.stranger(fault.reason, path, now)
            except Malformed as malformed:
                self.desk.stranger(DEFECT_REASON[malformed.defect], path, now)
        self.desk.out += [Deliver(handle, inner) for handle, inner in packets.items() if inner]
        return self._finish(now)

    def send(self, session: int, inner: Sequence[bytes], now: Instant) -> list[Output]:
        """Seal inner packets to a session's bound path; without one they are dropped [D-4]."""
        known = self.desk.sessions.get(session)
        if known and known.active:
            frames = [encode_ip(packet) for packet in inner if len(packet) <= self.desk.policy.mtu]
            if now - known.active.born > limits.REKEY_AFTER_NS:
                self._hint(known, known.active, Change.REKEY, known.active.path, now)
            self.desk.out += known.active.seal(frames)
        return self._finish(now)

    def path_event(self, path: Path, event: PathEvent, now: Instant) -> list[Output]:
        """Hear that a connection ended; other events change nothing at a gateway."""
        self._run_clocks(now)
        for session in self.desk.streams.pop(path, set()) if event is PathEvent.CLOSED else set():
            if session.candidate and session.candidate.epoch.path == path and not session.commit_ticket:
                session.hear(Input.CANDIDATE_EXPIRED, now)
            if session.commit_ticket or (session.active and session.active.path == path):
                session.hear(Input.PATH_CLOSED, now, path=path)
        return self._finish(now)

    def command(self, order: Order, now: Instant) -> list[Output]:
        """Execute an operator's order."""
        self._run_clocks(now)
        match order:
            case CloseSession(handle) if handle in self.desk.sessions:
                self.desk.sessions[handle].hear(Input.OPERATOR_CLOSE, now)
            case AllowList(devices):
                self.desk.devices = devices
                for session in list(self.desk.sessions.values()):
                    if devices.get(session.device.public) != session.device:
                        session.hear(Input.KEY_REVOKED, now)
            case Settle():
                self.desk.refusals.flush(now, everything=True)
                self.desk.strangers.flush(now, everything=True)
            case _:
                pass
        return self._finish(now)

    def answer(self, answers: Sequence[Answer], now: Instant) -> list[Output]:
        """Take the store's answers to earlier asks."""
        for answer in answers:
            asker, operation = self.desk.tickets.pop(answer.ticket, (None, None))
            self._loads.pop(answer.ticket, None)
            match asker, operation:
                case Load(), Get():
                    self._loaded(asker, answer, now)
                case Session(), Get():
                    self._row_read(asker, answer, now)
                case Session(), Tombstone():
                    self._ended(asker, operation, answer, now)
                case Session(), (Create() | CompareAndSet()):
                    self._commit_answered(asker, operation, answer, now)
                case _:
                    pass  # a ticket that nobody waits for
        return self._finish(now)

    def tick(self, now: Instant) -> list[Output]:
        """Judge every clock that is due."""
        self._run_clocks(now)
        return self._finish(now)

    def deadline(self) -> Instant | None:
        """Return when `tick` has something to do, or None."""
        waits = [self._heap[0][0]] if self._heap else []
        waits += [at for at in (self.desk.refusals.deadline(), self.desk.strangers.deadline()) if at is not None]
        return min(waits, default=None)

    def session_for(self, destination: bytes) -> int | None:
        """Return the handle of the session that owns an inner address."""
        session = self.desk.routes.get(destination)
        return session.handle if session and session.active else None

    def knows(self, path: Path) -> bool:
        """Tell whether a connection has carried something proven, so that its adapter keeps it."""
        return path in self.desk.streams

    def _message(self, frame: bytes, path: Path, now: Instant) -> None:
        message = parse(frame)
        match message:
            case Init():
                self._front.init(frame, message, path, now)
            case Reattach():
                handle, attempt = open_locator(self.desk, message.locator)
                session = self.desk.sessions.get(handle)
                if session is None:
                    self._ask_row(handle, Load(frame, message, attempt, path), now)
                else:
                    self._reattach(session, Load(frame, message, attempt, path), now)
            case _:
                raise PeerFault(Reason.UNEXPECTED_MESSAGE)

    def _reattach(self, session: Session, load_: Load, now: Instant) -> None:
        try:
            judge_reattach(session, *load_, now)
        except PeerFault as fault:
            if fault.reason in OF_SESSION:
                self.desk.refusals.add(session, fault.reason, load_.path.remote, now)
            else:
                self.desk.stranger(fault.reason, load_.path, now)

    def _ask_row(self, handle: int, waiting: Load, now: Instant) -> None:
        """Read the row of a session that this process does not hold; bounded in flight and in rate [R-13]."""
        second = now // limits.SECOND
        asked = self._load_second[1] if self._load_second[0] == second else 0
        self._loads = {ticket: at for ticket, at in self._loads.items() if now - at < limits.STORE_TIMEOUT_NS}
        if len(self._loads) >= limits.LOADS_MAX or asked >= limits.LOADS_PER_SECOND:
            raise PeerFault(Reason.STORE_BUSY)
        self._load_second = second, asked + 1
        self._loads[self.desk.ask(Get(handle), waiting)] = now

    def _loaded(self, waiting: Load, answer: Answer, now: Instant) -> None:
        try:
            session = self.desk.sessions.get(answer.row.handle) if answer.row else None
            self._reattach(session or load(self.desk, answer.row, now), waiting, now)
        except PeerFault as fault:
            self.desk.stranger(fault.reason, waiting.path, now)

    def _data(self, frame: bytes, path: Path, packets: dict[int, list[bytes]], now: Instant) -> None:
        index, counter = parse_data(frame)
        known = self.desk.indices.get(index)
        if known is None:
            raise PeerFault(Reason.CONFIRM_STALE if index in self.desk.retired else Reason.INDEX_UNKNOWN)
        session, epoch = known
        if path != epoch.path:  # [D-5]: before window and AEAD
            self._unbound(session, epoch, frame, counter, path, now)
            return
        plain = epoch.open(frame, counter)
        try:
            kind, body = parse_inner(plain, self.desk.policy.mtu)
            if epoch is session.active:
                session.heard_at = now
                if session.quality_at is None:
                    watch_quality(session, now)
                    self.desk.changed.add(session)
                self._inner(session, kind, body, packets.setdefault(session.handle, []), now)
            elif session.candidate and epoch is session.candidate.epoch:
                self._candidate_inner(session, kind, body, now)
            elif kind is Kind.IP:  # draining: delivers, changes nothing [D-6]
                self._deliver(session, body, packets.setdefault(session.handle, []), now)
        except Malformed:
            self.desk.refusals.add(session, Reason.INNER_MALFORMED, path.remote, now)

    def _inner(self, session: Session, kind: Kind, body: bytes, packets: list[bytes], now: Instant) -> None:
        """Act on one inner frame of the active epoch."""
        epoch = session.active
        match kind:
            case Kind.IP:
                self._deliver(session, body, packets, now)
            case Kind.PROBE if epoch:
                probe = unpack(Probe, body)
                self.desk.route(session)
                self.desk.out += epoch.seal([encode(Kind.PROBE_ACK, pack(ProbeAck(*probe, epoch.received, epoch.top, epoch.born)))])
            case Kind.CONFIRM:
                unpack(Confirm, body)
                session.acknowledge()  # the ACK before was lost
            case Kind.CLOSE:
                session.hear(Input.PEER_CLOSED, now)
            case Kind.HEALTH:
                pass
            case _:
                self.desk.refusals.add(session, Reason.UNEXPECTED_MESSAGE, epoch.path.remote if epoch else None, now)

    def _candidate_inner(self, session: Session, kind: Kind, body: bytes, now: Instant) -> None:
        """CONFIRM alone asks for the commit, as it alone shows that the path carries L; the rest is held for the answer [R-20]."""
        candidate = session.candidate
        if candidate is None:
            return
        if kind is Kind.CONFIRM:
            if unpack(Confirm, body).mtu != self.desk.policy.mtu:
                self.desk.refusals.add(session, Reason.INNER_MALFORMED, candidate.epoch.path.remote, now)
            elif not session.commit_ticket:
                session.hear(Input.CONFIRM_PROVEN, now)
        elif len(candidate.held) < limits.HELD_PACKETS and candidate.held_bytes + len(body) <= limits.HELD_BYTES:
            candidate.held.append((kind, body))
            candidate.held_bytes += len(body)
        else:
            self.desk.refusals.add(session, Reason.PENDING_FULL_DATA, candidate.epoch.path.remote, now)

    def _deliver(self, session: Session, packet: bytes, packets: list[bytes], now: Instant) -> None:
        """Pass on an inner packet whose source the device owns [I-20]."""
        source, destination = (packet[12:16], packet[16:20]) if packet[0] >> 4 == IPV4 else (packet[8:24], packet[24:40])
        if source not in {session.device.inner4, session.device.inner6}:
            self.desk.refusals.add(session, Reason.INNER_SOURCE_SPOOFED, None, now)
        elif destination in self.desk.routes and not self.desk.policy.device_to_device:
            self.desk.refusals.add(session, Reason.INNER_DESTINATION_FORBIDDEN, None, now)
        else:
            packets.append(packet)

    def _unbound(self, session: Session, epoch: Epoch, frame: bytes, counter: int, path: Path, now: Instant) -> None:
        """Never roam in silence: a genuine newer packet from elsewhere gets a hint, sampled; nothing is delivered [R-40]."""
        fresh = session.hinted_at is None or now - session.hinted_at >= limits.HINT_INTERVAL_NS
        if epoch is not session.active or not fresh or counter <= epoch.top:
            raise PeerFault(Reason.UNBOUND_PATH)
        session.hinted_at = now
        epoch.open(frame, counter, keep=False)
        self._hint(session, epoch, Change.MOVE, path, now)
        self.desk.refusals.add(session, Reason.UNBOUND_PATH, path.remote, now)

    def _hint(self, session: Session, epoch: Epoch, change: Change, path: Path, now: Instant) -> None:
        if change is Change.REKEY:
            if session.hinted_at is not None and now - session.hinted_at < limits.HINT_INTERVAL_NS:
                return
            session.hinted_at = now
        self.desk.out += [Transmit(path, run.frames) for run in epoch.seal([HINTS[change]])]

    def _commit_answered(self, session: Session, operation: Create | CompareAndSet, answer: Answer, now: Instant) -> None:
        if session.commit_ticket != answer.ticket:
            if answer.outcome is Outcome.WON and session.state is State.TERMINATED:
                session.hear(Input.COMMIT_WON, now)
            return
        if answer.outcome is Outcome.WON:
            held = session.candidate.held if session.candidate else []
            session.hear(Input.COMMIT_WON, now)
            for ended in operation.supersede if isinstance(operation, Create) else ():
                if ended.handle in self.desk.sessions:
                    self.desk.sessions[ended.handle].hear(Input.SUPERSEDED, now)
            packets: list[bytes] = []
            for kind, body in held:
                try:
                    self._inner(session, kind, body, packets, now)
                except Malformed:
                    self.desk.refusals.add(session, Reason.INNER_MALFORMED, None, now)
            self.desk.out += [Deliver(session.handle, packets)] if packets else []
        elif answer.outcome is Outcome.FAILED:
            session.hear(Input.STORE_LOST, now)
        elif (
            answer.outcome is Outcome.FULL
            and isinstance(operation, Create)
            and not operation.supersede
            and (victim := self._victim(answer, now))
        ):
            session.ask_birth_again((victim,), now)
        elif session.state is State.PENDING or self._certain(session, answer):
            session.hear(Input.COMMIT_LOST, now)
        else:
            session.hear(Input.OWNER_FENCED, now)

    def _victim(self, answer: Answer, now: Instant) -> Tombstone | None:
        """Return the end of the device's longest unbound session; sessions that nobody holds count as unbound longest [O-5]."""
        strangers = [handle for handle in answer.handles if handle not in self.desk.sessions]
        if strangers:
            handle = strangers[0]
            return Tombstone(
                handle, Fact(Event.SESSION_ENDED, Reason.SUPERSEDED, self.desk.serial(), 0, now, handle, state_to=State.TERMINATED)
            )
        unbound = [session for handle in answer.handles if (session := self.desk.sessions[handle]).active is None]
        if not unbound:
            return None
        session = min(unbound, key=lambda each: each.unbound_at)
        fact = session.fact(Event.SESSION_ENDED, Reason.SUPERSEDED, now)
        return Tombstone(session.handle, fact._replace(state_to=State.TERMINATED, state_version=session.version + 1))

    def _certain(self, session: Session, answer: Answer) -> bool:
        """Tell whether a row is ours to go on from: unchanged, or changed by this process; keeps it if so [G-16]."""
        row, identity = answer.row, self.desk.identity
        if row is None or row.state != ROW_LIVE:
            return False
        mine = (row.node, row.boot) == (identity.node, identity.boot)
        if row.binding_version == session.binding_version or (mine and row.binding_version == session.binding_version + 1):
            session.row = row
            return True
        return False

    def _row_read(self, session: Session, answer: Answer, now: Instant) -> None:
        if session.suspended and answer.outcome in {Outcome.FOUND, Outcome.ABSENT}:
            session.hear(Input.OWNERSHIP_CERTAIN if self._certain(session, answer) else Input.OWNER_FENCED, now)

    def _ended(self, session: Session, operation: Tombstone, answer: Answer, now: Instant) -> None:
        if session.retry_at and (answer.outcome is not Outcome.FAILED or self.desk.wall_s(now) > session.expires):
            session.retry_at = None
            self.desk.changed.add(session)
            if answer.outcome is not Outcome.WON:
                self.desk.out.append(Record(operation.fact))  # without a store's row: never born, or out of reach until it expired

    def _run_clocks(self, now: Instant) -> None:
        while self._heap and self._heap[0][0] <= now:
            _, handle = heapq.heappop(self._heap)
            session = self.desk.sessions.get(handle)
            if session:
                session.armed_at = None
                judge(session, now)
                self.desk.changed.add(session)
        for tally in (self.desk.refusals, self.desk.strangers):
            if (ends := tally.deadline()) is not None and ends <= now:
                tally.flush(now)

    def _finish(self, now: Instant) -> list[Output]:
        """Arm the clocks of what changed, forget what has ended, and hand over the outputs."""
        for session in self.desk.changed:
            if session.state is State.TERMINATED and session.retry_at is None:
                self.desk.remove(session)
                continue
            if session.state is State.TERMINATED:
                self.desk.add(session)
            at = next_deadline(session)
            if at is not None and (session.armed_at is None or at < session.armed_at):
                session.armed_at = at
                heapq.heappush(self._heap, (max(at, now), session.handle))
        self.desk.changed.clear()
        out, self.desk.out = self.desk.out, []
        return out
