"""One session of a gateway: real keys, paths and deadlines behind the facts of its machine."""

from typing import Final, NamedTuple, cast

from core import limits
from core.crypto.chain import correlation_of
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.errors import given
from core.machine import Actor
from core.reasons import CAUSE_REASON, CLOSE_REASON, Cause, CloseCode, Event, Reason
from core.session.desk import Desk
from core.session.states import DECIDES_WHILE_ASKED, PRIORITY, Effect, Input, State
from core.session.table import BORN, ENDED, EVIDENCE, MACHINE, MOVED, Facts, Row
from core.values import ROW_LIVE, CompareAndSet, Create, Device, Fact, Get, Instant, Path, Record, Route, Tombstone
from core.values import Row as StoreRow
from core.wire.epoch import Epoch
from core.wire.inner import Ack, encode
from core.wire.layout import Change, Kind
from core.wire.records import Close, pack

CLOSES: Final = {reason: code for code, reason in CLOSE_REASON.items()} | {Reason.KEY_OUTDATED: CloseCode.REVOKED}


class Candidate:
    """An epoch that is proven but not committed, and what came under it meanwhile."""

    __slots__ = ("cause", "deadline", "epoch", "held", "held_bytes", "kind", "outage_ms")

    def __init__(self, epoch: Epoch, deadline: Instant, kind: Change, cause: Cause, outage_ms: int) -> None:
        self.epoch, self.deadline, self.kind, self.cause, self.outage_ms = epoch, deadline, kind, cause, outage_ms
        self.held: list[tuple[Kind, bytes]] = []
        self.held_bytes = 0


class Exchange(NamedTuple):
    """The last proven REATTACH, where it came from, and its answer: identical bytes on the same path get the identical answer."""

    request: bytes
    path: Path
    reply: bytes


class Session(Actor[State, Input, Effect, Facts, Candidate]):
    """Hears inputs and performs the effects of its table's row."""

    __slots__ = (
        "active", "armed_at", "binding_version", "born", "candidate", "carrier", "commit_at", "commit_serial", "commit_ticket",
        "correlation", "desk", "device", "drain_at", "draining", "ending", "exchange", "expires", "good_since", "handle", "health_at",
        "heard_at", "hinted_at", "last_serial", "moves", "next", "ordered", "owned", "quality_at", "quality_from", "recovery_at",
        "rekey_hinted_at", "retry_at", "secrets", "since", "state", "static", "stored", "suspended", "unbound_at", "version", "volatile_at",
        "waiting",
    )  # fmt: skip

    machine = MACHINE

    def __init__(
        self, desk: Desk, handle: int, parties: tuple[PrivateKey, Device], secrets: tuple[Secret, Secret], now: Instant,
        row: StoreRow | None = None,
    ) -> None:  # fmt: skip
        """Make a PENDING session, or with the store's `row` a RECOVERING one.

        `parties` are the static key under which it was born and the device; `secrets` are (session id, chain of attempt `next`).
        """
        self.desk, self.handle, self.version = desk, handle, 0
        self.static, self.device = parties
        self.secrets: tuple[Secret, Secret] | None = secrets
        self.correlation = correlation_of(secrets[0])
        self.state, self.last_serial = (State.RECOVERING if row else State.PENDING), 0
        self.binding_version, self.next = (row.binding_version, row.next) if row else (0, 1)
        self.stored: int | None = row.binding_version if row else None  # by the store's row, as far as known here
        self.owned = desk.owns(row)  # whether this process was the last to write that row
        self.active = self.draining = cast("Epoch | None", None)
        self.candidate: Candidate | None = None
        self.exchange: Exchange | None = None
        self.commit_ticket, self.commit_serial = 0, 0  # of what the store is asked, and of the record that goes with it; 0 is none
        self.commit_at = self.since = now
        self.suspended = False
        self.ending: Fact | None = None
        self.ordered = False  # by operator, allow list or client: it ends wherever it is
        self.waiting: tuple[tuple[Input, Path | None], ...] = ()
        self.moves: tuple[tuple[Instant, str], ...] = ()  # accepted attempts of the last minute, and which limit each counts for
        born = row.born if row else desk.wall_s(now)
        self.born, self.expires = born, row.expires if row else born + desk.policy.lifetime_s
        self.heard_at = self.unbound_at = now
        never = cast("Instant | None", None)
        self.hinted_at = self.rekey_hinted_at = self.armed_at = self.volatile_at = self.quality_at = self.retry_at = never
        self.carrier = 0  # of the path bound last
        self.recovery_at = Instant(now + limits.RECOVERY_WINDOW_NS) if row else never
        self.quality_from = (0, 0)
        self.drain_at = self.health_at = self.good_since = now

    def facts(self) -> Facts:
        """Return what the claims speak about."""
        return Facts(self.state, self.version, self.active is not None, self.candidate is not None, self.commit_ticket != 0, self.suspended,
                     self.recovery_at is not None, self.volatile_at is not None, self.secrets is not None)  # fmt: skip

    def hear(self, heard: Input, now: Instant, offer: Candidate | None = None, path: Path | None = None) -> bool:
        """Make the transition of the table for `heard`; return False, with nothing changed, where there is none or it has to wait."""
        self.desk.changed.add(self)
        if self.commit_ticket and heard not in DECIDES_WHILE_ASKED:  # [G-50]: the rest is judged after the answer
            self.waiting += () if (heard, path) in self.waiting else ((heard, path),)
            return False
        did = super().hear(heard, now, offer)
        if did and not self.commit_ticket and self.waiting and self.state is not State.TERMINATED:
            waiting, self.waiting = self.waiting, ()
            for later, where in sorted(waiting, key=lambda each: PRIORITY.index(each[0])):
                if later is not Input.PATH_CLOSED or (self.active and self.active.path == where):
                    self.hear(later, now)
        return did

    def take(self, row: Row, now: Instant, offer: Candidate | None) -> None:
        """Make one transition; evidence goes to the store, with the change or with the end, and everything else is recorded at once."""
        came_from, self.state, self.version = self.state, row.goes_to or self.state, self.version + 1
        reason = row.reason or CAUSE_REASON[self._proven().cause]
        fact = self.fact(row.event, reason, now, came_from, offer.epoch if offer else self.active)
        self.last_serial = fact.serial
        if row.event is ENDED:
            self.ending = fact
        elif row.event in EVIDENCE:  # was made when the commit was asked, and is in the store already
            self.last_serial = self.commit_serial
        else:
            self.desk.out.append(Record(fact._replace(carrier_to=0) if Effect.UNBIND in row.effects else fact))
        for effect in row.effects:
            self._perform(effect, now, offer, reason)

    def abandon(self, now: Instant) -> None:
        """Drop everything and be TERMINATED."""
        self._wipe(now)
        self.state = State.TERMINATED

    def _proven(self) -> Candidate:
        return given(self.candidate, "a commit has a candidate")

    def _perform(self, effect: Effect, now: Instant, offer: Candidate | None, reason: Reason) -> None:  # noqa: C901, PLR0912 - one case an effect
        match effect:
            case Effect.HOLD_CANDIDATE:
                self.hold(given(offer, "there is a candidate to hold"))
            case Effect.DROP_CANDIDATE:
                self._drop_candidate()
            case Effect.ASK_CREATE | Effect.ASK_MOVE:
                self.ask_commit(now)
            case Effect.ASK_END | Effect.ASK_TOMBSTONE | Effect.ASK_AGAIN:
                self.ordered = effect is Effect.ASK_TOMBSTONE if effect is not Effect.ASK_AGAIN else self.ordered
                self._ask_end(now)
            case Effect.ASK_ROW:
                self.ask_row(now)
            case Effect.PROMOTE:
                self._promote(now)
            case Effect.ACKNOWLEDGE:
                self.acknowledge()
            case Effect.UNBIND:
                self._unbind(now)
            case Effect.ADOPT_ROW:
                self.binding_version = self.binding_version if self.stored is None else self.stored
            case Effect.SUSPEND | Effect.RESUME:
                self.suspended, self.retry_at = effect is Effect.SUSPEND, self.retry_at if effect is Effect.SUSPEND else None
            case Effect.ARM_RECOVERY | Effect.DISARM_RECOVERY:
                self.recovery_at = Instant(now + limits.RECOVERY_WINDOW_NS) if effect is Effect.ARM_RECOVERY else None
            case Effect.ARM_VOLATILE | Effect.DISARM_VOLATILE:
                self.volatile_at = Instant(now + limits.VOLATILE_NS) if effect is Effect.ARM_VOLATILE else None
            case Effect.SAY_CLOSE:
                self._say_close(reason)
            case Effect.WIPE:  # pragma: no branch - the last effect there is, as mypy sees
                self._wipe(now)

    def hold(self, offer: Candidate) -> None:
        """Keep a candidate instead of the one before; its index is answered from now on [R-17]."""
        self._drop_candidate()
        self.candidate, path = offer, offer.epoch.path
        self.desk.indices[offer.epoch.index] = (self, offer.epoch)
        if path.serial:
            self.desk.streams.setdefault(path, set()).add(self)

    def _drop_candidate(self) -> None:
        old, self.candidate, self.commit_ticket, self.exchange = self.candidate, None, 0, None
        if old:
            self.desk.retire(old.epoch.index)
            self._drop(old.epoch)

    def _drop(self, *epochs: Epoch | None) -> None:
        """Answer these indices no more, and leave their connections unless the session still is there."""
        here = {each.path for each in (self.active, self.candidate and self.candidate.epoch) if each}
        for epoch in filter(None, epochs):
            self.desk.indices.pop(epoch.index, None)
            if epoch.path not in here:
                self.desk.leave(epoch.path, self)

    def ask_commit(self, now: Instant, supersede: tuple[Tombstone, ...] = ()) -> None:
        """Ask the store for the one durable write of a birth or a move: the row, and the evidence with it [R-21].

        A birth may `supersede` other sessions of the device, which end with it [O-5].
        """
        candidate, moved, self.commit_at = self._proven(), self.stored is not None, now
        event, reason = (MOVED, CAUSE_REASON[candidate.cause]) if moved else (BORN, Reason.HANDSHAKE_COMPLETED)
        path, gap = candidate.epoch.path, (now - self.heard_at) // limits.MICROSECOND
        fact = self.fact(event, reason, now)._replace(
            state_to=State.ATTACHED, state_version=self.version + 1, binding_version=self.binding_version + 1,
            attempt=candidate.epoch.attempt, carrier_to=path.carrier, remote=path.remote, carrier_from=self.carrier,
            measures=(candidate.outage_ms, gap, 0, 0) if moved else (0, 0, 0, 0),
        )  # fmt: skip
        row, self.commit_serial = self._new_row(candidate.epoch.attempt, now), fact.serial
        operation = CompareAndSet(row, self.binding_version, fact) if moved else Create(row, fact, supersede)
        self.commit_ticket = self.desk.ask(operation, self)

    def _new_row(self, attempt: int, now: Instant) -> StoreRow:
        identity, version = self.desk.identity, self.binding_version + 1
        hour = self.desk.wall_s(now) // 3_600
        row = StoreRow(self.handle, version, ROW_LIVE, identity.node, identity.boot, attempt, self.next, self.device.public,
                       self.static.public, self.born, self.expires, self.device.inner4, self.device.inner6, hour, b"")  # fmt: skip
        return self.desk.keks.seal(row, self.desk.entropy(12), given(self.secrets, "a session that commits has its chain"))

    def _promote(self, now: Instant) -> None:
        candidate, drained = self._proven(), self.draining
        self.draining, self.drain_at = self.active, Instant(now + limits.DRAINING_NS)
        self.active, self.candidate, self.commit_ticket, self.exchange = candidate.epoch, None, 0, None
        self._drop(drained)
        if self.draining and self.draining.path != self.active.path:
            self.desk.leave(self.draining.path, self)
        if self.stored is not None and candidate.kind is Change.MOVE:
            self._measure_move(candidate, now)
        self.desk.route(self, now, newborn=self.stored is None)
        self.stored = self.binding_version = self.binding_version + 1
        self.owned = True
        self.quality_at, self.good_since, self.heard_at = None, now, now
        self.health_at, self.carrier = Instant(now + self.desk.policy.health_ns), self.active.path.carrier
        self.desk.out.append(Route(self.handle, (self.device.inner4, self.device.inner6), up=True))

    def _measure_move(self, candidate: Candidate, now: Instant) -> None:
        gaps = (now - self.heard_at) // limits.MICROSECOND, (now - self.commit_at) // limits.MICROSECOND
        fact = self.fact(Event.MOVE_MEASURED, Reason.MOVE_COMMITTED, now)._replace(caused_by=self.last_serial)
        measures = (*gaps, len(candidate.held), candidate.outage_ms)
        self.desk.out.append(Record(fact._replace(carrier_from=self.carrier, binding_version=self.binding_version + 1, measures=measures)))

    def acknowledge(self) -> None:
        """Answer a CONFIRM on the active path: binding, addresses, and locators for the attempts after this epoch's [R-22]."""
        active, policy = given(self.active, "what is acknowledged is bound"), self.desk.policy
        last = min(active.attempt + 1 + limits.LOCATORS_PER_ACK, limits.ATTEMPT_MAX + 1)
        locators = tuple(self.desk.locators[0].mint(self.handle, range(active.attempt + 1, last)))
        ack = Ack(self.binding_version, policy.mtu, self.device.inner4, self.device.inner6, policy.resolver, locators)
        self.desk.out += active.seal([encode(Kind.ACK, ack.pack())])

    def _unbind(self, now: Instant) -> None:
        if self.active:
            self.unbound_at = now
            self.desk.out.append(Route(self.handle, (self.device.inner4, self.device.inner6), up=False))
        old, self.active, self.draining, self.quality_at = (self.active, self.draining), None, None, None
        self._drop(*old)

    def _say_close(self, reason: Reason) -> None:
        epoch = self.active or (self.candidate.epoch if self.candidate and self.candidate.epoch.attempt == 0 else None)
        if epoch:
            self.desk.out += epoch.seal([encode(Kind.CLOSE, pack(Close(CLOSES.get(reason, CloseCode.FAULT))))])

    def _wipe(self, now: Instant) -> None:
        """Drop every key; Python may keep copies of the bytes, see SECURITY.md."""
        self._drop_candidate()
        self._unbind(now)
        self.secrets = None
        self.suspended, self.recovery_at, self.volatile_at, self.retry_at = False, None, None, None
        for address in (self.device.inner4, self.device.inner6):
            if self.desk.routes.get(address) is self:
                del self.desk.routes[address]

    def ask_row(self, now: Instant) -> None:
        """Ask what the store's row says: ownership is uncertain [G-15]."""
        self.retry_at = Instant(now + limits.RELOAD_RETRY_NS)
        self.desk.ask(Get(self.handle), self)

    def _ask_end(self, now: Instant) -> None:
        """Ask for the end: unless it was ordered, only at the binding that is known here, as another's is not ours to end [G-55]."""
        self.retry_at = Instant(now + limits.TOMBSTONE_RETRY_NS)
        expect = None if self.ordered else 1 if self.stored is None else self.binding_version
        self.desk.ask(Tombstone(self.handle, given(self.ending, "an end has its record"), expect), self)

    def fact(self, event: Event, reason: Reason, now: Instant, came_from: State | None = None, epoch: Epoch | None = None) -> Fact:
        """Return a fact about this session as it is; or about a step from `came_from`, from the path bound last to that of `epoch`."""
        epoch = self.active if came_from is None else epoch
        attempt, carrier, remote = (epoch.attempt, epoch.path.carrier, epoch.path.remote) if epoch else (0, 0, None)
        carrier_from, came_from = (carrier, self.state) if came_from is None else (self.carrier, came_from)
        return Fact(event, reason, self.desk.serial(), self.last_serial, now, self.handle, self.correlation, came_from, self.state,
                    self.version, self.binding_version, attempt, carrier_from, carrier, self.device.public, remote)  # fmt: skip
