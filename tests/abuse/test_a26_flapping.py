"""A device moves without end (T-26).

ATTACK
    A device, or a network that plays with it, makes move after move, changes its keys again and again where it is, or makes sessions
    and closes them: each costs the gateway key agreements and a durable write.

EXPECTED REFUSAL
    Moves a minute are limited, forced ones less strictly than those by choice, and so are rekeys [R-16] and births [H-28]; a refusal has a
    proof, costs no write, and leaves the session where it is.

EXPECTED EVIDENCE
    SESSION_REFUSED / SWITCH_LIMIT
    SESSION_REFUSED / COOLDOWN
    HANDSHAKE_REFUSED / LIMIT_SESSIONS
"""

from functools import partial

from core import limits
from core.client.attempts import Attempt
from core.reasons import Cause, Event, Reason
from core.values import CloseSession, CompareAndSet, Instant
from core.wire.layout import Change
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import Seen, from_elsewhere, own_path


def test_forced_moves() -> None:
    """A network that plays with one device would keep the store busy for everybody."""
    world = World().connected()
    seen = Seen(world, None)
    for number in range(45):
        world.host.move(v4(100 + number))
        world.run(200)
    asked = [ask for ask in world.store.asked if isinstance(ask.operation, CompareAndSet)]
    assert len(asked) == limits.FORCED_PER_MINUTE
    assert seen.refusals(Event.SESSION_REFUSED)[Reason.SWITCH_LIMIT] >= 1
    handle = world.session.handle
    world.run(90_000, world.host.chat, step_ms=100)
    assert world.session.handle == handle
    assert world.attached()


def attempt(world: World, cause: Cause, change: Change = Change.MOVE) -> bytes:
    """Return a proven attempt, whatever the client's own caution would say."""
    life = world.client.life
    assert life
    path = world.host.paths[1]
    return Attempt(world.client.keys, world.entropy, life, path, change, cause, 0, world.now).frame


def test_moves_by_choice() -> None:
    """A client that finds everything better than what it has would do the same."""
    world = World().connected()
    seen = Seen(world, None)
    for _ in range(2):
        world.inject(attempt(world, Cause.BETTER), from_elsewhere(own_path(world.host)))
    assert seen.refusals(Event.SESSION_REFUSED) == {Reason.COOLDOWN: 1}
    for _ in range(limits.VOLUNTARY_PER_MINUTE):
        world.now = Instant(world.now + limits.VOLUNTARY_COOLDOWN_NS)
        world.inject(attempt(world, Cause.BETTER), from_elsewhere(own_path(world.host)))
    assert seen.refusals(Event.SESSION_REFUSED) == {Reason.COOLDOWN: 1, Reason.SWITCH_LIMIT: 1}


def test_new_keys_without_end() -> None:
    """A device that stays where it is would keep the store busy for everybody."""
    world = World().connected()
    seen = Seen(world, None)
    for _ in range(limits.REKEYS_PER_MINUTE + 3):
        world.inject(attempt(world, Cause.REKEY, change=Change.REKEY), own_path(world.host))
    assert seen.refusals(Event.SESSION_REFUSED) == {Reason.SWITCH_LIMIT: 3}


def test_births_without_end() -> None:
    """A device that makes sessions and closes them would fill the store and its evidence for everybody."""
    world = World()
    seen = Seen(world, None)
    for _ in range(limits.BIRTHS_PER_MINUTE + 3):
        host = world.new_host(like=world.host)
        host.connect(20)
        host.does(partial(host.client.command, CloseSession(), world.now))
        world.run(20)
    assert len(world.store.rows) == limits.BIRTHS_PER_MINUTE
    assert seen.refusals(Event.HANDSHAKE_REFUSED) == {Reason.LIMIT_SESSIONS: 3}
