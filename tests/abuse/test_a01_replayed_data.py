"""Replayed DATA (T-01).

ATTACK
    Somebody on the path keeps DATA and sends it again: at once, and when the window has moved on.

EXPECTED REFUSAL
    The counter was seen, or is below the window: silence, nothing is delivered twice [W-1] [W-2] [W-5] [D-2].

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / COUNTER_REPLAYED
    TRAFFIC_REFUSED / COUNTER_STALE
"""

from core import limits
from core.reasons import Reason
from lab.sim.world import World
from tests.abuse.attack import captured, own_path, untouched


def test_it_is_refused_and_counted() -> None:
    """An order that was given once through the tunnel would be carried out twice."""
    world = World().connected()
    for number in range(40):
        world.host.say(b"pay once, %d" % number)
    world.run(20)
    assert len(world.delivered) == 40
    with untouched(world) as seen:
        for frame in captured(world, "DATA"):
            world.inject(frame, own_path(world.host))
        assert not seen.answers()
        assert seen.refusals() == {Reason.COUNTER_REPLAYED: len(captured(world, "DATA"))}


def test_it_is_refused_when_the_window_has_moved_on() -> None:
    """What is too old to be remembered would be taken for new."""
    world = World().connected()
    world.host.say(b"pay once")
    first = captured(world, "DATA")[-1]
    for _ in range(limits.WINDOW_PACKETS):
        world.host.say()
    world.run(20)
    with untouched(world) as seen:
        world.inject(first, own_path(world.host))
        assert not seen.answers()
        assert seen.refusals() == {Reason.COUNTER_STALE: 1}
