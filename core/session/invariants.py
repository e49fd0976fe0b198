"""Claims about every state and every step of a session; each docstring is the claim. They run in production and in the explorer."""

from typing import Final

from core.errors import require
from core.session.facts import Facts
from core.session.states import State

BOUND_STATES: Final = frozenset((State.ATTACHED, State.VOLATILE))


def bound_where_attached(at: Facts) -> bool:
    """GI-1: ATTACHED and VOLATILE are bound; PENDING, RECOVERING and TERMINATED are not; DEGRADED may be either."""
    return at.state is State.DEGRADED or at.bound == (at.state in BOUND_STATES)


def chain_until_terminated(at: Facts) -> bool:
    """GI-2: the chain exists exactly while the session is not TERMINATED."""
    return at.chain == (at.state is not State.TERMINATED)


def commit_has_candidate(at: Facts) -> bool:
    """GI-3: a commit is asked only for a candidate, and PENDING always has one."""
    return (at.candidate or not at.commit) and (at.candidate or at.state is not State.PENDING)


def deadline_exactly_in_recovering(at: Facts) -> bool:
    """GI-4: the recovery deadline runs exactly in RECOVERING, the volatile deadline exactly in VOLATILE."""
    return at.recovery == (at.state is State.RECOVERING) and at.volatile == (at.state is State.VOLATILE)


def suspended_only_unbound_degraded(at: Facts) -> bool:
    """GI-5: a suspended session is DEGRADED, unbound, and holds no candidate."""
    return not at.suspended or (at.state is State.DEGRADED and not at.bound and not at.candidate)


def terminated_absorbs(before: Facts, after: Facts) -> bool:
    """GI-6: nothing leads out of TERMINATED, and each step adds one to the state version."""
    absorbed = before.state is not State.TERMINATED or after.state is State.TERMINATED
    return absorbed and after.state_version == before.state_version + 1


ALWAYS: Final = (
    bound_where_attached,
    chain_until_terminated,
    commit_has_candidate,
    deadline_exactly_in_recovering,
    suspended_only_unbound_degraded,
)
STEP: Final = (terminated_absorbs,)


def check(before: Facts, after: Facts) -> None:
    """Raise Invariant naming the first claim that this step breaks."""
    for claim in ALWAYS:
        require(claim(after), claim.__doc__ or claim.__name__)
    for step in STEP:
        require(step(before, after), step.__doc__ or step.__name__)
