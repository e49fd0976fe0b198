# ruff: noqa: E702, D101 - the names of the facts stand in one line and are described above it
"""The gateway's session machine. Every transition is a row here; an empty cell is a refusal that changes nothing [G-52].

Claims about every state and every step run in production, in the laboratory and in the explorer; each docstring is the claim.
"""

from typing import Final, NamedTuple

from core import machine
from core.reasons import Event, Reason
from core.session.states import Effect, Input, State

Row = machine.Row[State, Input, Effect]
P, A, V, R, D, T = State
LIVE: Final = (A, V, R, D)
ALL: Final = (P, *LIVE)
STAY = BY_CAUSE = None
I, E, N = Input, Effect, Reason  # noqa: E741 - three letters that keep the columns readable
CHANGED, BORN, MOVED, ENDED = Event.SESSION_CHANGED, Event.SESSION_BORN, Event.SESSION_MOVED, Event.SESSION_ENDED
EVIDENCE: Final = frozenset((BORN, MOVED, ENDED))
"""Their record is in the store with the change itself [G-54]."""
UNBOUND: Final = (E.UNBIND, E.ARM_RECOVERY, E.DISARM_VOLATILE)
END: Final = (E.SAY_CLOSE, E.WIPE, E.ASK_END)
"""What this gateway's own clocks and faults decide, they decide for what it owns [G-55]."""
ORDERED: Final = (E.SAY_CLOSE, E.WIPE, E.ASK_TOMBSTONE)

# fmt: off
ROWS: Final = (
    #   clause  states     heard                goes effects                                   event    reason
    Row("G-1",  (P,),      I.CONFIRM_PROVEN,    STAY, (E.ASK_CREATE,),                         CHANGED, N.BIRTH_ASKED),
    Row("G-2",  (P,),      I.COMMIT_WON,        A,    (E.PROMOTE, E.ACKNOWLEDGE),              BORN,    N.HANDSHAKE_COMPLETED),
    Row("G-3",  (P,),      I.COMMIT_LOST,       T,    (E.SAY_CLOSE, E.WIPE),                   CHANGED, N.BIRTH_LOST),
    Row("G-4",  (P,),      I.STORE_LOST,        T,    END,                                     ENDED,   N.STORE_UNREACHABLE),
    Row("G-5",  (P,),      I.CANDIDATE_EXPIRED, T,    (E.WIPE,),                               CHANGED, N.PENDING_EXPIRED),
    Row("G-10", LIVE,      I.REATTACH_PROVEN,   STAY, (E.HOLD_CANDIDATE,),                     CHANGED, N.REATTACH_ACCEPTED),
    Row("G-11", LIVE,      I.CONFIRM_PROVEN,    STAY, (E.ASK_MOVE,),                           CHANGED, N.MOVE_ASKED),
    Row("G-12", LIVE,      I.COMMIT_WON,        A,    (E.PROMOTE, E.ACKNOWLEDGE,
                                                       E.DISARM_RECOVERY, E.DISARM_VOLATILE),  MOVED,   BY_CAUSE),
    Row("G-13", LIVE,      I.COMMIT_LOST,       STAY, (E.DROP_CANDIDATE, E.ADOPT_ROW),         CHANGED, N.VERSION_STALE),
    Row("G-14", LIVE,      I.CANDIDATE_EXPIRED, STAY, (E.DROP_CANDIDATE,),                     CHANGED, N.CANDIDATE_EXPIRED),
    Row("G-15", LIVE,      I.STORE_LOST,        D,    (E.DROP_CANDIDATE, E.UNBIND, E.SUSPEND,
                                                       E.ASK_ROW, E.DISARM_RECOVERY,
                                                       E.DISARM_VOLATILE),                     CHANGED, N.STORE_LOST),
    Row("G-16", (D,),      I.OWNERSHIP_CERTAIN, R,    (E.RESUME, E.ADOPT_ROW, E.ARM_RECOVERY), CHANGED, N.OWNERSHIP_CERTAIN),
    Row("G-20", (A, V, D), I.PATH_CLOSED,       R,    UNBOUND,                                 CHANGED, N.PATH_CLOSED),
    Row("G-21", (A, V, D), I.PATH_SILENT,       R,    UNBOUND,                                 CHANGED, N.PATH_SILENT),
    Row("G-22", (A, V, D), I.KEY_EXPIRED,       R,    UNBOUND,                                 CHANGED, N.KEY_EXPIRED),
    Row("G-23", (A,),      I.QUALITY_LOW,       V,    (E.ARM_VOLATILE,),                       CHANGED, N.QUALITY_LOW),
    Row("G-24", (V,),      I.VOLATILE_OVER,     D,    (E.DISARM_VOLATILE,),                    CHANGED, N.QUALITY_DEGRADED),
    Row("G-25", (V, D),    I.QUALITY_STABLE,    A,    (E.DISARM_VOLATILE,),                    CHANGED, N.QUALITY_STABLE),
    Row("G-26", (R,),      I.RECOVERY_OVER,     D,    (E.DISARM_RECOVERY,),                    CHANGED, N.RECOVERY_OVER),
    Row("G-30", LIVE,      I.LIFETIME_OVER,     T,    END,                                     ENDED,   N.LIFETIME_OVER),
    Row("G-31", (R, D),    I.TRANSPORT_LOST,    T,    (E.WIPE, E.ASK_END),                     ENDED,   N.TRANSPORT_LOST),
    Row("G-32", ALL,       I.OPERATOR_CLOSE,    T,    ORDERED,                                 ENDED,   N.CLOSED_BY_OPERATOR),
    Row("G-33", ALL,       I.KEY_REVOKED,       T,    ORDERED,                                 ENDED,   N.KEY_REVOKED),
    Row("G-34", ALL,       I.PEER_CLOSED,       T,    (E.WIPE, E.ASK_TOMBSTONE),               ENDED,   N.CLOSED_BY_PEER),
    Row("G-35", ALL,       I.INVARIANT_BROKEN,  T,    END,                                     ENDED,   N.INVARIANT_BROKEN),
    Row("G-36", LIVE,      I.SUPERSEDED,        T,    (E.SAY_CLOSE, E.WIPE),                   ENDED,   N.SUPERSEDED),
    Row("G-37", LIVE,      I.OWNER_FENCED,      T,    (E.WIPE,),                               CHANGED, N.OWNER_FENCED),
    Row("G-38", ALL,       I.KEY_OUTDATED,      T,    END,                                     ENDED,   N.KEY_OUTDATED),
    Row("G-40", (T,),      I.COMMIT_WON,        STAY, (E.ASK_AGAIN,),                          CHANGED, N.LATE_COMMIT),
    Row("G-41", (T,),      I.TOMBSTONE_LATE,    STAY, (E.ASK_AGAIN,),                          CHANGED, N.TOMBSTONE_UNCONFIRMED),
)
# fmt: on


# What is true of a session, without keys, clocks and paths.
# fmt: off
class Facts(NamedTuple):
    state: State; version: int; bound: bool; candidate: bool; commit: bool; suspended: bool; recovery: bool; volatile: bool; chain: bool


CHANGES: Final[dict[Effect, dict[str, bool]]] = {
    E.HOLD_CANDIDATE: {"candidate": True}, E.DROP_CANDIDATE: {"candidate": False, "commit": False},
    E.ASK_CREATE: {"commit": True}, E.ASK_MOVE: {"commit": True}, E.PROMOTE: {"bound": True, "candidate": False, "commit": False},
    E.UNBIND: {"bound": False}, E.SUSPEND: {"suspended": True}, E.RESUME: {"suspended": False},
    E.ARM_RECOVERY: {"recovery": True}, E.DISARM_RECOVERY: {"recovery": False},
    E.ARM_VOLATILE: {"volatile": True}, E.DISARM_VOLATILE: {"volatile": False},
    E.WIPE: dict.fromkeys(("bound", "candidate", "commit", "suspended", "recovery", "volatile", "chain"), False),
}
# fmt: on
"""Effects that are not named here change no fact: they only speak to the peer or to the store."""


def bound_where_attached(at: Facts) -> bool:
    """GI-1: ATTACHED and VOLATILE are bound; PENDING, RECOVERING and TERMINATED are not; DEGRADED may be either."""
    return at.state is D or at.bound == (at.state is A or at.state is V)


def chain_until_terminated(at: Facts) -> bool:
    """GI-2: the chain exists exactly while the session is not TERMINATED."""
    return at.chain == (at.state is not T)


def commit_has_candidate(at: Facts) -> bool:
    """GI-3: a commit is asked only for a candidate, and PENDING always has one."""
    return (at.candidate or not at.commit) and (at.candidate or at.state is not P)


def deadline_exactly_in_recovering(at: Facts) -> bool:
    """GI-4: the recovery deadline runs exactly in RECOVERING, the volatile deadline exactly in VOLATILE."""
    return at.recovery == (at.state is R) and at.volatile == (at.state is V)


def suspended_only_unbound_degraded(at: Facts) -> bool:
    """GI-5: a suspended session is DEGRADED, unbound, and holds no candidate."""
    return not at.suspended or (at.state is D and not at.bound and not at.candidate)


def terminated_absorbs(before: Facts, after: Facts) -> bool:
    """GI-6: nothing leads out of TERMINATED, and each step adds one to the state version."""
    absorbed = before.state is not T or after.state is T
    return absorbed and after.version == before.version + 1


TABLE: Final = machine.index(ROWS)
ALWAYS: Final = (
    bound_where_attached, chain_until_terminated, commit_has_candidate, deadline_exactly_in_recovering, suspended_only_unbound_degraded
)  # fmt: skip
MACHINE: Final = machine.Machine(TABLE, CHANGES, ALWAYS, (terminated_absorbs,), Input.INVARIANT_BROKEN)
