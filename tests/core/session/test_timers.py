"""A session's clocks at their moments: what is due at exactly now, what is measured, and what an idle session does not do."""

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.reasons import Carrier, Event, Reason
from core.session.session import Session
from core.session.states import State
from core.session.timers import judge
from core.values import CloseSession, Endpoint, Instant
from core.wire.epoch import Epoch
from core.wire.layout import Change
from lab.sim.device import arrive, confirm, here, inner_ip, knock, proven, says
from lab.sim.frames import v4
from lab.sim.ways import attached, leave, pending, suspended, volatile
from lab.sim.world import GATEWAY_AT, MS, World


def tick(world: World, at: int) -> None:
    """Let the gateway judge its clocks at exactly this moment."""
    world.now = Instant(at)
    world.gateway_does(lambda: world.gateway.tick(world.now))


def active(session: Session) -> Epoch:
    """Return the active epoch."""
    assert session.active
    return session.active


def test_a_clock_is_due_in_its_moment() -> None:
    """G-5: a deadline that has come would be passed over, and be due again at once."""
    world = pending()
    assert world.session.candidate
    deadline = world.session.candidate.deadline
    tick(world, deadline - 1)
    assert world.session.state is State.PENDING
    tick(world, deadline)
    assert not world.desk.sessions


def test_the_store_is_asked_again_in_its_moment() -> None:
    """G-15: who waits for the store would wait a turn longer, and spin for it."""
    world = suspended()
    retry_at = world.session.retry_at
    assert retry_at
    asked = len(world.store.asked)
    tick(world, retry_at)
    assert len(world.store.asked) == asked + 1


@pytest.mark.parametrize(("lost", "low"), [(limits.LOSS_PERCENT, False), (limits.LOSS_PERCENT + 1, True)])
def test_how_much_loss_is_too_much(lost: int, low: bool) -> None:
    """G-23: a path would be called bad, or good, by another measure than the one that is written down."""
    world = attached()
    session = world.session
    epoch = active(session)
    session.quality_at, session.quality_from = world.now, (epoch.top, epoch.received)
    epoch.top, epoch.received = epoch.top + 100, epoch.received + 100 - lost
    judge(session, world.now)
    assert (session.state is State.VOLATILE) is low
    assert (session.quality_at is not None) is low


def test_a_bad_path_has_to_be_good_for_a_while() -> None:
    """G-25: between two bursts of loss a session would be called sound."""
    world = volatile()
    session = world.session
    session.good_since = world.now
    session.volatile_at = Instant(world.now + 10**12)
    for waited, state in ((limits.STABLE_NS - 1, State.VOLATILE), (limits.STABLE_NS, State.ATTACHED)):
        session.quality_at, session.quality_from = Instant(0), (active(session).top, active(session).received)
        judge(session, Instant(session.good_since + waited))
        assert session.state is state


def test_an_idle_session_has_no_window_of_quality() -> None:
    """G-23: each idle session would wake the gateway every two seconds."""
    world = attached()
    world.host.off = False
    world.host.say()
    world.run(10)
    leave(world)
    assert world.session.quality_at
    tick(world, world.session.quality_at)
    assert world.session.quality_at is None


def test_health_is_sampled_once_an_interval() -> None:
    """A busy session would fill the log with samples."""
    world = World().connected()
    world.run(2.5 * limits.HEALTH_NS / MS, world.host.say, step_ms=250)
    assert len(world.reasons(Event.SESSION_HEALTH)) == 2


def test_the_end_is_when_a_session_is_unbound() -> None:
    """H-50: which of a device's sessions was unbound longest would be asked of one that cannot say it."""
    world = attached()
    session = world.session
    world.store.silent = True
    world.run(100)
    world.gateway_does(lambda: world.gateway.command(CloseSession(session.handle), world.now))
    assert session.unbound_at == world.now
    world.release()
    world.run(50)
    other = attached()
    other.broken, then = True, Instant(other.now + 5)
    other.session.abandon(then)
    assert other.session.unbound_at == then


@pytest.mark.parametrize(("moves", "change"), [(False, Change.REKEY), (True, Change.REKEY), (True, Change.MOVE)])
def test_what_is_measured_as_a_move_is_one(moves: bool, change: Change) -> None:
    """R-16: new keys on the same path would be in the record as a move, or a move that calls itself new keys would not."""
    world = leave(World().connected())
    path = here(world.host, 777 if moves else 0)
    before = world.session.carrier
    epoch = proven(world, path, change=change)
    says(world, epoch, confirm(world))
    world.run(20)
    assert active(world.session).path.remote.port == path.local.port
    measured = [fact for fact in world.facts if fact.event is Event.MOVE_MEASURED]
    assert len(measured) == moves
    assert {(fact.carrier_from, fact.binding_version) for fact in measured} <= {(before, 2)}


@pytest.mark.parametrize("number", [limits.ATTEMPT_MAX, limits.ATTEMPT_MAX + 1])
def test_the_last_number_is_the_last(number: int) -> None:
    """R-12: one attempt more would be accepted than a locator can name, or the last one be refused."""
    world = leave(World().connected())
    life = world.client.life
    assert life
    world.session.next = life.next = number
    answers = arrive(world, knock(world.host, path := here(world.host, 777)).frame, path)
    assert len(answers) == (number <= limits.ATTEMPT_MAX)
    world.run(limits.SUMMARY_NS / MS)
    assert (Reason.ATTEMPT_TOO_FAR in world.reasons(Event.TRAFFIC_REFUSED)) == (number > limits.ATTEMPT_MAX)


def test_a_refusal_says_from_where() -> None:
    """D-20, D-21: who looks for an attacker would read no address, the session's own, or a cause that is none."""
    world = World(client_policy=ClientPolicy(carriers=(Carrier.UDP,))).connected()
    stranger = Endpoint(v4(66), 6)
    world.inject(b"\x09", here(world.host)._replace(local=GATEWAY_AT, remote=stranger))
    world.inject(b"\x09", here(world.host)._replace(local=GATEWAY_AT, remote=stranger))
    mine = world.client.committed
    assert mine
    elsewhere = here(world.host, 999)
    says(world, mine, inner_ip(world.host, b"x"), elsewhere)
    world.run(limits.SUMMARY_NS / MS + 50)
    refused = [fact for fact in world.facts if fact.event is Event.TRAFFIC_REFUSED]
    assert {(fact.remote, fact.caused_by) for fact in refused} == {(stranger, 0)}
    (unbound,) = [fact for fact in world.facts if fact.event is Event.SESSION_REFUSED]
    assert (unbound.reason, unbound.remote) == (Reason.UNBOUND_PATH, elsewhere.local)
