"""What a client hears after a moment in which it stood still: frames before the clocks that were due meanwhile."""

from core import limits
from core.reasons import Carrier, Event
from core.values import Instant
from lab.sim.frames import v4
from lab.sim.world import STRAIGHT, World


def test_an_answer_that_comes_after_a_clock_is_heard_alone() -> None:
    """A process that stood still for a moment hears a late answer before its clocks, and ends a sound session with INVARIANT_BROKEN."""
    world, late = World().connected(), list[bytes]()
    client = world.client

    def network(sender: str, kind: str, frame: bytes) -> tuple[int, ...]:
        if (sender, kind) == ("gateway", "REATTACH_RESP"):
            late.append(frame)
            return STRAIGHT if len(set(late)) == 1 else ()
        return () if (sender, kind) == ("client", "CONFIRM") else STRAIGHT

    world.network = network
    world.host.move(v4(99))
    while not (client.confirming and client.confirming[0].retry.times >= limits.CONFIRM_TRIES):
        world.run(1)
    assert len(set(late)) == 2, "the other carrier's attempt was answered, and that answer is on its way"
    world.now = Instant(client.confirming[0].retry.at + limits.MILLISECOND)  # no tick came
    world.host.hears(late[-1], client.attempts[Carrier.TCP].path)
    assert world.client_reasons(Event.CLIENT_ENDED) == []
    assert [each.attempt.number for each in client.confirming] == [1, 2]
    world.network = lambda *_: STRAIGHT
    world.run(3_000)
    assert world.attached()
