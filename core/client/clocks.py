"""The client's clocks: what each deadline makes it hear, probes of the path, and samples of its traffic."""

from core import limits
from core.client.contact import Confirming, Contact
from core.client.states import Input, State
from core.reasons import Event, Reason
from core.values import Instant, Record
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.records import Probe, pack


class Clocks(Contact):
    """A client's paths and epochs with the clocks that run on them."""

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
        moving = any(each.epoch is not epoch for each in self.confirming)
        if carrier != self.policy.carriers[0] and "better" not in self.at and not set(self.attempts) - {carrier} and not moving:
            waits.append((Input.BETTER_DUE, Instant(self.moved_at + limits.STABLE_NS)))
        idle = not moving and carrier not in self.attempts and "better" not in self.at
        if self.sent_at > epoch.born and idle and life.next in life.locators:
            waits.append((Input.KEY_DUE, Instant(epoch.born + limits.REKEY_AFTER_NS)))
        return waits

    def timer(self, name: str, now: Instant) -> None:
        """Do what the named timer was set for."""
        match name.split():
            case ["probe"]:
                self._probe(now)
            case ["handshake"]:
                self.shake_again(now)
            case ["beside"]:
                self.shake_beside(now)
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
            case ["health"]:
                self._sample_health(now)
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
