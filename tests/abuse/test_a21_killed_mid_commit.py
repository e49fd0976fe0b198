"""The gateway is killed in the middle of a commit (T-21).

ATTACK
    The gateway's process is killed, by whoever can or by a power failure, while the store writes a birth or a move: just before it, or
    when it is written and nobody has been told.

EXPECTED REFUSAL
    A move is one durable write, its evidence in it [R-21]: it happened or it did not. The client has either, and goes on from there by
    its next attempt [R-13] [R-14] [R-15]; nothing is recorded twice, and nothing that happened is unrecorded.

EXPECTED EVIDENCE
    SESSION_MOVED / MOVED_ADDRESS_CHANGED
    SESSION_CHANGED / TAKEN_OVER
"""

import pytest

from core.reasons import Event, Reason
from core.values import Connect
from lab.sim.frames import v4
from lab.sim.world import World


@pytest.mark.parametrize("written", [False, True])
def test_of_a_move(written: bool) -> None:
    """A crash at the wrong moment would end a session, move it without a record, or record a move that never was."""
    world = World().connected()
    (row,) = world.store.rows.values()
    world.store.mute, world.store.silent = written, not written
    world.host.move(v4(77))
    world.run_until(lambda: bool(world.store.kept or world.store.answers))
    assert world.store.rows[row.handle].binding_version == row.binding_version + written
    world.store.kept, world.store.answers = [], []
    world.start_gateway()
    world.release()
    world.run(10_000, world.host.chat)
    assert world.session.handle == row.handle
    assert world.session.active
    assert world.session.active.path.remote.address == v4(77)
    moves = [fact.binding_version for fact in world.store.outbox if fact.event is Event.SESSION_MOVED]
    assert moves == list(range(2, world.session.binding_version + 1))
    assert Reason.TAKEN_OVER in world.reasons(Event.SESSION_CHANGED)
    assert world.reasons(Event.SESSION_MOVED)[0] is Reason.MOVED_ADDRESS_CHANGED
    delivered = len(world.delivered)
    world.run(100, world.host.chat)
    assert len(world.delivered) > delivered


@pytest.mark.parametrize("written", [False, True])
def test_of_a_birth(written: bool) -> None:
    """A crash at the wrong moment would leave a client that can neither go on nor begin again."""
    world = World()
    world.store.mute, world.store.silent = written, not written
    world.host.dial(1)
    world.host.does(lambda: world.client.command(Connect(), world.now))
    world.run_until(lambda: bool(world.store.kept or world.store.answers))
    assert len(world.store.rows) == written
    world.store.kept, world.store.answers = [], []
    world.start_gateway()
    world.release()
    world.run(20_000)
    assert world.client.life
    assert world.session.active
    assert world.reasons(Event.SESSION_BORN) == [Reason.HANDSHAKE_COMPLETED] * (1 + written)
