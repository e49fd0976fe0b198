"""A birth ends a session only if the store has ended it: what one process believes of another session may be old by then."""

from core.client.states import State as ClientState
from core.reasons import Event, Reason
from core.session.session import Session
from core.session.states import State
from core.values import ROW_LIVE, CloseSession
from lab.sim.frames import v4
from lab.sim.world import Host, World


def session_of(world: World, host: Host) -> Session:
    """Return the session that is bound to a host."""
    return next(each for each in world.desk.sessions.values() if each.active and each.active.path.remote.port == host.port)


def test_a_session_that_moves_meanwhile_is_not_superseded() -> None:
    """O-4, H-50: a birth was to end a session that has moved since, and the store passed over it.

    Its client would be thrown out here, while the row goes on living without evidence of an end.
    """
    world = World().connected()
    for _ in range(3):
        world.new_host(like=world.host).connect()
    mover, other = (session_of(world, host) for host in world.hosts[1:3])
    world.hosts[1].off = True
    for _ in range(22):
        for host in (world.hosts[0], *world.hosts[2:]):
            host.chat()
        world.run(1_000)
    assert mover.active is None
    store = world.store
    store.silent = store.mute = True
    fifth = world.new_host(like=world.host)
    fifth.connect()
    asked, tell = store.kept.pop()
    full = store.execute(asked)
    world.hosts[1].off = False
    world.hosts[1].move(v4(91))
    world.run(60)
    assert mover.commit_ticket, "its move is asked of the store"
    world.gateway_does(lambda: world.gateway.command(CloseSession(other.handle), world.now))
    tell(full)
    world.release()
    world.run(100)
    assert fifth.client.state is ClientState.ATTACHED
    assert (mover.state, store.rows[mover.handle].state) == (State.ATTACHED, ROW_LIVE)
    assert world.hosts[1].client.state is ClientState.ATTACHED
    assert world.reasons(Event.SESSION_ENDED) == [Reason.CLOSED_BY_OPERATOR]
