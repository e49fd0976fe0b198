"""The client's machine. Every transition is a row here; an empty cell changes nothing."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from core.client.states import Effect, Input, State
from core.errors import require
from core.reasons import Event, Reason

IDLE, CONN, ATT, SEEK, SHUT = State.IDLE, State.CONNECTING, State.ATTACHED, State.SEEKING, State.CLOSED
LIVE: Final = (ATT, SEEK)
OPEN: Final = (CONN, ATT, SEEK)
STAY: Final = None
BY_CAUSE: Final = None
I, E, N = Input, Effect, Reason  # noqa: E741 - three letters that keep the columns readable
CHANGED, BORN, MOVED, ENDED = Event.CLIENT_CHANGED, Event.CLIENT_ATTACHED, Event.CLIENT_MOVED, Event.CLIENT_ENDED
END: Final = (E.SAY_CLOSE, E.WIPE)


class Row(NamedTuple):
    """In one of `states`, on `heard`: perform `effects`, go to `goes_to` (None: stay), record `event` with `reason` (None: by cause)."""

    clause: str
    states: tuple[State, ...]
    heard: Input
    goes_to: State | None
    effects: tuple[Effect, ...]
    event: Event
    reason: Reason | None


# fmt: off
ROWS: Final[tuple[Row, ...]] = (
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
)
# fmt: on


def index(rows: tuple[Row, ...]) -> Mapping[tuple[State, Input], Row]:
    """Return the cells of `rows`; two rows for one cell are an error of the table."""
    cells = {(state, row.heard): row for row in rows for state in row.states}
    require(len(cells) == sum(len(row.states) for row in rows), "one row a cell")
    return MappingProxyType(cells)


TABLE: Final = index(ROWS)
EVIDENT_CAUSES: Final = {Input.PATH_SILENT: 1, Input.PATH_CLOSED: 2, Input.ADDRESS_CHANGED: 3, Input.HINT_MOVE: 4, Input.BETTER_DUE: 5,
                         Input.KEY_DUE: 8, Input.KEY_EXPIRED: 1}  # fmt: skip
"""Which cause (registry) the client states for the attempts that an input starts."""
