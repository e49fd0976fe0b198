"""How often a session may renew its keys where it is, and what that leaves for moves."""

from core import limits
from core.reasons import Cause, Event, Reason, Status
from core.session.desk import Policy
from core.session.session import Session
from core.wire.epoch import Epoch
from core.wire.layout import Change
from lab.sim.world import World
from tests.core.engine.flapping import Flapping

REFUSED = Event.SESSION_REFUSED


def test_rekeys_have_a_limit_of_their_own() -> None:
    """A device could make the store write without end from where it is; or a session could not move because it had changed its keys."""
    world = World(policy=Policy(forced_per_minute=2, voluntary_per_minute=2)).connected()
    device = Flapping(world)
    for _ in range(limits.REKEYS_PER_MINUTE):
        assert device.rekey()[0] is Status.OK
    asked = len(world.store.asked)
    status, wait = device.rekey()
    assert status is Status.SWITCH_LIMIT
    assert 0 < wait <= 60 * limits.SECOND
    assert len(world.store.asked) == asked, "a refusal costs no write"
    assert world.reasons(REFUSED) == [Reason.SWITCH_LIMIT]
    device.wait(wait)
    assert device.rekey()[0] is Status.OK, "once retry_after has passed the next attempt succeeds"
    assert device.move(Cause.PATH_DEAD)[0] is Status.OK
    assert device.move(Cause.BETTER)[0] is Status.OK


def test_on_the_bound_path_every_attempt_is_a_rekey() -> None:
    """R-16: a client that is made to renew its keys, by hints that somebody relays, could not jump when it must."""
    device = Flapping(World().connected())
    for _ in range(limits.REKEYS_PER_MINUTE):
        assert device.rekey(Change.MOVE, Cause.HINTED)[0] is Status.OK
    assert device.rekey(Change.MOVE, Cause.HINTED)[0] is Status.SWITCH_LIMIT
    assert device.rekey(Change.MOVE, Cause.BETTER)[0] is Status.SWITCH_LIMIT
    for _ in range(limits.FORCED_PER_MINUTE):
        assert device.move(Cause.ADDRESS_CHANGED)[0] is Status.OK
    assert device.move(Cause.ADDRESS_CHANGED)[0] is Status.SWITCH_LIMIT


def test_who_lost_the_path_and_found_it_again_has_more_rekeys() -> None:
    """R-16: on a network that stutters a client would wait for a minute where it could go on; or nothing would bound it."""
    world = World().connected()
    device = Flapping(world)
    for _ in range(limits.REKEYS_PER_MINUTE):
        assert device.rekey(Change.MOVE, Cause.HINTED)[0] is Status.OK
    asked = len(world.store.asked)
    for _ in range(limits.FORCED_PER_MINUTE - limits.REKEYS_PER_MINUTE):
        assert device.rekey(Change.MOVE, Cause.PATH_DEAD)[0] is Status.OK
    assert device.rekey(Change.MOVE, Cause.PATH_DEAD)[0] is Status.SWITCH_LIMIT
    assert len(world.store.asked) - asked == limits.FORCED_PER_MINUTE - limits.REKEYS_PER_MINUTE
    status, wait = device.rekey()
    assert status is Status.SWITCH_LIMIT
    device.wait(wait - limits.MILLISECOND)
    assert device.rekey()[0] is Status.SWITCH_LIMIT, "until fewer than its own number were in the last minute"
    device.wait(limits.MILLISECOND)
    assert device.rekey()[0] is Status.OK


def test_a_rekey_that_is_due_is_never_refused() -> None:
    """R-16: whatever was used up before, keys would get too old because the new ones are refused."""
    world = World().connected()
    device, session = Flapping(world), world.session
    device.wait(limits.REKEY_AFTER_NS - limits.SECOND - (world.now - given_epoch(session).born))
    session.moves = ((world.now, "rekey"),) * limits.FORCED_PER_MINUTE
    assert device.rekey()[0] is Status.SWITCH_LIMIT
    device.wait(limits.SECOND)
    assert device.rekey()[0] is Status.OK
    assert device.rekey()[0] is Status.SWITCH_LIMIT, "its keys are new"


def given_epoch(session: Session) -> Epoch:
    """Return the active epoch."""
    assert session.active
    return session.active


def test_a_rekey_that_is_a_move_counts_as_one() -> None:
    """A device would call its moves rekeys, and move as often as it likes."""
    device = Flapping(World().connected())
    statuses = {device.move(Cause.REKEY, Change.REKEY)[0] for _ in range(limits.FORCED_PER_MINUTE + 1)}
    assert statuses == {Status.OK, Status.SWITCH_LIMIT}
