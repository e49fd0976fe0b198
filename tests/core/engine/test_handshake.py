"""A session comes to be: over UDP, over TCP where UDP does not work, and under load only for those who can be where they say."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from core import limits
from core.client.attempts import Hand
from core.client.states import State
from core.crypto.primitives import MlKem768, PrivateKey
from core.reasons import Carrier, Event, Reason, Status
from core.session.states import State as SessionState
from core.values import Connect, Create, Endpoint, Path, PathEvent
from core.wire.inner import encode
from core.wire.layout import Kind
from core.wire.messages import parse
from core.wire.records import Close, Resp, pack
from lab.sim.device import confirm
from lab.sim.frames import v4
from lab.sim.ways import TCP_ONLY
from lab.sim.world import GATEWAY_AT, MS, World
from tests.core.engine.knocking import arrive, crowd, hand, keys, resps
from tests.core.exposed import laid_open

REFUSED = Event.TRAFFIC_REFUSED


@pytest.mark.parametrize("kem", [None, MlKem768()], ids=["twin", "ML-KEM-768"])
def test_a_device_connects_over_udp(kem: MlKem768 | None) -> None:
    """No session would come to be, or it would take more messages than four."""
    world = World(kem=kem).connected()
    world.host.chat()
    world.run(10)
    assert [sent.kind for sent in world.sent[:4]] == ["INIT", "RESP", "CONFIRM", "ACK"]
    assert (world.client.state, world.session.state) == (State.ATTACHED, SessionState.ATTACHED)
    assert (len(world.delivered), len(world.host.down)) == (1, 1)
    life = world.client.life
    assert life
    assert (life.session_id.expose(), life.chain.expose()) == laid_open(world.session.secrets)
    assert len(life.locators) == limits.LOCATORS_PER_ACK
    assert life.addresses[:2] == (world.host.device.inner4, world.host.device.inner6)
    assert [type(ask.operation) for ask in world.store.asked] == [Create]


def test_the_birth_is_durable_before_the_client_hears_of_it() -> None:
    """A client would believe in a session that a crash makes unheard of."""
    world = World()
    world.store.mute = True
    world.host.connect(100)
    assert world.store.rows
    assert "ACK" not in world.kinds("gateway")
    assert not world.attached()
    world.release()
    world.run(100)
    assert world.attached()


def test_tcp_is_started_beside_udp_that_is_dead() -> None:
    """Whoever is in a network without UDP would have no session, or wait for a whole handshake to fail."""
    world = World()
    world.cut = {Carrier.UDP}
    world.host.connect(limits.BESIDE_NS // MS + 50)
    assert world.client.state is State.ATTACHED
    assert world.session.active
    assert world.session.active.path.carrier == Carrier.TCP


def test_tcp_is_started_at_once_when_init_is_too_big() -> None:
    """A path that says that it does not carry INIT would be waited for all the same."""
    world = World()
    world.cut = {Carrier.UDP}
    world.host.connect(1)
    world.host.does(lambda: world.client.path_event(world.host.paths[Carrier.UDP], PathEvent.TOO_BIG, world.now))
    world.run(limits.BESIDE_NS // MS - 20)
    assert world.client.state is State.ATTACHED


def test_a_session_that_began_on_tcp_moves_to_udp() -> None:
    """A client would stay on its fallback for ever."""
    world = World()
    world.cut = {Carrier.UDP}
    world.host.connect(500)
    world.cut = set()
    world.run(10_000, world.host.say, step_ms=100)
    assert world.client.committed
    assert world.client.committed.path.carrier == Carrier.UDP
    assert world.client_reasons(Event.CLIENT_MOVED) == [Reason.MOVED_BETTER]


def test_a_path_that_answers_but_does_not_carry_confirm_gives_way() -> None:
    """On a path with a smaller MTU than L a client would shake hands for ever, with TCP beside it unused."""
    world = World()
    fly = world.fly
    world.fly = lambda sent, arrive: None if sent.path.carrier == 1 and sent.kind in {"CONFIRM", "ACK"} else fly(sent, arrive)  # type: ignore[method-assign]  # a network by carrier
    world.host.connect(10_000)
    assert world.client.state is State.ATTACHED
    assert world.client.committed
    assert world.client.committed.path.carrier == Carrier.TCP


def test_without_any_network_a_client_goes_on_trying() -> None:
    """A client that starts before its network would never connect."""
    world = World()
    world.refused = {Carrier.UDP, Carrier.TCP}
    world.host.connect(20_000)
    assert world.client.state is State.CONNECTING
    world.refused = set()
    world.run(2_000)
    assert world.attached()


def test_one_connection_is_enough() -> None:
    """Each order to connect would open two streams."""
    world = World(client_policy=TCP_ONLY)
    world.host.does(lambda: world.client.command(Connect(), world.now))
    world.run(100)
    assert world.client.state is State.ATTACHED
    assert len(world.host.streams) == 1


def test_the_oldest_pending_handshake_of_a_device_makes_room() -> None:
    """Replays of a device's handshake would lock it out, or fill the gateway."""
    world = World()
    source = Endpoint(v4(1), 1)
    for _ in range(limits.PENDING_PER_DEVICE + 1):
        arrive(world, hand(world, source).frame, source)
    assert len(world.desk.sessions) == limits.PENDING_PER_DEVICE
    assert world.reasons(Event.SESSION_CHANGED).count(Reason.PENDING_EXPIRED) == 1
    assert resps(world) == limits.PENDING_PER_DEVICE + 1


def test_births_that_wait_for_the_store_are_not_more_than_two_either() -> None:
    """A device could confirm handshakes without end while the store is slow."""
    world = World()
    world.store.silent = True
    hosts = [world.host, world.new_host(like=world.host), world.new_host(like=world.host)]
    for host in hosts:
        host.connect(20)
    assert len(world.desk.sessions) == limits.PENDING_PER_DEVICE
    assert world.reasons(Event.HANDSHAKE_REFUSED) == [Reason.LIMIT_PENDING]
    assert hosts[2].client.state is State.CLOSED
    assert Reason.LIMIT_PENDING in {fact.reason for fact in hosts[2].facts}, "and it is told why"


def test_pending_handshakes_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allowed devices together could fill the gateway's memory; beyond half of it datagrams need cookies already."""
    monkeypatch.setattr(limits, "PENDING_MAX", 6)
    monkeypatch.setattr(limits, "PENDING_PER_PREFIX", 99)
    world = World()
    crowd(world, 5)
    assert len(world.desk.sessions) == 4
    assert world.kinds("gateway").count("COOKIE") == 1
    for serial in range(1, 5):
        mine = Hand(keys(world)._replace(static=world.new_host().key), world.entropy, Path(2, serial, GATEWAY_AT, GATEWAY_AT), world.now)
        arrive(world, mine.frame, Endpoint(v4(1), serial), Carrier.TCP, serial)
    assert len(world.desk.sessions) == 6
    assert Reason.LIMIT_PENDING in world.reasons(REFUSED)


def test_a_pending_handshake_is_forgotten_after_five_seconds() -> None:
    """Unconfirmed handshakes would stay in memory, and their networks under suspicion, for ever."""
    world = World()
    crowd(world, 3)
    world.run(limits.PENDING_NS // MS + 1)
    assert not world.desk.sessions
    assert not world.desk.indices


def test_a_repeated_handshake_is_dropped_before_any_computing() -> None:
    """A recorded handshake, sent again and again, would keep the gateway computing."""
    world = World()
    source = Endpoint(v4(1), 1)
    frame = hand(world, source).frame
    arrive(world, frame, source)
    drawn = world.entropy.count
    arrive(world, frame, source)
    assert resps(world) == 1
    assert world.entropy.count == drawn
    assert world.reasons(REFUSED) == [Reason.INIT_REPEATED]
    world.run(limits.INIT_MEMORY_NS // MS + 1)
    arrive(world, frame, source)
    assert resps(world) == 2


def test_the_memory_of_handshakes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handshakes would fill the gateway's memory for two minutes."""
    monkeypatch.setattr(limits, "INIT_MEMORY_MAX", 5)
    world = World()
    for port in range(1, 20):
        arrive(world, hand(world, Endpoint(v4(1), port)).frame, Endpoint(v4(1), port))
    assert len(world.gateway._front._accepted) == 5


def test_a_handshake_with_a_broken_part_gets_no_answer() -> None:
    """A stranger would learn from the answer which part was right."""
    world = World()
    source = Endpoint(v4(1), 1)
    for at, reason in ((20, Reason.MAC1_WRONG), (1_330, Reason.MAC1_WRONG)):
        frame = bytearray(hand(world, source).frame)
        frame[at] ^= 1
        arrive(world, bytes(frame), source)
        assert world.reasons(REFUSED)[-1] is reason
    arrive(world, hand(world, source, key=PrivateKey(world.entropy(32))).frame, source)
    assert world.reasons(REFUSED)[-1] is Reason.DEVICE_UNKNOWN
    assert not world.kinds("gateway")
    assert not world.desk.sessions


def test_a_handshake_that_states_another_carrier_is_refused_in_silence() -> None:
    """H-29, H-21: a copy on another carrier would bring forth a proven refusal to hand on, or make the genuine one a repeat."""
    world = World()
    source = Endpoint(v4(1), 1)
    mine = hand(world, source)
    arrive(world, mine.frame, source, Carrier.TCP, 9)
    assert not world.sent
    assert not world.desk.sessions
    assert world.reasons(REFUSED) == [Reason.TRANSPORT_MISMATCH]
    arrive(world, mine.frame, source)
    assert resps(world) == 1
    arrive(world, mine.frame, source, Carrier.TCP, 10)
    assert world.reasons(REFUSED)[-1] is Reason.INIT_REPEATED, "before any public-key operation"


def test_behind_a_box_that_exchanges_carriers_a_client_connects_where_there_is_none() -> None:
    """H-29, H-31: silence would be the end of the client's tries."""
    world = World()
    host = world.host

    def box(sender: str, kind: str, frame: bytes) -> tuple[int, ...]:
        if sender == "client" and kind in {"INIT", "REATTACH"} and world.sent[-1].path.carrier == Carrier.UDP:
            world.inject(frame, Path(Carrier.TCP, 900, GATEWAY_AT, Endpoint(v4(66), 1)))
            return ()
        return (0,)

    world.network = box
    host.connect(1_000)
    assert world.attached()
    assert world.client.committed
    assert world.client.committed.path.carrier == Carrier.TCP
    world.run(200_000, host.chat, step_ms=100)
    assert world.attached(), "and it looks for the better carrier without harm"
    assert Reason.SESSION_LOST not in world.client_reasons(Event.CLIENT_ATTACHED)
    assert world.kinds("client").count("REATTACH") > 10
    world.network = lambda _sender, _kind, _frame: (0,)
    world.run(40_000, host.chat, step_ms=100)
    assert world.client.committed.path.carrier == Carrier.UDP


def born(world: World, *, over: bool = True) -> Status | None:
    """Make a session by hand, and close it; return the status of a refusal."""
    source = Endpoint(v4(1), 1)
    mine, before = hand(world, source), len(world.sent)
    arrive(world, mine.frame, source)
    (answer,) = [parse(sent.frame) for sent in world.sent[before:]]
    assert isinstance(answer, Resp)
    newborn = mine.answer(answer, world.now)
    if isinstance(newborn, Status):
        return newborn
    inner = [confirm(world), encode(Kind.CLOSE, pack(Close(1)))] if over else []
    frames = [frame for run in newborn.epoch.seal(inner) for frame in run.frames]
    world.gateway_does(lambda: world.gateway.receive(frames, Path(Carrier.UDP, 0, GATEWAY_AT, source), world.now))
    world.run(50)
    return None


def test_births_of_a_device_have_a_limit_a_minute() -> None:
    """H-28: one device that makes sessions and closes them would fill the store and its evidence."""
    world = World()
    other = world.new_host()
    assert [born(world) for _ in range(limits.BIRTHS_PER_MINUTE + 1)] == [None] * limits.BIRTHS_PER_MINUTE + [Status.LIMIT_SESSIONS]
    assert len(world.store.rows) == limits.BIRTHS_PER_MINUTE
    assert world.reasons(Event.HANDSHAKE_REFUSED) == [Reason.LIMIT_SESSIONS]
    other.connect()
    assert other.client.state is State.ATTACHED, "limits of devices are apart"
    world.run(60_000)
    assert born(world) is None


def test_what_nobody_confirms_is_no_birth() -> None:
    """H-28: whoever has recorded some INITs of a device would lock it out."""
    world = World()
    for _ in range(2 * limits.BIRTHS_PER_MINUTE):
        assert born(world, over=False) is None
    assert born(world) is None


def test_what_an_init_costs_does_not_depend_on_how_many_are_pending() -> None:
    """H-23: the demand for a cookie would cost more than the key agreement that it saves."""

    def steps(count: int) -> int:
        world = World()
        crowd(world, limits.PENDING_PER_PREFIX)
        for third in range(1, count):
            crowd(world, 1, third)
        assert len(world.desk.sessions) == limits.PENDING_PER_PREFIX + count - 1
        source = Endpoint(v4(250), 9)
        frame, taken, before = hand(world, source).frame, [0], sys.gettrace()  # coverage may be watching

        def count_steps(_frame: object, _event: str, _argument: object) -> Callable[..., Any]:
            taken[0] += 1
            return count_steps

        sys.settrace(count_steps)
        try:
            world.gateway.receive([frame], Path(Carrier.UDP, 0, GATEWAY_AT, source), world.now)
        finally:
            sys.settrace(before)
        return taken[0]

    few, many = steps(2), steps(60)
    assert few > 50
    assert many == few


def test_a_forged_answer_leaves_the_handshake_pending() -> None:
    """Anyone who sees a handshake could end it with garbage."""
    world = World()
    world.host.dial(Carrier.UDP)
    world.host.does(lambda: world.client.command(Connect(), world.now))
    pending, path = world.client.hands[Carrier.UDP], world.host.paths[Carrier.UDP]
    forged = b"\x02\x01\0\0" + bytes(4) + pending.index.to_bytes(4, "little") + bytes(1_168)
    world.host.does(lambda: world.client.receive([forged], path, world.now))
    assert world.client_reasons(REFUSED) == [Reason.REPLY_BAD_PROOF]
    world.run(100)
    assert world.client.state is State.ATTACHED
