"""A session's chain is stolen, and nothing else (T-13).

ATTACK
    A thief has session id, chain and locators of a live session, as they stand in the memory of client or gateway, but not the device
    key. They send a REATTACH of their own.

EXPECTED REFUSAL
    The mac fits, the handshake does not: it needs the device's key too [R-12] [R-1]. Silence, and the attempt is not burnt.

EXPECTED EVIDENCE
    SESSION_REFUSED / REATTACH_BAD_PROOF
"""

from core.client.attempts import Attempt, Keys, Life
from core.crypto.chain import Birth
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.reasons import Cause, Event, Reason
from core.wire.layout import Change
from lab.sim.world import World
from tests.abuse.attack import ELSEWHERE, from_elsewhere, own_path, untouched


def stolen(world: World) -> Life:
    """Return a copy of all that the client knows about its session."""
    mine = world.client.life
    assert mine
    life = Life(Birth(Secret(b""), Secret(b""), mine.session_id, mine.chain), mine.expires_at, mine.gateway)
    life.next, life.binding_version, life.locators = mine.next, mine.binding_version, dict(mine.locators)
    return life


def test_it_moves_nothing() -> None:
    """A copy of a process's memory, or of a row and its key, would be enough to take a session over."""
    world = World().connected()
    pretender = PrivateKey(world.entropy(32))
    pretender.public = world.host.device.public  # they know whom to imitate, as all that stands in the handshake's hash
    thief = Keys(pretender, world.static.public, world.kem)
    path = world.host.paths[1]._replace(local=ELSEWHERE)
    attempt = Attempt(thief, world.entropy, stolen(world), path, Change.MOVE, Cause.PATH_DEAD, 0, world.now)
    with untouched(world) as seen:
        world.inject(attempt.frame, from_elsewhere(own_path(world.host)))
        assert not seen.answers()
        assert seen.refusals(Event.SESSION_REFUSED) == {Reason.REATTACH_BAD_PROOF: 1}
    world.host.close(1)
    world.host.dial(1)
    world.run(200)
    assert world.session.active
    assert world.session.active.attempt == 1


def test_chain_and_device_key_together_do() -> None:
    """The case above would prove nothing: this is the one thing that it leaves out."""
    world = World().connected()
    path = world.host.paths[1]._replace(local=ELSEWHERE)
    attempt = Attempt(world.client.keys, world.entropy, stolen(world), path, Change.MOVE, Cause.PATH_DEAD, 0, world.now)
    world.inject(attempt.frame, from_elsewhere(own_path(world.host)))
    assert world.session.candidate
