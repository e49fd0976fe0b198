"""A session's deadlines as data, and what the clock makes it hear."""

from core import limits
from core.reasons import Carrier, Event, Reason
from core.session.session import Session
from core.session.states import PRIORITY, Input, State
from core.values import Instant, Record
from core.wire.epoch import Epoch


def deadlines(session: Session) -> list[tuple[Instant, Input]]:
    """Return when the clock makes the session hear what. While a commit is asked only the store's time-out counts [G-50]."""
    if session.commit_ticket:
        return [(Instant(session.commit_at + limits.STORE_TIMEOUT_NS), Input.STORE_LOST)]
    if session.state is State.TERMINATED:
        return [(session.retry_at, Input.TOMBSTONE_LATE)] if session.retry_at else []
    armed: list[tuple[Instant | None, Input]] = [(session.recovery_at, Input.RECOVERY_OVER), (session.volatile_at, Input.VOLATILE_OVER)]
    armed.append((session.candidate.deadline if session.candidate else None, Input.CANDIDATE_EXPIRED))
    if session.state is not State.PENDING:
        armed.append((Instant(session.expires * limits.SECOND - session.desk.identity.wall_ns), Input.LIFETIME_OVER))
        if session.active:
            armed.append((Instant(session.active.born + limits.REJECT_AFTER_NS), Input.KEY_EXPIRED))  # [D-8]
            if session.active.path.carrier != Carrier.TCP:  # a connection says itself when it ends
                armed.append((Instant(session.heard_at + limits.SILENCE_NS), Input.PATH_SILENT))
        else:
            patience = session.desk.policy.transport_loss_ns  # one that never moved here waits until its owner's keys have expired [G-55]
            patience = patience if session.owned else max(patience, limits.BOUND_NS)
            armed.append((Instant(session.unbound_at + patience), Input.TRANSPORT_LOST))
    return [(at, heard) for at, heard in armed if at is not None]


def next_deadline(session: Session) -> Instant | None:
    """Return the earliest instant at which `judge` has something to do, or None."""
    waits: list[Instant | None] = [at for at, _ in deadlines(session)]
    if session.state is not State.TERMINATED:
        health_at = session.health_at if session.active and any(session.active.traffic()) else None
        waits += [session.quality_at, session.retry_at, session.drain_at if session.draining else None, health_at]
    return min([at for at in waits if at is not None], default=None)


def judge(session: Session, now: Instant) -> None:
    """Let the session hear what is due, in the order of priority; then the housekeeping that is no transition."""
    due = {heard for at, heard in deadlines(session) if at <= now}
    for heard in sorted(due, key=PRIORITY.index):
        if any(at <= now and again is heard for at, again in deadlines(session)):  # still so after the one before
            session.hear(heard, now)
    if session.draining and session.drain_at <= now:
        session.desk.indices.pop(session.draining.index, None)
        session.draining = None
    if session.suspended and session.retry_at is not None and session.retry_at <= now:
        session.ask_row(now)
    if session.quality_at is not None and session.quality_at <= now:
        _judge_quality(session, now)
    if session.active and session.health_at <= now:
        _sample_health(session, session.active, now)


def _judge_quality(session: Session, now: Instant) -> None:
    """Compare what came with what was sent, by the peer's counters, over one window; a stream does not lose [G-23]."""
    epoch = session.active
    session.quality_at = None
    if epoch is None or epoch.path.carrier == Carrier.TCP or session.commit_ticket:
        return
    expected, received = epoch.top - session.quality_from[0], epoch.received - session.quality_from[1]
    if expected >= limits.LOSS_SAMPLE_PACKETS and (expected - received) * 100 > limits.LOSS_PERCENT * expected:
        session.good_since = now
        if session.state is State.ATTACHED:
            session.hear(Input.QUALITY_LOW, now)
    elif session.state in {State.VOLATILE, State.DEGRADED} and now - session.good_since >= limits.STABLE_NS:
        session.hear(Input.QUALITY_STABLE, now)
    if session.active is epoch and session.state is not State.ATTACHED:
        watch_quality(session, epoch, now)


def watch_quality(session: Session, epoch: Epoch, now: Instant) -> None:
    """Open a window of quality on the active path."""
    session.quality_at, session.quality_from = Instant(now + limits.LOSS_WINDOW_NS), (epoch.top, epoch.received)


def _sample_health(session: Session, epoch: Epoch, now: Instant) -> None:
    """Record the traffic since the last sample; an idle session records nothing, and holds no ciphers."""
    session.health_at = Instant(now + session.desk.policy.health_ns)
    epoch.rest()
    if any(measures := epoch.traffic()):
        epoch.sample()
        session.desk.out.append(Record(session.fact(Event.SESSION_HEALTH, Reason.HEALTH_SAMPLED, now)._replace(measures=measures)))
