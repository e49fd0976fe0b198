# ruff: noqa: E702, D101 - the names of the facts stand in one line and are described above it
"""The client's machine. Every transition is a row here; an empty cell changes nothing. The docstring of a claim is the claim."""

from typing import Final, NamedTuple

from core import machine
from core.client.states import Effect, Input, State
from core.reasons import Cause, Event, Reason

Row = machine.Row[State, Input, Effect]
IDLE, CONN, ATT, SEEK, SHUT = State
LIVE: Final = (ATT, SEEK)
OPEN: Final = (CONN, ATT, SEEK)
STAY = BY_CAUSE = None
I, E, N = Input, Effect, Reason  # noqa: E741 - three letters that keep the columns readable
CHANGED, BORN, MOVED, ENDED = Event.CLIENT_CHANGED, Event.CLIENT_ATTACHED, Event.CLIENT_MOVED, Event.CLIENT_ENDED
END: Final = (E.SAY_CLOSE, E.WIPE)

# fmt: off
ROWS: Final = (
    #   clause states   heard                goes  effects                                event    reason
    Row("C-1",  (IDLE,), I.CONNECT,          CONN, (E.OPEN_PATHS, E.SHAKE_HANDS),         CHANGED, N.CONNECT_ORDERED),
    Row("C-2",  (CONN,), I.ANSWER_PROVEN,    STAY, (E.CONFIRM_BIRTH,),                    CHANGED, N.HANDSHAKE_PROVEN),
    Row("C-3",  (CONN,), I.BORN,             ATT,  (E.ADOPT_BIRTH,),                      BORN,    N.HANDSHAKE_COMPLETED),
    Row("C-4",  (CONN,), I.HANDSHAKE_OVER,   SHUT, (E.WIPE,),                             ENDED,   N.HANDSHAKE_UNANSWERED),
    Row("C-5",  (CONN,), I.REFUSED,          SHUT, (E.WIPE,),                             ENDED,   N.HANDSHAKE_REFUSED),
    Row("C-10", (ATT,),  I.PATH_SILENT,      SEEK, (E.SEEK,),                             CHANGED, N.PATH_SILENT),
    Row("C-11", (ATT,),  I.PATH_CLOSED,      SEEK, (E.SEEK,),                             CHANGED, N.PATH_CLOSED),
    Row("C-12", (ATT,),  I.ADDRESS_CHANGED,  SEEK, (E.SEEK,),                             CHANGED, N.PATH_CLOSED),
    Row("C-13", (ATT,),  I.KEY_EXPIRED,      SEEK, (E.SEEK,),                             CHANGED, N.KEY_EXPIRED),
    Row("C-14", (ATT,),  I.HINT_MOVE,        STAY, (E.ATTEMPT_HERE,),                     CHANGED, N.HINT_OBEYED),
    Row("C-15", (ATT,),  I.KEY_DUE,          STAY, (E.ATTEMPT_HERE,),                     CHANGED, N.KEY_AGED),
    Row("C-16", (ATT,),  I.BETTER_DUE,       STAY, (E.ATTEMPT_BETTER,),                   CHANGED, N.ATTEMPT_STARTED),
    Row("C-20", LIVE,    I.ATTEMPT_PROVEN,   STAY, (E.CONFIRM_MOVE,),                     CHANGED, N.ATTEMPT_PROVEN),
    Row("C-21", LIVE,    I.COMMITTED,        ATT,  (E.COMMIT,),                           MOVED,   BY_CAUSE),
    Row("C-22", LIVE,    I.CONFIRM_OVER,     STAY, (E.DROP_CONFIRMED,),                   CHANGED, N.PATH_MTU_TOO_SMALL),
    Row("C-23", (SEEK,), I.FRESH_DUE,        STAY, (E.SHAKE_HANDS,),                      CHANGED, N.ATTEMPT_UNANSWERED),
    Row("C-24", (SEEK,), I.ANSWER_PROVEN,    STAY, (E.LAST_CHANCE,),                      CHANGED, N.HANDSHAKE_PROVEN),
    Row("C-25", (SEEK,), I.LAST_CHANCE_OVER, STAY, (E.CONFIRM_BIRTH,),                    CHANGED, N.SESSION_LOST),
    Row("C-26", (SEEK,), I.BORN,             ATT,  (E.ADOPT_BIRTH,),                      BORN,    N.SESSION_LOST),
    Row("C-30", OPEN,    I.PEER_CLOSED,      SHUT, (E.WIPE,),                             ENDED,   N.CLOSED_BY_PEER),
    Row("C-31", OPEN,    I.OPERATOR_CLOSE,   SHUT, END,                                   ENDED,   N.CLOSED_BY_OPERATOR),
    Row("C-32", LIVE,    I.LIFETIME_OVER,    SHUT, END,                                   ENDED,   N.LIFETIME_OVER),
    Row("C-33", (SEEK,), I.TRANSPORT_LOST,   SHUT, (E.WIPE,),                             ENDED,   N.TRANSPORT_LOST),
    Row("C-34", OPEN,    I.INVARIANT_BROKEN, SHUT, END,                                   ENDED,   N.INVARIANT_BROKEN),
    Row("C-35", OPEN,    I.KEY_REVOKED,      SHUT, END,                                   ENDED,   N.KEY_REVOKED),
    Row("C-36", OPEN,    I.KEY_OUTDATED,     SHUT, END,                                   ENDED,   N.KEY_OUTDATED),
)
# fmt: on

EVIDENT_CAUSES: Final = {
    I.PATH_SILENT: Cause.PATH_DEAD, I.PATH_CLOSED: Cause.PATH_CLOSED, I.ADDRESS_CHANGED: Cause.ADDRESS_CHANGED, I.HINT_MOVE: Cause.HINTED,
    I.BETTER_DUE: Cause.BETTER, I.KEY_DUE: Cause.REKEY, I.KEY_EXPIRED: Cause.PATH_DEAD,
}  # fmt: skip
"""Which cause the client states for the attempts that an input starts."""


# What is true of a client, without keys, clocks and paths.
# fmt: off
class Facts(NamedTuple):
    state: State; version: int; session: bool; committed: bool; newborn: bool
# fmt: on


CHANGES: Final[dict[Effect, dict[str, bool]]] = {
    E.ADOPT_BIRTH: {"session": True, "committed": True, "newborn": False},
    E.COMMIT: {"committed": True, "newborn": False},
    E.WIPE: {"session": False, "committed": False, "newborn": False},
}
"""Effects that are not named here change no fact of this record, or one that ANSWER_PROVEN brought along."""


def session_while_live(at: Facts) -> bool:
    """CI-1: there is a session exactly in ATTACHED and SEEKING, and with it an epoch to speak under."""
    return at.session == (at.state in {State.ATTACHED, State.SEEKING}) and at.committed == at.session


def newborn_only_before_attached(at: Facts) -> bool:
    """CI-2: keys of a handshake that is answered but not born are held only while CONNECTING or SEEKING."""
    return not at.newborn or at.state in {State.CONNECTING, State.SEEKING}


def closed_absorbs(before: Facts, after: Facts) -> bool:
    """CI-3: nothing leads out of CLOSED, and each step adds one to the version."""
    return before.state is not State.CLOSED and after.version == before.version + 1


TABLE: Final = machine.index(ROWS)
ALWAYS: Final = (session_while_live, newborn_only_before_attached)
MACHINE: Final = machine.Machine(TABLE, CHANGES, ALWAYS, (closed_absorbs,), Input.INVARIANT_BROKEN)
