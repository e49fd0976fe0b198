"""A session comes to be: over UDP, over TCP where UDP does not work, and under load only for those who can be where they say."""

import pytest

from core import limits
from core.client.attempts import Hand, Keys
from core.client.contact import ClientPolicy
from core.client.states import State
from core.crypto.primitives import MlKem768, PrivateKey
from core.reasons import Carrier, Event, Reason, Status
from core.session.states import State as SessionState
from core.values import Connect, Create, Endpoint, Path, PathEvent
from core.wire.messages import parse
from core.wire.records import Cookie, Resp
from tests.core.checks import sound_worlds  # noqa: F401 - a fixture for all tests of this module
from tests.core.frames import v4
from tests.core.world import GATEWAY_AT, MS, STRAIGHT, Host, World

REFUSED = Event.TRAFFIC_REFUSED


def keys(world: World) -> Keys:
    """Return the keys of the first host's device."""
    return Keys(world.host.key, world.static.public, world.kem)


def hand(world: World, source: Endpoint, *, key: PrivateKey | None = None, cookie: bytes = b"") -> Hand:
    """Return a fresh INIT of a device as a client at `source` makes it."""
    mine = keys(world)._replace(static=key or world.host.key)
    return Hand(mine, world.entropy, Path(Carrier.UDP, 0, source, GATEWAY_AT), world.now, cookie)


def arrive(world: World, frame: bytes, source: Endpoint, carrier: int = Carrier.UDP, serial: int = 0) -> None:
    """Let a frame reach the gateway from `source`."""
    world.inject(frame, Path(carrier, serial, GATEWAY_AT, source))


def crowd(world: World, count: int, third: int = 0) -> list[Host]:
    """Let devices of one /24 start handshakes that they never confirm."""
    hosts = [world.new_host() for _ in range(count)]
    for host in hosts:
        host.address = v4(100 + len(world.hosts), third)
        arrive(world, hand(world, Endpoint(host.address, 1), key=host.key).frame, Endpoint(host.address, 1))
    return hosts


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
    assert life.session_id == world.session.session_id
    assert life.chain == world.session.chain
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
    world = World(client_policy=ClientPolicy((Carrier.TCP,)))
    world.host.does(lambda: world.client.command(Connect(), world.now))
    world.run(100)
    assert world.client.state is State.ATTACHED
    assert len(world.host.streams) == 1


def test_from_four_pending_handshakes_of_a_network_on_a_cookie_is_needed() -> None:
    """Replayed handshakes from one network would fill the gateway, or lock that network out."""
    world = World()
    crowd(world, limits.PENDING_PER_PREFIX)
    assert "COOKIE" not in world.kinds("gateway")
    world.host.connect(60)
    assert world.kinds("gateway").count("COOKIE") == 1
    assert world.client.state is State.ATTACHED
    assert Reason.COOKIE_DEMANDED in world.reasons(REFUSED)
    assert Reason.MAC2_WRONG not in world.reasons(REFUSED)


def test_another_network_needs_no_cookie() -> None:
    """One crowded network would slow all others down."""
    world = World()
    crowd(world, limits.PENDING_PER_PREFIX, third=7)
    world.host.connect(60)
    assert "COOKIE" not in world.kinds("gateway")
    assert world.client.state is State.ATTACHED


def test_streams_are_never_asked_for_a_cookie() -> None:
    """A connection has proven its address; a COOKIE there closes it."""
    world = World(client_policy=ClientPolicy((Carrier.TCP,)))
    crowd(world, limits.PENDING_PER_PREFIX)
    world.host.connect(60)
    assert "COOKIE" not in world.kinds("gateway")
    assert world.client.state is State.ATTACHED


def cookie_of(world: World, source: Endpoint) -> bytes:
    """Return the cookie that the gateway gives a handshake from `source`."""
    before = len(world.sent)
    arrive(world, hand(world, source).frame, source)
    (answer,) = [parse(sent.frame) for sent in world.sent[before:]]
    assert isinstance(answer, Cookie)
    return answer.cookie


def resps(world: World) -> int:
    """Count the gateway's answers to handshakes."""
    return world.kinds("gateway").count("RESP")


def test_a_cookie_is_good_for_the_address_that_got_it_alone() -> None:
    """One cookie would open the door for a whole forged network."""
    world = World()
    here, there = Endpoint(v4(1), 1), Endpoint(v4(1), 2)
    crowd(world, limits.PENDING_PER_PREFIX)
    cookie, before = cookie_of(world, here), resps(world)
    arrive(world, hand(world, there, cookie=cookie).frame, there)
    assert resps(world) == before
    assert Reason.MAC2_WRONG in world.reasons(REFUSED)
    arrive(world, hand(world, here, cookie=cookie).frame, here)
    assert resps(world) == before + 1


@pytest.mark.parametrize(("age_s", "good"), [(1, True), (119, True), (239, True), (241, False)])
def test_a_cookie_lives_for_two_secrets(age_s: int, good: bool) -> None:
    """A cookie would fail a slow client, or serve an attacker for ever."""
    world = World()
    here = Endpoint(v4(1), 1)
    crowd(world, limits.PENDING_PER_PREFIX)
    cookie = cookie_of(world, here)
    world.run(age_s * 1_000)
    crowd(world, limits.PENDING_PER_PREFIX)
    before = resps(world)
    arrive(world, hand(world, here, cookie=cookie).frame, here)
    assert (resps(world) == before + 1) is good


def test_a_flood_of_handshakes_needs_cookies() -> None:
    """Each forged handshake would cost the gateway public-key operations."""
    world = World()
    stranger = PrivateKey(world.entropy(32))
    for number in range(limits.INIT_PER_SECOND + 5):
        source = Endpoint(v4(number % 250, number // 250), 1)
        arrive(world, hand(world, source, key=stranger).frame, source)
    assert world.kinds("gateway") == ["COOKIE"] * 5
    world.run(1_100)
    arrive(world, hand(world, source := Endpoint(v4(1), 1)).frame, source)
    assert resps(world) == 1


def test_a_client_takes_three_cookies_and_no_forged_one() -> None:
    """A gateway that asks for ever, or a liar beside it, would keep a client busy."""
    world = World()
    world.host.dial(Carrier.UDP)
    world.host.does(lambda: world.client.command(Connect(), world.now))
    pending = world.client.hands[Carrier.UDP]
    path = world.host.paths[Carrier.UDP]
    forged = b"\x03\x01\0\0" + pending.index.to_bytes(4, "little") + bytes(32)
    world.host.does(lambda: world.client.receive([forged], path, world.now))
    assert world.client.cookies == 0
    assert world.client.hands[Carrier.UDP] is pending
    assert Reason.REPLY_BAD_PROOF in world.client_reasons(REFUSED)
    world.network = lambda _who, kind, _frame: () if kind == "RESP" else STRAIGHT
    crowd(world, limits.PENDING_PER_PREFIX)
    world.cut = {Carrier.TCP}
    for _ in range(6):
        world.run(3_000)
        crowd(world, limits.PENDING_PER_PREFIX)
    assert world.client.cookies == limits.COOKIES_PER_HANDSHAKE


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


def test_a_handshake_that_states_another_carrier_is_refused_with_proof() -> None:
    """Someone in the middle could lift a handshake from one carrier to another."""
    world = World()
    source = Endpoint(v4(1), 1)
    mine = hand(world, source)
    arrive(world, mine.frame, source, Carrier.TCP, 9)
    (answer,) = [parse(sent.frame) for sent in world.sent]
    assert isinstance(answer, Resp)
    assert mine.answer(answer, world.now) is Status.TRANSPORT_MISMATCH
    assert world.reasons(Event.HANDSHAKE_REFUSED) == [Reason.TRANSPORT_MISMATCH]
    assert not world.desk.sessions


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
