"""The store loses, fails, is late or silent: what is uncertain is suspended, what is certain goes on, and what has ended stays ended."""

import pytest

from core import limits
from core.client.states import State as ClientState
from core.crypto.chain import NONCE_LENGTH
from core.reasons import Event, Reason, Status
from core.session.states import State
from core.values import ROW_LIVE, ROW_TOMBSTONE, CloseSession, CompareAndSet, Create, Get, Tombstone
from lab.sim.device import arrive, here, judged, knock
from lab.sim.frames import v4
from lab.sim.ways import suspended
from lab.sim.world import MS, World

CHANGED = Event.SESSION_CHANGED


def order_to_close(world: World) -> None:
    """Let an operator end the session."""
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))


def asked(world: World, kind: type) -> int:
    """Count what was asked of one kind."""
    return sum(isinstance(ask.operation, kind) for ask in world.store.asked)


def row(world: World) -> int:
    """Return whether the only row is live or a tombstone."""
    (only,) = world.store.rows.values()
    return only.state


def the_move(world: World) -> CompareAndSet:
    """Return the first move that was asked."""
    return next(ask.operation for ask in world.store.asked if isinstance(ask.operation, CompareAndSet))


def suspended_by_silence() -> World:
    """Return a world whose session moved while the store answered nothing for longer than is waited."""
    world = World().connected()
    world.store.mute = True
    world.host.move(v4(99))
    world.run(3_000)
    assert world.session.suspended
    return world


def closed_in_mid_commit(*, mute: bool) -> World:
    """Return a world whose session was closed while the store was at the commit of its move: not doing it, or `mute` doing it unsaid."""
    world = World().connected()
    world.store.mute, world.store.silent = mute, not mute
    world.host.move(v4(99))
    world.run_until(lambda: world.session.commit_ticket != 0)
    order_to_close(world)
    return world


def test_a_failed_write_suspends_and_the_answer_says_when_to_come_back() -> None:
    """A gateway that does not know whether it owns a session would go on serving it."""
    world = suspended()
    session = world.session
    before = session.facts()
    assert (session.state, session.active, session.candidate) == (State.DEGRADED, None, None)
    assert row(world) == ROW_LIVE
    path = here(world.host)
    attempt = knock(world.host, path)
    epoch, status, wait = judged(world, attempt, arrive(world, attempt.frame, path))
    assert (epoch, status, wait) == (None, Status.SUSPENDED, limits.RELOAD_RETRY_NS)
    assert session.facts() == before


@pytest.mark.parametrize("outage_s", [1, 5, 40, 300])
def test_a_session_outlives_an_outage_of_the_store(outage_s: int) -> None:
    """A store that is away for seconds would end sessions that clients still hold."""
    world = World().connected()
    correlation = world.session.correlation
    world.store.failing = True
    world.host.move(v4(99))
    world.run(outage_s * 1_000, world.host.chat, step_ms=1_000)
    world.store.failing = False
    world.run(2 * limits.PATIENCE_NS // MS, world.host.chat, step_ms=1_000)
    assert world.attached()
    assert world.session.correlation == correlation
    assert Reason.OWNERSHIP_CERTAIN in world.reasons(CHANGED)


def test_a_silent_store_is_a_lost_one_after_two_seconds() -> None:
    """A move would hang for ever on a store that does not answer."""
    world = World().connected()
    world.store.silent = True
    world.host.move(v4(99))
    world.run(limits.STORE_TIMEOUT_NS // MS - 10)
    assert Reason.STORE_LOST not in world.reasons(CHANGED)
    world.run(30)
    assert world.session.suspended
    assert world.reasons(CHANGED)[-1] is Reason.STORE_LOST


def test_a_write_that_was_late_but_done_is_adopted() -> None:
    """A session would be fenced off by its own write."""
    world = suspended_by_silence()
    correlation = world.session.correlation
    world.release()
    world.run(10_000, world.host.chat, step_ms=100)
    assert world.attached()
    assert world.session.correlation == correlation
    assert world.session.binding_version == next(iter(world.store.rows.values())).binding_version


def test_a_write_that_failed_but_was_done_is_adopted() -> None:
    """The same, where the store does not know itself."""
    world = suspended()
    world.store.rows[world.session.handle] = the_move(world).row
    world.store.keep(the_move(world).fact)
    world.store.failing = world.host.off = False
    world.run(10_000, world.host.chat, step_ms=100)
    assert world.attached()
    assert world.ends() == []


@pytest.mark.parametrize("when", ["at the move", "while suspended"])
def test_a_row_that_another_gateway_wrote_fences_and_is_left_alone(when: str) -> None:
    """A gateway that lost a session would end it for the gateway that has it now."""
    world = suspended() if when == "while suspended" else World().connected()
    handle = world.session.handle
    theirs = world.store.rows[handle]._replace(binding_version=7, node=b"node-two")
    world.store.rows[handle] = theirs
    world.store.failing = False
    if when == "at the move":
        world.host.move(v4(99))
    world.run(20_000)
    assert Reason.OWNER_FENCED in world.reasons(CHANGED)
    assert asked(world, Tombstone) == 0
    assert world.store.rows[handle].state == ROW_LIVE


def test_a_row_that_was_set_back_fences() -> None:
    """A store that was restored from yesterday would be believed, and a gateway would go on from a binding that is over."""
    world = World().connected()
    handle, old = world.session.handle, next(iter(world.store.rows.values()))
    world.host.move(v4(98))
    world.run_until(lambda: world.session.binding_version == 2)
    world.store.failing = True
    world.host.move(v4(99))
    world.run_until(lambda: world.session.suspended)
    world.store.rows[handle], world.store.failing, world.host.off = old, False, True
    world.run(2_000)
    assert Reason.OWNER_FENCED in world.reasons(CHANGED)
    assert Reason.OWNERSHIP_CERTAIN not in world.reasons(CHANGED)


def test_each_row_has_a_nonce_of_its_own() -> None:
    """[K-5] Two rows of an hour would be sealed under one nonce, and who sees both learns how their chains differ."""
    world = World().connected()
    for host in (97, 98, 99):
        world.host.move(v4(host))
        world.run(1_000)
    asks = [ask.operation for ask in world.store.asked]
    rows = [operation.row for operation in asks if isinstance(operation, Create | CompareAndSet)]
    assert len(rows) >= 4
    assert len({row.kek for row in rows}) == 1
    assert len({row.sealed[:NONCE_LENGTH] for row in rows}) == len(rows)


def test_a_late_write_of_a_dead_process_fences_the_living_one_once() -> None:
    """A session that was taken up while the old process's write was still on its way would be lost."""
    world = World().connected()
    correlation = world.session.correlation
    world.store.silent = True
    world.host.move(v4(99))
    world.run(20)
    late, world.store.kept, world.store.silent = world.store.kept, [], False
    world.start_gateway()
    world.run_until(lambda: Reason.TAKEN_OVER in world.reasons(CHANGED))
    for ask, _ in late:
        world.store.execute(ask)
    world.run(20_000, world.host.chat, step_ms=100)
    assert world.attached()
    assert world.session.correlation == correlation


def test_a_row_that_vanished_ends_the_session_here() -> None:
    """A gateway would serve a session that the cluster does not know."""
    world = suspended()
    world.store.rows.clear()
    world.store.failing = False
    world.run(2_000)
    assert Reason.OWNER_FENCED in world.reasons(CHANGED)
    assert not world.desk.sessions


def test_a_birth_that_the_store_does_not_take_is_none() -> None:
    """A client would be told that it has a session, and lose it with the next restart."""
    world = World()
    world.store.failing = True
    world.host.connect(1_000)
    assert not world.attached()
    assert world.client.state is ClientState.CLOSED
    world.store.failing = False
    world.run(10_000)
    assert not world.desk.sessions
    assert world.reasons(CHANGED).count(Reason.STORE_UNREACHABLE) == 1, "never born: a record, but no evidence"


def test_a_birth_that_comes_late_is_buried() -> None:
    """A row would count as a session of the device that nobody has."""
    world = World()
    world.store.mute = True
    world.host.connect(3_000)
    assert row(world) == ROW_TOMBSTONE
    world.release()
    world.run(100)
    assert not world.desk.sessions
    assert world.ends() == [Reason.STORE_UNREACHABLE]


def test_a_birth_that_was_never_done_ends_with_one_record() -> None:
    """One end would be two events with one name, when the store answers two requests at once."""
    world = World()
    world.store.failing = True
    world.host.connect(10)
    world.store.failing, world.store.silent = False, True
    world.run(12_000)
    assert asked(world, Tombstone) >= 2
    world.release()
    world.run(20)
    assert world.reasons(CHANGED).count(Reason.STORE_UNREACHABLE) == 1


def test_a_tombstone_is_retried_until_the_store_takes_it() -> None:
    """An ended session would come back to life with the store."""
    world = World().connected()
    world.store.failing = True
    order_to_close(world)
    assert world.session.state is State.TERMINATED, "it is terminated here at once"
    world.run(60_000)
    assert row(world) == ROW_LIVE
    assert Reason.TOMBSTONE_UNCONFIRMED in world.reasons(CHANGED)
    assert 10 <= asked(world, Tombstone) <= 14
    world.store.failing = False
    world.run(6_000)
    assert row(world) == ROW_TOMBSTONE
    assert not world.desk.sessions
    assert world.ends() == [Reason.CLOSED_BY_OPERATOR]


def test_a_tombstone_is_not_retried_for_ever() -> None:
    """Ended sessions would fill the memory of a gateway whose store never comes back, long after their rows have expired."""
    world = World().connected()
    world.store.failing = True
    order_to_close(world)
    world.session.expires = world.desk.wall_s(world.now) + 60
    world.run(80_000)
    assert not world.desk.sessions
    assert world.reasons(CHANGED).count(Reason.CLOSED_BY_OPERATOR) == 1, "the end is recorded all the same"


def test_a_commit_that_is_won_after_the_end_is_buried_again() -> None:
    """An ended session would live on in the store."""
    world = closed_in_mid_commit(mute=False)
    world.release()
    world.run(50)
    assert row(world) == ROW_TOMBSTONE
    assert Reason.LATE_COMMIT in world.reasons(CHANGED)
    assert not world.desk.sessions


def test_a_late_commit_is_buried_however_often_that_fails() -> None:
    """An ended session whose commit came late would live on where the store failed just then."""
    world = closed_in_mid_commit(mute=True)
    world.host.off = True
    late, *others = world.store.answers
    world.store.answers, world.store.mute = others, False
    world.release()
    world.run(50)
    assert not world.desk.sessions
    handle = next(iter(world.store.rows))
    world.store.rows[handle] = world.store.rows[handle]._replace(state=ROW_LIVE)  # as if the commit had come after the end
    world.store.outbox.pop()
    world.store.failing = True
    late[1](late[0])
    world.run(20_000)
    assert row(world) == ROW_LIVE
    world.store.failing = False
    world.run(10_000)
    assert row(world) == ROW_TOMBSTONE
    assert not world.desk.sessions


def test_a_fenced_owner_does_not_bury_what_another_owns() -> None:
    """An answer that comes too late would end the session at the gateway that has taken it over meanwhile."""
    world = suspended_by_silence()
    handle, (late, *others) = world.session.handle, world.store.answers
    world.store.rows[handle] = world.store.rows[handle]._replace(binding_version=9, node=b"node-two")
    world.store.answers, world.store.mute = [], False
    world.run(2_000)
    assert not world.desk.sessions
    late[1](late[0])
    for answer, tell in others:
        tell(answer)
    world.run(10_000)
    assert world.store.rows[handle].state == ROW_LIVE
    assert asked(world, Tombstone) == 0


def test_nobody_waits_for_an_unknown_ticket() -> None:
    """An answer to a question of the past would stop the gateway."""
    world = World().connected()
    before = world.session.facts()
    answer = world.store.execute(world.store.asked[0])
    world.gateway_does(lambda: world.gateway.answer([answer, answer._replace(ticket=10**6)], world.now))
    assert world.session.facts() == before


def test_a_write_carries_its_evidence_and_no_more_is_written() -> None:
    """Births, moves and ends could be done without a trace, or cost more than one durable write."""
    world = World().connected()
    world.host.move(v4(99))
    world.run(100)
    order_to_close(world)
    world.run(100)
    assert [type(ask.operation) for ask in world.store.asked] == [Create, CompareAndSet, Tombstone]
    assert [fact.event for fact in world.store.outbox] == [Event.SESSION_BORN, Event.SESSION_MOVED, Event.SESSION_ENDED]
    assert asked(world, Get) == 0


def test_memory_of_tickets_ends_with_their_answers() -> None:
    """Every question ever asked would stay in memory."""
    world = World().connected()
    for last in range(50, 60):
        world.host.move(v4(last))
        world.run(100)
    assert not world.desk.tickets
    assert not world.gateway._loads
