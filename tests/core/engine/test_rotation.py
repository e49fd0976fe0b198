"""Rotation of a gateway's keys while it serves: no session is lost on a planned one, and a dropped key is good for nothing."""

from functools import partial

from core.client.attempts import Keys
from core.client.client import Client
from core.client.states import State as ClientState
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.reasons import Event, Reason
from core.session.states import State
from core.values import Admission, Keyring
from lab.sim.frames import located, v4
from lab.sim.world import Host, World


def rotated(world: World) -> PrivateKey:
    """Put a fresh static key before the one until now."""
    fresh = PrivateKey(world.entropy(32))
    ordered(world, fresh, world.static)
    return fresh


def ordered(world: World, *statics: PrivateKey) -> None:
    """Let the gateway take these static keys, now and at its next start."""
    world.statics = statics
    world.gateway_does(lambda: world.gateway.command(Keyring(statics, (world.k_loc,)), world.now))


def newcomer(world: World, gateway: PrivateKey) -> Host:
    """Connect another device that knows the gateway by this key."""
    host = world.new_host()
    host.client = Client(Keys(host.key, gateway.public, world.kem), world.client_policy, world.entropy)
    host.connect(300)
    return host


def test_a_session_lives_through_the_rotation() -> None:
    """[K-10] A planned rotation of the static key ends the sessions of everybody on a train."""
    world = World().connected()
    before = world.session.correlation
    fresh = rotated(world)
    world.host.move(v4(40))
    world.run(1_000, world.host.chat)
    assert (world.session.correlation, world.session.state, world.client.state) == (before, State.ATTACHED, ClientState.ATTACHED)
    assert world.session.active
    assert world.session.active.attempt > 0
    assert world.store.rows[world.session.handle].gateway_key == world.static.public != fresh.public


def follows(world: World, fresh: PrivateKey) -> None:
    """Let the first client take the successor for what is new."""
    world.client.keys = world.client.keys._replace(gateway=fresh.public)


def test_a_client_that_follows_jumps_under_the_key_of_its_session() -> None:
    """[K-45] A client that has learned of the successor asks under it for a session that its gateway has under the key before."""
    world = World().connected()
    life, fresh = world.client.life, rotated(world)
    follows(world, fresh)
    world.host.move(v4(41))
    world.run(1_000, world.host.chat)
    assert (world.client.life, world.client.gateway()) == (life, world.static.public)
    assert world.session.active
    assert world.session.active.attempt > 0
    states = []
    for public in (fresh.public, world.static.public):  # the end of the successor is not the end of this session
        world.host.does(partial(world.client.command, Admission(None, {public: Reason.KEY_REVOKED}), world.now))
        states.append(world.client.state)
    assert states == [ClientState.ATTACHED, ClientState.CLOSED]


def test_beside_lost_jumps_the_handshake_is_under_the_successor() -> None:
    """[K-44] [K-45] A session that its gateway has lost is sought for a quarter of an hour under a key that nobody answers to any more."""
    world = World().connected()
    life, fresh = world.client.life, PrivateKey(world.entropy(32))
    follows(world, fresh)
    world.statics = (fresh,)
    world.store.rows.clear()
    world.start_gateway()
    world.host.move(v4(42))
    world.run(10_000, world.host.chat)
    assert world.client.life is not life
    assert (world.client.state, world.client.gateway()) == (ClientState.ATTACHED, fresh.public)


def test_clients_with_either_key_are_served() -> None:
    """[K-10] In the time of a rotation only those reach the gateway whose configuration is new, or only those whose is old."""
    world = World()
    fresh = rotated(world)
    old, new = newcomer(world, world.static), newcomer(world, fresh)
    assert [host.client.state for host in (old, new)] == [ClientState.ATTACHED] * 2
    keys = {session.device.public: session.static.public for session in world.desk.sessions.values()}
    assert (keys[old.device.public], keys[new.device.public]) == (world.static.public, fresh.public)


def test_a_restart_in_the_middle_keeps_both() -> None:
    """[K-10] [R-13] A gateway that restarts during a rotation takes up only sessions of its newest key."""
    world = World().connected()
    new = newcomer(world, rotated(world))
    lives = [world.client.life, new.client.life]
    world.start_gateway()
    for host in (world.host, new):
        host.move(v4(50 + host.port % 10))
    for _ in range(300):
        world.run(5, world.host.chat)
        world.run(5, new.chat)
    assert [world.client.life, new.client.life] == lives
    assert {session.state for session in world.desk.sessions.values()} == {State.ATTACHED}


def test_a_dropped_key_ends_its_sessions_and_no_other() -> None:
    """[K-10] A key that was destroyed still carries sessions, or its end takes everybody's."""
    world = World().connected()
    fresh = rotated(world)
    new = newcomer(world, fresh)
    ordered(world, fresh)
    world.run(100)
    assert [fact.reason for fact in world.facts + world.store.outbox if fact.event is Event.SESSION_ENDED] == [Reason.KEY_OUTDATED]
    assert (world.client.state, new.client.state) == (ClientState.CLOSED, ClientState.ATTACHED)
    late = newcomer(world, world.static)
    world.run(20_000)
    assert late.client.state is ClientState.CLOSED
    assert any(fact.reason is Reason.MAC1_WRONG for fact in world.facts)


def test_rows_of_a_dropped_key_open_no_more() -> None:
    """[K-10] [R-13] A session of a destroyed key is taken up from the store under another key, which its client never met."""
    world = World().connected()
    fresh = PrivateKey(world.entropy(32))
    world.statics = (fresh,)
    world.start_gateway()
    world.host.move(v4(60))
    world.run(500, world.host.chat)
    assert not world.desk.sessions
    assert any(fact.reason is Reason.SESSION_UNKNOWN for fact in world.facts)


def test_locator_keys_are_taken_without_a_restart() -> None:
    """[R-10] Locators of before the rotation open no more, and each client makes a new handshake."""
    world = World().connected()
    fresh = Secret(world.entropy(32))
    world.gateway_does(lambda: world.gateway.command(Keyring(world.statics, (fresh, world.k_loc)), world.now))
    life = world.client.life
    for number in (70, 71):
        world.host.move(v4(number))
        world.run(1_000, world.host.chat)
    assert world.client.life is life
    assert life
    assert located(world.desk.locators[0], next(iter(life.locators.values()))) is not None
