"""A story for reports: some sessions over some minutes, as gateway and client would record them; sound for the verifier."""

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random

from core.client.states import State as ClientState
from core.reasons import Carrier, Event, Reason
from core.session.states import State
from core.values import Endpoint, Fact, Instant
from tests.observability.synthetic import BOOT, SECOND, Scribe, lost

MILLI = 1_000_000
CAUSES = (
    Reason.MOVED_PATH_DEAD,
    Reason.MOVED_PATH_CLOSED,
    Reason.MOVED_ADDRESS_CHANGED,
    Reason.MOVED_HINTED,
    Reason.MOVED_BETTER,
    Reason.MOVED_QUALITY,
)
CARRIERS = (Carrier.UDP, Carrier.TCP, Carrier.QUIC)


@dataclass
class Story:
    """Facts of both ends, sorted by time when they are written."""

    seed: int = 7
    gateway: list[Fact] = field(default_factory=list)
    client: list[Fact] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)
        self.serial = count(1)

    def tell(self, sessions: int, minutes: int) -> None:
        """Let sessions live, and strangers knock."""
        for handle in range(1, sessions + 1):
            Life(self, handle, begin=self.dice.randrange(40) * SECOND, end=minutes * 60 * SECOND).live()
        for second in range(0, minutes * 60, 10):
            for reason, rate in (
                (Reason.MAC1_WRONG, 30),
                (Reason.INDEX_UNKNOWN, 6),
                (Reason.COOKIE_DEMANDED, 90 if 120 <= second < 200 else 0),
            ):
                if rate and self.dice.random() < 0.7:
                    times = self.dice.randrange(1, rate)
                    self.gateway.append(Fact(Event.TRAFFIC_REFUSED, reason, next(self.serial), 0, Instant(second * SECOND), times=times))

    def write(self, directory: Path) -> tuple[Path, Path]:
        """Write both logs; return their directories."""
        paths = directory / "gateway" / "log", directory / "client" / "log"
        for path, role, facts, boot in zip(paths, ("gateway", "client"), (self.gateway, self.client), (BOOT, BOOT[::-1]), strict=True):
            scribe = Scribe(path, role=role, boot=boot)
            scribe.write(sorted(facts, key=lambda fact: (fact.at, fact.serial)))
            if role == "gateway":
                scribe.write_together([lost(1, 17)])
            scribe.close()
        return paths


class Life:
    """One session: born on UDP, moves, rekeys, suffers, ends or goes on."""

    def __init__(self, story: Story, handle: int, begin: int, end: int) -> None:
        """`begin` and `end` in ns."""
        self.story, self.dice, self.handle, self.now, self.end = story, story.dice, handle, begin, end
        self.version, self.binding, self.attempt, self.carrier = 0, 0, 0, Carrier.UDP
        self.state, self.client_state = State.PENDING, ClientState.IDLE
        self.lively = self.dice.random()

    def live(self) -> None:
        """Go through it."""
        self.birth()
        while self.now < self.end - 20 * SECOND:
            self.wait(self.dice.uniform(4, 40) / (0.5 + self.lively))
            self.dice.choice((self.move, self.move, self.move, self.rekey, self.shake, self.refusal, self.long_silence))()
        if self.handle % 3 == 0:
            self.change(Reason.CLOSED_BY_PEER, State.TERMINATED, event=Event.SESSION_ENDED)
            self.client_change(Reason.CLOSED_BY_OPERATOR, ClientState.CLOSED, event=Event.CLIENT_ENDED)

    def birth(self) -> None:
        """From the first handshake message to the first packet."""
        self.client_change(Reason.CONNECT_ORDERED, ClientState.CONNECTING)
        self.now += 12 * MILLI
        self.change(Reason.HANDSHAKE_PROVEN, State.PENDING)
        self.now += 11 * MILLI
        self.client_change(Reason.HANDSHAKE_PROVEN, ClientState.CONNECTING)
        self.change(Reason.BIRTH_ASKED, State.PENDING)
        self.binding = 1
        self.change(Reason.HANDSHAKE_COMPLETED, State.ATTACHED, event=Event.SESSION_BORN)
        self.now += 9 * MILLI
        self.client_change(Reason.HANDSHAKE_COMPLETED, ClientState.ATTACHED, event=Event.CLIENT_ATTACHED, measures=(32_000, 0, 0, 0))

    def move(self) -> None:
        """Lose the path or choose another."""
        cause = self.dice.choice(CAUSES)
        sought = cause in {Reason.MOVED_PATH_DEAD, Reason.MOVED_PATH_CLOSED}
        if sought:
            reason = Reason.PATH_SILENT if cause is Reason.MOVED_PATH_DEAD else Reason.PATH_CLOSED
            self.client_change(reason, ClientState.SEEKING)
            self.change(reason, State.RECOVERING, unbound=True)
        outage = int(self.dice.lognormvariate(5.2, 0.7)) * 1_000 if sought else self.dice.randrange(8_000, 40_000)
        self.now += outage * 1_000
        self.commit(cause, self.dice.choice([carrier for carrier in CARRIERS if carrier is not self.carrier]), outage)

    def rekey(self) -> None:
        """New keys on the same path."""
        self.client_change(Reason.KEY_AGED, ClientState.ATTACHED)
        self.commit(Reason.REKEYED, self.carrier, 0)

    def commit(self, cause: Reason, to: Carrier, outage_us: int) -> None:
        """Commit a new epoch."""
        self.attempt += 1
        self.change(Reason.REATTACH_ACCEPTED, self.state, to=to)
        self.now += 7 * MILLI
        self.change(Reason.MOVE_ASKED, self.state)
        self.binding += 1
        before, self.carrier = self.carrier, to
        self.change(cause, State.ATTACHED, event=Event.SESSION_MOVED, before=before, measures=(outage_us // 1_000, outage_us, 0, 0))
        if cause is not Reason.REKEYED:
            measures = (outage_us, self.dice.randrange(300, 4_000), self.dice.randrange(9), outage_us // 1_000)
            self.gateway_fact(Event.MOVE_MEASURED, Reason.MOVE_COMMITTED, before=before, measures=measures)
        self.now += 9 * MILLI
        self.client_change(cause, ClientState.ATTACHED, event=Event.CLIENT_MOVED, measures=(outage_us + 9_000, 16_000, 0, 0))

    def shake(self) -> None:
        """Bad quality for a while."""
        self.change(Reason.QUALITY_LOW, State.VOLATILE)
        self.wait(4)
        if self.dice.random() < 0.4:
            self.change(Reason.QUALITY_DEGRADED, State.DEGRADED)
            self.wait(self.dice.uniform(3, 15))
        self.change(Reason.QUALITY_STABLE, State.ATTACHED)

    def long_silence(self) -> None:
        """A path is lost for longer than the recovery window."""
        self.client_change(Reason.PATH_SILENT, ClientState.SEEKING)
        self.change(Reason.PATH_SILENT, State.RECOVERING, unbound=True)
        self.wait(8, traffic=False)
        self.change(Reason.RECOVERY_OVER, State.DEGRADED)
        self.wait(6, traffic=False)
        self.commit(Reason.MOVED_PATH_DEAD, self.carrier, 14_000_000)

    def refusal(self) -> None:
        """A move that is too soon, or a replay."""
        reason = self.dice.choice((Reason.COOLDOWN, Reason.COUNTER_REPLAYED, Reason.SWITCH_LIMIT, Reason.UNBOUND_PATH))
        self.gateway_fact(Event.SESSION_REFUSED, reason, times=self.dice.randrange(1, 30))

    def wait(self, seconds: float, *, traffic: bool = True) -> None:
        """Let time pass; traffic is sampled every ten seconds."""
        until = self.now + int(seconds * SECOND)
        while traffic and self.now + 10 * SECOND < until:
            self.now += 10 * SECOND
            down = int(self.dice.uniform(0.2, 1) * 9_000_000 * (0.3 + self.lively))
            self.gateway_fact(Event.SESSION_HEALTH, Reason.HEALTH_SAMPLED, measures=(down // 9, down, down // 9_000, down // 1_200))
        self.now = until

    def change(
        self,
        reason: Reason,
        state: State,
        *,
        event: Event = Event.SESSION_CHANGED,
        to: Carrier | None = None,
        before: Carrier | None = None,
        unbound: bool = False,
        measures: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> None:
        """Make a transition of the gateway's machine."""
        came_from, self.state = self.state, state
        self.version += 1
        ended = event is Event.SESSION_ENDED
        self.story.gateway.append(
            self._fact(event, reason)._replace(
                state_from=came_from,
                state_to=state,
                carrier_from=0 if ended else before or self.carrier,
                carrier_to=0 if unbound or ended else to or self.carrier,
                remote=None if ended else Endpoint(self.handle.to_bytes(16, "big"), 40_000 + self.attempt),
                measures=measures,
            )
        )

    def gateway_fact(
        self,
        event: Event,
        reason: Reason,
        *,
        before: Carrier | None = None,
        times: int = 0,
        measures: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> None:
        """Record something that is no transition."""
        has_state = event is not Event.MOVE_MEASURED
        fact = self._fact(event, reason)._replace(
            carrier_from=before or self.carrier, carrier_to=self.carrier, times=times, measures=measures
        )
        fact = fact._replace(device=bytes(32)) if event is not Event.SESSION_REFUSED else fact
        if event is Event.SESSION_HEALTH:
            fact = fact._replace(binding_version=0, attempt=0)
        states = (self.state, self.state, self.version) if has_state else (0, 0, 0)
        self.story.gateway.append(fact._replace(state_from=states[0], state_to=states[1], state_version=states[2]))

    def client_change(
        self, reason: Reason, state: ClientState, *, event: Event = Event.CLIENT_CHANGED, measures: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> None:
        """Make a transition of the client's machine; it never knows the handle."""
        came_from, self.client_state = self.client_state, state
        fact = self._fact(event, reason)._replace(handle=0, device=bytes(32), state_from=came_from, state_to=state, carrier_to=self.carrier)
        if self.binding == 0:
            fact = fact._replace(correlation=bytes(16))
        self.story.client.append(fact._replace(measures=measures))

    def _fact(self, event: Event, reason: Reason) -> Fact:
        return Fact(
            event,
            reason,
            next(self.story.serial),
            0,
            Instant(self.now),
            handle=self.handle,
            correlation=(self.handle * 0x9E3779B97F4A7C15 % 2**128).to_bytes(16, "big"),
            state_version=self.version,
            binding_version=self.binding,
            attempt=self.attempt,
            device=self.handle.to_bytes(32, "big"),
        )


def write_story(directory: Path, *, sessions: int = 7, minutes: int = 6, seed: int = 7) -> tuple[Path, Path]:
    """Write the logs of gateway and client; return their directories."""
    story = Story(seed)
    story.tell(sessions, minutes)
    return story.write(directory)
