"""Numbers that name something are never given twice while they name it."""

from collections.abc import Callable

from core.reasons import Event, Reason
from lab.sim.frames import v4
from lab.sim.world import World


def repeating(world: World, length: int, number: int, times: int) -> Callable[[], int]:
    """Let the entropy of the gateway draw `number` so many times where `length` bytes are wanted; return how to ask what is left."""
    left, real = [number] * times, world.desk.entropy

    def entropy(n: int) -> bytes:
        return left.pop().to_bytes(length, "little") if n == length and left else real(n)

    world.desk.entropy = entropy
    return lambda: len(left)


def test_an_index_of_the_gateway_names_one_epoch() -> None:
    """D-3: packets of one session would be opened under the keys of another, and each would see the other's packets fail."""
    world = World().connected()
    first = world.session
    assert first.active
    left = repeating(world, 4, first.active.index, 2)
    world.new_host().connect()
    assert left() == 0
    assert len(world.desk.indices) == len(world.desk.sessions) == 2
    assert world.desk.indices[first.active.index] == (first, first.active)
    left = repeating(world, 4, first.active.index, 2)
    world.host.move(v4(99))
    world.run(100)
    assert left() == 0
    assert world.attached()
    assert Reason.MOVED_ADDRESS_CHANGED in world.reasons(Event.SESSION_MOVED)


def test_a_handle_names_one_session() -> None:
    """O-3: a second device would be given the first one's session, and its row."""
    world = World().connected()
    first = world.session
    left = repeating(world, 6, first.handle, 3)
    second = world.new_host()
    second.connect()
    assert left() == 0
    assert world.desk.sessions[first.handle] is first
    assert {session.device for session in world.desk.sessions.values()} == {world.host.device, second.device}
    assert len(world.store.rows) == 2
