"""An old copy of the store is put back (T-24).

ATTACK
    Somebody with the files stops the gateway, puts back the store as it was some moves ago, and sends the old REATTACHs again.

EXPECTED REFUSAL
    What was burnt after the copy is known no more, so a replay is answered; but only the client can confirm it [R-20], and its binding
    does not move. The client's next attempt is within reach [R-11], and the session goes on.

EXPECTED EVIDENCE
    SESSION_CHANGED / TAKEN_OVER
    SESSION_CHANGED / CANDIDATE_EXPIRED
"""

from core.reasons import Event, Reason
from core.values import CloseSession
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import captured, from_elsewhere, own_path


def test_replays_move_nothing() -> None:
    """A backup would be worth as much as the keys."""
    world = World().connected()
    copy = dict(world.store.rows)
    for number in range(3):
        world.host.move(v4(77 + number))
        world.run(500)
    world.store.rows = dict(copy)
    world.store.outbox = world.store.outbox[:1]
    world.cut = {1, 2}
    world.start_gateway()
    for frame in captured(world, "REATTACH"):
        world.inject(frame, from_elsewhere(own_path(world.host)))
        world.run(20)
    assert world.session.candidate
    assert not world.session.facts().bound
    assert world.store.rows == copy
    world.run(6_000)
    assert world.reasons(Event.SESSION_CHANGED).count(Reason.CANDIDATE_EXPIRED) == 1
    assert Reason.TAKEN_OVER in world.reasons(Event.SESSION_CHANGED)
    world.cut = set()
    world.run(10_000, world.host.chat)
    assert world.session.handle in copy
    assert world.attached()


def test_a_session_that_had_ended_is_of_no_use() -> None:
    """A device whose session was ended would have it back, without anybody who wants it."""
    world = World().connected()
    copy = dict(world.store.rows)
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))
    world.run(100)
    world.store.rows, world.store.outbox = dict(copy), world.store.outbox[:1]
    world.start_gateway()
    world.run(10_000)
    assert world.store.rows == copy
    assert not world.desk.sessions
    assert world.client.life is None
