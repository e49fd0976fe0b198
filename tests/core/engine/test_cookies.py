"""Under load only those get in who can be where they say: cookies, by network and by rate."""

import pytest

from core import limits
from core.client.states import State
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.reasons import Carrier, Event, Reason
from core.values import Connect, Endpoint, Instant
from core.wire.macs import cookie_for
from core.wire.messages import parse
from core.wire.records import Cookie
from lab.sim.frames import v4
from lab.sim.ways import TCP_ONLY
from lab.sim.world import STRAIGHT, World
from tests.core.engine.knocking import arrive, crowd, hand, resps

REFUSED = Event.TRAFFIC_REFUSED


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
    world = World(client_policy=TCP_ONLY)
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


def skip(world: World, ns: int) -> None:
    """Let exactly so many nanoseconds pass, and what was pending expire."""
    world.now = Instant(world.now + ns)
    world.gateway_does(lambda: world.gateway.tick(world.now))


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


@pytest.mark.parametrize(("age_ns", "good"), [(2 * limits.COOKIE_SECRET_NS - 1, True), (2 * limits.COOKIE_SECRET_NS, False)])
def test_a_cookie_ends_with_its_secret(age_ns: int, good: bool) -> None:
    """H-24: whoever collects cookies could use them for longer than the protocol says, or a client that was given one would be refused."""
    world = World()
    here = Endpoint(v4(1), 1)
    crowd(world, limits.PENDING_PER_PREFIX)
    cookie = cookie_of(world, here)
    skip(world, age_ns)
    crowd(world, limits.PENDING_PER_PREFIX)
    before = resps(world)
    arrive(world, hand(world, here, cookie=cookie).frame, here)
    assert (resps(world) == before + 1) is good


def test_the_secret_of_cookies_is_fresh_after_its_time_and_not_before() -> None:
    """H-24: a secret would be in use for longer than the protocol says; or each demand would make one, and no cookie would be good."""
    world = World()
    here = Endpoint(v4(1), 1)
    crowd(world, limits.PENDING_PER_PREFIX)
    first = cookie_of(world, here)
    skip(world, limits.COOKIE_SECRET_NS - 1)
    crowd(world, limits.PENDING_PER_PREFIX)
    assert cookie_of(world, here) == first
    skip(world, 1)
    assert cookie_of(world, here) != first


def test_the_secret_of_cookies_is_32_fresh_bytes() -> None:
    """M-3: under a secret that can be guessed everybody makes cookies for every address, and a flood is let in."""
    world = World()
    here, drawn = Endpoint(v4(1), 1), list[bytes]()
    crowd(world, limits.PENDING_PER_PREFIX)

    def entropy(n: int) -> bytes:
        drawn.append(world.entropy(n))
        return drawn[-1]

    world.desk.entropy = entropy
    cookie = cookie_of(world, here)
    (secret,) = drawn
    assert len(secret) == 32
    assert cookie == cookie_for(Secret(secret), *here)


def test_a_network_of_ipv6_is_a_56() -> None:
    """H-23: who has a /56, as every household has, would have as many networks as he likes; or neighbours would slow each other down."""
    world, households = World(), [bytes((0x20, 1, 0xD, 0xB8, 0, 0, last)) for last in (1, 2)]
    for number in range(limits.PENDING_PER_PREFIX + 1):
        source = Endpoint(households[0] + bytes((number,)) * 9, 1)
        arrive(world, hand(world, source, key=world.new_host().key).frame, source)
    assert world.kinds("gateway") == ["RESP"] * limits.PENDING_PER_PREFIX + ["COOKIE"]
    source = Endpoint(households[1] + bytes(9), 1)
    arrive(world, hand(world, source).frame, source)
    assert world.kinds("gateway")[-1] == "RESP"


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


def test_a_flood_is_over_a_second_after_its_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """H-23: after one flood every handshake would cost a cookie, or a flood that is a little slower would cost its sender none."""
    monkeypatch.setattr(limits, "INIT_PER_SECOND", 2)
    world = World()
    stranger, begin, demanded = PrivateKey(world.entropy(32)), world.now, []
    for number, after in enumerate((0, 0, limits.SECOND - 1, limits.SECOND)):
        world.now = Instant(begin + after)
        source, before = Endpoint(v4(1, number), 1), len(world.sent)
        arrive(world, hand(world, source, key=stranger).frame, source)
        demanded.append(len(world.sent) - before)
    assert demanded == [0, 0, 1, 0]


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
