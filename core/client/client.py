"""The client's engine: one device, one session at a time, over whatever carrier answers."""

from collections.abc import Mapping, Sequence

from core import limits
from core.client.attempts import Confirming, Newborn, waiting_for
from core.client.contact import Contact
from core.client.states import PRIORITY, Effect, Input, State
from core.client.table import EVIDENT_CAUSES, Row
from core.errors import PeerFault, given, require
from core.reasons import CAUSE_REASON, STATUS_REASON, Cause, CloseCode, Reason, Status
from core.values import Admission, CloseSession, Connect, Deliver, Instant, Order, Output, Path, PathEvent, Record, Route, Settle
from core.wire.epoch import Epoch
from core.wire.inner import IP, Ack, encode, encode_ip
from core.wire.inner import parse as parse_inner
from core.wire.layout import Change, Kind, Malformed
from core.wire.messages import Run, parse, sort
from core.wire.records import Close, Cookie, Hint, ProbeAck, ReattachResp, Resp, pack, unpack
from core.wire.refusals import reason_of


class Client(Contact):
    """Hears inputs and performs the effects of its table's row. Outputs are to be executed in list order."""

    def receive(self, frames: Sequence[bytes], path: Path, now: Instant) -> list[Output]:
        """Take one receive call's frames, all from one path: DATA first, then the rest."""
        packets: list[bytes] = []
        data, rest = sort(frames)
        self._data(data, path, packets, now)
        for frame in rest:
            try:
                self._message(frame, path, now)
            except (PeerFault, Malformed) as fault:
                self._refuse(reason_of(fault), now)
        if packets:
            self.out.append(Deliver(0, packets))
        return self._finish()

    def send(self, session: int, inner: Sequence[bytes], now: Instant) -> list[Output]:
        """Seal inner packets under the newest confirmed epoch; without one they are dropped. `session` is always 0 here."""
        require(session == 0, "a client has one session")
        epoch = self.confirming[-1].epoch if self.confirming else self.committed
        if epoch and self.state in {State.ATTACHED, State.SEEKING} and now - epoch.born < limits.REJECT_AFTER_NS:
            self.out += epoch.seal([encode_ip(packet) for packet in inner if len(packet) <= self.policy.mtu])
            self.sent_at = now
            self.at["probe"] = min(self.at.get("probe", now), Instant(now + limits.PROBE_NS))
        return self._finish()

    def path_event(self, path: Path, event: PathEvent, now: Instant) -> list[Output]:
        """Hear that a path opened, closed, or does not carry a frame."""
        carrier = path.carrier
        if event is PathEvent.OPENED:
            self.paths[carrier] = path
            self.at.pop(f"dial {carrier}", None)
            self.at.pop("better", None)
            if self.state is State.CONNECTING and carrier not in self.hands:
                self.shake(carrier, now)
            elif self.state is State.SEEKING:
                self.attempt(carrier, Change.MOVE, self.cause, now)
        elif event is PathEvent.CLOSED:
            if self.paths.get(carrier, path) == path:  # the open one, or a dial that failed
                for held in (self.paths, self.attempts, self.hands):
                    held.pop(carrier, None)
                if self.state in {State.CONNECTING, State.SEEKING}:
                    self.at[f"dial {carrier}"] = Instant(now + limits.DIAL_RETRY_NS)
            if self.committed and self.committed.path == path:
                self.hear(Input.PATH_CLOSED if path.serial else Input.ADDRESS_CHANGED, now)
        elif self.state is State.CONNECTING:
            self.shake_beside(now)
        return self._finish()

    def command(self, order: Order, now: Instant) -> list[Output]:
        """Execute an order of the user."""
        match order:
            case Connect():
                self.hear(Input.CONNECT, now)
            case CloseSession():
                self.hear(Input.OPERATOR_CLOSE, now)
            case Admission(ended=ended) if (reason := ended.get(self.gateway())) is not None:
                self.hear(Input[reason.name], now)  # [K-40]
            case Settle():
                self.refusals.flush(now, everything=True)
            case _:
                pass
        return self._finish()

    def tick(self, now: Instant) -> list[Output]:
        """Judge every clock that is due."""
        due = self.deadline()
        if due is not None and now - due > limits.STALL_NS and self.waiting_since is not None:
            self.waiting_since = now  # this process stood still, so the silence proves nothing about the path [C-42]
        for name in [name for name, at in self.at.items() if at <= now]:
            if self.at.pop(name, None) is not None:  # what was due before it may have ended everything
                self.timer(name, now)
        self.repeat(now)
        self.refusals.flush(now)
        for heard in sorted({heard for heard, at in self.deadlines() if at <= now}, key=PRIORITY.index):
            self.hear(heard, now)
        return self._finish()

    def deadline(self) -> Instant | None:
        """Return when `tick` has something to do, or None."""
        waits = [*self.at.values(), *(at for _, at in self.deadlines())]
        waits += [each.retry.at for each in self.attempts.values()] + [each.retry.at for each in self.unconfirmed()]
        waits += [at] if (at := self.refusals.deadline()) is not None else []
        return min(waits, default=None)

    def forget(self) -> None:
        """Drop the keys of all traffic, in a copy of the process [D-9]."""
        for epoch in self.epochs():
            epoch.forget()

    def session_for(self, destination: bytes) -> int | None:
        """Return 0, the handle of the one session, for any destination while there is a session."""
        return 0 if self.committed and destination else None

    def needs(self, path: Path) -> bool:
        """Tell whether a connection is in use, so that its adapter keeps it."""
        waiting = [each.path for each in self.attempts.values()] + [each.path for each in self.hands.values()]
        return path in waiting or path in [epoch.path for epoch in self.epochs()]

    def take(self, row: Row, now: Instant, offer: Confirming | None) -> None:
        """Make one transition; its record speaks of the session that it leads to, or of the one that it ends."""
        came_from, cause, life = self.state, self._last, self.life
        carrier = self.committed.path.carrier if self.committed else 0
        self.state, self.version = row.goes_to or self.state, self.version + 1
        if row.heard in EVIDENT_CAUSES:
            self.cause = EVIDENT_CAUSES[row.heard]
        measures = self.measures(row.heard, offer, now)
        reason = row.reason or CAUSE_REASON[offer.attempt.cause if offer else self.cause]
        for effect in row.effects:
            self._perform(effect, now, offer)
        fact = self.fact(row.event, reason, now)._replace(state_from=came_from, caused_by=cause, carrier_from=carrier, measures=measures)
        self._last = fact.serial
        self.out.append(Record(fact._replace(correlation=life.correlation) if life and not self.life else fact))

    def _perform(self, effect: Effect, now: Instant, offer: Confirming | None) -> None:  # noqa: C901, PLR0912 - one case an effect
        carrier = self.committed.path.carrier if self.committed else 0
        match effect:
            case Effect.OPEN_PATHS:
                self.at["beside"] = Instant(now + limits.BESIDE_NS)
            case Effect.SHAKE_HANDS:
                self.hand_tries, self.cookies = 0, 0
                for wanted in list(self.paths) if self.state is State.SEEKING else self.policy.carriers[:1]:
                    self.shake(wanted, now)
            case Effect.CONFIRM_BIRTH:
                self.confirm_birth(now, limits.REATTACH_RETRY_NS)
            case Effect.ADOPT_BIRTH:
                self.adopt_birth(now)
            case Effect.SEEK:
                self.sought_at = now
                self.seek(now)
            case Effect.ATTEMPT_HERE:
                self.attempt(carrier, Change.REKEY if self.cause is Cause.REKEY else Change.MOVE, self.cause, now)
            case Effect.ATTEMPT_BETTER:
                self.at["better"] = Instant(now + limits.PATIENCE_NS)
                for wanted in self.policy.carriers[: self.policy.carriers.index(carrier)]:
                    self.attempt(wanted, Change.MOVE, self.cause, now)
            case Effect.LAST_CHANCE:
                newborn = given(self.newborn, "an answer has keys")
                # A new number, that no lost answer or copy has used up; time for both exchanges.
                self.at["last chance"] = Instant(now + max(limits.LAST_CHANCE_NS, 4 * (now - newborn.started)))
                self.attempts.pop(newborn.epoch.path.carrier, None)
                self.attempt(newborn.epoch.path.carrier, Change.MOVE, self.cause, now)
            case Effect.CONFIRM_MOVE:
                offer = given(offer, "a proof has its epoch")
                self.at.pop("last chance", None)  # it was taken
                self.confirming = [*self.confirming[-1:], offer]
                self.attempts = {key: each for key, each in self.attempts.items() if each.number > offer.attempt.number}
                self.confirm(offer, now)  # this one alone: what else is due is heard after this transition, not in it
            case Effect.COMMIT:
                self.commit(given(offer, "a commit has its epoch"), now)
            case Effect.DROP_CONFIRMED:
                over = {self._pause(each.epoch.path) for each in self.confirming if each.retry.times >= limits.CONFIRM_TRIES}
                self.at |= dict.fromkeys(over, Instant(now + limits.PATIENCE_NS))
                self.confirming = [each for each in self.confirming if each.retry.times < limits.CONFIRM_TRIES]
                if self.state is State.SEEKING:
                    self.seek(now)
            case Effect.SAY_CLOSE:
                if self.committed:
                    self.out += self.committed.seal([encode(Kind.CLOSE, pack(Close(CloseCode.GOING)))])
            case Effect.WIPE:  # pragma: no branch - the last effect there is, as mypy sees
                self.wipe()

    def _data(self, runs: Mapping[int, Run], path: Path, packets: list[bytes], now: Instant) -> None:
        """Open a burst's DATA, index by index, and act on what is inside."""
        for index, run in runs.items():
            epoch = next((each for each in self.epochs() if each.index == index), None)
            if epoch is None or path != epoch.path or now - epoch.born >= limits.REJECT_AFTER_NS:
                known = Reason.UNBOUND_PATH if epoch and path != epoch.path else Reason.KEY_EXPIRED
                for _ in run:
                    self._refuse(known if epoch else Reason.INDEX_UNKNOWN, now)
                continue
            for plain in epoch.open(run):
                if not isinstance(plain, bytes):
                    self._refuse(plain, now)
                    continue
                try:
                    self._opened(epoch, *parse_inner(plain, self.policy.mtu), packets, now)
                except (PeerFault, Malformed) as fault:
                    self._refuse(fault.reason if isinstance(fault, PeerFault) else Reason.INNER_MALFORMED, now)

    def _opened(self, epoch: Epoch, kind: Kind, body: bytes, packets: list[bytes], now: Instant) -> None:
        """Act on one inner frame, on what the one before left."""
        if self.newborn and epoch is self.newborn.epoch:
            self._newborn_data(self.newborn, kind, body, now)
            return
        if epoch is not self.committed and (offer := next((each for each in self.confirming if each.epoch is epoch), None)):
            self.hear(Input.COMMITTED, now, offer)
        if epoch is self.committed:
            self.heard_at, self.waiting_since = now, None
            if kind is not IP:
                self._inner(epoch, kind, body, now)
        elif epoch is not self.draining:
            raise PeerFault(Reason.INDEX_UNKNOWN)  # a frame before it ended the session
        if kind is IP:
            packets.append(body)

    def _newborn_data(self, newborn: Newborn, kind: Kind, body: bytes, now: Instant) -> None:
        if kind is Kind.ACK and (ack := Ack.unpack(body)).locators:
            self.hear(Input.BORN, now)
            self._acknowledged(ack, newborn.epoch)
        elif kind is Kind.CLOSE and self.state is State.CONNECTING:
            self.hear(Input.PEER_CLOSED, now)
        elif kind is Kind.CLOSE:  # the session before it may still live
            self.newborn, self.at["fresh"] = None, Instant(now + limits.FRESH_AFTER_NS)

    def _inner(self, epoch: Epoch, kind: Kind, body: bytes, now: Instant) -> None:
        """Act on one inner frame of the committed epoch."""
        match kind:
            case Kind.ACK:
                self._acknowledged(Ack.unpack(body), epoch)
            case Kind.PROBE_ACK:
                sample = max(0, now - unpack(ProbeAck, body).sent)
                self.round_trip_ns += (sample - self.round_trip_ns) // 8 if self.round_trip_ns else sample
            case Kind.CLOSE:
                self.hear(Input.PEER_CLOSED, now)
            case Kind.HINT:  # somebody may make the gateway send them, and each one that is obeyed costs a locator [C-43]
                change, last = unpack(Hint, body).what, self._hinted_at
                if (last is None or now - last >= limits.HINT_INTERVAL_NS) and "here" not in self.at and not self.moving():
                    self._hinted_at = now
                    self.hear(Input.HINT_MOVE if change == Change.MOVE else Input.KEY_DUE, now)
            case Kind.HEALTH:
                pass
            case _:
                raise PeerFault(Reason.UNEXPECTED_MESSAGE)

    def _acknowledged(self, ack: Ack, epoch: Epoch) -> None:
        """Keep what an ACK brings: the binding's version, addresses, and locators for the attempts after this epoch's [R-22]."""
        life = self.life
        if life is None or ack.mtu != self.policy.mtu:
            raise PeerFault(Reason.INNER_MALFORMED)
        self.acknowledged, life.binding_version = True, ack.binding_version
        life.locators = {epoch.attempt + 1 + offset: locator for offset, locator in enumerate(ack.locators)}
        if not life.addresses[0]:
            life.addresses = (ack.inner4, ack.inner6, ack.resolver)
            self.out.append(Route(0, life.addresses[:2], up=True))

    def _message(self, frame: bytes, path: Path, now: Instant) -> None:
        match message := parse(frame):
            case Resp():
                hand = waiting_for(message, self.hands.values(), path)
                if self.newborn:
                    raise PeerFault(Reason.UNEXPECTED_MESSAGE)
                answer = hand.answer(message, now)
                if isinstance(answer, Status):
                    self._refuse(STATUS_REASON[answer], now)
                    self.hear(Input.REFUSED, now)
                    return
                self.newborn = answer
                self.hear(Input.ANSWER_PROVEN, now)
            case Cookie():
                hand = waiting_for(message, self.hands.values(), path)
                if self.cookies >= limits.COOKIES_PER_HANDSHAKE:
                    raise PeerFault(Reason.UNEXPECTED_MESSAGE)
                cookie = hand.cookie(message)
                self.cookies += 1
                self.shake(path.carrier, now, cookie)
            case ReattachResp():
                self._attempt_answered(message, path, now)
            case _:
                raise PeerFault(Reason.UNEXPECTED_MESSAGE)

    def _attempt_answered(self, message: ReattachResp, path: Path, now: Instant) -> None:
        attempt = waiting_for(message, self.attempts.values(), path)
        epoch, status, retry_after = attempt.answer(message, now)
        if epoch is not None:
            self.hear(Input.ATTEMPT_PROVEN, now, Confirming(epoch, attempt, now))
            return
        del self.attempts[path.carrier]
        self._refuse(STATUS_REASON[status], now)
        wait, self.patience = max(retry_after, self.patience), min(2 * self.patience, limits.PATIENCE_NS)
        if "fresh" in self.at:  # an answer: the session lives, and its attempts have to last
            self.at["fresh"] = Instant(now + wait + limits.FRESH_AFTER_NS)
        self.at[self._pause(path) if self.state is State.ATTACHED else f"dial {path.carrier}"] = Instant(now + wait)

    def _pause(self, path: Path) -> str:
        """Return the timer that keeps an attached client from trying this path again."""
        return "here" if self.committed and path == self.committed.path else "better"

    def _refuse(self, reason: Reason, now: Instant) -> None:
        self.refusals.add(reason, reason, None, now)

    def _finish(self) -> list[Output]:
        out, self.out = self.out, []
        return out
