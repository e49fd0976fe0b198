"""A flood of INITs, and the cookie (T-09).

ATTACK
    A stranger sends INITs of the right form, which cost the gateway two key agreements each, from forged addresses; somebody who can
    forge one prefix fills the places of pending handshakes.

EXPECTED REFUSAL
    Above 400 a second, or four pending from one prefix, an INIT has to bring a cookie that only the owner of its source address gets
    [H-23]. The demand costs no memory and has 40 bytes [H-24] [F-11]; a wrong cookie has its own reason [M-3] [M-4]. An unknown device
    is dropped without an answer [H-4]. Who answers the demand gets in [H-25]; nobody is refused by prefix.

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / DEVICE_UNKNOWN
    TRAFFIC_REFUSED / COOKIE_DEMANDED
    TRAFFIC_REFUSED / MAC2_WRONG
"""

from core import limits
from core.client.attempts import Hand, Keys
from core.crypto.primitives import PrivateKey
from core.reasons import Reason
from core.session.states import State
from core.values import Endpoint
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import from_elsewhere, own_path, untouched


def stranger(world: World, key: PrivateKey | None = None, cookie: bytes = b"") -> bytes:
    """Return an INIT of the right form, of an unknown device or of the owner of `key`."""
    keys = Keys(key or PrivateKey(world.entropy(32)), world.static.public, world.kem)
    return Hand(keys, world.entropy, world.host.paths[1], world.now, cookie).frame


def test_unknown_devices_from_forged_addresses() -> None:
    """Anybody could use up the processor, or keep honest devices out."""
    world = World().connected()
    init, cookie, flood = stranger(world), stranger(world, cookie=bytes(range(16))), limits.INIT_PER_SECOND - 1  # one has just come
    with untouched(world) as seen:
        for number in range(flood):
            world.inject(init, from_elsewhere(own_path(world.host), Endpoint(v4(number % 200, 7), number + 1)))
        assert not seen.answers()
        assert seen.refusals() == {Reason.DEVICE_UNKNOWN: flood}
        for frame in (init, cookie):
            world.inject(frame, from_elsewhere(own_path(world.host)))
        assert [(sent.kind, len(sent.frame)) for sent in seen.answers()] == [("COOKIE", 40)] * 2
        assert seen.refusals() == {Reason.DEVICE_UNKNOWN: flood, Reason.COOKIE_DEMANDED: 1, Reason.MAC2_WRONG: 1}
    honest = world.new_host()
    honest.connect()
    assert honest.client.life
    assert honest.client.cookies == 1


def test_one_prefix_full_of_pending_handshakes() -> None:
    """A few replayed packets a second would lock a whole network out."""
    world = World()
    world.host.dial(1)
    hosts = [world.new_host() for _ in range(limits.PENDING_PER_PREFIX)]
    for number, host in enumerate(hosts):
        world.inject(stranger(world, host.key), from_elsewhere(own_path(world.host), Endpoint(v4(10), number + 1)))
    pending = list(world.desk.sessions)
    assert len(pending) == limits.PENDING_PER_PREFIX
    with untouched(world) as seen:
        world.inject(stranger(world, hosts[0].key), from_elsewhere(own_path(world.host), Endpoint(v4(200), 1)))
        assert [sent.kind for sent in seen.answers()] == ["COOKIE"]
    world.inject(stranger(world, hosts[0].key), from_elsewhere(own_path(world.host)))
    assert len(world.desk.sessions) == limits.PENDING_PER_PREFIX + 1
    world.host.connect()
    assert world.host.client.life
    assert world.host.client.cookies == 1
    assert all(session.state is State.PENDING for session in world.desk.sessions.values() if session.device != world.host.device)
