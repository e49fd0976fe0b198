"""Replayed REATTACH (T-02).

ATTACK
    Somebody on the path keeps a REATTACH and sends it again: at once from their own address, after the commit from any address, and
    after the gateway was restarted and has to read the session from the store.

EXPECTED REFUSAL
    The bytes of a live attempt count on their own path only [R-31]; a proven attempt is burnt, at once [R-15] and durably with the
    commit [R-11] [R-21]. Silence; the binding stays.

EXPECTED EVIDENCE
    SESSION_REFUSED / REATTACH_REPLAYED
    TRAFFIC_REFUSED / ATTEMPT_BURNT
"""

from core.reasons import Event, Reason
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import captured, from_elsewhere, let_pass, own_path, untouched, withhold


def test_at_once_from_elsewhere() -> None:
    """Who copies one message would receive the session's traffic."""
    world = World().connected()
    withhold(world, "CONFIRM")
    world.host.move(v4(77))
    world.run_until(lambda: world.session.candidate is not None)
    (reattach,) = set(captured(world, "REATTACH"))
    with untouched(world) as seen:
        world.inject(reattach, from_elsewhere(own_path(world.host)))
        assert not seen.answers()
        assert seen.refusals(Event.SESSION_REFUSED) == {Reason.REATTACH_REPLAYED: 1}
    let_pass(world)
    world.run(3_000)
    assert world.session.active
    assert world.session.active.path.remote.address == world.host.address


def test_after_the_commit() -> None:
    """An old move could be repeated at will."""
    world = moved()
    with untouched(world) as seen:
        for frame in captured(world, "REATTACH"):
            world.inject(frame, own_path(world.host))
            world.inject(frame, from_elsewhere(own_path(world.host)))
        assert not seen.answers()
        assert set(seen.refusals()) == {Reason.ATTEMPT_BURNT}


def test_after_a_restart() -> None:
    """Each restart would make old moves good again."""
    world = moved()
    reattach = captured(world, "REATTACH")[-1]
    world.cut = {1}
    world.start_gateway()
    with untouched(world) as seen:
        world.inject(reattach, from_elsewhere(own_path(world.host)))
        world.run(20)
        assert not seen.answers()
        assert seen.refusals() == {Reason.ATTEMPT_BURNT: 1}


def test_of_an_attempt_that_a_crash_forgot() -> None:
    """A proof that was burnt in memory only would move the session after a crash: it may at most be answered."""
    world = World().connected()
    withhold(world, "CONFIRM", "REATTACH_RESP")
    world.host.move(v4(77))
    world.run_until(lambda: world.session.candidate is not None)
    (reattach,) = set(captured(world, "REATTACH"))
    (row,) = world.store.rows.values()
    world.start_gateway()
    world.inject(reattach, from_elsewhere(own_path(world.host)))
    world.run(20)
    assert not world.session.facts().bound
    assert list(world.store.rows.values()) == [row]
    let_pass(world)
    world.run(8_000, world.host.chat)
    assert world.session.handle == row.handle
    assert world.session.active
    assert world.session.active.path.remote.address == world.host.address


def moved() -> World:
    """Return a world whose session has just jumped."""
    world = World().connected()
    world.host.move(v4(77))
    world.run(200)
    assert Event.SESSION_MOVED in [fact.event for fact in world.store.outbox]
    return world
