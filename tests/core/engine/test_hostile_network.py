"""A gateway and a client on a network, a clock and a store that are all hostile: whatever happens in whatever order, the claims hold.

JVP_HOSTILE sets how many stories are told, 60 unless told; each has up to JVP_HOSTILE_STEPS steps, 25 unless told.
"""

import os
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.client.states import State
from core.reasons import Carrier, Event, Reason
from core.session.states import State as SessionState
from core.values import Endpoint, Fact, Instant, Path
from core.wire.messages import parse_data
from lab.sim.frames import Sent, there, v4
from lab.sim.world import GATEWAY_AT, INNER_GATEWAY, MS, STRAIGHT, World
from tests.core.checks import sound

STORIES: Final = int(os.environ.get("JVP_HOSTILE", "60"))
STEPS: Final = int(os.environ.get("JVP_HOSTILE_STEPS", "25"))
GOOD_MS: Final = 60_000  # the network has been good for this long: longer than a client's longest patience and a handshake
HEADER: Final = 20
SEED: Final = st.integers(0, 2**32 - 1)
FRAME: Final = st.integers(0, 400)


class Hostile(RuleBasedStateMachine):
    """One story; after each rule all claims are judged."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        super().__init__()
        self.said_up: Counter[bytes] = Counter()
        self.said_down: Counter[bytes] = Counter()
        self.number = self.judged = 0
        self.over: set[tuple[int, int]] = set()
        self.epochs: dict[bytes, int] = {}
        self.nonces: set[tuple[str, int, int]] = set()

    @initialize(seed=SEED, stream=st.booleans())
    def begin(self, seed: int, stream: bool) -> None:
        """A client connects, over a network that may lose what it sends."""
        self.world = World(f"hostile {seed}")
        self.dice = Random(seed)
        if stream:
            self.world.cut = {Carrier.UDP}
        self.world.host.connect(300)

    @rule(loss=st.integers(0, 60), twice=st.integers(0, 30), late=st.integers(0, 40), flips=st.integers(0, 30))
    def weather(self, loss: int, twice: int, late: int, flips: int) -> None:
        """Frames are lost, repeated, delayed, reordered and damaged, so many of a hundred each."""
        dice, host = self.dice, self.world.host

        def network(who: str, kind: str, frame: bytes) -> Sequence[int]:
            if dice.randrange(100) < flips and frame:  # the damaged copy comes instead
                bad = bytearray(frame)
                bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
                path = next(iter(host.paths.values()), None)
                if path and who == "client":
                    self.world.later(lambda: self.world.inject(bytes(bad), there(path)))
                elif path:
                    self.world.later(lambda: host.hears(bytes(bad), path))
                return ()
            copies = 0 if dice.randrange(100) < loss else 2 if dice.randrange(100) < twice else 1
            return [dice.randrange(400 * MS) if dice.randrange(100) < late else 0 for _ in range(copies)]

        self.world.network = network

    @rule()
    def calm(self) -> None:
        """The network is good again."""
        self.world.network, self.world.cut = lambda _sender, _kind, _frame: STRAIGHT, set()

    @rule(carrier=st.sampled_from([Carrier.UDP, Carrier.TCP]))
    def cut(self, carrier: int) -> None:
        """A carrier works no more, or again."""
        self.world.cut ^= {carrier}

    @rule(at=FRAME, port=st.sampled_from([0, 40_001, 6_666]), flips=st.lists(st.integers(0, 20_000), max_size=2), stream=st.booleans())
    def replayed(self, at: int, port: int, flips: list[int], stream: bool) -> None:
        """An old frame arrives again, from its own place or another one, true or damaged."""
        if not self.world.sent:
            return
        sent = self.world.sent[-1 - at % len(self.world.sent)]
        frame = bytearray(sent.frame)
        for flip in flips:
            frame[flip // 8 % len(frame)] ^= 1 << flip % 8
        path = sent.path
        if sent.sender == "client":
            source = Endpoint(v4(66), port) if port else path.local
            self.world.inject(bytes(frame), Path(Carrier.TCP, 77, GATEWAY_AT, source) if stream else there(path)._replace(remote=source))
        else:
            mine = next((each for each in self.world.host.paths.values() if each.carrier == path.carrier), None)
            if mine:
                self.world.host.hears(bytes(frame), mine._replace(remote=Endpoint(v4(66), port)) if port else mine)

    @rule(milliseconds=st.sampled_from([1, 20, 150, 1_000, 5_000, 20_000]), talk=st.booleans())
    def time_passes(self, milliseconds: int, talk: bool) -> None:
        """Time passes, with or without traffic."""
        self.world.run(milliseconds, self.talk if talk else None, step_ms=max(5, milliseconds / 40))

    @rule(seconds=st.sampled_from([1, 10, 100, 190, 1_000]))
    def clock_jumps(self, seconds: int) -> None:
        """The machine slept, or was stopped: nobody was there meanwhile."""
        self.world.now = Instant(self.world.now + seconds * 1_000 * MS)
        self.world.run(5)

    @rule(how=st.sampled_from(["silent", "mute", "failing", "good", "lost"]))
    def store(self, how: str) -> None:
        """The store does not take, does not answer, fails, works again, or has lost its rows."""
        store = self.world.store
        store.silent, store.mute, store.failing = how == "silent", how == "mute", how == "failing"
        if how == "lost":
            store.rows.clear()
        if how in {"good", "lost"}:
            self.world.release()

    @rule()
    def gateway_dies(self) -> None:
        """The gateway is killed and starts again on the same store."""
        self.world.host.streams.clear()
        self.world.start_gateway()
        for carrier in [each.carrier for each in self.world.host.paths.values() if each.serial]:
            self.world.host.close(carrier, gateway=False)

    @rule(last=st.integers(30, 60))
    def moves(self, last: int) -> None:
        """The host gets another address, and notices."""
        self.world.host.address = v4(last)
        for carrier in list(self.world.host.paths):
            self.world.host.close(carrier)
        if Carrier.UDP not in self.world.host.paths:
            self.world.host.dial(Carrier.UDP)

    @rule(last=st.integers(200, 204))
    def translated(self, last: int) -> None:
        """A router changes the source, unnoticed."""
        self.world.host.nat = Endpoint(v4(last), 4_000 + last)

    @precondition(lambda self: self.world.host.paths)
    @rule(gateway=st.booleans())
    def path_closes(self, gateway: bool) -> None:
        """A path is closed; of a stream the gateway may hear it or not."""
        self.world.host.close(next(iter(self.world.host.paths)), gateway=gateway)

    @rule()
    def good_again(self) -> None:
        """With a good network, store and clock for a minute, the pair is ATTACHED, or the client has ended and said why."""
        world, host = self.world, self.world.host
        self.calm()
        self.store("good")
        host.nat = None
        for _ in range(int(GOOD_MS / 1_000)):
            world.run(1_000, self.talk, step_ms=250)
            if self.works():
                return
            self.claims()
        assert host.client.state is State.CLOSED, f"after a minute: {host.client.state.name}"
        (ended,) = [fact for fact in host.facts if fact.event is Event.CLIENT_ENDED]
        assert ended.reason not in {Reason.INVARIANT_BROKEN, Reason.OWNER_FENCED}
        self.again()

    def works(self) -> bool:
        """Tell whether both ends are attached to each other: something said arrives."""
        if self.world.client.state is not State.ATTACHED:
            return False
        before = len(self.world.delivered)
        self.talk()
        self.world.run(20)
        return len(self.world.delivered) > before

    def again(self) -> None:
        """A user whose client has ended connects again, as another process of the same device."""
        ended = self.world.host
        ended.off = True
        self.world.hosts.clear()
        self.world.host = self.world.new_host(like=ended)
        self.epochs.clear()
        self.world.host.connect(300)

    def talk(self) -> None:
        """Say something new each way."""
        self.number += 1
        up, down = b"up %d" % self.number, b"down %d" % self.number
        self.said_up[up] += 1
        self.said_down[down] += 1
        self.world.host.say(up)
        self.world.host.tell(down)

    @invariant()
    def claims(self) -> None:
        """Everything that must be true of every story at every time."""
        if not hasattr(self, "world"):
            return
        world = self.world
        bound = [(session, session.active) for session in world.desk.sessions.values() if session.active]
        assert all(world.desk.indices[epoch.index] == (session, epoch) for session, epoch in bound), "a binding that is not the one"
        assert len({session.correlation for session, _ in bound}) == len(bound), "two bindings of one session"
        self.nothing_is_sealed_twice(world.sent[self.judged :])
        self.judged = len(world.sent)
        self.payloads()
        self.stories(world.story())
        assert Reason.INVARIANT_BROKEN not in {fact.reason for fact in [*world.facts, *world.host.facts]}

    def nothing_is_sealed_twice(self, sent: list[Sent]) -> None:
        """No pair of key and counter is used for two frames."""
        for each in sent:
            if each.frame[0] == 4:
                nonce = (each.sender, *parse_data(each.frame))
                assert nonce not in self.nonces, "a pair of key and counter was used twice"
                self.nonces.add(nonce)

    def payloads(self) -> None:
        """What is delivered was sent, whole, and never more often than it was sent."""
        up = Counter(packet[HEADER:] for _, packet in self.world.delivered)
        down = Counter(packet[HEADER:] for packet in self.world.host.down)
        assert all(packet[16:20] == INNER_GATEWAY for _, packet in self.world.delivered)
        assert not up - self.said_up, "delivered at the gateway, but not said, or twice"
        assert not down - self.said_down, "delivered at the client, but not said, or twice"

    def stories(self, facts: list[Fact]) -> None:
        """One binding at a time; versions and epochs grow; nothing follows an end."""
        versions: dict[int, int] = {}
        attempts: dict[int, int] = {}
        over = SessionState.TERMINATED
        for fact in self.world.store.outbox:
            if fact.event in {Event.SESSION_BORN, Event.SESSION_MOVED}:
                assert fact.binding_version > versions.get(fact.handle, 0), "two bindings with one version"
                assert fact.attempt > attempts.get(fact.handle, -1), "an epoch that is not newer"
                versions[fact.handle], attempts[fact.handle] = fact.binding_version, fact.attempt
        ended: set[tuple[int, int]] = set()
        for boot, fact in zip(self.world.boots_of, self.world.facts, strict=True):
            assert (boot, fact.handle) not in ended or fact.state_to in {0, over}, "life after death"
            if fact.state_to == over and fact.handle:
                ended.add((boot, fact.handle))
        assert self.over <= ended
        self.over = ended
        client = self.world.client
        if client.committed and client.life:
            epoch, key = client.committed.attempt, client.life.session_id.expose()
            assert epoch >= self.epochs.get(key, 0), "the client went back to an older epoch"
            self.epochs[key] = epoch
        assert len(facts) >= len(self.world.facts)

    def teardown(self) -> None:
        """Let each story end well, and judge the whole as every playbook is judged, but for rows that were lost with their evidence."""
        if hasattr(self, "world"):
            self.good_again()
            self.claims()
            if self.world.store.rows:
                sound(self.world)


TestHostile = Hostile.TestCase
TestHostile.settings = settings(
    max_examples=STORIES, stateful_step_count=STEPS, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
TestHostile.__doc__ = "A network could stop an engine, bring back what is over, deliver something twice, or leave a client stuck for ever."
