"""The gateway's engine: dispatches what arrives to sessions and front door, and the store's answers back to who asked."""

import heapq
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from core import limits, values
from core.crypto.primitives import Kem
from core.engine.data import DataPlane
from core.engine.front import Front
from core.errors import PeerFault
from core.reasons import Event, Reason
from core.session.desk import HOUR_S, Desk
from core.session.reattach import judge_reattach, load
from core.session.session import Session
from core.session.states import Input, State
from core.session.timers import judge, next_deadline
from core.values import Answer, Deliver, Instant, Order, Outcome, Output, Path, PathEvent, Record, Tombstone
from core.wire.inner import encode_ip
from core.wire.layout import SIZES, VERSION, Change, Malformed, Type
from core.wire.messages import parse, sort
from core.wire.records import Init
from core.wire.refusals import reason_of

OF_SESSION: Final = frozenset((Reason.REATTACH_REPLAYED, Reason.REATTACH_BAD_PROOF, Reason.INNER_MALFORMED, Reason.NO_TRANSITION))
"""Refusals that name the session: the chain's mac was right, or the bytes are those of a live attempt."""
REATTACH_HEAD, REATTACH_LENGTH, LOCATOR_WRONG = bytes((Type.REATTACH, VERSION, 0, 0)), SIZES[Type.REATTACH], Reason.LOCATOR_WRONG


class Load(NamedTuple):
    """A REATTACH that waits for its session's row."""

    frame: bytes
    attempt: int
    path: Path


class Gateway(DataPlane):
    """All sessions of one gateway process. Outputs are to be executed in list order."""

    def __init__(self, desk: Desk, kem: Kem) -> None:
        super().__init__(desk)
        self._front = Front(desk, kem)
        self._heap, self._loads, self._load_second = list[tuple[Instant, int]](), dict[int, Instant](), (0, 0)
        self._buried = set[bytes]()

    def receive(self, frames: Sequence[bytes], path: Path, now: Instant) -> list[Output]:
        """Take one receive call's frames, all from one path; clocks are judged first, then DATA, then the rest."""
        self._run_clocks(now)
        packets: dict[int, list[bytes]] = {}
        data, rest = sort(frames)
        self.data(data, path, packets, now)
        locators = [each[8:24] for each in rest if len(each) == REATTACH_LENGTH]  # opened together: garbage has to be cheap
        known = {at: found for under in self.desk.locators if locators for at, found in under.open(locators).items()}
        for frame in rest:
            try:
                if len(frame) == REATTACH_LENGTH and frame[:4] == REATTACH_HEAD:
                    opened = known.get(frame[8:24])
                    if (reason := self._knock(frame, path, *opened, now) if opened else LOCATOR_WRONG) is not None:
                        self.desk.stranger(reason, path, now)
                else:
                    self._message(frame, path, now)
            except (PeerFault, Malformed) as fault:
                self.desk.stranger(reason_of(fault), path, now)
        self.desk.out += [Deliver(handle, inner) for handle, inner in packets.items() if inner]
        return self._finish(now)

    def send(self, session: int, inner: Sequence[bytes], now: Instant) -> list[Output]:
        """Seal inner packets to a session's bound path; without one they are dropped [D-4]."""
        self._run_clocks(now)
        known = self.desk.sessions.get(session)
        if known and known.active and now - known.active.born < limits.REJECT_AFTER_NS:  # [D-8]
            frames = [encode_ip(packet) for packet in inner if len(packet) <= self.desk.policy.mtu]
            if now - known.active.born > limits.REKEY_AFTER_NS:
                self.hint(known, known.active, Change.REKEY, known.active.path, now)
            self.desk.out += known.active.seal(frames)
        return self._finish(now)

    def path_event(self, path: Path, event: PathEvent, now: Instant) -> list[Output]:
        """Hear that a connection ended; other events change nothing at a gateway."""
        self._run_clocks(now)
        concerned = self.desk.streams.pop(path, set()) if event is PathEvent.CLOSED else set()
        for session in sorted(concerned, key=lambda each: each.handle):  # one order, whatever the memory's is
            if session.candidate and session.candidate.epoch.path == path and not session.commit_ticket:
                session.hear(Input.CANDIDATE_EXPIRED, now)
            if session.commit_ticket or (session.active and session.active.path == path):
                session.hear(Input.PATH_CLOSED, now, path=path)
        return self._finish(now)

    def command(self, order: Order, now: Instant) -> list[Output]:
        """Execute an operator's order."""
        self._run_clocks(now)
        match order:
            case values.CloseSession(handle) if handle in self.desk.sessions:
                self.desk.sessions[handle].hear(Input.OPERATOR_CLOSE, now)
            case values.Keyring(statics, locator_keys):
                self.desk.take(statics, locator_keys)
                kept = {key.public for key in statics}
                for session in list(self.desk.sessions.values()):
                    if session.static.public not in kept:
                        session.hear(Input.KEY_OUTDATED, now)
            case values.AllowList(devices):
                gone = {public for public, device in self.desk.devices.items() if devices.get(public) != device}
                self.desk.devices = devices
                self._end_keys(dict.fromkeys(gone, Reason.KEY_REVOKED), now)
            case values.Admission(ended=ended):
                self._buried &= ended.keys()
                self.desk.admission = order
                self._end_keys(ended, now)
            case values.Settle():
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
                case Reason(), values.Live(device):
                    self._bury(device, asker, answer, now)
                case Load(), values.Get():
                    self._loaded(asker, answer, now)
                case Session(), values.Get():
                    self._row_read(asker, answer, now)
                case Session(), Tombstone():
                    self._ended(asker, operation, answer, now)
                case Session(), (values.Create() | values.CompareAndSet()):
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
        waits = [self._heap[0][0] if self._heap else None, self.desk.refusals.deadline(), self.desk.strangers.deadline()]
        return min([at for at in waits if at is not None], default=None)

    def session_for(self, destination: bytes) -> int | None:
        """Return the handle of the session that owns an inner address."""
        session = self.desk.routes.get(destination)
        return session.handle if session and session.active else None

    def forget(self) -> None:
        """Drop the keys of all traffic, in a copy of the process [D-9]."""
        for _, epoch in self.desk.indices.values():
            epoch.forget()

    def knows(self, path: Path) -> bool:
        """Tell whether a session is bound to a connection, so that its adapter keeps it; an unconfirmed handshake is none [D-15]."""
        return any(session.active and session.active.path == path for session in self.desk.streams.get(path, ()))

    def _message(self, frame: bytes, path: Path, now: Instant) -> None:
        message = parse(frame)
        if not isinstance(message, Init):
            raise PeerFault(Reason.UNEXPECTED_MESSAGE)
        self._front.init(frame, message, path, now)

    def _knock(self, frame: bytes, path: Path, handle: int, attempt: int, now: Instant) -> Reason | None:
        """Judge a REATTACH whose locator opened; return why it is refused like a stranger's, or raise PeerFault."""
        self.desk.admit()
        if session := self.desk.sessions.get(handle):
            return self._reattach(session, frame, attempt, path, now)
        return self._ask_row(handle, Load(frame, attempt, path), now)

    def _reattach(self, session: Session, frame: bytes, attempt: int, path: Path, now: Instant) -> Reason | None:
        try:
            self.desk.admit(session.device.public, session.static.public)
            judge_reattach(session, frame, attempt, path, now)
        except PeerFault as fault:
            if fault.reason not in OF_SESSION:
                return fault.reason
            self.desk.refusals.add(session, fault.reason, path.remote, now)
        return None

    def _ask_row(self, handle: int, waiting: Load, now: Instant) -> Reason | None:
        """Read the row of a session that this process does not hold; bounded in flight and in rate [R-13]."""
        second = now // limits.SECOND
        asked = self._load_second[1] if self._load_second[0] == second else 0
        self._loads = {ticket: at for ticket, at in self._loads.items() if now - at < limits.STORE_TIMEOUT_NS}
        if len(self._loads) >= limits.LOADS_MAX or asked >= limits.LOADS_PER_SECOND:
            return Reason.STORE_BUSY
        self._load_second = second, asked + 1
        self._loads[self.desk.ask(values.Get(handle), waiting)] = now
        return None

    def _loaded(self, waiting: Load, answer: Answer, now: Instant) -> None:
        try:
            session = self.desk.sessions.get(answer.row.handle) if answer.row else None
            reason = self._reattach(session or load(self.desk, answer.row, now), *waiting, now)
        except PeerFault as fault:
            reason = fault.reason
        if reason is not None:
            self.desk.stranger(reason, waiting.path, now)

    def _commit_answered(self, session: Session, operation: values.Create | values.CompareAndSet, answer: Answer, now: Instant) -> None:
        if session.commit_ticket != answer.ticket:
            if answer.outcome is Outcome.WON and session.ending:  # not for one that was fenced: the row is another's now
                session.binding_version = operation.row.binding_version
                session.hear(Input.COMMIT_WON, now)
            return
        create = operation if isinstance(operation, values.Create) else None
        if answer.outcome is Outcome.WON:
            held = session.candidate.held if session.candidate else []
            session.hear(Input.COMMIT_WON, now)
            for ended in create.supersede if create else ():
                known = self.desk.sessions.get(ended.handle)  # passed over where it moved meanwhile [O-4]; one in doubt reads its row
                if known and known.binding_version == ended.expect and not known.suspended:
                    known.hear(Input.SUPERSEDED, now)
            packets: list[bytes] = []
            for kind, body in held:
                if session.active is None:  # one of them was its end, and nothing comes after the end
                    break
                try:
                    self.inner(session, kind, body, packets, now)
                except Malformed:
                    self.desk.refusals.add(session, Reason.INNER_MALFORMED, None, now)
            self.desk.out += [Deliver(session.handle, packets)] if packets else []
        elif answer.outcome is Outcome.FAILED:
            session.hear(Input.STORE_LOST, now)
        elif answer.outcome is Outcome.FULL and create and not create.supersede and (victim := self._victim(answer, now)):
            session.ask_commit(now, (victim,))
        elif session.state is State.PENDING or self._certain(session, answer):
            session.hear(Input.COMMIT_LOST, now)
        else:
            session.hear(Input.OWNER_FENCED, now)

    def _victim(self, answer: Answer, now: Instant) -> Tombstone | None:
        """Return the end of the device's longest unbound session, at the binding that is known; None when each may be bound [H-50]."""
        known = {row: self.desk.sessions.get(row.handle) for row in answer.rows}
        held = [each for row, each in known.items() if each and self.desk.owns(row) and each.binding_version == row.binding_version]
        until = self.desk.wall_s(now) - limits.BOUND_NS // limits.SECOND
        left = [(at, row) for row, each in known.items() if each not in held and (at := self._written_by(row, now)) < until]
        if left:
            row = min(left)[1]
            ended = values.Fact(Event.SESSION_ENDED, Reason.SUPERSEDED, self.desk.serial(), 0, now, row.handle, state_to=State.TERMINATED)
            return Tombstone(row.handle, ended, row.binding_version)
        session = min((each for each in held if each.active is None), key=lambda each: each.unbound_at, default=None)
        if session is None:
            return None
        fact = session.fact(Event.SESSION_ENDED, Reason.SUPERSEDED, now)
        ended = fact._replace(state_to=State.TERMINATED, state_version=session.version + 1)
        return Tombstone(session.handle, ended, session.binding_version)

    def _written_by(self, row: values.Row, now: Instant) -> int:
        """Return the wall second before which a row was last written: exact for a birth, else the end of its KEK's hour."""
        return row.born if row.binding_version == 1 else min(self.desk.wall_s(now), (row.kek + 1) * HOUR_S)

    def _certain(self, session: Session, answer: Answer) -> bool:
        """Tell whether a row is ours to go on from: unchanged, or changed by this process; keeps it if so [G-16]."""
        row = answer.row
        if row is None or row.state != values.ROW_LIVE:
            return False
        if row.binding_version - session.binding_version not in ((0, 1) if self.desk.owns(row) else (0,)):
            return False
        session.stored, session.owned = row.binding_version, self.desk.owns(row)
        return True

    def _row_read(self, session: Session, answer: Answer, now: Instant) -> None:
        if session.suspended and answer.outcome in {Outcome.FOUND, Outcome.ABSENT}:
            session.hear(Input.OWNERSHIP_CERTAIN if self._certain(session, answer) else Input.OWNER_FENCED, now)

    def _ended(self, session: Session, operation: Tombstone, answer: Answer, now: Instant) -> None:
        if session.retry_at and answer.outcome is Outcome.LOST and answer.row and self.desk.owns(answer.row):  # our own write, late
            session.binding_version = answer.row.binding_version
            session.hear(Input.TOMBSTONE_LATE, now)
        elif session.retry_at and (answer.outcome is not Outcome.FAILED or self.desk.wall_s(now) > session.expires):
            session.retry_at = None
            self.desk.changed.add(session)
            if answer.outcome is not Outcome.WON:
                # without a store's row: never born, or out of reach until it expired; or another owns it, and it goes on there [G-55]
                fenced = Reason.OWNER_FENCED if answer.outcome is Outcome.LOST else operation.fact.reason
                self.desk.out.append(Record(operation.fact._replace(event=Event.SESSION_CHANGED, reason=fenced)))

    def _end_keys(self, ended: Mapping[bytes, Reason], now: Instant) -> None:
        """End the sessions of these keys, and ask for the rows that this process does not hold [K-34]; its own key is that of all."""
        mine = {key.public for key in self.desk.statics}
        for session in list(self.desk.sessions.values()):
            if (reason := ended.get(session.device.public, ended.get(session.static.public))) is not None:
                session.hear(Input.KEY_REVOKED if reason is Reason.KEY_REVOKED else Input.KEY_OUTDATED, now)
        for device in ended.keys() - self._buried - mine:
            self.desk.ask(values.Live(device), ended[device])

    def _bury(self, device: bytes, reason: Reason, answer: Answer, now: Instant) -> None:
        """End what the store holds of a device; a store that fails is asked again with the next order."""
        if answer.outcome is Outcome.FOUND:
            self._buried.add(device)
        for row in answer.rows:
            if row.handle not in self.desk.sessions:
                ended = values.Fact(Event.SESSION_ENDED, reason, self.desk.serial(), 0, now, row.handle, state_to=State.TERMINATED)
                self.desk.ask(Tombstone(row.handle, ended._replace(device=device)), None)

    def _run_clocks(self, now: Instant) -> None:
        while self._heap and self._heap[0][0] <= now:
            _, handle = heapq.heappop(self._heap)
            if session := self.desk.sessions.get(handle):
                session.armed_at = None
                judge(session, now)
                self.desk.changed.add(session)
        for tally in (self.desk.refusals, self.desk.strangers):
            tally.flush(now)

    def _finish(self, now: Instant) -> list[Output]:
        """Arm the clocks of what changed, forget what has ended, and hand over the outputs."""
        for session in self.desk.changed:
            self._front.counts.changed(session, now)
            if session.state is State.TERMINATED:
                if session.retry_at is None:
                    self.desk.remove(session)
                    continue
                self.desk.add(session)
            at = next_deadline(session)
            if at is not None and (session.armed_at is None or at < session.armed_at):
                session.armed_at = at
                heapq.heappush(self._heap, (max(at, now), session.handle))
        self.desk.changed.clear()
        out, self.desk.out = self.desk.out, []
        return out
