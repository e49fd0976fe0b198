"""What an attempt meets at a session: a commit under way, a connection that is gone meanwhile, and a session that contradicts itself."""

from core import limits
from core.client.contact import ClientPolicy
from core.reasons import Carrier, Cause, Event, Reason, Status
from core.session.states import State
from core.values import Instant
from core.wire.layout import Change
from lab.sim.device import arrive, confirm, here, judged, knock, proven, says
from lab.sim.ways import born_on_tcp, leave
from lab.sim.world import World


def test_an_attempt_is_not_repeated_into_a_commit() -> None:
    """G-50: an answer, or the blame of a burnt attempt, would go to a client whose move is being written down at this moment."""
    world = leave(World().connected())
    path = here(world.host, 777)
    attempt = knock(world.host, path)
    answers = arrive(world, attempt.frame, path)
    assert arrive(world, attempt.frame, path) == answers
    epoch, _, wait_ns = judged(world, attempt, answers)
    assert epoch
    assert wait_ns == 0
    world.store.silent = True
    says(world, epoch, confirm(world))
    assert world.session.commit_ticket
    assert arrive(world, attempt.frame, path) == []
    assert arrive(world, knock(world.host, path).frame, path) == []
    assert world.reasons(Event.SESSION_REFUSED) == [Reason.NO_TRANSITION] * 2
    world.release()
    world.run(20)
    assert world.session.active
    assert (world.session.active.path.remote.port, world.session.state) == (777, State.ATTACHED)


def test_a_connection_that_ends_while_the_move_away_from_it_is_written() -> None:
    """G-50: a session would be unbound from the path that it has just moved to, because it has left the other."""
    world = World(client_policy=ClientPolicy((Carrier.TCP, Carrier.UDP))).connected()
    assert world.session.active
    assert world.session.active.path.carrier == Carrier.TCP
    epoch = proven(world, here(world.host, 777))
    world.store.silent = True
    says(world, epoch, confirm(world))
    assert world.session.commit_ticket
    world.host.off = True
    world.host.close(Carrier.TCP)
    assert world.session.waiting
    world.release()
    world.run(20)
    assert not world.session.waiting
    assert world.session.state is State.ATTACHED
    assert Reason.PATH_CLOSED not in world.reasons(Event.SESSION_CHANGED)


def test_a_connection_that_ends_while_a_move_that_fails_is_written() -> None:
    """G-50: a session would stay bound to a connection that is gone, as the store did not take the move away from it."""
    world = born_on_tcp()
    world.host.off = True
    epoch = proven(world, here(world.host, 777))
    row = world.store.rows[world.session.handle]
    world.store.silent = True
    says(world, epoch, confirm(world))
    world.host.close(Carrier.TCP)
    world.store.rows[row.handle] = row._replace(binding_version=2)  # this process's own, as far as the row says
    world.release()
    world.run(20)
    assert [reason for reason in world.reasons(Event.SESSION_CHANGED) if reason in {Reason.VERSION_STALE, Reason.PATH_CLOSED}] == [
        Reason.VERSION_STALE,
        Reason.PATH_CLOSED,
    ]
    assert world.session.state is State.RECOVERING
    world.broken = True  # a row that nobody wrote has no evidence


def test_a_session_that_contradicts_itself_answers_no_attempt() -> None:
    """G-53: a client would be told that its attempt is accepted by a session that has just ended."""
    world = leave(World().connected())
    world.broken = True
    path = here(world.host, 777)
    attempt = knock(world.host, path)
    world.session.volatile_at = Instant(world.now + limits.SECOND)  # which only VOLATILE has
    arrive(world, attempt.frame, path)
    assert "REATTACH_RESP" not in world.kinds("gateway")
    world.run(50)
    assert world.ends() == [Reason.INVARIANT_BROKEN]
    assert not world.desk.sessions


def test_an_idle_session_records_no_health() -> None:
    """A session that nobody uses would fill the log with samples of nothing, whenever one of its clocks is judged."""
    world = leave(born_on_tcp())
    world.run(limits.HEALTH_NS / limits.MILLISECOND + 10)
    assert world.reasons(Event.SESSION_HEALTH) == [Reason.HEALTH_SAMPLED]
    world.run(limits.HEALTH_NS / limits.MILLISECOND + 10)
    proven(world, here(world.host, 777))
    world.run(limits.CANDIDATE_NS / limits.MILLISECOND + 10)
    assert Reason.CANDIDATE_EXPIRED in world.reasons(Event.SESSION_CHANGED)
    assert world.reasons(Event.SESSION_HEALTH) == [Reason.HEALTH_SAMPLED]


def test_who_lost_the_path_may_renew_keys_more_often() -> None:
    """R-16: on a network that stutters a client would wait for a minute where it could go on; or a hint would have no bound."""
    world = leave(World().connected())
    world.session.moves = ((world.now, "rekey"),) * limits.REKEYS_PER_MINUTE
    for cause, status in ((Cause.HINTED, Status.SWITCH_LIMIT), (Cause.PATH_DEAD, Status.OK)):
        path = here(world.host)
        attempt = knock(world.host, path, change=Change.REKEY, cause=cause)
        assert judged(world, attempt, arrive(world, attempt.frame, path))[1] is status
