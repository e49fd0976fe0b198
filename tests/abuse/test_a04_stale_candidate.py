"""The CONFIRM of a candidate that is not the newest (T-04).

ATTACK
    Somebody on the path holds back the client's CONFIRM. When the client has made a newer attempt elsewhere, they let it go, to bind
    the session to the place where it no longer is.

EXPECTED REFUSAL
    A newer candidate has replaced the older one [R-17]: its keys name nothing any more. Silence; the newest attempt goes on.

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / CONFIRM_STALE
"""

from core.client.contact import ClientPolicy
from core.reasons import Carrier, Reason
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import captured, let_pass, own_path, untouched, withhold


def test_it_binds_nothing() -> None:
    """An attacker could choose among all paths that a client ever tried."""
    world = World(client_policy=ClientPolicy(carriers=(Carrier.UDP,))).connected()
    before = len(captured(world, "CONFIRM"))
    withhold(world, "CONFIRM")
    world.host.move(v4(77))
    world.run_until(lambda: len(captured(world, "CONFIRM")) > before)
    held, where = captured(world, "CONFIRM")[before:], own_path(world.host)
    world.host.move(v4(78))
    world.run_until(lambda: bool(world.session.candidate and world.session.candidate.epoch.attempt == 2))
    with untouched(world) as seen:
        for frame in held:
            world.inject(frame, where)
        assert not seen.answers()
        assert seen.refusals() == {Reason.CONFIRM_STALE: len(held)}
    let_pass(world)
    world.run(1_000)
    assert world.session.active
    assert (world.session.active.attempt, world.session.active.path) == (2, own_path(world.host))
