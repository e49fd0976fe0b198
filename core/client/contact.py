"""What a client holds, how it makes contact (handshakes, attempts, confirmations), and its clocks."""

from dataclasses import dataclass
from typing import Final, cast

from core import limits
from core.client.attempts import Attempt, Confirming, Hand, Keys, Life, Newborn
from core.client.states import Effect, Input, State
from core.client.table import MACHINE, Facts
from core.errors import given
from core.machine import Actor
from core.reasons import STATUS_REASON, Carrier, Cause, Event, Reason
from core.values import NO_CORRELATION, Dial, Endpoint, Entropy, Fact, Instant, Output, Path, Record, Route, Transmit
from core.wire.epoch import Epoch
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.records import Confirm, Probe, pack
from core.wire.refusals import Tally

PROVEN_REFUSALS: Final = frozenset((*STATUS_REASON.values(), Reason.INNER_MALFORMED))


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """What a configuration may set: carriers in order of preference, M, and the interval of health records."""

    carriers: tuple[int, ...] = (Carrier.UDP, Carrier.TCP)
    mtu: int = limits.MTU_DEFAULT
    transport_loss_ns: int = limits.TRANSPORT_LOSS_NS
    health_ns: int = limits.HEALTH_NS


class Contact(Actor[State, Input, Effect, Facts, Confirming]):
    """The client's paths, epochs and outstanding messages; its machine decides what to do with them."""

    machine = MACHINE

    def __init__(self, keys: Keys, policy: ClientPolicy, entropy: Entropy, first_serial: int = 0) -> None:
        """Stay IDLE until the order to connect; facts are numbered after `first_serial`."""
        self.keys, self.policy, self._entropy = keys, policy, entropy
        self.state, self.cause, self.paths, self.out = State.IDLE, Cause.PATH_DEAD, dict[int, Path](), list[Output]()
        self.life, self.newborn, self.confirming = cast("Life | None", None), cast("Newborn | None", None), list[Confirming]()
        self.committed = self.draining = cast("Epoch | None", None)
        self.attempts, self.hands, self.at = dict[int, Attempt](), dict[int, Hand](), dict[str, Instant]()
        self.hand_tries, self.cookies, self.acknowledged = 0, 0, False
        self.heard_at = self.sent_at = self.moved_at = self.sought_at = Instant(0)
        self.waiting_since = self._hinted_at = cast("Instant | None", None)
        self.round_trip_ns = self._probe_id = self._last = 0
        self.patience, self._serial = limits.REATTACH_RETRY_CAP_NS, first_serial
        self.refusals = Tally(self._refused, limits.REFUSALS_PER_SECOND, limits.SUMMARY_NS)

    def facts(self) -> Facts:
        """Return what the claims speak about."""
        return Facts(self.state, self.version, self.life is not None, self.committed is not None, self.newborn is not None)

    def abandon(self, now: Instant) -> None:  # noqa: ARG002 - nothing is told, so it does not matter when
        """Drop everything and be CLOSED."""
        self.wipe()
        self.state = State.CLOSED

    def epochs(self) -> list[Epoch]:
        """Return every epoch that may be heard."""
        confirming = [each.epoch for each in self.confirming if each.epoch is not self.committed]
        epochs = [self.committed, self.draining, *confirming, self.newborn.epoch if self.newborn else None]
        return [each for each in epochs if each is not None]

    def gateway(self) -> bytes:
        """Return the gateway's key that the session was born under [K-45]; without one, that for what is new."""
        return self.life.gateway if self.life else self.keys.gateway

    def taken(self) -> set[int]:
        """Return every index that something may be answered to [D-3]."""
        return {each.index for each in (*self.attempts.values(), *self.hands.values())} | {each.index for each in self.epochs()}

    def serial(self) -> int:
        """Return the next number of a fact."""
        self._serial += 1
        return self._serial

    def fact(self, event: Event, reason: Reason, now: Instant) -> Fact:
        """Return a fact about the client as it is."""
        life, epoch = self.life, self.committed
        carrier = epoch.path.carrier if epoch else 0
        return Fact(event, reason, self.serial(), self._last, now, correlation=life.correlation if life else NO_CORRELATION,
                    state_from=self.state, state_to=self.state, state_version=self.version, carrier_from=carrier, carrier_to=carrier,
                    binding_version=life.binding_version if life else 0, attempt=epoch.attempt if epoch else 0)  # fmt: skip

    def _refused(self, _key: object, reason: Reason, times: int, _remote: Endpoint | None, now: Instant) -> None:
        event = Event.CLIENT_REFUSED if reason in PROVEN_REFUSALS else Event.TRAFFIC_REFUSED
        self.out.append(Record(self.fact(event, reason, now)._replace(times=times)))

    def shake(self, carrier: int, now: Instant, cookie: bytes = b"") -> None:
        """Send a fresh INIT on an open path of this carrier; open one first where there is none [H-30]."""
        path = self.paths.get(carrier)
        if path is None:
            self.out.append(Dial(carrier))
            return
        self.hands[carrier] = hand = Hand(self.keys, self._entropy, path, now, cookie, self.taken())
        self.out.append(Transmit(path, [hand.frame]))
        if "handshake" not in self.at:
            self.at["handshake"] = Instant(now + (limits.HANDSHAKE_RETRY_NS << self.hand_tries))

    def shake_beside(self, now: Instant) -> None:
        """Start the next carriers beside one that does not answer or does not carry INIT [H-31]."""
        for carrier in self.policy.carriers:
            if carrier not in self.hands and self.newborn is None:
                self.shake(carrier, now)

    def shake_again(self, now: Instant) -> None:
        """Try again on every carrier, as often as the limits allow [H-32]."""
        if self.newborn and now - self.newborn.epoch.born < limits.PENDING_NS:
            self.at["handshake"] = Instant(self.newborn.epoch.born + limits.PENDING_NS)  # when the gateway forgets it [H-34]
            return
        lame = self.newborn.epoch.path.carrier if self.newborn else 0  # it answered, but does not carry CONFIRM and ACK
        self.newborn, self.hand_tries = None, self.hand_tries + 1
        if self.hand_tries >= limits.HANDSHAKE_TRIES:
            self.hands.clear()
            if not self.hear(Input.HANDSHAKE_OVER, now):
                self.at["fresh"] = Instant(now + limits.FRESH_AFTER_NS)
            return
        carriers = self.policy.carriers if self.state is State.CONNECTING else tuple(self.paths)
        for carrier in [each for each in carriers if each != lame] or carriers:
            self.shake(carrier, now)

    def confirm_birth(self, now: Instant, wait: int) -> None:
        """Confirm the keys of a handshake, and again after `wait` unless an ACK comes [H-33]."""
        if self.newborn:
            self._confirm(self.newborn.epoch)
            self.at["birth"] = Instant(now + min(wait, limits.REATTACH_RETRY_CAP_NS))

    def confirm(self, each: Confirming, now: Instant) -> None:
        """Confirm a proven attempt, and count it."""
        each.retry.again(now)
        self._confirm(each.epoch)

    def _confirm(self, epoch: Epoch) -> None:
        self.out += epoch.seal([encode(Kind.CONFIRM, pack(Confirm(self.policy.mtu)))])

    def adopt_birth(self, now: Instant) -> None:
        """Make the confirmed handshake the session; what was before is dropped."""
        newborn = given(self.newborn, "a birth has keys")
        self.wipe()
        self.life, self.committed, self.acknowledged = newborn.life, newborn.epoch, False
        self._settled(now)

    def seek(self, now: Instant) -> None:
        """Try where the session was, and with a short head start for that, everywhere else [R-50]."""
        self.at["fresh"] = Instant(now + limits.FRESH_AFTER_NS)
        home = given(self.committed, "a session that is sought was somewhere").path.carrier
        first = home if home in self.paths else self.policy.carriers[0]
        for carrier in self.policy.carriers:
            self.at[f"dial {carrier}"] = Instant(now + (0 if carrier == first else limits.HEAD_START_NS))

    def attempt(self, carrier: int, change: Change, cause: Cause, now: Instant) -> None:
        """Start an attempt on this carrier, or repeat the one that is pending on its path [R-30] [R-51]."""
        path, life, pending = self.paths.get(carrier), self.life, self.attempts.get(carrier)
        if path is None:
            self.out.append(Dial(carrier))
        elif pending and pending.path == path:
            self.out.append(Transmit(path, [pending.frame]))
        elif life is not None and life.next in life.locators:
            outage_ms = (now - self.heard_at) // limits.MILLISECOND
            self.attempts[carrier] = new = Attempt(self.keys, self._entropy, life, path, change, cause, outage_ms, now, self.taken())
            self.out.append(Transmit(path, [new.frame]))
        else:
            self.at["fresh"] = now  # no attempt is left: only a handshake can go on

    def commit(self, offer: Confirming, now: Instant) -> None:
        """The gateway spoke under this epoch, so the move is committed: older keys only drain, no older attempt counts [R-53]."""
        self.draining, self.at["drain"] = self.committed, Instant(now + limits.DRAINING_NS)
        self.committed, self.acknowledged = offer.epoch, False
        self.confirming = [each for each in self.confirming if each.epoch.attempt >= offer.epoch.attempt]
        self._settled(now)

    def _settled(self, now: Instant) -> None:
        self.newborn, self.attempts, self.hands = None, {}, {}
        for name in [name for name in self.at if name not in {"drain", "health"}]:
            del self.at[name]
        self.heard_at = self.moved_at = now
        self.waiting_since, self.patience = None, limits.REATTACH_RETRY_CAP_NS
        self.at["probe"], self.at["health"] = Instant(now + limits.PROBE_NS), Instant(now + self.policy.health_ns)

    def wipe(self) -> None:
        """Drop every key; Python may keep copies of the bytes, see SECURITY.md."""
        if self.life and self.life.addresses[0]:
            self.out.append(Route(0, self.life.addresses[:2], up=False))
        self.life = self.committed = self.draining = self.newborn = self.waiting_since = None
        self.confirming, self.attempts, self.hands, self.at = [], {}, {}, {}

    def repeat(self, now: Instant) -> None:
        """Repeat what is unanswered: attempts with their identical bytes, CONFIRMs under a new counter [R-30] [R-54].

        An attempt that the gateway has forgotten, or that somebody burnt, is never answered. While attached it is given up; while
        seeking that is for a RESP to decide, so that a long outage does not use up the locators [R-56] [R-55].
        """
        for carrier, attempt in list(self.attempts.items()):
            if self.state is State.ATTACHED and now - attempt.started >= limits.CANDIDATE_NS:
                del self.attempts[carrier]
            elif attempt.retry.at <= now:
                attempt.retry.again(now)
                self.out.append(Transmit(attempt.path, [attempt.frame]))
        for each in self.unconfirmed():
            if each.retry.at > now:
                continue
            if each.retry.times >= limits.CONFIRM_TRIES and each.epoch is not self.committed:
                self.hear(Input.CONFIRM_OVER, now)
            else:
                self.confirm(each, now)

    def unconfirmed(self) -> list[Confirming]:
        """Return the epochs whose CONFIRM is not answered; one that is committed waits for the ACK."""
        return [each for each in self.confirming if each.epoch is not self.committed or not self.acknowledged]

    def moving(self) -> bool:
        """Tell whether an epoch is being confirmed that the gateway has not spoken under."""
        return any(each.epoch is not self.committed for each in self.confirming)

    def deadlines(self) -> list[tuple[Input, Instant]]:
        """Return what the clock makes the client hear, and when."""
        epoch, life = self.committed, self.life
        if epoch is None or life is None:
            return []
        waits = [(Input.LIFETIME_OVER, life.expires_at)]
        if self.state is State.SEEKING:
            return [*waits, (Input.TRANSPORT_LOST, Instant(self.sought_at + self.policy.transport_loss_ns))]
        waits.append((Input.KEY_EXPIRED, Instant(epoch.born + limits.REJECT_AFTER_NS)))
        if self.waiting_since is not None:
            floor = limits.DEAD_STREAM_NS if epoch.path.serial else limits.DEAD_MIN_NS
            waits.append((Input.PATH_SILENT, Instant(self.waiting_since + max(floor, 4 * self.round_trip_ns))))
        carrier = epoch.path.carrier
        if carrier != self.policy.carriers[0] and "better" not in self.at and not set(self.attempts) - {carrier} and not self.moving():
            waits.append((Input.BETTER_DUE, Instant(self.moved_at + limits.STABLE_NS)))
        idle = not self.moving() and carrier not in self.attempts and "here" not in self.at
        if self.sent_at > epoch.born and idle and life.next in life.locators:
            waits.append((Input.KEY_DUE, Instant(epoch.born + limits.REKEY_AFTER_NS)))
        return waits

    def timer(self, name: str, now: Instant) -> None:
        """Do what the named timer was set for."""
        plain = {"probe": self._probe, "handshake": self.shake_again, "beside": self.shake_beside, "health": self._sample_health}
        match name.split():
            case [known] if known in plain:
                plain[known](now)
            case ["birth"]:
                self.confirm_birth(now, limits.REATTACH_RETRY_NS * 4)
            case ["drain"]:
                self.draining = None
            case ["fresh"] if self.newborn is None:
                self.hear(Input.FRESH_DUE, now)
            case ["last", "chance"]:
                self.hear(Input.LAST_CHANCE_OVER, now)
            case ["dial", carrier] if self.state is State.CONNECTING:
                self.shake(int(carrier), now)
            case ["dial", carrier] if self.state is State.SEEKING:
                self.attempt(int(carrier), Change.MOVE, self.cause, now)
            case _:
                pass

    def _probe(self, now: Instant) -> None:
        """Ask the committed path for a sign of life: often while traffic is outstanding, seldom otherwise [C-40]."""
        if self.committed is None or self.state is not State.ATTACHED:
            return
        self._probe_id = (self._probe_id + 1) % 2**32
        self.out += self.committed.seal([encode(Kind.PROBE, pack(Probe(self._probe_id, now)))])
        self.waiting_since = now if self.waiting_since is None else self.waiting_since
        busy = now - self.sent_at < limits.BUSY_NS or self.waiting_since < now
        self.at["probe"] = Instant(now + (limits.PROBE_NS if busy else limits.PROBE_IDLE_NS))

    def _sample_health(self, now: Instant) -> None:
        """Record the traffic since the last sample; an idle session records nothing."""
        self.at["health"] = Instant(now + self.policy.health_ns)
        if self.committed and any(measures := self.committed.traffic()):
            self.committed.sample()
            self.out.append(Record(self.fact(Event.SESSION_HEALTH, Reason.HEALTH_SAMPLED, now)._replace(measures=measures)))

    def measures(self, heard: Input, offer: Confirming | None, now: Instant) -> tuple[int, int, int, int]:
        """Return the measures that the registry names for what is heard."""
        if heard is Input.BORN and self.newborn:
            return ((now - self.newborn.started) // limits.MICROSECOND, 0, 0, 0)
        if heard is Input.COMMITTED and offer:
            return ((now - self.heard_at) // limits.MICROSECOND, (now - offer.attempt.started) // limits.MICROSECOND, 0, 0)
        return (0, 0, 0, 0)
