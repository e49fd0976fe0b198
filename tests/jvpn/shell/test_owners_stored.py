"""Two gateways on the store with a file: what one of them lost, it ends neither there nor in evidence (G-55, H-50, O-4, O-7)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import limits
from core.client.states import State as ClientState
from core.reasons import Event
from core.values import ROW_LIVE, Answer, Ask, Get, Row
from jvpn.shell.stores.sqlite import SqliteStore
from lab.sim import world as worlds
from lab.sim.frames import v4
from lab.sim.twins import Store
from lab.sim.world import World
from tests.jvpn.shell.storing import BOOT, NODE, Clock, ask, outbox


class Filed(Store):
    """The twin's way to be asked, with a file behind it."""

    def __init__(self, file: SqliteStore) -> None:
        super().__init__()
        self.file = file

    def execute(self, ask_: Ask) -> Answer:
        """Let the file judge."""
        (answer,) = ask(self.file, ask_.operation)
        return answer._replace(ticket=ask_.ticket)

    def row(self, handle: int) -> Row:
        """Return the row that the file has."""
        row = ask(self.file, Get(handle))[0].row
        assert row
        return row


@pytest.fixture
def filed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Filed]:
    """Let a world have its store in a file, whose clock is the world's at its beginning."""
    clock = Clock()
    clock.seconds = 480_000 * 3_600
    made = Filed(SqliteStore(tmp_path / "store", NODE, BOOT, clock, clock))
    monkeypatch.setattr(worlds, "Store", lambda: made)
    yield made
    made.file.close()


def test_a_lost_session_is_ended_neither_in_the_file_nor_in_evidence(filed: Filed, tmp_path: Path) -> None:
    """G-55, O-7: the twin would refuse what the real store does."""
    world = World().connected()
    world.broken = True  # two gateways have two logs
    old, handle, life = (world.desk, world.gateway, world.boots), world.session.handle, world.client.life
    world.start_gateway()
    new = world.desk, world.gateway, world.boots
    world.host.move(v4(77))
    world.run(100, world.host.chat)
    theirs = filed.row(handle)
    world.host.off = True
    world.desk, world.gateway, world.boots = old
    world.run(limits.TRANSPORT_LOSS_NS / limits.MILLISECOND + 60_000, step_ms=1_000)
    assert not world.desk.sessions, "the old one has given it up"
    assert filed.row(handle) == theirs
    assert [stamped.fact.event for stamped in outbox(tmp_path / "store")] == [Event.SESSION_BORN, Event.SESSION_MOVED]
    world.desk, world.gateway, world.boots = new
    world.host.off = False
    world.run(10_000, world.host.chat)
    assert world.client.life is life


def test_a_birth_ends_none_that_is_bound_elsewhere(filed: Filed, tmp_path: Path) -> None:
    """H-50, O-4: a fifth session at one gateway would end one of four that are in use at another."""
    world = World().connected()
    world.broken = True
    for _ in range(3):
        world.new_host(like=world.host).connect()
    handles = list(world.desk.sessions)
    world.start_gateway()
    fifth = world.new_host(like=world.host)
    fifth.connect(300)
    assert fifth.client.state is ClientState.CLOSED
    assert {filed.row(handle).state for handle in handles} == {ROW_LIVE}
    assert {stamped.fact.event for stamped in outbox(tmp_path / "store")} == {Event.SESSION_BORN}
