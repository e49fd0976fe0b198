"""Forged REATTACH (T-03).

ATTACK
    A stranger sends REATTACH with random locators; somebody on the path cuts a genuine locator out of a REATTACH that they let nobody
    see, and builds another message around it; a locator of a session that has ended is used again; many of them make the gateway read
    its store.

EXPECTED REFUSAL
    Silence, before any public-key operation: the locator does not open [R-10], the attempt is out of range [R-11], the mac does not fit
    the chain [R-12] [M-5], there is no such session [R-13]. The attempt is not burnt; store reads are bounded.

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / LOCATOR_WRONG
    TRAFFIC_REFUSED / REATTACH_MAC_WRONG
    TRAFFIC_REFUSED / ATTEMPT_TOO_FAR
    TRAFFIC_REFUSED / SESSION_UNKNOWN
    TRAFFIC_REFUSED / STORE_BUSY
"""

from core import limits
from core.reasons import Reason
from core.values import CloseSession, Instant
from core.wire.messages import encode
from core.wire.records import Reattach
from lab.sim.frames import minted, v4
from lab.sim.world import World
from tests.abuse.attack import captured, from_elsewhere, let_pass, own_path, untouched, withhold


def forged(world: World, locator: bytes) -> bytes:
    """Return a REATTACH of the right form with this locator."""
    return encode(Reattach(7, locator, world.entropy(64), world.entropy(16)))


def test_random_locators() -> None:
    """Anybody could make the gateway look for sessions."""
    world = World().connected()
    with untouched(world) as seen:
        asked = len(world.store.asked)
        for _ in range(1_000):
            world.inject(forged(world, world.entropy(16)), from_elsewhere(own_path(world.host)))
        assert len(world.store.asked) == asked
        assert not seen.answers()
        assert seen.refusals() == {Reason.LOCATOR_WRONG: 1_000}


def test_a_genuine_locator_with_a_forged_proof() -> None:
    """Who sees a locator before the gateway does could burn the client's attempt, or move the session."""
    world = World().connected()
    withhold(world, "REATTACH")
    world.host.move(v4(77))
    world.run(20)
    locator = captured(world, "REATTACH")[0][8:24]
    with untouched(world) as seen:
        world.inject(forged(world, locator), own_path(world.host))
        assert not seen.answers()
        assert seen.refusals() == {Reason.REATTACH_MAC_WRONG: 1}
    let_pass(world)
    world.run(200)
    assert world.session.active
    assert world.session.active.attempt == 1


def test_attempts_out_of_range() -> None:
    """One message would make the gateway compute thousands of links of a chain."""
    world = World().connected()
    session, locators = world.session, world.desk.locators[0]
    with untouched(world) as seen:
        for attempt in (session.next + limits.LOOKAHEAD_ATTEMPTS, limits.ATTEMPT_MAX + 1):
            world.inject(forged(world, minted(locators, session.handle, attempt)), own_path(world.host))
        assert not seen.answers()
        assert seen.refusals() == {Reason.ATTEMPT_TOO_FAR: 2}


def test_a_session_that_has_ended() -> None:
    """A locator that outlived its session would bring it back."""
    world = World().connected()
    withhold(world, "REATTACH")
    world.host.move(v4(77))
    world.run(20)
    reattach = captured(world, "REATTACH")[0]
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))
    world.cut = {1, 2}
    world.run(100)
    world.start_gateway()
    with untouched(world) as seen:
        world.inject(reattach, own_path(world.host))
        world.run(20)
        assert not seen.answers()
        assert seen.refusals() == {Reason.SESSION_UNKNOWN: 1}


def test_a_flood_of_sessions_that_nobody_holds() -> None:
    """A silent store and a flood of knocks would fill the gateway's memory."""
    world = World().connected()
    locators, flood = world.desk.locators[0], 2 * limits.LOADS_MAX
    world.store.silent = True
    with untouched(world) as seen:
        asked = len(world.store.asked)
        for number in range(flood):
            world.now = Instant(world.now + 1)
            world.inject(forged(world, minted(locators, 2**47 + number, 1)), from_elsewhere(own_path(world.host)))
        assert len(world.store.asked) - asked == limits.LOADS_MAX
        assert seen.refusals() == {Reason.STORE_BUSY: flood - limits.LOADS_MAX}
    world.release()
    world.run(10)
    assert len(world.desk.sessions) == 1
