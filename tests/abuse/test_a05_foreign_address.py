"""DATA and CONFIRM from an address to which the epoch is not bound (T-05).

ATTACK
    Somebody on the path takes the client's DATA and sends it from their own address: copies, packets that they held back so that they
    arrive there first, and the CONFIRM of a move.

EXPECTED REFUSAL
    The path is judged before window and AEAD [D-5]: nothing is delivered, the window stays, nothing commits [R-20]. The session never
    roams in silence. A genuine packet that is newer than all others gets a hint, one in a second, no longer than the packet [R-40]
    [F-11].

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / UNBOUND_PATH
    SESSION_REFUSED / UNBOUND_PATH
"""

from core.reasons import Event, Reason
from tests.abuse.attack import captured, from_elsewhere, let_pass, own_path, untouched, withhold
from tests.core.frames import v4
from tests.core.world import World


def test_copies() -> None:
    """Whoever copies one packet would draw the session's traffic to themselves."""
    world = World().connected()
    world.host.say()
    world.run(20)
    with untouched(world) as seen:
        for frame in captured(world, "DATA"):
            world.inject(frame, from_elsewhere(own_path(world.host)))
        assert not seen.answers()
        assert set(seen.refusals(Event.TRAFFIC_REFUSED)) == {Reason.UNBOUND_PATH}


def test_packets_that_were_held_back() -> None:
    """The first to arrive would be taken for the client, or make the gateway refuse the client's own copy."""
    world = World().connected()
    withhold(world, "DATA")
    before = len(captured(world, "DATA"))
    for _ in range(5):
        world.host.say(b"held back")
    held = captured(world, "DATA")[before:]
    with untouched(world) as seen:
        for frame in held:
            world.inject(frame, from_elsewhere(own_path(world.host)))
        (hint,) = seen.answers()
        assert hint.path == from_elsewhere(own_path(world.host))
        assert len(hint.frame) <= min(map(len, held))
        assert seen.refusals(Event.SESSION_REFUSED) == {Reason.UNBOUND_PATH: 1}
        assert seen.refusals(Event.TRAFFIC_REFUSED) == {Reason.UNBOUND_PATH: 4}
    let_pass(world)
    for frame in held:
        world.inject(frame, own_path(world.host))
    assert len(world.delivered) == 5


def test_the_confirm_of_a_move() -> None:
    """The one durable write of a move would be asked for by somebody who cannot receive what follows."""
    world = World().connected()
    before = len(captured(world, "CONFIRM"))
    withhold(world, "CONFIRM")
    world.host.move(v4(77))
    world.run_until(lambda: len(captured(world, "CONFIRM")) > before)
    with untouched(world) as seen:
        asked = len(world.store.asked)
        world.inject(captured(world, "CONFIRM")[before], from_elsewhere(own_path(world.host)))
        assert len(world.store.asked) == asked
        assert not seen.answers()
        assert seen.refusals() == {Reason.UNBOUND_PATH: 1}
