"""The gateway's session machine. Every transition is a row here; an empty cell is a refusal that changes nothing [G-52]."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from core.errors import require
from core.reasons import Event, Reason
from core.session.states import Effect, Input, State

P, A, V, R, D, T = State.PENDING, State.ATTACHED, State.VOLATILE, State.RECOVERING, State.DEGRADED, State.TERMINATED
LIVE: Final = (A, V, R, D)
ALL: Final = (P, *LIVE)
STAY: Final = None
BY_CAUSE: Final = None
I, E, N = Input, Effect, Reason  # noqa: E741 - three letters that keep the columns readable
CHANGED, BORN, MOVED, ENDED = Event.SESSION_CHANGED, Event.SESSION_BORN, Event.SESSION_MOVED, Event.SESSION_ENDED
UNBOUND: Final = (E.UNBIND, E.ARM_RECOVERY, E.DISARM_VOLATILE)
END: Final = (E.SAY_CLOSE, E.WIPE, E.ASK_TOMBSTONE)


class Row(NamedTuple):
    """In one of `states`, on `heard`: perform `effects`, go to `goes_to` (None: stay), record `event` with `reason` (None: by cause).

    SESSION_BORN, SESSION_MOVED and SESSION_ENDED are evidence: their record is in the store with the change itself [G-54].
    """

    clause: str
    states: tuple[State, ...]
    heard: Input
    goes_to: State | None
    effects: tuple[Effect, ...]
    event: Event
    reason: Reason | None


# fmt: off
ROWS: Final[tuple[Row, ...]] = (
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
    Row("G-31", (R, D),    I.TRANSPORT_LOST,    T,    END,                                     ENDED,   N.TRANSPORT_LOST),
    Row("G-32", ALL,       I.OPERATOR_CLOSE,    T,    END,                                     ENDED,   N.CLOSED_BY_OPERATOR),
    Row("G-33", ALL,       I.KEY_REVOKED,       T,    END,                                     ENDED,   N.KEY_REVOKED),
    Row("G-34", ALL,       I.PEER_CLOSED,       T,    (E.WIPE, E.ASK_TOMBSTONE),               ENDED,   N.CLOSED_BY_PEER),
    Row("G-35", ALL,       I.INVARIANT_BROKEN,  T,    END,                                     ENDED,   N.INVARIANT_BROKEN),
    Row("G-36", LIVE,      I.SUPERSEDED,        T,    (E.SAY_CLOSE, E.WIPE),                   ENDED,   N.SUPERSEDED),
    Row("G-37", LIVE,      I.OWNER_FENCED,      T,    (E.WIPE,),                               CHANGED, N.OWNER_FENCED),
    Row("G-40", (T,),      I.COMMIT_WON,        STAY, (E.ASK_TOMBSTONE,),                      CHANGED, N.LATE_COMMIT),
    Row("G-41", (T,),      I.TOMBSTONE_LATE,    STAY, (E.ASK_TOMBSTONE,),                      CHANGED, N.TOMBSTONE_UNCONFIRMED),
)
# fmt: on


def index(rows: tuple[Row, ...]) -> Mapping[tuple[State, Input], Row]:
    """Return the cells of `rows`; two rows for one cell are an error of the table."""
    cells = {(state, row.heard): row for row in rows for state in row.states}
    require(len(cells) == sum(len(row.states) for row in rows), "one row a cell")
    return MappingProxyType(cells)


TABLE: Final = index(ROWS)
EVIDENCE: Final = frozenset((BORN, MOVED, ENDED))
