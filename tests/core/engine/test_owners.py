"""What a gateway decides by itself it decides for what it owns; an order is for wherever the session is."""

from collections.abc import Callable

import pytest

from core import limits
from core.client.states import State as ClientState
from core.reasons import Event, Reason
from core.session.desk import Policy
from core.session.states import State
from core.values import ROW_LIVE, ROW_TOMBSTONE, AllowList, CloseSession, Create, Output, Row, Tombstone
from lab.sim.device import arrive, here, knock
from lab.sim.ways import forgotten, suspended
from lab.sim.world import MS, World
from tests.core.engine.test_store import asked, row, the_move


def overtaken(world: World) -> Row:
    """Let another gateway have moved the session; return the row."""
    (old,) = world.store.rows.values()
    theirs = old._replace(binding_version=old.binding_version + 1, node=b"node-two")
    world.store.rows[old.handle] = theirs
    return theirs


@pytest.mark.parametrize("why", [Reason.TRANSPORT_LOST, Reason.LIFETIME_OVER, Reason.INVARIANT_BROKEN])
def test_what_a_gateway_decides_by_itself_it_decides_for_what_it_owns(why: Reason) -> None:
    """G-55: a gateway that lost a session, and does not know it yet, would end it for the one that has it now."""
    world = World(policy=Policy(transport_loss_ns=20_000 * MS, lifetime_s=30 if why is Reason.LIFETIME_OVER else 300)).connected()
    theirs = overtaken(world)
    world.host.off = world.broken = True
    world.session.suspended = why is Reason.INVARIANT_BROKEN
    world.run(60_000)
    assert not world.desk.sessions
    assert world.store.rows == {theirs.handle: theirs}
    assert Event.SESSION_ENDED not in [fact.event for fact in world.story()]
    assert world.ends() == [Reason.OWNER_FENCED]
    assert asked(world, Tombstone) == 1


@pytest.mark.parametrize("order", [lambda w: w.gateway.command(CloseSession(w.session.handle), w.now),
                                   lambda w: w.gateway.command(AllowList({}), w.now)], ids=["operator", "allow list"])  # fmt: skip
def test_an_order_ends_a_session_wherever_it_is(order: Callable[[World], list[Output]]) -> None:
    """G-55: a stolen device would go on because its session moved to another gateway."""
    world = World().connected()
    overtaken(world)
    world.gateway_does(lambda: order(world))
    world.run(50)
    assert row(world) == ROW_TOMBSTONE
    assert len(world.ends()) == 1


def test_the_end_of_a_session_whose_write_came_late_is_asked_again() -> None:
    """G-55: a gateway would take its own late write for another's, and leave a session that nobody has."""
    world = suspended(Policy(transport_loss_ns=20_000 * MS))
    world.store.failing, world.store.silent = False, True  # what is asked now waits
    world.run_until(lambda: asked(world, Tombstone) > 0)
    world.store.rows[the_move(world).row.handle] = the_move(world).row
    world.store.keep(the_move(world).fact)
    world.release()
    world.run(50)
    assert row(world) == ROW_TOMBSTONE
    assert world.ends() == [Reason.TRANSPORT_LOST]
    assert not world.desk.sessions


def test_a_session_that_only_an_attempt_brought_here_waits_for_its_owner() -> None:
    """G-55: a copied REATTACH that reached a second gateway would end, after a short time, what the first one has bound."""
    world = World(policy=Policy(transport_loss_ns=limits.TRANSPORT_LOSS_NS_MIN)).connected()
    attempt = knock(world.host, here(world.host))
    world.start_gateway()
    arrive(world, attempt.frame, here(world.host))
    world.host.off = True
    world.run(10)
    assert world.session.state is State.RECOVERING
    world.run(limits.REJECT_AFTER_NS // MS)
    assert row(world) == ROW_LIVE, "the first gateway may have it bound until its key expires"
    world.run(limits.BOUND_NS // MS)
    assert world.ends() == [Reason.TRANSPORT_LOST], "nobody has it bound any more"


def test_the_second_asking_for_an_end_is_for_the_late_write_and_no_later_one() -> None:
    """G-55: while its end is asked a second time another gateway takes the session up; it would be ended there."""
    world = suspended(Policy(transport_loss_ns=20_000 * MS))
    world.store.failing, world.store.silent = False, True
    world.run_until(lambda: asked(world, Tombstone) > 0)
    world.store.rows[the_move(world).row.handle] = the_move(world).row
    world.store.keep(the_move(world).fact)
    world.release()
    world.store.silent = True  # the late write was seen; what is asked for it waits
    world.run_until(lambda: asked(world, Tombstone) > 1)
    theirs = overtaken(world)
    world.release()
    world.run(50)
    assert world.store.rows == {theirs.handle: theirs}
    assert world.ends() == [Reason.OWNER_FENCED]


def test_a_session_that_was_in_doubt_is_not_waited_for_longer_than_another() -> None:
    """G-16, G-55: a gateway that found its own row again would keep the session as if it were another's."""
    world = suspended(Policy(transport_loss_ns=limits.TRANSPORT_LOSS_NS_MIN))
    world.store.failing = False
    world.run_until(lambda: not world.session.suspended)
    world.run(limits.TRANSPORT_LOSS_NS_MIN // MS + 50)
    assert world.ends() == [Reason.TRANSPORT_LOST]
    assert row(world) == ROW_TOMBSTONE


def test_a_row_that_moves_while_a_birth_is_to_end_it_goes_on() -> None:
    """H-50, O-5: a birth would end a session that nobody seemed to hold, just when another gateway has taken it up."""
    world = forgotten()
    world.run(limits.BOUND_NS // MS + 2_000)
    store, fifth = world.store, world.new_host(like=world.host)
    store.mute = True
    fifth.connect(50)
    store.mute, store.silent = False, True
    store.settle(world.later)  # the store has said that there are too many; what is asked then waits
    world.run(10)
    (create,) = [ask.operation for ask, _ in store.kept if isinstance(ask.operation, Create)]
    (victim,) = create.supersede
    world.broken = True  # a row that another gateway wrote has no evidence here
    theirs = store.rows[victim.handle]._replace(binding_version=2, node=b"node-two")
    store.rows[victim.handle] = theirs
    world.release()
    world.run(100)
    assert store.rows[victim.handle] == theirs
    assert fifth.client.state is ClientState.CLOSED
    assert not world.reasons(Event.SESSION_ENDED)
